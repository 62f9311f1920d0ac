"""Spectrum of the reflected signal: a type-1 cosine transform of any length."""

from dataclasses import dataclass

import numpy as np
import scipy.fft

LARGE_PRIME = 500  # factor from which a chirp transform beats the direct one
ROWS = 4  # scipy transforms this many rows of float32 at once


@dataclass(frozen=True)
class Cosine:
    """Type-1 cosine transform of ``shape`` samples; the chirp arrays only if it needs them."""

    shape: int
    chirp: np.ndarray | None  # (shape,) complex
    kernel: np.ndarray | None  # (padded,) complex, spectrum of the conjugate chirp


def make_cosine(shape: int, kind: np.dtype) -> Cosine:
    """Plan the transform: direct, or by Bluestein's chirps if shape - 1 has a large prime factor.

    The period is 2 (shape - 1), which no padding may change, so its factors are what they are; a
    large prime one makes the direct transform ten times slower, the chirp one three times.
    """
    last = shape - 1
    if _largest_prime_factor(last) < LARGE_PRIME:
        return Cosine(shape, None, None)
    # n k = (n^2 + k^2 - (n - k)^2) / 2; squares modulo a whole turn keep the phase exact
    turn = 4 * last
    index = np.arange(shape, dtype=np.int64)
    chirp = np.exp(-2j * np.pi * (index**2 % turn) / turn)
    padded = scipy.fft.next_fast_len(2 * shape - 1)
    kernel = np.zeros(padded, complex)
    kernel[:shape] = chirp.conj()
    kernel[padded - last :] = chirp[:0:-1].conj()
    kind_complex = np.result_type(kind, np.complex64)
    return Cosine(shape, chirp.astype(kind_complex), scipy.fft.fft(kernel).astype(kind_complex))


def reflected_spectrum(signals: np.ndarray, cosine: Cosine) -> np.ndarray:
    """Real spectrum of signals continued by reflection, bins 0 to Nyquist: (n_clips, shape)."""
    if cosine.chirp is None:
        return scipy.fft.dct(signals, type=1, axis=1)
    shape, padded = cosine.shape, len(cosine.kernel)
    spectrum = np.empty_like(signals)
    buffer = np.zeros((min(ROWS, len(signals)), padded), cosine.chirp.dtype)
    for start in range(0, len(signals), ROWS):
        rows = signals[start : start + ROWS]
        wave = buffer[: len(rows)]
        np.multiply(rows, cosine.chirp, out=wave[:, :shape])
        wave[:, 1 : shape - 1] *= 2  # samples between the two mirrors count twice a period
        wave[:, shape:] = 0
        wave = scipy.fft.fft(wave, axis=1, overwrite_x=True)
        wave *= cosine.kernel
        wave = scipy.fft.ifft(wave, axis=1, overwrite_x=True)[:, :shape]
        spectrum[start : start + ROWS] = (
            wave.real * cosine.chirp.real - wave.imag * cosine.chirp.imag
        )
    return spectrum


def _largest_prime_factor(number: int) -> int:
    largest, factor = 1, 2
    while factor * factor <= number:
        if number % factor:
            factor += 1
        else:
            number //= factor
            largest = factor
    return max(largest, number)
