"""Average of a modulus at the output frames without a transform back.

The averaging window is wide beside a modulus' samples, so within a block of samples it is a
straight line: two moments a block (sum, and sum weighted by position) and a small matrix product
replace a Fourier transform, a product and its inverse.
"""

import math
from dataclasses import dataclass

import numpy as np

from cortexnet.scattering.filters import lowpass_sd
from cortexnet.scattering.geometry import Geometry

FRAMES = 16  # frames that share one slice of the blocks
REACH = 5.6  # standard deviations; the window is 1.6e-7 of its peak there


@dataclass(frozen=True)
class Slice:
    """Frames ``frames`` from blocks ``blocks``: weights (2 * n_blocks, n_frames)."""

    frames: slice
    blocks: slice
    weights: np.ndarray


@dataclass(frozen=True)
class LowPass:
    """Blocks of ``length`` samples of a modulus known at samples 0 ... n_samples - 1."""

    n_samples: int
    n_blocks: int
    position: np.ndarray  # (length,) of a sample in its block, from -1/2 to 1/2
    slices: tuple[Slice, ...]


def make_lowpass(geometry: Geometry, size: int, blocks_per_sd: float, kind: np.dtype) -> LowPass:
    """Low-pass for a modulus sampled at ``size`` points a period.

    The modulus is even, so its samples 0 ... size / 2 hold all of it.
    """
    sd = lowpass_sd(geometry.T)
    step = geometry.period / size
    n_samples = size // 2 + 1
    length = max(1, int(sd / blocks_per_sd / step))
    length -= length % 8 if length >= 8 else 0  # whole vector registers
    position = (np.arange(length) - (length - 1) / 2) / length
    n_blocks = -(-n_samples // length)
    centre = (np.arange(n_blocks) * length + (length - 1) / 2) * step
    # The line through the window at these two points has its mean over the block's samples.
    node = math.sqrt((length**2 - 1) / 12) * step
    slices = []
    for start in range(0, len(geometry.frames), FRAMES):
        frames = geometry.frames[start : start + FRAMES]
        near = np.flatnonzero(
            (centre > frames[0] - REACH * sd - length * step)
            & (centre < frames[-1] + REACH * sd + length * step)
        )
        blocks = slice(int(near[0]), int(near[-1]) + 1)
        left = _window(centre[blocks, None] - node, frames, geometry.period, sd)
        right = _window(centre[blocks, None] + node, frames, geometry.period, sd)
        slope = (right - left) * (length * step / (2 * node) if node else 0)
        weights = np.stack([(left + right) / 2, slope], axis=1) * step
        weights = np.ascontiguousarray(weights.reshape(-1, len(frames)), dtype=kind)
        weights.setflags(write=False)
        slices.append(Slice(slice(start, start + len(frames)), blocks, weights))
    position = position.astype(kind)
    position.setflags(write=False)
    return LowPass(n_samples, n_blocks, position, tuple(slices))


def _window(time: np.ndarray, frames: np.ndarray, period: int, sd: float) -> np.ndarray:
    """Window around each frame, with its mirror image: (n_times, n_frames), unit sum.

    The even signal at -t is the signal at t, so its half [0, period / 2] carries both the window
    around +frame and the one around -frame, and their periodic images.
    """
    total = np.zeros((len(time), len(frames)))
    last = math.ceil((REACH + 1) * sd / period) + 1
    for sign in (1, -1):
        for image in range(-last, last + 1):
            distance = time - sign * frames + image * period
            if np.abs(distance).min() < (REACH + 1) * sd:
                total += np.exp(-0.5 * (distance / sd) ** 2)
    return total / (math.sqrt(2 * math.pi) * sd)
