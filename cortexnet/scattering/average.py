"""Low-pass and frames of an even signal from its cosine coefficients."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
import torch

from cortexnet.scattering.filters import LOWPASS_WIDTH, lowpass_response
from cortexnet.scattering.geometry import Geometry

LOWPASS_HALF_WIDTH = 5.5  # in sigma; the window's response is 3e-7 there
LARGEST_MATRIX = 2**21  # entries; above, a chirp transform is faster and smaller


@dataclass(frozen=True)
class Average:
    """Frames ``sum_k c_k before_k cos(2 pi k f_i / period)`` for equidistant frames f_i.

    A matrix (n_bins, n_frames); or, for many frames, Bluestein's chirps, whose convolution with
    ``kernel`` is done by Fourier transforms.
    """

    n_bins: int
    n_frames: int
    matrix: np.ndarray | None
    before: np.ndarray | None  # (n_bins,) complex
    kernel: np.ndarray | None  # (padded,) complex, a spectrum
    after: np.ndarray | None  # (n_frames,) complex

    def __call__(self, coefficients: np.ndarray) -> np.ndarray:
        """Frames (..., n_frames) of real cosine coefficients (..., n_bins)."""
        if self.matrix is not None:
            return coefficients @ self.matrix
        wave = scipy.fft.fft(coefficients * self.before, n=len(self.kernel), axis=-1)
        wave = scipy.fft.ifft(wave * self.kernel, axis=-1, overwrite_x=True)
        return (wave[..., : self.n_frames] * self.after).real

    def of_tensor(self, coefficients: torch.Tensor, constant) -> torch.Tensor:
        """The same for a tensor; ``constant`` puts an array where the tensor is."""
        if self.matrix is not None:
            return coefficients @ constant(self.matrix)
        wave = torch.fft.fft(coefficients * constant(self.before), n=len(self.kernel))
        wave = torch.fft.ifft(wave * constant(self.kernel))
        return (wave[..., : self.n_frames] * constant(self.after)).real


def make_average(geometry: Geometry, kind: np.dtype) -> Average:
    """Average over T samples at the frames of a transform."""
    period, frames, hop = geometry.period, geometry.frames, geometry.hop
    wanted = int(LOWPASS_HALF_WIDTH * LOWPASS_WIDTH / geometry.T * period) + 2
    bins = np.arange(min(wanted, geometry.shape))
    # coefficients at k and -k are equal; bin zero, and Nyquist if it is reached, have no twin
    twins = np.where((bins > 0) & (bins < period // 2), 2.0, 1.0)
    weights = lowpass_response(bins / period, geometry.T) * twins
    sizes = len(bins), len(frames)
    if math.prod(sizes) <= LARGEST_MATRIX:
        phase = 2 * np.pi * (np.outer(bins, frames) % period) / period
        matrix = frozen(weights[:, None] * np.cos(phase), kind)
        return Average(*sizes, matrix, None, None, None)

    # k i = (k^2 + i^2 - (i - k)^2) / 2; integers modulo a whole turn keep the phase exact
    def chirp(number):
        return np.exp(1j * np.pi * (hop * number**2 % (2 * period)) / period)

    padded = scipy.fft.next_fast_len(sum(sizes) - 1)
    kernel = np.zeros(padded, complex)
    kernel[: sizes[1]] = chirp(np.arange(sizes[1])).conj()
    kernel[padded - sizes[0] + 1 :] = chirp(np.arange(sizes[0] - 1, 0, -1)).conj()
    start = np.exp(2j * np.pi * (bins * int(frames[0]) % period) / period)
    wave = np.result_type(kind, np.complex64)
    return Average(
        *sizes,
        None,
        frozen(weights * start * chirp(bins), wave),
        frozen(scipy.fft.fft(kernel), wave),
        frozen(chirp(np.arange(sizes[1])), wave),
    )


def frozen(values: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Contiguous read-only copy, safe to share between callers."""
    array = np.array(values, dtype=kind, order="C")
    array.setflags(write=False)
    return array
