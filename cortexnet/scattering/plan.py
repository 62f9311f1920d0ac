"""Everything about a transform that does not depend on the sound: filters, rates, weights.

Each band is moved to zero frequency, which its modulus does not see, and sampled at a rate set by
its own width; ``Precision`` says how wide a wavelet is taken to be and how much faster than that
width its modulus is sampled.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from cortexnet.scattering.average import Average, frozen, make_average
from cortexnet.scattering.cosine import Cosine, make_cosine
from cortexnet.scattering.filters import Wavelet, support, wavelet_family, wavelet_response
from cortexnet.scattering.geometry import Geometry, make_geometry
from cortexnet.scattering.lowpass import LowPass, make_lowpass
from cortexnet.scattering.meta import scattering_paths, subsampling

DENSE = 0.4  # a wavelet wider than this share of the spectrum keeps the sampling of the signal
SMALLEST = 64  # samples; shorter transforms cost their calls


@dataclass(frozen=True)
class Precision:
    """Half-width of the wavelets and rate of their moduli, both in sigma, by order."""

    half_width: tuple[float, float]
    rate: tuple[float, float]
    blocks: float  # of the low-pass, per standard deviation of its window


PRECISIONS = {
    "standard": Precision((4.6, 4.4), (34.0, 14.2), 20.0),
    "strict": Precision((5.5, 5.0), (52.0, 28.5), 40.0),
}


@dataclass(frozen=True)
class FirstBand:
    """A first-order wavelet around its centre bin: response at centre - k and centre + k."""

    centre: int
    below: np.ndarray  # (half,)
    above: np.ndarray  # (half,)


@dataclass(frozen=True)
class FirstGroup:
    """Neighbouring first-order bands sampled at ``size`` points a period."""

    start: int  # number of the first band within its level
    size: int
    bands: tuple[FirstBand, ...]


@dataclass(frozen=True)
class DenseBand:
    """A first-order wavelet as wide as the spectrum, left at the signal's own rate."""

    row: int  # number of the band within its level
    response: np.ndarray  # (period,)


@dataclass(frozen=True)
class Level:
    """First-order bands with the same subsampling 2**j, hence the same second-order wavelets."""

    first: int  # number of the first band
    count: int
    length: int  # spectrum of the modulus that is kept, in bins
    scale: float
    groups: tuple[FirstGroup, ...]
    dense: tuple[DenseBand, ...]


@dataclass(frozen=True)
class SecondBand:
    """A second-order wavelet, its rate, its low-pass, and the coefficients it gives by level."""

    mirrored: int  # bins below zero
    start: int  # first bin of the response after the mirrored ones
    response: np.ndarray  # (mirrored + rest,)
    size: int
    lowpass: LowPass
    rows: tuple[np.ndarray, ...]  # coefficient numbers, one array a level from the first


@dataclass(frozen=True)
class Plan:
    """A transform without its signal."""

    geometry: Geometry
    cosine: Cosine
    paths: tuple[tuple[int, ...], ...]  # wavelet numbers of the coefficients
    dtype: np.dtype
    below: int  # bins wanted below zero frequency
    beyond: int  # bins wanted above the Nyquist frequency
    average: Average  # from a modulus' spectrum to its averaged frames
    levels: tuple[Level, ...]
    second_bands: tuple[SecondBand, ...]


@lru_cache(maxsize=8)
def make_plan(
    shape: int,
    J: int,
    Q: tuple[int, int],
    T: int,
    max_order: int,
    precision: Precision,
    dtype: str,
) -> Plan:
    """Plan for signals of ``shape`` samples; arrays are read-only and shared between callers.

    Parameters
    ----------
    shape : int, samples
    J : int
    Q : (int, int), wavelets per octave at each order
    T : int, samples of the averaging window
    max_order : 1 or 2
    precision : Precision
    dtype : "float32" or "float64"

    Returns
    -------
    Plan
    """
    geometry = make_geometry(shape, T)
    first, second = wavelet_family(J, Q[0]), wavelet_family(J, Q[1]) if max_order == 2 else []
    kind = np.dtype(dtype)
    average = make_average(geometry, kind)
    second_bands = _second_order(geometry, first, second, precision, average.n_bins, kind)
    levels = _first_order(geometry, first, second, precision, average.n_bins, kind)
    bands = [band for level in levels for group in level.groups for band in group.bands]
    return Plan(
        geometry=geometry,
        cosine=make_cosine(shape, kind),
        paths=tuple(scattering_paths(first, second)),
        dtype=kind,
        below=max([0] + [len(band.below) - 1 - band.centre for band in bands]),
        beyond=max([0] + [band.centre + len(band.above) - shape for band in bands]),
        average=average,
        levels=levels,
        second_bands=second_bands,
    )


def good_size(smallest: float) -> int:
    """Smallest even length of at least ``smallest`` that is 8, 9, 10, 12 or 15 times a power of 2.

    Coarse steps let neighbouring bands share a length, hence a call.
    """
    octave = 2 ** math.floor(math.log2(max(smallest, SMALLEST) / 8))
    return min(m * octave for m in (8, 9, 10, 12, 15, 16) if m * octave >= smallest)


def _second_order(
    geometry: Geometry,
    first: list[Wavelet],
    second: list[Wavelet],
    precision: Precision,
    n_lowpass: int,
    kind: np.dtype,
) -> tuple[SecondBand, ...]:
    number = {path: row for row, path in enumerate(scattering_paths(first, second))}
    lowpasses: dict[int, LowPass] = {}
    bands = []
    for n2, wavelet in enumerate(second):
        levels = [level for level in _levels(first) if first[level[0]].j < wavelet.j]
        if not levels:
            continue
        low, high = _bins(wavelet, precision.half_width[1], geometry.period)
        response = wavelet_response(np.arange(low, high) / geometry.period, wavelet)
        # averaging must not see the modulus' own alias
        wanted = precision.rate[1] * wavelet.sigma * geometry.period + n_lowpass / 2
        size = good_size(max(wanted, high - low + n_lowpass))
        if size not in lowpasses:
            lowpasses[size] = make_lowpass(geometry, size, precision.blocks, kind)
        scale = 2.0 ** -subsampling(wavelet, geometry.hop)
        bands.append(
            SecondBand(
                mirrored=max(-low, 0),
                start=max(low, 0),
                response=frozen(response * scale, kind),
                size=size,
                lowpass=lowpasses[size],
                rows=tuple(np.array([number[n1, n2] for n1 in level]) for level in levels),
            )
        )
    return tuple(bands)


def _first_order(
    geometry: Geometry,
    first: list[Wavelet],
    second: list[Wavelet],
    precision: Precision,
    n_lowpass: int,
    kind: np.dtype,
) -> tuple[Level, ...]:
    period = geometry.period
    levels = []
    for members in _levels(first):
        children = [wavelet for wavelet in second if wavelet.j > first[members[0]].j]
        ends = [_bins(wavelet, precision.half_width[1], period)[1] for wavelet in children]
        length = max([n_lowpass, *ends])
        groups: list[FirstGroup] = []
        dense = []
        for row, n1 in enumerate(members):
            wavelet = first[n1]
            low, high = _bins(wavelet, precision.half_width[0], period)
            width = high - low
            if width > DENSE * period:
                response = wavelet_response(np.arange(period) / period, wavelet) / period
                dense.append(DenseBand(row, frozen(response, kind)))
                continue
            # the last two keep the alias of the modulus off the part of its spectrum in use
            wanted = precision.rate[0] * wavelet.sigma * period
            size = good_size(max(wanted, width + length, 2 * length))
            band = _first_band(wavelet, low, high, period, kind)
            if groups and groups[-1].size == size:
                groups[-1] = replace(groups[-1], bands=(*groups[-1].bands, band))
            else:
                groups.append(FirstGroup(row, size, (band,)))
        scale = 2.0 ** -subsampling(first[members[0]], geometry.hop)
        levels.append(Level(members[0], len(members), length, scale, tuple(groups), tuple(dense)))
    return tuple(levels)


def _first_band(wavelet: Wavelet, low: int, high: int, period: int, kind: np.dtype) -> FirstBand:
    centre = (low + high - 1) // 2
    half = high - centre
    offset = np.arange(1 - half, half)
    # halves because each side is split into an even and an odd part
    response = wavelet_response((centre + offset) / period, wavelet) / period / 2
    return FirstBand(
        centre,
        frozen(response[half - 1 :: -1], kind),
        frozen(response[half - 1 :], kind),
    )


def _levels(first: list[Wavelet]) -> list[list[int]]:
    """Numbers of the first-order wavelets by subsampling, which never falls along the family."""
    subsamplings = sorted({wavelet.j for wavelet in first})
    return [[n for n, wavelet in enumerate(first) if wavelet.j == j] for j in subsamplings]


def _bins(wavelet: Wavelet, half_width: float, period: int) -> tuple[int, int]:
    low, high = support(wavelet, half_width)
    return math.floor(low * period), math.ceil(high * period) + 1
