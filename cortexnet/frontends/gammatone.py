"""Cochleagram of a gammatone filterbank on the ERB scale, fast enough for roughness."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stimuli.errors import InputError

ORDER = 4
WIDTH = 1.019  # ERBs: decay parameter of a gammatone of order 4 with that bandwidth
FAR = 31.6  # decay parameters from its centre a gammatone is 120 dB down: (1 + 31.6^2)^-2 = 1e-6
LONG = 24.0  # 120 dB below its peak: x^3 exp(-x) at x = 2 pi b t
FLOOR = 1e-10  # power, 100 dB below full scale: keeps the gradient of the root finite
CHUNK = 2**22  # complex samples filtered at a time


def erb(hz):
    """Equivalent rectangular bandwidth of the auditory filter at a frequency, both in Hz.

    References
    ----------
    Glasberg & Moore (1990), Hear. Res. 47, 103-138, eq. 3.
    """
    return 24.7 * (4.37e-3 * np.asarray(hz, float) + 1)


def erb_number(hz):
    """Number of ERBs below a frequency (Glasberg & Moore 1990, eq. 4, with the exact constant)."""
    return np.log1p(4.37e-3 * np.asarray(hz, float)) / (24.7 * 4.37e-3)


def erb_to_hz(number):
    """Inverse of `erb_number`."""
    return np.expm1(np.asarray(number, float) * 24.7 * 4.37e-3) / 4.37e-3


class ERBCochleagram(nn.Module):
    """Envelopes of gammatone filters, power-law compressed, causal with a constant latency.

    Each filter is a complex gammatone t^3 exp(-2 pi b t + 2 pi i f t), b = 1.019 ERB(f); the
    modulus of its output is the envelope. The power of the envelope is averaged by a Hann window of
    two frames and raised to half the exponent. Filters of high frequencies are delayed so that the
    envelopes of all peak together (Hohmann 2002): a click stays upright.

    Parameters
    ----------
    sample_rate : int
        Sampling rate of the waveforms, Hz.
    f_min, f_max : float
        Lowest and highest centre, Hz; `f_max` by default 10 kHz or .45 of the sampling rate.
    bands_per_erb : float
        Bands for each ERB, spaced evenly on the ERB-number scale.
    bands_per_octave : float, optional
        Space the bands evenly in octaves instead. Bandwidths remain those of the ear.
    frame_rate : float
        Frames a second, Hz, at least; 400 carry modulations of 64 Hz and more.
    exponent : float
        Compression of the amplitude.

    Attributes
    ----------
    centres : ndarray, (n_bands,)
        Centre frequencies, Hz.
    frame_rate : float
        Frames a second, Hz: the sampling rate over a whole number of samples.
    latency : float
        Seconds between a click and the peak of its envelope in every band.

    Raises
    ------
    InputError
        If the frequencies do not fit the sampling rate.

    Notes
    -----
    A sine of amplitude a at a band's centre gives a^exponent. Double-precision waveforms are
    transformed in double precision. The sound is filtered by Fourier transform in blocks of a
    second which overlap by the length of the longest filter; low bands, which are narrow, come back
    at a lower sampling rate.

    References
    ----------
    Patterson et al. (1987), An efficient auditory filterbank based on the gammatone function.
    Glasberg & Moore (1990), Hear. Res. 47, 103-138. Hohmann (2002), Acta Acust. 88, 433-442.
    """

    def __init__(
        self,
        sample_rate: int = 22050,
        f_min: float = 50.0,
        f_max: float | None = None,
        bands_per_erb: float = 2,
        bands_per_octave: float | None = None,
        frame_rate: float = 400.0,
        exponent: float = 0.3,
    ):
        super().__init__()
        f_max = min(10000.0, 0.45 * sample_rate) if f_max is None else f_max
        if not 0 < f_min < f_max < sample_rate / 2:
            raise InputError(
                f"bands from {f_min:g} to {f_max:g} Hz do not fit below half the sampling rate "
                f"({sample_rate / 2:g} Hz)"
            )
        self.sample_rate, self.exponent = sample_rate, exponent
        self.bands_per_octave = bands_per_octave
        self.hop = int(sample_rate / frame_rate)
        self.frame_rate = sample_rate / self.hop
        if bands_per_octave is None:
            low, high = erb_number(f_min), erb_number(f_max)
            steps = np.arange(int((high - low) * bands_per_erb + 1e-9) + 1)
            self.centres = erb_to_hz(low + steps / bands_per_erb)
        else:
            steps = np.arange(int(math.log2(f_max / f_min) * bands_per_octave + 1e-9) + 1)
            self.centres = f_min * 2 ** (steps / bands_per_octave)
        self.n_bands = len(self.centres)
        self.decays = WIDTH * erb(self.centres)  # b, Hz
        peaks = (ORDER - 1) / (2 * np.pi * self.decays)
        self.delays = np.round((peaks.max() - peaks) * sample_rate).astype(int)  # samples
        self.latency = float(peaks.max() + self.hop / sample_rate)
        longest = LONG / (2 * np.pi * self.decays.min()) + self.delays.max() / sample_rate
        self.history = math.ceil(longest * self.frame_rate) + 2  # frames
        self.block = round(self.frame_rate)
        self._banks = {}  # by precision and device: not state, and not to be saved

    def forward(self, waveform: Tensor) -> Tensor:
        """Transform ``(batch, samples)`` to ``(batch, n_bands, samples // hop)``."""
        n_frames = waveform.shape[-1] // self.hop
        n_blocks = max(1, -(-n_frames // self.block))
        length = (self.block + self.history) * self.hop
        after = n_blocks * self.block * self.hop - n_frames * self.hop
        x = F.pad(waveform[:, : n_frames * self.hop], (self.history * self.hop, after))
        spectrum = torch.fft.fft(x.unfold(1, length, self.block * self.hop))  # (batch, block, bin)
        key = (waveform.dtype, waveform.device)
        if key not in self._banks:
            self._banks[key] = self._bank(*key)
        power = torch.cat([self._power(spectrum, *group) for group in self._banks[key]], 1)
        power = power.flatten(2)[..., :n_frames]
        return (power + FLOOR).pow(self.exponent / 2)

    def _power(self, spectrum: Tensor, bins: Tensor, bank: Tensor, window: Tensor) -> Tensor:
        """Frames of envelope power ``(batch, band, block, frame)`` of one group of bands."""
        n, per_frame = bank.shape[1], window.shape[0]
        at_once = max(1, CHUNK // (spectrum[..., 0].numel() * n))
        parts = []
        for where, filters in zip(bins.split(at_once), bank.split(at_once), strict=True):
            # The modulus does not see where on the frequency axis the band lies: its bins alone
            # are transformed back, at a lower rate.
            z = torch.fft.ifft(spectrum[:, :, where] * filters) * (n / spectrum.shape[2])
            envelope = (z.real.square() + z.imag.square()).unflatten(3, (-1, per_frame))
            halves = envelope @ window  # (batch, block, band, frame, half of the window)
            power = halves[:, :, :, self.history - 1 : -1, 0] + halves[:, :, :, self.history :, 1]
            parts.append(power.transpose(1, 2))
        return torch.cat(parts, 1)

    def _bank(self, dtype: torch.dtype, device) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Groups of bands with one rate: bins (band, n), responses (band, n), window (m, 2)."""
        length = (self.block + self.history) * self.hop
        # Samples a frame that hold all a band passes above -120 dB.
        needed = 2 * FAR * self.decays / self.frame_rate
        ladder = [2**k for k in range(2, 12) if 2**k < self.hop] + [self.hop]
        rate = np.array([next((m for m in ladder if m >= n), self.hop) for n in needed])
        precise = torch.complex128 if dtype == torch.float64 else torch.complex64
        groups = []
        for m in np.unique(rate):  # ascending, as the centres are
            bins, bank = [], []
            for band in np.flatnonzero(rate == m):
                n = m * (self.block + self.history)
                centre = round(self.centres[band] * length / self.sample_rate)
                bins.append((np.arange(n) + centre - n // 2) % length)
                bank.append(np.fft.fft(self.kernel(band), length)[bins[-1]])
            hann = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * m) / m)
            groups.append((
                torch.from_numpy(np.stack(bins)).to(device),
                torch.from_numpy(np.stack(bank)).to(device, precise),
                torch.from_numpy((hann / m).reshape(2, m).T.copy()).to(device, dtype),
            ))  # fmt: skip
        return groups

    def kernel(self, band: int) -> np.ndarray:
        """Impulse response of a band, complex, ``(samples,)``, until it is 120 dB down."""
        b, f = self.decays[band], self.centres[band]
        t = np.arange(math.ceil(LONG / (2 * np.pi * b) * self.sample_rate)) / self.sample_rate
        taps = t ** (ORDER - 1) * np.exp(-2 * np.pi * b * t + 2j * np.pi * f * t)
        gain = 2 / np.abs(taps @ np.exp(-2j * np.pi * f * t))
        return np.r_[np.zeros(self.delays[band]), gain * taps]
