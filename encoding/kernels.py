"""Compiled loops over resamples that touch each number once and store none they need not."""

import numba
import numpy as np

TILE = 64  # targets whose products stay in the cache; a constant lets loops unroll


@numba.njit(cache=True, nogil=True)
def permuted_sums(products, chosen, widen):
    """Observed sums, how many permuted sums reach them, and the highest of each permutation.

    Sums are taken in the order of blocks for every target alone, so the result does not depend
    on how targets are split into batches.

    Parameters
    ----------
    products : (n_pairs, n_targets) float32, n_targets a multiple of TILE; -inf marks padding
    chosen : (n_permutations + 1, n_blocks) rows of products, the first row the identity
    widen : float32, factor on the permuted sums

    Returns
    -------
    observed : (n_targets,) float32
    exceed : (n_targets,) int64
    highest : (n_permutations,) float32
    """
    n_rows, n_blocks = chosen.shape
    n_targets = products.shape[1]
    observed = np.empty(n_targets, np.float32)
    exceed = np.zeros(n_targets, np.int64)
    highest = np.full(n_rows - 1, -np.inf, np.float32)
    total = np.empty(TILE, np.float32)
    reached = np.empty(TILE, np.int64)
    threshold = np.empty(TILE, np.float32)
    for start in range(0, n_targets, TILE):
        table = products[:, start : start + TILE].copy()
        for i in range(n_rows):
            total[:] = 0
            for b in range(n_blocks):
                row = chosen[i, b]
                for t in range(TILE):
                    total[t] += table[row, t]
            if i == 0:
                threshold[:] = total
                reached[:] = 0
                continue
            top = highest[i - 1]
            for t in range(TILE):
                value = total[t] * widen
                reached[t] += value >= threshold[t]
                top = max(top, value)
            highest[i - 1] = top
        observed[start : start + TILE] = threshold
        exceed[start : start + TILE] = reached
    return observed, exceed, highest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def correlation_of_sums(sums, sizes):
    """Pearson r from sums of y, p, y^2, p^2 and y p; 0 where a side is constant.

    sums : (5, n_targets, n_resamples), the first of them overwritten by the result
    sizes : (n_resamples,) number of rows summed
    """
    for t in range(sums.shape[1]):
        for i in range(sums.shape[2]):
            y, p, n = sums[0, t, i], sums[1, t, i], sizes[i]
            var_y = n * sums[2, t, i] - y * y
            var_p = n * sums[3, t, i] - p * p
            norm = np.sqrt(max(var_y * var_p, 0.0))
            covariance = n * sums[4, t, i] - y * p
            sums[0, t, i] = covariance / norm if norm > 0 else 0.0
    return sums[0]
