"""Blocks of rows that resampling exchanges, and statistics that are sums over them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from .errors import InputError

INTERVAL = (2.5, 97.5)  # per cent

# Where runs predict each other in turn, the noise of a run enters as response and again through
# the weights of the others; resampling sees the first only. Under the null that doubles the
# variance of r exactly; with signal the true standard error was 1.2 to 1.6 times that of the
# draws in simulations (r up to .7, see `block_bootstrap`).
CROSSED = float(np.sqrt(2))


def check_pair(predictions, responses) -> None:
    """Refuse predictions and responses of different shapes."""
    if predictions.ndim != 2 or predictions.shape != responses.shape:
        raise InputError(
            f"predictions have shape {predictions.shape}, responses {responses.shape}; "
            "give (n_samples, n_targets) for both"
        )


def generators(seed: int, n: int) -> Iterator[np.random.Generator]:
    """A generator of its own for each resample, whatever their order and number."""
    return (np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i,))) for i in range(n))


def find_blocks(runs, blocks, n_samples: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Run (n_blocks,) and row numbers of every block: the rows of equal (run, block)."""
    table = pd.DataFrame({"run": np.asarray(runs), "block": np.asarray(blocks)})
    if len(table) != n_samples:
        raise InputError(f"runs and blocks have {len(table)} rows, expected {n_samples}")
    groups = table.groupby(["run", "block"], sort=False).indices
    return np.array([run for run, _ in groups]), [np.asarray(rows) for rows in groups.values()]


def factor_regions(regions, n_targets: int) -> tuple[np.ndarray, np.ndarray]:
    """Region number of each target and names of the regions; one region "" by default."""
    regions = np.full(n_targets, "") if regions is None else np.asarray(regions).astype(str)
    if regions.shape != (n_targets,):
        raise InputError(f"regions have shape {regions.shape}, expected ({n_targets},)")
    codes, names = pd.factorize(regions)
    return codes, np.asarray(names)


def unit_columns(values) -> np.ndarray:
    """Columns centred and of unit norm, float32; constant columns become 0."""
    values = np.asarray(values, np.float32)
    values = values - values.mean(0, dtype=np.float64).astype(np.float32)
    norm = np.sqrt(np.einsum("tv,tv->v", values, values, dtype=np.float64)).astype(np.float32)
    return np.divide(values, norm, out=np.zeros_like(values), where=norm > 0)


def in_batches(
    function: Callable, n_targets: int, width: int, n_jobs: int | None
) -> Iterator[tuple[slice, object]]:
    """(columns, function(columns)) for batches of targets, in order, worked on by threads.

    Parameters
    ----------
    function : slice -> result; spends its time where the interpreter's lock is released
    n_targets, width : int
    n_jobs : int, optional
        Default: one thread a CPU that this process may use.
    """
    from concurrent.futures import ThreadPoolExecutor

    from joblib import cpu_count
    from threadpoolctl import threadpool_limits

    batches = [slice(s, min(s + width, n_targets)) for s in range(0, n_targets, width)]
    n_jobs = min(n_jobs or cpu_count(), len(batches))
    # Threads of the BLAS would compete with those of the batches.
    with threadpool_limits(1, user_api="blas"):
        if n_jobs == 1:
            yield from ((columns, function(columns)) for columns in batches)
        else:
            with ThreadPoolExecutor(n_jobs) as pool:
                yield from zip(batches, pool.map(function, batches), strict=True)


class Resamples:
    """Bootstrap draws of whole blocks, stratified by run, as counts of each block.

    Any statistic made of sums over rows follows from sums over blocks and these counts. Draw 0
    is the sample itself, so that what was observed comes out of the same arithmetic.

    Parameters
    ----------
    runs, blocks : (n_samples,) labels, see `find_blocks`
    n_samples, n_resamples, seed : int
        Each resample draws from a generator of its own.

    Attributes
    ----------
    rows : (n_samples,) sorted by block
    owners : (n_blocks,) run of each block
    lengths : (n_blocks,) rows of each block
    counts : (n_blocks, n_resamples + 1)
    sizes : (n_resamples + 1,) rows drawn
    correction : float
        Draws of n blocks from n spread too little by sqrt((n - 1) / n); its inverse over runs
        (Rao & Wu 1988). 1 where every run has one block.
    """

    def __init__(self, runs, blocks, n_samples: int, n_resamples: int, seed: int):
        owners, members = find_blocks(runs, blocks, n_samples)
        strata = list(pd.Series(owners).groupby(owners, sort=False).indices.values())
        drawn = np.empty((n_resamples, len(members)), np.int64)
        for i, rng in enumerate(generators(seed, n_resamples)):
            for stratum in strata:
                drawn[i, stratum] = stratum[rng.integers(len(stratum), size=len(stratum))]
        drawn += len(members) * np.arange(n_resamples)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        lengths = np.array([len(m) for m in members])
        self.rows = np.concatenate(members)
        self.counts = np.ones((len(members), n_resamples + 1))
        self.counts[:, 1:] = counts.T
        self.owners, self.lengths = owners, lengths
        self.sizes = lengths @ self.counts
        self._starts = np.cumsum(lengths) - lengths
        free = len(members) - len(strata)
        self.correction = np.sqrt(len(members) / free) if free else 1.0

    def width(self, largest: int) -> int:
        """Targets a batch that keep its (n_targets, n_resamples) arrays near 4 MB each."""
        return max(1, min(largest, 2**19 // self.counts.shape[1]))

    def sums(self, *values: np.ndarray) -> np.ndarray:
        """(len(values), n_targets, n_resamples + 1) sums of (n_samples, n_targets) arrays.

        Rows are in the order of `self.rows`, that is sorted by block.
        """
        return np.stack([self._by_block(v) for v in values]) @ self.counts

    def _by_block(self, values) -> np.ndarray:
        return np.add.reduceat(values, self._starts, axis=0).T

    def correlations(
        self, predictions: np.ndarray, responses: np.ndarray, known: np.ndarray | None = None
    ) -> np.ndarray:
        """Pearson r (n_targets, n_resamples + 1), 0 where a side is constant.

        predictions, responses : (n_samples, n_targets) in the original order of rows
        known : `response_sums` of the same responses, where several predictions share them
        """
        return self.correlations_of(self.moments(predictions, responses), known)

    def moments(self, predictions: np.ndarray, responses: np.ndarray) -> np.ndarray:
        """(5, n_targets, n_blocks) sums over each block: all that correlations ask for."""
        y = unit_columns(responses[self.rows]).astype(np.float64)
        p = unit_columns(predictions[self.rows]).astype(np.float64)
        return np.stack([self._by_block(v) for v in (y, p, y * y, p * p, y * p)])

    def response_sums(self, responses: np.ndarray) -> np.ndarray:
        """(2, n_targets, n_resamples + 1) sums that `correlations` of any predictions share."""
        y = unit_columns(responses[self.rows]).astype(np.float64)
        return self.sums(y, y * y)

    def correlations_of(self, moments: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
        """`correlations` from `moments`."""
        from .kernels import correlation_of_sums

        if known is None:
            return correlation_of_sums(moments @ self.counts, self.sizes)
        sums = np.empty((5, *known.shape[1:]))
        sums[[0, 2]] = known
        for i in (1, 3, 4):
            np.matmul(moments[i], self.counts, out=sums[i])
        return correlation_of_sums(sums, self.sizes)

    def within(self, kept: np.ndarray) -> Resamples:
        """The same draws, of some blocks alone.

        kept : (n_blocks,) bool
        """
        out = copy.copy(self)
        out.counts = self.counts * np.asarray(kept, bool)[:, None]
        out.sizes = self.lengths @ out.counts
        return out

    def r2(self, predictions: np.ndarray, responses: np.ndarray) -> np.ndarray:
        """Coefficient of determination (n_targets, n_resamples + 1), 0 for constant responses.

        predictions, responses : (n_samples, n_targets) in the original order of rows
        """
        y = responses[self.rows].astype(np.float64)
        varies = np.ptp(y, axis=0) > 0
        error = y - predictions[self.rows]
        y = y - y.mean(0)
        sum_y, total, sse = self.sums(y, y * y, error * error)
        total -= sum_y**2 / self.sizes
        ratio = np.divide(sse, total, out=np.ones_like(total), where=varies[:, None] & (total > 0))
        return 1 - ratio


def spread(values: np.ndarray, factor: float) -> np.ndarray:
    """Draws (..., n_resamples) widened about the observed value, the first of (..., n + 1)."""
    if factor == 1:
        return values[..., 1:]
    return values[..., :1] + factor * (values[..., 1:] - values[..., :1])


def interval(draws: np.ndarray) -> np.ndarray:
    """Percentile 95 % interval (..., 2) over the last axis.

    Equal to `numpy.percentile` with linear interpolation; a full sort of contiguous rows is
    faster than its selection.
    """
    draws = np.sort(draws, axis=-1)
    place = np.array(INTERVAL) / 100 * (draws.shape[-1] - 1)
    low = place.astype(int)
    high = np.minimum(low + 1, draws.shape[-1] - 1)
    return draws[..., low] + (place - low) * (draws[..., high] - draws[..., low])


def add_regions(totals: np.ndarray, codes: np.ndarray, values: np.ndarray) -> None:
    """Add rows of values (n_targets, n) to totals (n_regions, n), in order."""
    for code, row in zip(codes, values, strict=True):
        totals[code] += row
