"""Permutation and bootstrap of whole clips within runs, from block sums.

Responses and features are both autocorrelated, so volumes are not exchangeable: shuffling them
one by one makes 12-20 % of null targets "significant" at 5 %. Whole clips are exchanged instead.
Every statistic here is a sum over blocks, so blocks are multiplied once and resamples only add.
Resample i draws from its own generator, so results do not depend on batch sizes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse
from scipy.stats import false_discovery_control

from .errors import InputError

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

    Returns
    -------
    Permutation
    """
    _check(predictions, responses)
    owners, members = _blocks(runs, blocks, len(predictions))
    table = pd.DataFrame({"run": owners, "length": [len(m) for m in members]})
    classes = [np.asarray(i) for i in table.groupby(["run", "length"], sort=False).indices.values()]
    alone = sum(len(c) == 1 for c in classes)
    if alone:
        warnings.warn(
            f"{alone} of {len(members)} blocks share their length with no other block of their "
            "run and stay in place: the test is conservative",
            stacklevel=2,
        )

    # Row 0 is the identity: observed and permuted sums are then added up in the same order.
    chosen = np.empty((n_permutations + 1, len(members)), np.int64)
    offset, column = 0, 0
    for c in classes:
        chosen[:, column : column + len(c)] = offset + np.arange(len(c)) * len(c)
        chosen[0, column : column + len(c)] += np.arange(len(c))
        offset, column = offset + len(c) ** 2, column + len(c)
    for i, rng in enumerate(_generators(seed, n_permutations), start=1):
        column = 0
        for c in classes:
            chosen[i, column : column + len(c)] += rng.permutation(len(c))
            column += len(c)
    picks = scipy.sparse.csr_matrix(
        (
            np.ones(chosen.size, np.float32),
            chosen.ravel(),
            np.arange(0, chosen.size + 1, len(members)),
        ),
        shape=(n_permutations + 1, offset),
    )

    names, membership = _membership(regions, responses.shape[1])
    region_sums = np.zeros((n_permutations + 1, len(names)))
    observed = np.empty(responses.shape[1], np.float32)
    exceed = np.empty(responses.shape[1], np.int64)
    highest = np.full(n_permutations, -np.inf)
    for start in range(0, responses.shape[1], _BATCH):
        columns = slice(start, start + _BATCH)
        zy, zp = _unit(responses[:, columns]), _unit(predictions[:, columns])
        products = []  # per class (n_blocks, n_blocks, batch): response block times predicted block
        for c in classes:
            rows = np.stack([members[b] for b in c])  # (n_blocks, length)
            y, p = zy[rows], zp[rows]  # (n_blocks, length, batch)
            product = np.matmul(y.transpose(2, 0, 1), p.transpose(2, 1, 0))
            products.append(product.reshape(len(product), -1).T)
        null = picks @ np.concatenate(products)  # (n_permutations + 1, batch)
        if crossed:
            null[1:] *= np.float32(np.sqrt(2))
        observed[columns] = null[0]
        exceed[columns] = (null[1:] >= null[0]).sum(0)
        np.maximum(highest, null[1:].max(1), out=highest)
        region_sums += null @ membership[columns]
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
) -> Bootstrap:
    """Intervals of held-out correlations from resampled clips, stratified by run.

    Parameters
    ----------
    predictions, responses : (n_samples, n_targets)
    runs, blocks : (n_samples,) labels
        Rows of equal (run, block) form a block; blocks may differ in length.
    regions : (n_targets,) names, optional
    n_resamples : int
    seed : int

    Returns
    -------
    Bootstrap
    """
    _check(predictions, responses)
    owners, members = _blocks(runs, blocks, len(predictions))
    strata = list(pd.Series(owners).groupby(owners, sort=False).indices.values())
    counts = np.zeros((n_resamples, len(members)))
    for i, rng in enumerate(_generators(seed, n_resamples)):
        for stratum in strata:
            drawn = rng.integers(len(stratum), size=len(stratum))
            counts[i, stratum] = np.bincount(drawn, minlength=len(stratum))
    rows = np.concatenate(members)
    sizes = np.array([len(m) for m in members])
    starts = np.cumsum(sizes) - sizes
    total = (counts @ sizes)[:, None]

    names, membership = _membership(regions, responses.shape[1])
    means = np.zeros((n_resamples, len(names)))
    interval = np.empty((responses.shape[1], 2))

    def resampled(values):
        return counts @ np.add.reduceat(values, starts, axis=0)  # (n_resamples, batch)

    for start in range(0, responses.shape[1], _BATCH):
        columns = slice(start, start + _BATCH)
        y = _unit(responses[rows, columns]).astype(np.float64)
        p = _unit(predictions[rows, columns]).astype(np.float64)
        sum_y, sum_p = resampled(y), resampled(p)
        var_y = resampled(y * y) - sum_y**2 / total
        var_p = resampled(p * p) - sum_p**2 / total
        covariance = resampled(y * p) - sum_y * sum_p / total
        norm = np.sqrt(np.maximum(var_y * var_p, 0))
        r = np.divide(covariance, norm, out=np.zeros_like(norm), where=norm > 0)
        interval[columns] = np.percentile(r, [2.5, 97.5], axis=0).T
        means += r @ membership[columns]
    means /= membership.sum(0)
    return Bootstrap(interval, names, np.percentile(means, [2.5, 97.5], axis=0).T, means)


def _check(predictions, responses) -> None:
    if predictions.ndim != 2 or predictions.shape != responses.shape:
        raise InputError(
            f"predictions have shape {predictions.shape}, responses {responses.shape}; "
            "give (n_samples, n_targets) for both"
        )


def _generators(seed, n):
    return (np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i,))) for i in range(n))


def _blocks(runs, blocks, n_samples):
    """Run and row numbers of every block."""
    table = pd.DataFrame({"run": np.asarray(runs), "block": np.asarray(blocks)})
    if len(table) != n_samples:
        raise InputError(f"runs and blocks have {len(table)} rows, expected {n_samples}")
    groups = table.groupby(["run", "block"], sort=False).indices
    return np.array([run for run, _ in groups]), [np.asarray(rows) for rows in groups.values()]


def _membership(regions, n_targets):
    """Names of the regions and a one-hot matrix (n_targets, n_regions)."""
    regions = np.full(n_targets, "") if regions is None else np.asarray(regions).astype(str)
    if regions.shape != (n_targets,):
        raise InputError(f"regions have shape {regions.shape}, expected ({n_targets},)")
    code, names = pd.factorize(regions)
    return np.asarray(names), (code[:, None] == np.arange(len(names))).astype(float)


def _unit(values) -> np.ndarray:
    """Columns centred and of unit norm; constant columns become 0."""
    values = np.asarray(values, np.float32)
    values = values - values.mean(0, dtype=np.float64).astype(np.float32)
    norm = np.sqrt(np.einsum("tv,tv->v", values, values, dtype=np.float64)).astype(np.float32)
    return np.divide(values, norm, out=np.zeros_like(values), where=norm > 0)
