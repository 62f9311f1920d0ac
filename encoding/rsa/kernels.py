"""Compiled loops over resamples: ranks without sorting again, and Kendall's pairs of pairs."""

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


@numba.njit(cache=True, nogil=True)
def kendall_sums(a, b, weights):
    """Concordant minus discordant ordered pairs of entries, in every resample.

    Entries are met in the order of a; a Fenwick tree over the ranks of b counts those before.

    Parameters
    ----------
    a : (n_a, n) int64, b : (n_b, n) int64, dense ranks from 0
    weights : (n_resamples, n) float64, how often each entry occurs

    Returns
    -------
    (n_resamples, n_a, n_b)
    """
    n = a.shape[1]
    out = np.zeros((len(weights), len(a), len(b)))
    tree = np.empty(n + 1)
    for s in range(len(a)):
        order = np.argsort(a[s])
        for m in range(len(b)):
            size = b[m].max() + 1
            for r in range(len(weights)):
                tree[: size + 1] = 0
                seen, total, start = 0.0, 0.0, 0
                while start < n:
                    stop = start
                    while stop < n and a[s, order[stop]] == a[s, order[start]]:
                        p = order[stop]
                        stop += 1
                        w = weights[r, p]
                        if w == 0:
                            continue
                        below, k = 0.0, b[m, p]
                        while k > 0:
                            below += tree[k]
                            k -= k & -k
                        here, k = 0.0, b[m, p] + 1
                        while k > 0:
                            here += tree[k]
                            k -= k & -k
                        total += w * (below - (seen - here))
                    for q in range(start, stop):
                        p = order[q]
                        w = weights[r, p]
                        if w == 0:
                            continue
                        seen += w
                        k = b[m, p] + 1
                        while k <= size:
                            tree[k] += w
                            k += k & -k
                    start = stop
                out[r, s, m] = 2 * total
    return out
