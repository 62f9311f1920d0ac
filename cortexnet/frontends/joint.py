"""Joint time-frequency scattering: second order along time and log-frequency together."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cortexnet.frontends.scattering import FLOOR, window_samples
from cortexnet.scattering import Scattering1D
from cortexnet.scattering.filters import (
    LOWPASS_WIDTH,
    Wavelet,
    lowpass_sd,
    octave_width,
    support,
    wavelet_response,
)
from cortexnet.scattering.geometry import make_geometry
from cortexnet.scattering.graph import Band, select
from cortexnet.scattering.plan import PRECISIONS, good_size
from stimuli.errors import InputError

HIGHEST = 0.35  # cycles per sample; a Morlet wavelet centred higher wraps around Nyquist
SAMPLING = PRECISIONS["standard"]
MARGIN = 2.0  # octaves of reflected bands beyond the scalogram's edges


@dataclass(frozen=True)
class Rate:
    """One temporal wavelet on the scalogram's frames, and the average of its modulus."""

    band: Band
    size: int
    window: np.ndarray  # (samples within the sound, n_frames)


@dataclass(frozen=True)
class Sheet:
    """Filters for scalograms of sounds of one length."""

    first: Scattering1D
    bands: np.ndarray  # (n_bands,) coefficient numbers, from the lowest frequency up
    scale: np.ndarray  # (n_bands,) undoes that of the coefficients
    window: np.ndarray  # (scalogram frames, n_frames)
    rates: tuple[Rate, ...]


class JointScattering(nn.Module):
    """Log joint scattering: the scalogram filtered by wavelets in time and log-frequency.

    First-order moduli of constant-Q wavelets are the scalogram. It is convolved with products of
    a temporal Morlet wavelet (a rate) and one along log-frequency (a scale), both an octave wide,
    the second one rotating with the first or against it (the direction); the modulus is averaged
    over T in time and over regions of frequency.

    Parameters
    ----------
    sample_rate : int
        Hz.
    Q : int
        Wavelets an octave of the scalogram.
    rates : sequence of float
        Temporal modulation, Hz.
    scales : sequence of float
        Spectral modulation, cycles/octave.
    T : float
        Seconds of the averaging window.
    n_regions : int
        Regions of neighbouring bands over which second-order moduli are averaged.
    lowest : float
        Centre of the scalogram's lowest band, about, Hz.
    preset : str
        Of `cortexnet.scattering.Scattering1D`, for the scalogram.

    Attributes
    ----------
    tuning : list of (rate, scale, direction)
        One entry per filter; direction +1 prefers ripples that move down in frequency (the
        convention of `stimuli.synthesis.ripple`). A rate or scale of 0 stands for an average in its
        place, and then direction is 0.
    centres : (n_bands,) array
        Of the scalogram's bands, Hz, ascending.
    frame_rate : float
        Hz, the frames of `cortexnet.frontends.scattering.LogScattering` with this T.

    Raises
    ------
    InputError
        If a rate, scale or T cannot be had, or the sound is shorter than T.

    Notes
    -----
    Maps ``(batch, samples)`` to ``{"S1": (batch, n_bands, frames), "S2": (batch, n_filters *
    n_regions, frames)}``, filters in the order of `tuning`, regions from low to high. Gradients
    where the waveform asks for them. The window is cut at the ends of the sound, not reflected:
    time backwards would turn one direction into the other.

    References
    ----------
    Anden, Lostanlen & Mallat (2019), IEEE Trans. Signal Process. 67, 3704-3718.
    """

    def __init__(
        self,
        sample_rate: int = 22050,
        Q: int = 8,
        rates=(2, 4, 8, 16, 32),
        scales=(0.25, 0.5, 1, 2),
        T: float = 0.37,
        n_regions: int = 10,
        lowest: float = 50.0,
        preset: str = "standard",
    ):
        super().__init__()
        for name, values, highest in (
            ("rates", rates, LOWPASS_WIDTH * sample_rate / 3),
            ("scales", scales, HIGHEST * Q),
        ):
            if not values or min(values) <= 0 or max(values) > highest:
                raise InputError(
                    f"{name} = {values!r}: give numbers above 0 and up to {highest:g}."
                )
        self.sample_rate, self.Q, self.n_regions, self.preset = sample_rate, Q, n_regions, preset
        self.rates, self.scales = tuple(rates), tuple(scales)
        self.window = window_samples(T, sample_rate)
        self.frame_rate = sample_rate / 2 ** (self.window.bit_length() - 1)
        # the scalogram's own average takes at most 5 % of the highest rate
        self.step = 2 ** int(math.log2(LOWPASS_WIDTH * sample_rate / (3 * max(rates))))
        self.J = math.ceil(math.log2(LOWPASS_WIDTH * sample_rate / (octave_width(Q) * lowest)))
        signed = [(scale, direction) for scale in scales for direction in (1, -1)] + [(0, 0)]
        self.tuning = [(rate, *pair) for rate in rates for pair in signed]
        self.tuning += [(0, scale, 0) for scale in scales]
        self._sheets: dict[int, Sheet] = {}
        first = Scattering1D(self.J, 2**self.J, Q, max_order=1)
        self._bands, self.centres = _constant_q(first.meta(), Q, sample_rate)
        margin = min(len(self.centres) - 1, round(MARGIN * Q))
        self._margin = margin
        self._pool = _regions(len(self.centres), n_regions)
        self._along = _along_frequency(self.scales, Q, len(self.centres) + 2 * margin)

    def forward(self, waveform: Tensor) -> dict[str, Tensor]:
        """Transform ``(batch, samples)`` to log coefficients by order."""
        sheet = self._sheet(waveform.shape[-1])
        scalogram = sheet.first(waveform)

        def constant(array):
            return torch.as_tensor(array, device=scalogram.device).to(scalogram.dtype)

        scalogram = scalogram[:, sheet.bands] * constant(sheet.scale)[:, None]
        averaged = scalogram @ constant(sheet.window)
        padding = (0, scalogram.shape[2] - 2, self._margin, self._margin)
        padded = F.pad(scalogram[:, None], padding, mode="reflect")[:, 0]
        spectrum = torch.fft.fft(padded, norm="forward")
        filters = constant(self._along)[:, :, None]
        energies = []
        for rate in sheet.rates:
            wave = select(spectrum, rate.band, rate.size, constant)
            wave = torch.fft.ifft(self._filter(wave, filters), norm="forward")
            # the rest is the sound backwards
            modulus = wave[..., : len(rate.window)].abs()
            energies.append(constant(self._pool) @ modulus @ constant(rate.window))
        still = F.pad(averaged[:, None], (0, 0, self._margin, self._margin), mode="reflect")[:, 0]
        # without a rate the two directions are one
        energies.append(constant(self._pool) @ self._filter(still, filters[:-1:2]).abs())
        second = torch.cat(energies, 1).flatten(1, 2)
        logs = (torch.log(x.clamp_min(0) + FLOOR) for x in (averaged, second))
        return dict(zip(("S1", "S2"), logs, strict=True))

    def _filter(self, x: Tensor, filters: Tensor) -> Tensor:
        """Convolve along frequency: (batch, filters, bands, time) without the margins."""
        spectrum = torch.fft.fft(x, dim=1)
        filtered = torch.fft.ifft(spectrum[:, None] * filters, dim=2)
        return filtered[:, :, self._margin : filtered.shape[2] - self._margin]

    def _sheet(self, n_samples: int) -> Sheet:
        if n_samples < self.window:
            raise InputError(
                f"sounds of {n_samples} samples are shorter than the window of {self.window}: "
                f"choose T <= {n_samples / self.sample_rate:.3g} s or longer sounds."
            )
        if n_samples not in self._sheets:
            if len(self._sheets) >= 4:
                del self._sheets[next(iter(self._sheets))]
            self._sheets[n_samples] = self._make_sheet(n_samples)
        return self._sheets[n_samples]

    def _make_sheet(self, n_samples: int) -> Sheet:
        first = Scattering1D(self.J, n_samples, self.Q, self.step, preset=self.preset, max_order=1)
        frames = make_geometry(n_samples, self.window).frames
        start, end = first.frames[[0, -1]]

        def window(time):
            # cut at the ends, with unit sum
            time = time[time <= end]
            weights = np.exp(-0.5 * ((time[:, None] - frames) / lowpass_sd(self.window)) ** 2)
            return weights / weights.sum(0)

        period = 2 * first.n_frames - 2  # of the reflected scalogram, in its frames
        rates = []
        for rate in self.rates:
            xi = rate * self.step / self.sample_rate
            wavelet = Wavelet(xi, octave_width(1) * xi, 0)
            low, high = (edge * period for edge in support(wavelet, SAMPLING.half_width[1]))
            bins = np.arange(math.floor(low), math.ceil(high) + 1)
            size = good_size(SAMPLING.rate[1] * wavelet.sigma * period)
            time = start + np.arange(size) * (period / size * self.step)
            response = wavelet_response(bins / period, wavelet)
            rates.append(Rate(Band(int(bins[0]), response), size, window(time)))
        return Sheet(
            first, self._bands, 1 / first.scale[self._bands], window(first.frames), tuple(rates)
        )


def _constant_q(meta: dict, Q: int, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficient numbers of the bands that are equidistant in log-frequency, and their Hz."""
    widths = meta["sigma"][1:, 0] / meta["xi"][1:, 0]
    count = int(np.isclose(widths, octave_width(Q)).sum())
    return np.arange(count, 0, -1), meta["xi"][count:0:-1, 0] * sample_rate


def _regions(n_bands: int, n_regions: int) -> np.ndarray:
    """Weights (n_regions, n_bands) that average neighbouring bands."""
    border = np.linspace(0, n_bands, n_regions + 1)
    band = np.arange(n_bands)
    overlap = np.minimum(border[1:, None], band + 1) - np.maximum(border[:-1, None], band)
    return np.maximum(overlap, 0) * (n_regions / n_bands)


def _along_frequency(scales, Q: int, n: int) -> np.ndarray:
    """Responses (2 n_scales + 1, n): each scale along and against frequency, then the average."""
    frequency = np.arange(n) / n
    rows = []
    for scale in scales:
        response = wavelet_response(frequency, Wavelet(scale / Q, octave_width(1) * scale / Q, 0))
        rows += [response, np.roll(response[::-1], 1)]
    nearest = np.minimum(frequency, 1 - frequency) * Q / (octave_width(1) * min(scales))
    return np.stack([*rows, np.exp(-0.5 * nearest**2)])
