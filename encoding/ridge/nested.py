"""Nested leave-one-run-out: every run predicted, alphas chosen inside, one eigendecomposition.

The residuals of a pair of runs left out together serve twice: run i's rows score the alphas for
outer run o, and run o's rows those for outer run i.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from ..errors import InputError
from ..recordings import companions, heard
from .arrays import open_arrays
from .basis import Basis, basis_of
from .blocks import BlockResiduals
from .kfold import ALPHAS, MEMORY, add_r2, check_problem, nodes_and_mixing, working_dtype
from .targets import batch_for, batches

_OPERATORS = 2  # one over the share of memory that the systems of pairs may take


@dataclass(frozen=True)
class NestedScores:
    """Outcome of `nested_cv`.

    Parameters
    ----------
    predictions : (n_samples, n_targets)
        Each row from the other runs, at the alpha those chose.
    best_alphas : (n_runs, n_targets)
    scores : (n_runs, n_alphas, n_targets)
        Mean R2 over inner folds when the run is left out.
    runs : (n_runs,) labels, in order of appearance
    """

    predictions: np.ndarray
    best_alphas: np.ndarray
    scores: np.ndarray
    runs: np.ndarray


def nested_cv(
    X: np.ndarray | Basis,
    Y: np.ndarray,
    runs,
    alphas: np.ndarray | None = None,
    *,
    recordings=None,
    rows: np.ndarray | None = None,
    batch: int | None = None,
    memory: int = MEMORY,
    dtype=None,
    backend: str = "numpy",
    device: str | None = None,
) -> NestedScores:
    """Predict every run from the others, alphas chosen by leave-one-run-out within them.

    Equal to the double loop over outer and inner runs, intercepts included. X is taken as it
    is: scale features once, over all rows.

    Parameters
    ----------
    X : (n_samples, n_features), or their `Basis`
    Y : (n_samples, n_targets), or (more samples, n_targets) with `rows`
    runs : (n_samples,) labels of three runs or more
    alphas : (n_alphas,), optional
        Default `encoding.ridge.kfold.ALPHAS`.
    recordings : (n_samples,) labels, NaN or "" for none, optional
        Rows of the other runs whose recording is heard in a run are left out with it, from
        training and, inside, from what scores alphas.
    rows : (n_samples,) int, optional
        The rows of Y that belong to the rows of X.
    batch : int, optional
        Targets in memory at a time; without effect on the result. Default: by `memory`.
    memory : int
        Bytes for targets and small systems at work.
    dtype : float32 or float64, optional
        Of the work; default: that of X and Y. Residuals are computed with the left-out run's
        own responses, which cancel but for rounding: about 1e-6 of their size in float32.
    backend, device : see `encoding.RidgeCV`

    Returns
    -------
    NestedScores

    Raises
    ------
    InputError
        Fewer than three runs, shapes that do not fit, or runs that share so many recordings that
        nothing is left to train on.
    """
    return predict_runs(
        X,
        Y,
        runs,
        alphas,
        heard=heard(recordings, runs),
        rows=rows,
        batch=batch,
        memory=memory,
        dtype=dtype,
        on=open_arrays(backend, device),
    )


def predict_runs(X, Y, runs, alphas=None, *, heard, rows, batch, memory, dtype, on) -> NestedScores:
    """`nested_cv` with the recordings of each row (`recordings.heard`), on a back-end."""
    alphas = check_problem(X, Y, ALPHAS if alphas is None else alphas, rows)
    dtype = np.dtype(working_dtype(X, Y) if dtype is None else dtype)
    basis = X if isinstance(X, Basis) else basis_of(X, on)
    codes, names = pd.factorize(np.asarray(runs))
    if codes.shape != (len(basis.vectors),):
        raise InputError(f"runs have shape {codes.shape}, expected ({len(basis.vectors)},)")
    if len(names) < 3:
        raise InputError(f"{len(names)} runs: nested cross-validation needs three or more")
    members = [np.flatnonzero(codes == code) for code in range(len(names))]
    shared = [_shared(heard, codes, own) for own in members]
    nodes, mixing = nodes_and_mixing(alphas, basis.values.max(initial=0), dtype)
    mixing = on.put(mixing, dtype)

    search = _Scan(basis, Y, rows, dtype, batch, memory, on)
    scores = np.zeros((len(names), len(alphas), Y.shape[1]))
    pairs = [_Pair.of(i, o, members, shared) for i, o in combinations(range(len(names)), 2)]
    for group in _groups(pairs, len(nodes), dtype.itemsize, memory / _OPERATORS):
        for columns, y, _, held_out in search([(p.rows, p.n_scored) for p in group], nodes):
            own = on.empty((2, len(alphas), y.shape[1]), np.float64)
            for pair, (_, residuals, _) in zip(group, held_out, strict=True):
                cut = pair.cut
                own[:] = 0
                add_r2(own[0], residuals[:, :cut], 0.0, mixing, y[pair.rows[:cut]], on)
                second = y[pair.rows[cut : pair.n_scored]]
                add_r2(own[1], residuals[:, cut:], 0.0, mixing, second, on)
                found = on.get(own)
                scores[pair.second, :, columns] += found[0]
                scores[pair.first, :, columns] += found[1]
    scores /= len(names) - 1
    choice = scores.argmax(1)  # (n_runs, n_targets)

    predictions = np.empty((len(basis.vectors), Y.shape[1]), dtype)
    sets = [
        (np.r_[own, np.setdiff1d(others, own)], len(own))
        for own, others in zip(members, shared, strict=True)
    ]
    for columns, y, mean, held_out in search(sets, nodes):
        for run, (own, residuals, _) in enumerate(held_out):
            weights = mixing[choice[run, columns]].T  # (n_nodes + 1, n_targets)
            residual = on.xp.einsum("nrv,nv->rv", residuals, weights)
            predictions[own, columns] = on.get(y[own] - residual) + mean
    return NestedScores(predictions, alphas[choice], scores.astype(dtype), np.asarray(names))


def _shared(heard, codes, own) -> np.ndarray:
    """Rows of other runs that share a recording with the rows of one."""
    others = np.flatnonzero(codes != codes[own[0]])
    return others[companions(heard, others, own)]


@dataclass(frozen=True)
class _Pair:
    """Two runs left out together, and with them what shares their recordings.

    Of each run those rows are scored that share none with the other.

    Parameters
    ----------
    first, second : runs
    rows : (n_rows,) of the first, then of the second that are scored, then the others
    cut, n_scored : int
        Scored rows of the first run, and of both.
    """

    first: int
    second: int
    rows: np.ndarray
    cut: int
    n_scored: int

    @classmethod
    def of(cls, first, second, members, shared) -> _Pair:
        left = np.setdiff1d(members[first], shared[second])
        right = np.setdiff1d(members[second], shared[first])
        scored = np.r_[left, right]
        everything = np.r_[members[first], members[second], shared[first], shared[second]]
        rows = np.r_[scored, np.setdiff1d(everything, scored)]
        if not len(left) or not len(right) or len(rows) >= sum(map(len, members)):
            raise InputError(
                "runs share so many recordings that leaving two of them out leaves no rows; leave "
                "out groups that share none, or give no recordings"
            )
        return cls(first, second, rows, len(left), len(scored))


class _Scan:
    """Passes over the targets with the residuals of given sets of rows."""

    def __init__(self, basis, Y, rows, dtype, batch, memory, on):
        self.basis, self.Y, self.rows, self.dtype, self.on = basis, Y, rows, dtype, on
        self.batch, self.memory = batch, memory

    def __call__(self, sets, nodes):
        sets, scored = zip(*sets, strict=True)
        blocks = BlockResiduals(self.basis, sets, nodes, self.dtype, scored, self.on)
        room = self.memory * (1 - 1 / _OPERATORS)
        n = len(self.basis.vectors)
        batch = self.batch or batch_for(int(room), blocks.bytes_per_target, n)
        vectors = self.on.put(self.basis.vectors_as(self.dtype), self.dtype)
        for columns, y, mean in batches(self.Y, self.rows, batch, self.dtype):
            y = self.on.put(y, self.dtype)
            yield columns, y, mean, blocks(y, vectors.T @ y)


def _groups(pairs, n_nodes, itemsize, memory) -> list[list[_Pair]]:
    """Pairs of runs whose systems fit in memory together."""
    groups, size = [[]], 0.0
    for pair in pairs:
        # float64 beside the working precision while they are built
        need = n_nodes * len(pair.rows) ** 2 * (8 + itemsize)
        if groups[-1] and size + need > memory:
            groups.append([])
            size = 0.0
        groups[-1].append(pair)
        size += need
    return groups
