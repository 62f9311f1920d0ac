"""Spectrotemporal modulation energy by Fourier filters: the baseline."""

import functools

import numpy as np
import scipy.fft
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cortexnet.frontends.cochleagram import Cochleagram
from stimuli.errors import InputError


class ModulationEnergy(nn.Module):
    """Energy in rate x scale x direction, per frequency region, over time (the MTF model).

    The cochleagram is filtered in the two-dimensional Fourier domain by log-Gaussian filters, one
    for each rate, scale and direction; the squared modulus is averaged over frequency regions and
    frames, and its logarithm taken.

    Parameters
    ----------
    sample_rate : int
        Sampling rate of the waveforms, Hz.
    rates, scales : sequence of float
        Centres of the filters: Hz and cycles/octave, an octave wide at half maximum.
    n_regions : int
        Frequency regions over which energy is averaged.
    frame_rate : float
        Frames a second of the output, Hz.
    cochleagram : nn.Module, optional
        What is filtered, with evenly many ``bands_per_octave``. The default `Cochleagram` has
        windows of 23 ms and more, which pass modulations of 32 Hz and smooth those of 64 Hz;
        ``ERBCochleagram(sample_rate, bands_per_octave=10)`` passes both where the ear does.

    Attributes
    ----------
    tuning : list of (rate, scale, direction)
        One entry per filter; direction +1 prefers ripples that move down in frequency.

    Raises
    ------
    InputError
        If the bands of the cochleagram are not spaced evenly in octaves.

    Notes
    -----
    Maps ``(batch, samples)`` to ``(batch, n_filters, n_regions, frames)``. Without the logarithm
    about half of the predictable variance of auditory responses is lost.

    References
    ----------
    Chi, Ru & Shamma (2005), J. Acoust. Soc. Am. 118, 887-906.
    """

    def __init__(
        self,
        sample_rate: int = 22050,
        rates=(2, 4, 8, 16, 32, 64),
        scales=(0.25, 0.5, 1, 2, 4),
        n_regions: int = 10,
        frame_rate: float = 12.5,
        cochleagram: nn.Module | None = None,
    ):
        super().__init__()
        self.cochleagram = Cochleagram(sample_rate) if cochleagram is None else cochleagram
        if self.cochleagram.bands_per_octave is None:
            raise InputError(
                "scales are cycles per octave: give the cochleagram bands_per_octave, such as 10"
            )
        self.rates, self.scales, self.n_regions = tuple(rates), tuple(scales), n_regions
        self.pool = max(1, round(self.cochleagram.frame_rate / frame_rate))
        self.frame_rate = self.cochleagram.frame_rate / self.pool
        self.tuning = [(r, s, d) for r in rates for s in scales for d in (1, -1)]

    def forward(self, waveform: Tensor) -> Tensor:
        """Transform ``(batch, samples)`` to ``(batch, n_filters, n_regions, frames)``."""
        x = self.cochleagram(waveform)
        x = x - x.mean((1, 2), keepdim=True)
        batch, n_bands, n_frames = x.shape
        # Mirrored edges: half a period of the slowest rate on each side, one octave in frequency.
        margin = min(n_frames - 1, round(0.5 * self.cochleagram.frame_rate / min(self.rates)))
        octave = self.cochleagram.bands_per_octave
        x = F.pad(x, (margin, margin, octave, octave), mode="reflect")
        spectrum = torch.fft.fft2(x)
        padded = x.shape[2]
        omega = torch.fft.fftfreq(padded, 1 / self.cochleagram.frame_rate, device=x.device)
        cycles = torch.fft.fftfreq(x.shape[1], 1 / octave, device=x.device)
        # Only positive rates are kept: the response is analytic in time. A downward ripple
        # cos(2 pi (rate t + scale x)) has a positive spectral frequency there.
        along_frequency = torch.stack(
            [_log_gaussian(d * cycles, scale) for scale in self.scales for d in (1, -1)]
        )
        energies = []
        for rate in self.rates:
            along_time = _log_gaussian(omega, rate)
            used = torch.nonzero(along_time > 1e-3)[:, 0]
            z = spectrum[:, :, used] * along_time[used]
            z = z[:, None] * along_frequency[None, :, :, None]
            z = torch.fft.ifft(z, dim=2)[:, :, octave : octave + n_bands]
            z = z.flatten(0, 1)
            # The modulus does not see where on the frequency axis the band lies: it is moved to
            # zero and sampled at twice its width, which the squared modulus needs, and at least
            # four times a frame.
            wanted = max(2 * len(used), 4 * padded // self.pool)
            n = scipy.fft.next_fast_len(min(wanted, padded))
            z = torch.fft.ifft(z, n=n, dim=2) * (n / padded)
            energy = (z.real.square() + z.imag.square()) @ _frame_means(
                n, padded, margin, self.pool, n_frames // self.pool
            ).to(x)
            energies.append(F.adaptive_avg_pool2d(energy[:, None], (self.n_regions, None))[:, 0])
        shape = (len(self.rates), batch, -1, self.n_regions, n_frames // self.pool)
        return torch.stack(energies).reshape(shape).transpose(0, 1).flatten(1, 2)


@functools.lru_cache(maxsize=64)
def _frame_means(n: int, padded: int, margin: int, pool: int, n_frames: int) -> Tensor:
    """Weights ``(n, n_frames)`` that average ``n`` samples of a padded axis over each frame."""
    borders = np.arange(n + 1) * padded / n  # in frames of the cochleagram
    starts = margin + np.arange(n_frames) * pool
    overlap = np.minimum(borders[1:, None], starts + pool) - np.maximum(borders[:-1, None], starts)
    return torch.from_numpy(np.maximum(overlap, 0) / pool).float()


def _log_gaussian(frequency: Tensor, centre: float) -> Tensor:
    """Gaussian of half an octave (SD) on log frequency, zero for frequencies <= 0."""
    octaves = torch.log2(frequency.clamp_min(1e-6) / centre)
    return torch.exp(-0.5 * (octaves / 0.5) ** 2) * (frequency > 0)
