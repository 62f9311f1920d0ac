"""Permutation and bootstrap of whole clips within runs, from block sums.

Responses and features are both autocorrelated, so volumes are not exchangeable: shuffling them
one by one makes 12-20 % of null targets "significant" at 5 %. Whole clips are exchanged instead.
Every statistic here is a sum over blocks, so blocks are multiplied once and resamples only add.
Resample i draws from its own generator and targets are worked through in batches, so results
depend neither on batch sizes nor on the number of threads, and no array of resamples x targets
is ever held.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse
from scipy.stats import false_discovery_control

from .blocks import (
    CROSSED,
    Resamples,
    add_regions,
    check_pair,
    factor_regions,
    find_blocks,
    generators,
    in_batches,
    interval,
    spread,
    unit_columns,
)

_BATCH = 512


@dataclass(frozen=True)
class Permutation:
    """One-sided tests of r > 0.

    Parameters
    ----------
    p, q, p_max : (n_targets,)
        p = (b + 1) / (m + 1); q: Benjamini-Hochberg over targets; p_max: against the maximum over
        all targets (family-wise).
    regions : (n_regions,) names
    region_p : (n_regions,)
        For the mean r of a region; the same permutations serve all targets, so correlation
        between voxels is kept.
    """

    p: np.ndarray
    q: np.ndarray
    p_max: np.ndarray
    regions: np.ndarray
    region_p: np.ndarray


@dataclass(frozen=True)
class Bootstrap:
    """Percentile 95 % intervals of r.

    Parameters
    ----------
    interval : (n_targets, 2)
    regions : (n_regions,) names
    region_interval : (n_regions, 2), of the mean r of a region
    region_means : (n_resamples, n_regions)
        Equal seeds give equal resamples: subtract those of two layers for a paired comparison.
    """

    interval: np.ndarray
    regions: np.ndarray
    region_interval: np.ndarray
    region_means: np.ndarray


def permutation_test(
    predictions: np.ndarray,
    responses: np.ndarray,
    runs,
    blocks,
    *,
    regions=None,
    n_permutations: int = 2000,
    seed: int = 0,
    crossed: bool = False,
    n_jobs: int | None = None,
) -> Permutation:
    """Test held-out correlations by permuting whole clips within runs.

    Parameters
    ----------
    predictions, responses : (n_samples, n_targets)
    runs, blocks : (n_samples,) labels
        Rows of equal (run, block) form a block, in temporal order. Blocks trade places only with
        blocks of the same run and length; a warning counts those without a partner.
    regions : (n_targets,) names, optional
    n_permutations : int
    seed : int
    crossed : bool
        Each run was predicted from the other runs among `responses` (leave-one-run-out), not
        from separate training runs. Run a then helps to predict b and b to predict a: what the
        two share by chance enters twice, which doubles the variance of r under the null beyond
        what permuting fixed predictions shows. The null is widened by sqrt(2) to make up.
    n_jobs : int, optional
        Threads; default: all CPUs. Without effect on the result.

    Returns
    -------
    Permutation
    """
    check_pair(predictions, responses)
    owners, members = find_blocks(runs, blocks, len(predictions))
    classes = _exchangeable(owners, members)
    chosen, n_pairs = _draw(classes, len(members), n_permutations, seed)
    codes, names = factor_regions(regions, responses.shape[1])

    def one_batch(columns):
        return _permute_batch(
            responses[:, columns],
            predictions[:, columns],
            [np.stack([members[b] for b in c]) for c in classes],
            chosen,
            np.float32(CROSSED if crossed else 1),
            codes[columns],
        )

    region_products = np.zeros((n_pairs, len(names)))
    observed = np.empty(responses.shape[1], np.float32)
    exceed = np.empty(responses.shape[1], np.int64)
    highest = np.full(n_permutations, -np.inf, np.float32)
    for columns, part in in_batches(one_batch, responses.shape[1], _BATCH, n_jobs):
        observed[columns], exceed[columns], of_batch, present, sums = part
        np.maximum(highest, of_batch, out=highest)
        region_products[:, present] += sums
    picks = scipy.sparse.csr_matrix(
        (
            np.ones(chosen.size),
            chosen.ravel(),
            np.arange(0, chosen.size + 1, len(members)),
        ),
        shape=(len(chosen), n_pairs),
    )
    region_sums = picks @ region_products  # the mean over a region permutes like its targets
    if crossed:
        region_sums[1:] *= CROSSED
    p = (exceed + 1) / (n_permutations + 1)
    above = n_permutations - np.searchsorted(np.sort(highest), observed, side="left")
    region_exceed = (region_sums[1:] >= region_sums[0]).sum(0)
    return Permutation(
        p=p,
        q=false_discovery_control(p),
        p_max=(above + 1) / (n_permutations + 1),
        regions=names,
        region_p=(region_exceed + 1) / (n_permutations + 1),
    )


def block_bootstrap(
    predictions: np.ndarray,
    responses: np.ndarray,
    runs,
    blocks,
    *,
    regions=None,
    n_resamples: int = 1000,
    seed: int = 0,
    crossed: bool = False,
    n_jobs: int | None = None,
) -> Bootstrap:
    """Intervals of held-out correlations from resampled clips, stratified by run.

    Intervals of single targets are a little narrow, as those of few and short blocks are: with
    60 clips of ten volumes in six runs and AR(.5) noise, nominal 95 % cover .88-.92.

    Parameters
    ----------
    predictions, responses : (n_samples, n_targets)
    runs, blocks : (n_samples,) labels
        Rows of equal (run, block) form a block; blocks may differ in length.
    regions : (n_targets,) names, optional
    n_resamples : int
    seed : int
    crossed : bool
        Each run was predicted from the other runs among `responses` (leave-one-run-out). Draws
        are then spread by sqrt(2) about the observed value. Without it, intervals as above cover
        .77-.86 (r from 0 to .7), with it .90-.97.
    n_jobs : int, optional
        Threads; default: all CPUs. Without effect on the result.

    Returns
    -------
    Bootstrap
    """
    check_pair(predictions, responses)
    resamples = Resamples(runs, blocks, len(predictions), n_resamples, seed)
    factor = CROSSED if crossed else 1.0
    codes, names = factor_regions(regions, responses.shape[1])

    def one_batch(columns):
        r = resamples.correlations(predictions[:, columns], responses[:, columns])
        present, local = np.unique(codes[columns], return_inverse=True)
        sums = np.zeros((len(present), n_resamples + 1))
        add_regions(sums, local, r)
        return interval(spread(r, factor)), present, sums

    intervals = np.empty((responses.shape[1], 2))
    means = np.zeros((len(names), n_resamples + 1))
    width = resamples.width(_BATCH)
    for columns, part in in_batches(one_batch, responses.shape[1], width, n_jobs):
        intervals[columns], present, sums = part
        means[present] += sums
    means = spread(means / np.bincount(codes)[:, None], factor)
    return Bootstrap(intervals, names, interval(means), np.ascontiguousarray(means.T))


def _exchangeable(owners, members) -> list[np.ndarray]:
    """Numbers of the blocks that may trade places: of one run and length."""
    table = pd.DataFrame({"run": owners, "length": [len(m) for m in members]})
    classes = [np.asarray(i) for i in table.groupby(["run", "length"], sort=False).indices.values()]
    alone = sum(len(c) == 1 for c in classes)
    if alone:
        warnings.warn(
            f"{alone} of {len(members)} blocks share their length with no other block of their "
            "run and stay in place: the test is conservative",
            stacklevel=3,
        )
    return classes


def _draw(classes, n_blocks, n_permutations, seed) -> tuple[np.ndarray, int]:
    """Pairs (response block, predicted block) that each permutation adds up, and their number.

    Returns
    -------
    chosen : (n_permutations + 1, n_blocks) int32
        Row 0 is the identity: observed and permuted sums are then added up in the same order.
    n_pairs : int
        Sum over classes of the squared number of blocks.
    """
    chosen = np.empty((n_permutations + 1, n_blocks), np.int32)
    offset, column = 0, 0
    for c in classes:
        chosen[:, column : column + len(c)] = offset + np.arange(len(c)) * len(c)
        chosen[0, column : column + len(c)] += np.arange(len(c))
        offset, column = offset + len(c) ** 2, column + len(c)
    for i, rng in enumerate(generators(seed, n_permutations), start=1):
        column = 0
        for c in classes:
            chosen[i, column : column + len(c)] += rng.permutation(len(c))
            column += len(c)
    return chosen, offset


def _permute_batch(responses, predictions, classes, chosen, widen, codes):
    """Null distribution of a batch of targets.

    classes : row numbers (n_blocks, length) of each class of exchangeable blocks

    Returns
    -------
    observed, exceed, highest : see `kernels.permuted_sums`
    present : regions in the batch
    sums : (n_pairs, len(present)) block products summed over their targets
    """
    from .kernels import TILE, permuted_sums

    zy, zp = unit_columns(responses), unit_columns(predictions)
    width = zy.shape[1]
    padded = -(-width // TILE) * TILE
    products = np.full((sum(len(c) ** 2 for c in classes), padded), -np.inf, np.float32)
    start = 0
    for rows in classes:
        # Response block times predicted block, for every pair of the class.
        pairs = np.einsum("alv,blv->abv", zy[rows], zp[rows])
        products[start : start + len(rows) ** 2, :width] = pairs.reshape(-1, width)
        start += len(rows) ** 2
    observed, exceed, highest = permuted_sums(products, chosen, widen)
    present, local = np.unique(codes, return_inverse=True)
    one_hot = (local[:, None] == np.arange(len(present))).astype(np.float64)
    return observed[:width], exceed[:width], highest, present, products[:, :width] @ one_hot
