"""Compiled loops that touch each sample once, where array expressions would make several passes."""

import numba
import numpy as np


@numba.njit(cache=True, fastmath=True, nogil=True)
def split_band(spectrum, zero, below, above, centre, even, odd):
    """Real and imaginary part of a shifted band, ready for two cosine transforms.

    spectrum : (n_clips, n_bins) real and even, frequency zero at column ``zero``
    below, above : (half,) response at centre - k and centre + k, halved
    even, odd : (n_clips, n) outputs; type-3 cosine transforms of them give the band's two parts at
        the times (m + 1/2) of 2 n to a period, the odd one up to an alternating sign
    """
    half = len(below)
    n = even.shape[1]
    middle = zero + centre
    for clip in range(spectrum.shape[0]):
        even[clip, 0] = spectrum[clip, middle] * (below[0] + above[0])
        odd[clip, 0] = 0
        for k in range(1, half):
            upper = spectrum[clip, middle + k] * above[k]
            lower = spectrum[clip, middle - k] * below[k]
            even[clip, k] = upper + lower
            # sin(k x) at these times is cos((n - k) x) with alternating sign
            odd[clip, n - k] = upper - lower
        for k in range(half, n):
            even[clip, k] = 0
            odd[clip, n - k] = 0


@numba.njit(cache=True, fastmath=True, nogil=True)
def modulus_in_place(real, imaginary):
    """sqrt(real^2 + imaginary^2) into ``real``; both (n_rows, n)."""
    for row in range(real.shape[0]):
        for m in range(real.shape[1]):
            real[row, m] = np.sqrt(
                real[row, m] * real[row, m] + imaginary[row, m] * imaginary[row, m]
            )


@numba.njit(cache=True, fastmath=True, nogil=True)
def band_product(spectra, start, mirrored, response, out):
    """Rows of real even spectra times a response that starts ``mirrored`` bins below zero.

    spectra : (n_rows, n_bins) from frequency zero; response : (width,)
    out : (n_rows, size), of which the first ``width`` columns are written
    """
    width = len(response)
    for row in range(spectra.shape[0]):
        for k in range(mirrored):
            out[row, k] = spectra[row, mirrored - k] * response[k]
        for k in range(mirrored, width):
            out[row, k] = spectra[row, start + k - mirrored] * response[k]


@numba.njit(cache=True, fastmath=True, nogil=True)
def modulus_moments(pairs, position, moments):
    """Sum and position-weighted sum of the modulus in blocks of samples.

    pairs : (n_rows, 2 * n_samples) real and imaginary parts in turn, samples 0 ... period / 2; the
        first and the last count half, since all others have a twin in the other half period
    position : (length,); moments : (n_rows, 2 * n_blocks) output
    """
    length = len(position)
    n_samples = pairs.shape[1] // 2
    full = n_samples // length
    n_blocks = moments.shape[1] // 2
    for row in range(pairs.shape[0]):
        for block in range(n_blocks):
            base = 2 * block * length
            total = pairs.dtype.type(0)
            weighted = pairs.dtype.type(0)
            if block < full:
                for m in range(length):
                    real = pairs[row, base + 2 * m]
                    imaginary = pairs[row, base + 2 * m + 1]
                    size = np.sqrt(real * real + imaginary * imaginary)
                    total += size
                    weighted += size * position[m]
            else:
                for m in range(n_samples - full * length):
                    real = pairs[row, base + 2 * m]
                    imaginary = pairs[row, base + 2 * m + 1]
                    size = np.sqrt(real * real + imaginary * imaginary)
                    total += size
                    weighted += size * position[m]
            moments[row, 2 * block] = total
            moments[row, 2 * block + 1] = weighted
        for m in (0, n_samples - 1):
            real = pairs[row, 2 * m]
            imaginary = pairs[row, 2 * m + 1]
            size = np.sqrt(real * real + imaginary * imaginary) / 2
            block = m // length
            moments[row, 2 * block] -= size
            moments[row, 2 * block + 1] -= size * position[m - block * length]
