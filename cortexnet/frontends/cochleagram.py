"""Cochleagram on a logarithmic frequency axis, from three STFTs of different length."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK = 256  # frames at a time: their windows and spectra stay in the processor's cache


class Cochleagram(nn.Module):
    """Power-law compressed spectrogram, log-spaced bands, causal with a constant latency.

    Long windows resolve low frequencies, short windows follow fast modulations at high ones
    (2048 samples below 350 Hz, 1024 below 1.4 kHz, 512 above, at 22,050 Hz). All windows share one
    centre, half the longest window before the frame's own time, so that no frame depends on later
    sound and the bands stay aligned.

    Parameters
    ----------
    sample_rate : int
        Sampling rate of the waveforms, Hz.
    bands_per_octave : int
        Spacing of the bands; they are triangular on the log-frequency axis.
    f_min : float
        Centre of the lowest band, Hz. Bands go up to 0.8 of the Nyquist frequency.
    exponent : float
        Compression of the *amplitude*; 0.3 approximates the growth of loudness.

    Attributes
    ----------
    centres : ndarray, (n_bands,)
        Centre frequencies, Hz.
    frame_rate : float
        Frames a second, Hz (about 200).
    """

    def __init__(self, sample_rate=22050, bands_per_octave=10, f_min=60.0, exponent=0.3):
        super().__init__()
        self.sample_rate, self.exponent = sample_rate, exponent
        self.bands_per_octave = bands_per_octave
        self.hop = round(sample_rate / 200)
        self.frame_rate = sample_rate / self.hop
        n_bands = 1 + int(bands_per_octave * math.log2(0.4 * sample_rate / f_min))
        self.centres = f_min * 2 ** (np.arange(n_bands) / bands_per_octave)
        self.n_bands = n_bands
        longest = 2 ** round(math.log2(0.093 * sample_rate))
        self.n_ffts = (longest, longest // 2, longest // 4)
        self.bins = []
        edges = np.searchsorted(self.centres, (350.0, 1400.0))
        for i, (n_fft, rows) in enumerate(
            zip(self.n_ffts, np.split(self.centres, edges), strict=True)
        ):
            bank = _triangles(rows, bands_per_octave, n_fft, sample_rate)
            used = np.flatnonzero(bank.any(0))
            self.bins.append(slice(int(used[0]), int(used[-1]) + 1))
            window = torch.hann_window(n_fft)
            # Amplitude spectrum: a sine of amplitude a has a peak of a, whatever the window.
            self.register_buffer(f"window{i}", window * (2 / window.sum()), persistent=False)
            self.register_buffer(
                f"bank{i}", torch.from_numpy(bank[:, self.bins[-1]].copy()), persistent=False
            )

    def forward(self, waveform: Tensor) -> Tensor:
        """Transform ``(batch, samples)`` to ``(batch, n_bands, samples // hop)``."""
        n_frames = waveform.shape[-1] // self.hop
        longest = self.n_ffts[0]
        padded = F.pad(waveform, (longest, 0))
        bands = []
        for i, n_fft in enumerate(self.n_ffts):
            # The longest window of frame t ends at sample (t + 1) hop; the others share its centre.
            start = self.hop + (longest - n_fft) // 2
            stop = start + (n_frames - 1) * self.hop + n_fft
            frames = padded[:, start:stop].unfold(1, n_fft, self.hop)
            bands.append(torch.cat([self._bands(x, i) for x in frames.split(BLOCK, 1)], 1))
        # The floor keeps the gradient of the root finite; 1e-10 is 100 dB below full scale.
        return (torch.cat(bands, 2) + 1e-10).pow(self.exponent / 2).mT

    def _bands(self, frames: Tensor, i: int) -> Tensor:
        """Power in the bands of one window, ``(batch, frame, band)``."""
        spectrum = torch.fft.rfft(frames * getattr(self, f"window{i}"))[..., self.bins[i]]
        power = spectrum.real.square() + spectrum.imag.square()
        return power @ getattr(self, f"bank{i}").mT


def _triangles(centres, bands_per_octave, n_fft, sample_rate):
    """Triangular weights ``(band, bin)`` on log frequency, rows summing to one.

    Where bins are sparser than bands the triangle is widened to one bin spacing: it interpolates.
    """
    frequency = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    half_width = np.maximum(centres * (2 ** (1 / bands_per_octave) - 1), sample_rate / n_fft)
    weights = 1 - np.abs(frequency[None] - centres[:, None]) / half_width[:, None]
    weights = np.maximum(weights, 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
