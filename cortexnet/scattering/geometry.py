"""Where the output frames lie in the signal, and how the signal continues beyond its ends."""

import math
from dataclasses import dataclass

import numpy as np

from cortexnet.scattering.filters import lowpass_sd

TAIL = 1e-3  # kymatio pads three times the time after which the window's sum falls below this


@dataclass(frozen=True)
class Geometry:
    """Sample grid of a transform.

    The signal is continued by whole-sample reflection at both ends, which makes it even and
    periodic with ``period = 2 * shape - 2`` samples: its spectrum is real and even. kymatio
    continues it by ``left`` samples before it and as many as make ``padded``, a power of two, in
    all. ``frames`` are the sample numbers of the output frames, those of kymatio: multiples of
    ``hop``, the largest power of two up to T, counted from the start of its padding, hence not
    always multiples of it counted from the signal's start.
    """

    shape: int
    T: int
    hop: int
    period: int
    left: int
    padded: int
    frames: np.ndarray  # (n_frames,) samples from the signal's start


def make_geometry(shape: int, T: int) -> Geometry:
    """Grid for signals of ``shape`` samples averaged over T samples."""
    hop = 2 ** (T.bit_length() - 1)
    padding = 3 * _window_end(shape, T)
    # a reflection holds shape - 1 new samples a side, so the padded length is at most 3 shape - 2
    padded = 2 ** min(
        math.ceil(math.log2(shape + 2 * padding)), math.floor(math.log2(3 * shape - 2))
    )
    left = (padded - shape) // 2
    frames = np.arange(-(-left // hop), -(-(left + shape) // hop)) * hop - left
    return Geometry(shape, T, hop, 2 * shape - 2, left, padded, frames)


def _window_end(shape: int, T: int) -> int:
    """Samples after which the window, wrapped around the signal, sums to less than TAIL."""
    half = shape // 2
    sd = lowpass_sd(T)
    time = np.arange(half)
    images = range(-math.ceil(8 * sd / shape), math.ceil(8 * sd / shape) + 1)
    window = sum(np.exp(-0.5 * ((time + i * shape) / sd) ** 2) for i in images)
    residual = np.cumsum(window[::-1])[::-1] / (math.sqrt(2 * math.pi) * sd)
    below = np.flatnonzero(residual <= TAIL)
    return int(below[0]) + 1 if len(below) else half
