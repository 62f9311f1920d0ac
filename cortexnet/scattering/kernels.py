"""Compiled loops that touch each sample once, where array expressions would make several passes.

Loops run over views from their first element: an index that could be negative keeps the compiler
from using vector registers, at three times the time.
"""

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
        upper = spectrum[clip, middle : middle + half]
        lower = spectrum[clip, middle - half + 1 : middle + 1][::-1]
        sums = even[clip]
        # sin(k x) at these times is cos((n - k) x) with alternating sign
        differences = odd[clip, n - half + 1 :][::-1]
        sums[0] = upper[0] * (below[0] + above[0])
        for k in range(1, half):
            one, other = upper[k] * above[k], lower[k] * below[k]
            sums[k] = one + other
            differences[k - 1] = one - other
        sums[half:] = 0
        odd[clip, : n - half + 1] = 0


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
    rest = len(response) - mirrored
    from_zero = response[mirrored:]
    below_zero = response[:mirrored][::-1]
    for row in range(spectra.shape[0]):
        source, product = spectra[row, start : start + rest], out[row, mirrored:]
        for k in range(rest):
            product[k] = source[k] * from_zero[k]
        source, product = spectra[row, 1 : mirrored + 1], out[row, :mirrored][::-1]
        for k in range(mirrored):
            product[k] = source[k] * below_zero[k]


@numba.njit(cache=True, fastmath=True, nogil=True)
def modulus_moments(pairs, position, moments):
    """Sum and position-weighted sum of the modulus in blocks of samples.

    pairs : (n_rows, 2 * n_samples) real and imaginary parts in turn, samples 0 ... period / 2; the
        first and the last count half, since all others have a twin in the other half period
    position : (length,); moments : (n_rows, 2 * n_blocks) output
    """
    length = len(position)
    n_samples = pairs.shape[1] // 2
    sizes = np.empty(n_samples, pairs.dtype)
    for row in range(pairs.shape[0]):
        parts = pairs[row]
        for m in range(n_samples):
            real, imaginary = parts[2 * m], parts[2 * m + 1]
            sizes[m] = np.sqrt(real * real + imaginary * imaginary)
        sizes[0] /= 2
        sizes[-1] /= 2
        for block in range(moments.shape[1] // 2):
            members = sizes[block * length : (block + 1) * length]
            total = pairs.dtype.type(0)
            weighted = pairs.dtype.type(0)
            for m in range(len(members)):
                total += members[m]
                weighted += members[m] * position[m]
            moments[row, 2 * block] = total
            moments[row, 2 * block + 1] = weighted
