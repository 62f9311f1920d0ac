"""Compiled loop over resamples: ranks without sorting again."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def weighted_ranks(ranks, weights, totals, out):
    """Centred mid-ranks (n,) of values that occur `weights` (n,) times.

    ranks : (n,) int64, rank 0, 1, ... of the distinct values
    weights : (n,) float64
    totals : scratch, longer than the highest rank
    """
    top = 0
    for p in range(len(ranks)):
        top = max(top, ranks[p])
    totals[: top + 1] = 0
    for p in range(len(ranks)):
        totals[ranks[p]] += weights[p]
    below = 0.0
    for k in range(top + 1):
        here = totals[k]
        totals[k] = below + (here + 1) / 2
        below += here
    centre = (below + 1) / 2
    for p in range(len(ranks)):
        out[p] = totals[ranks[p]] - centre


@numba.njit(cache=True, nogil=True)
def rank_products(ranks, n_data, i, j, counts):
    """Inner products of centred mid-ranks of data and models, in every resample.

    Pairs of which a clip was not drawn weigh nothing and are passed over, so that a resample
    costs less than the sample.

    Parameters
    ----------
    ranks : (n_rdms, n_pairs) int64
        Dense ranks, those of the data first.
    n_data : int
    i, j : (n_pairs,) clips of each pair
    counts : (n_resamples, n_clips) float64

    Returns
    -------
    sizes : (n_resamples,) pairs drawn
    gram : (n_resamples, n_data, n_rdms - n_data)
    own : (n_resamples, n_rdms) squared lengths
    """
    n_resamples = len(counts)
    n_rdms, n_pairs = ranks.shape
    sizes = np.zeros(n_resamples)
    gram = np.zeros((n_resamples, n_data, n_rdms - n_data))
    own = np.zeros((n_resamples, n_rdms))
    weights, kept = np.empty(n_pairs), np.empty(n_pairs, np.int64)
    centred = np.empty((n_rdms, n_pairs))
    chosen, totals = np.empty(n_pairs, np.int64), np.empty(n_pairs + 1)
    for r in range(n_resamples):
        n = 0
        for p in range(n_pairs):
            w = counts[r, i[p]] * counts[r, j[p]]
            if w > 0:
                weights[n] = w
                kept[n] = p
                n += 1
        sizes[r] = weights[:n].sum()
        for k in range(n_rdms):
            for q in range(n):
                chosen[q] = ranks[k, kept[q]]
            weighted_ranks(chosen[:n], weights[:n], totals, centred[k])
            for q in range(n):
                own[r, k] += weights[q] * centred[k, q] ** 2
        for s in range(n_data):
            for q in range(n):
                centred[s, q] *= weights[q]
            for k in range(n_data, n_rdms):
                total = 0.0
                for q in range(n):
                    total += centred[s, q] * centred[k, q]
                gram[r, s, k - n_data] = total
    return sizes, gram, own
