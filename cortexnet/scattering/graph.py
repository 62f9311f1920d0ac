"""The scattering transform as tensor operations: gradients, any device.

One engine for two grids. `graph_of_plan` samples every band as the fast path does and gives its
numbers; `dyadic_graph` samples by powers of two from a signal padded to a power of two, as kymatio
does, and gives kymatio's numbers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cortexnet.scattering.average import frozen
from cortexnet.scattering.filters import (
    Wavelet,
    lowpass_response,
    support,
    wavelet_family,
    wavelet_response,
)
from cortexnet.scattering.geometry import make_geometry
from cortexnet.scattering.meta import scattering_paths
from cortexnet.scattering.plan import Plan

HALF_WIDTH = 8.0  # in sigma, of kymatio's wavelets; they are 1e-14 of their peak there
SAMPLES = 2**18  # of the clips worked on together, bounds the memory when no gradient is wanted


@dataclass(frozen=True)
class Band:
    """A wavelet's response from bin ``low`` on; bins are taken modulo the spectrum's length."""

    low: int
    response: np.ndarray  # (width,) complex if it also moves the samples by half of one


@dataclass(frozen=True)
class First:
    """First-order bands whose moduli are sampled at ``size`` points a period."""

    size: int
    scale: float
    late: bool  # samples lie half a sample late
    numbers: tuple[int, ...]  # of the wavelets
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class Second:
    """A second-order band; the moduli it follows are those of the wavelets before ``parents``."""

    number: int  # of the wavelet
    size: int
    scale: float
    parents: int
    band: Band


@dataclass(frozen=True)
class Graph:
    """Everything but the signal, as read-only arrays; ``constants`` keeps their tensors."""

    padding: tuple[int, int]  # reflected samples before and after the signal
    paths: tuple[tuple[int, ...], ...]  # wavelet numbers of the coefficients
    first: tuple[First, ...]
    second: tuple[Second, ...]
    average: Callable  # (Fourier coefficients, constant) to frames
    cut: Callable  # (unaveraged modulus) to its samples within the signal
    constants: dict = field(default_factory=dict, compare=False, repr=False)

    def constant(self, like: Tensor) -> Callable[[np.ndarray], Tensor]:
        """Function that puts an array of this graph on the device of ``like``, once."""

        def put(array: np.ndarray) -> Tensor:
            key = id(array), like.device, like.dtype
            if key not in self.constants:
                kind = like.dtype.to_complex() if np.iscomplexobj(array) else like.dtype
                with torch.inference_mode(False):  # else no later gradient could pass it
                    tensor = torch.tensor(array, dtype=kind, device=like.device)
                self.constants[key] = array, tensor  # the array is kept: its id must stay its own
            return self.constants[key][1]

        return put


def scatter_tensor(signals: Tensor, graph: Graph) -> Tensor:
    """Scattering coefficients of real signals, differentiable.

    Parameters
    ----------
    signals : (n_clips, n_samples)
    graph : Graph

    Returns
    -------
    (n_clips, n_coefficients, n_frames), of the signals' dtype and on their device
    """
    together = max(1, SAMPLES // signals.shape[1])
    if len(signals) > together:
        return torch.cat([scatter_tensor(part, graph) for part in signals.split(together)])
    numbers, values = [], []
    for paths, coefficients, _ in _moduli(signals, graph):
        numbers += paths
        values.append(graph.average(coefficients, graph.constant(signals)))
    order = {path: row for row, path in enumerate(numbers)}
    rows = torch.tensor([order[path] for path in graph.paths], device=signals.device)
    return torch.cat(values, 1).index_select(1, rows)


def scatter_unaveraged(signals: Tensor, graph: Graph) -> dict[tuple[int, ...], Tensor]:
    """Signal and moduli before the average, by path, each (n_clips, its own n_samples)."""
    found = {(): signals}
    for paths, _, moduli in _moduli(signals, graph):
        if paths != [()]:
            found |= zip(paths, graph.cut(moduli).unbind(1), strict=True)
    return {path: found[path] for path in graph.paths}


def _moduli(signals: Tensor, graph: Graph):
    """Paths, scaled Fourier coefficients and samples (n_clips, n_paths, size), set by set."""
    constant = graph.constant(signals)
    padded = F.pad(signals[:, None], graph.padding, mode="reflect")
    spectrum = torch.fft.fft(padded, norm="forward")
    yield [()], spectrum, padded
    for group in graph.first:
        wave = [select(spectrum, band, group.size, constant) for band in group.bands]
        modulus = torch.fft.ifft(torch.cat(wave, 1), norm="forward").abs()
        coefficients = torch.fft.fft(modulus, norm="forward") * group.scale
        if group.late:
            coefficients = coefficients * constant(_earlier(group.size))
        yield [(n1,) for n1 in group.numbers], coefficients, modulus
        for second in graph.second:
            count = sum(n1 < second.parents for n1 in group.numbers)
            if count:
                wave = select(coefficients[:, :count], second.band, second.size, constant)
                modulus = torch.fft.ifft(wave, norm="forward").abs()
                follow = torch.fft.fft(modulus, norm="forward") * second.scale
                yield [(n1, second.number) for n1 in group.numbers[:count]], follow, modulus


def select(spectrum: Tensor, band: Band, size: int, constant) -> Tensor:
    """Spectrum times a band, moved to zero and folded to ``size`` bins."""
    n, width = spectrum.shape[-1], len(band.response)
    low = band.low % n
    if low + width <= n:
        chosen = spectrum[..., low : low + width]
    else:
        chosen = spectrum[..., torch.arange(low, low + width, device=spectrum.device) % n]
    product = chosen * constant(band.response)
    turns = -(-width // size)
    product = F.pad(product, (0, turns * size - width))
    return product.unflatten(-1, (turns, size)).sum(-2)


@lru_cache(maxsize=256)
def _earlier(size: int) -> np.ndarray:
    """Factors of the Fourier coefficients of samples half a sample late."""
    return frozen(np.exp(-1j * np.pi * np.fft.fftfreq(size)), np.dtype(complex))


def graph_of_plan(plan: Plan) -> Graph:
    """Graph with the bands, rates and frames of the fast path."""
    period, shape = plan.geometry.period, plan.geometry.shape
    first, second = [], []
    for level in plan.levels:
        for group in level.groups:
            numbers = tuple(level.first + group.start + row for row in range(len(group.bands)))
            bands = []
            for band in group.bands:
                half = len(band.below)
                # the plan's responses are halved and divided by the period
                response = np.concatenate([band.below[:0:-1], band.above]) * (2.0 * period)
                late = np.exp(1j * np.pi * np.arange(2 * half - 1) / group.size)
                bands.append(Band(band.centre - half + 1, response * late))
            first.append(First(group.size, level.scale, True, numbers, tuple(bands)))
        for band in level.dense:
            number = (level.first + band.row,)
            first.append(
                First(period, level.scale, False, number, (Band(0, band.response * period),))
            )
    paths = tuple(plan.paths)
    for band in plan.second_bands:
        last, number = paths[band.rows[-1].max()]
        low = band.start - band.mirrored
        second.append(Second(number, band.size, 1.0, last + 1, Band(low, band.response)))
    bins = plan.average.n_bins

    def average(coefficients, constant):
        index = torch.arange(bins, device=coefficients.device) % coefficients.shape[-1]
        return plan.average.of_tensor(coefficients.real[..., index], constant)

    return Graph((0, shape - 2), paths, tuple(first), tuple(second), average, None)


@lru_cache(maxsize=4)
def dyadic_graph(
    shape: int, J: int, Q: tuple[int, int], T: int, max_order: int, averaged: bool
) -> Graph:
    """Graph on kymatio's grid: padding to a power of two, rates by powers of two.

    Parameters
    ----------
    shape : int, samples
    J : int
    Q : (int, int)
    T : int, samples of the averaging window; it also limits the subsampling
    max_order : 1 or 2
    averaged : bool
        False leaves the subsampling to the wavelets alone.
    """
    geometry = make_geometry(shape, T)
    padded, left = geometry.padded, geometry.left
    slowest = geometry.hop.bit_length() - 1 if averaged else padded.bit_length()
    wavelets = wavelet_family(J, Q[0])
    follow = wavelet_family(J, Q[1]) if max_order == 2 else []
    first = []
    for j in sorted({wavelet.j for wavelet in wavelets}):
        k = min(j, slowest)
        numbers = tuple(n for n, wavelet in enumerate(wavelets) if wavelet.j == j)
        bands = tuple(_dyadic_band(wavelets[n], padded) for n in numbers)
        first.append(First(padded >> k, 2.0**-k, False, numbers, bands))
    second = []
    for number, wavelet in enumerate(follow):
        k = min(wavelet.j, slowest)
        parents = sum(one.j < wavelet.j for one in wavelets)
        band = _dyadic_band(wavelet, padded)
        second.append(Second(number, padded >> k, 2.0**-k, parents, band))

    n_frames = len(geometry.frames)
    start = (int(geometry.frames[0]) + left) // geometry.hop
    windows = {}
    for k in range(slowest + 1 if averaged else 0):
        bins = np.arange(padded >> k) / (padded >> k)
        windows[padded >> k] = frozen(lowpass_response(bins, T / 2**k), np.dtype(float))

    def average(coefficients, constant):
        product = coefficients * constant(windows[coefficients.shape[-1]])
        wanted = padded // geometry.hop
        product = product.unflatten(-1, (-1, wanted)).sum(-2)
        frames = torch.fft.ifft(product, norm="forward").real
        return frames[..., start : start + n_frames]

    def cut(modulus):
        step = padded // modulus.shape[-1]
        return modulus[..., -(-left // step) : -(-(left + shape) // step)]

    return Graph(
        (left, padded - shape - left),
        tuple(scattering_paths(wavelets, follow)),
        tuple(first),
        tuple(second),
        average,
        cut,
    )


def _dyadic_band(wavelet: Wavelet, period: int) -> Band:
    low, high = (edge * period for edge in support(wavelet, HALF_WIDTH))
    bins = np.arange(math.floor(low), math.ceil(high) + 1)
    if len(bins) >= period:
        bins = np.arange(period)
    response = wavelet_response(bins / period, wavelet, period)
    return Band(int(bins[0]), frozen(response, np.dtype(float)))
