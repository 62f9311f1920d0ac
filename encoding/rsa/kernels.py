"""Compiled loops over resamples: ranks and order without sorting again."""

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
def sign_products(ranks, orders, n_data, i, j, counts):
    """Concordant less discordant entries of data and models, in every resample.

    Entries come in a model's order and meet those before them in two levels of running sums over
    the data's ranks, of blocks and within a block: to add one takes about the root of their number
    in contiguous steps, to ask two look-ups. Sums are of whole numbers.

    Parameters
    ----------
    ranks : (n_rdms, n_pairs) int64
        Dense ranks, those of the data first.
    orders : (n_rdms, n_pairs) int64
        Entries of each RDM from the lowest rank.
    n_data, i, j, counts
        As `rank_products`.

    Returns
    -------
    sizes : (n_resamples,) pairs drawn
    signs : (n_resamples, n_data, n_rdms - n_data)
        Sum over every two entries of the product of the signs of their differences.
    """
    n_rdms, n_pairs = ranks.shape
    sizes = np.zeros(len(counts))
    signs = np.zeros((len(counts), n_data, n_rdms - n_data))
    weights = np.empty(n_pairs, np.int32)
    places = np.empty((n_data, n_pairs), np.int32)
    chosen, starts = np.empty(n_pairs, np.int64), np.empty(n_pairs + 1, np.int64)
    shift = 1
    while 1 << 2 * shift < n_pairs + 1:
        shift += 1
    blocks = np.empty((n_pairs >> shift) + 1, np.int32)
    within = np.empty(len(blocks) << shift, np.int32)
    for r in range(len(counts)):
        for p in range(n_pairs):
            weights[p] = counts[r, i[p]] * counts[r, j[p]]
            sizes[r] += weights[p]
        for s in range(n_data):  # ranks from 1 among the entries drawn
            place, last = 0, np.int64(-1)
            for p in orders[s]:
                if weights[p] > 0:
                    if ranks[s, p] != last:
                        place, last = place + 1, ranks[s, p]
                    places[s, p] = place
        for k in range(n_data, n_rdms):
            n, groups, last = 0, 0, np.int64(-1)
            for p in orders[k]:
                if weights[p] > 0:
                    if ranks[k, p] != last:
                        starts[groups] = n
                        groups, last = groups + 1, ranks[k, p]
                    chosen[n] = p
                    n += 1
            starts[groups] = n
            for s in range(n_data):
                signs[r, s, k - n_data] = _concordance(
                    chosen, starts[: groups + 1], places[s], weights, shift, blocks, within
                )
    return sizes, signs


@numba.njit(cache=True, nogil=True)
def _concordance(chosen, starts, places, weights, shift, blocks, within):
    """Of entries in groups of one model's rank, ``starts`` their bounds."""
    blocks[:] = 0
    within[:] = 0
    total, found = 0, 0
    for group in range(len(starts) - 1):
        members = chosen[starts[group] : starts[group + 1]]
        for p in members:
            place = places[p]
            below = blocks[(place - 1) >> shift] + within[place - 1]
            upto = blocks[place >> shift] + within[place]
            found += weights[p] * (below + upto - total)
        for p in members:  # after all were asked: entries of one rank are no pair
            place, weight = places[p], weights[p]
            total += weight
            block = place >> shift
            later = within[place : (block + 1) << shift]
            for t in range(len(later)):
                later[t] += weight
            later = blocks[block + 1 :]
            for t in range(len(later)):
                later[t] += weight
    return found
