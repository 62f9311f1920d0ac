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
    rows: np.ndarray | None = None,
    batch: int | None = None,
    memory: int = MEMORY,
    dtype=None,
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
    rows : (n_samples,) int, optional
        The rows of Y that belong to the rows of X.
    batch : int, optional
        Targets in memory at a time; without effect on the result. Default: by `memory`.
    memory : int
        Bytes for targets and small systems at work.
    dtype : float32 or float64, optional
        Of the work; default: that of X and Y. Residuals are computed with the left-out run's
        own responses, which cancel but for rounding: about 1e-6 of their size in float32.

    Returns
    -------
    NestedScores

    Raises
    ------
    InputError
        Fewer than three runs, or shapes that do not fit.
    """
    alphas = check_problem(X, Y, ALPHAS if alphas is None else alphas, rows)
    dtype = np.dtype(working_dtype(X, Y) if dtype is None else dtype)
    basis = X if isinstance(X, Basis) else basis_of(X)
    codes, names = pd.factorize(np.asarray(runs))
    if codes.shape != (len(basis.vectors),):
        raise InputError(f"runs have shape {codes.shape}, expected ({len(basis.vectors)},)")
    if len(names) < 3:
        raise InputError(f"{len(names)} runs: nested cross-validation needs three or more")
    members = [np.flatnonzero(codes == code) for code in range(len(names))]
    nodes, mixing = nodes_and_mixing(alphas, basis.values.max(initial=0), dtype)

    search = _Scan(basis, Y, rows, dtype, batch, memory)
    scores = np.zeros((len(names), len(alphas), Y.shape[1]), dtype)
    for group in _groups(members, len(nodes), dtype.itemsize, memory / _OPERATORS):
        sets = [np.concatenate([members[i], members[o]]) for i, o in group]
        for columns, y, _, held_out in search(sets, nodes):
            for (i, o), (_, residuals, _) in zip(group, held_out, strict=True):
                cut = len(members[i])
                own = scores[:, :, columns]
                add_r2(own[o], residuals[:, :cut], 0.0, mixing, y[members[i]])
                add_r2(own[i], residuals[:, cut:], 0.0, mixing, y[members[o]])
    scores /= len(names) - 1
    choice = scores.argmax(1)  # (n_runs, n_targets)

    predictions = np.empty((len(basis.vectors), Y.shape[1]), dtype)
    for columns, y, mean, held_out in search(members, nodes):
        for run, (own, residuals, _) in enumerate(held_out):
            weights = mixing[choice[run, columns]].T  # (n_nodes + 1, n_targets)
            residual = np.einsum("nrv,nv->rv", residuals, weights)
            predictions[own, columns] = y[own] - residual + mean
    return NestedScores(predictions, alphas[choice], scores, np.asarray(names))


class _Scan:
    """Passes over the targets with the residuals of given sets of rows."""

    def __init__(self, basis, Y, rows, dtype, batch, memory):
        self.basis, self.Y, self.rows, self.dtype = basis, Y, rows, dtype
        self.batch, self.memory = batch, memory

    def __call__(self, sets, nodes):
        blocks = BlockResiduals(self.basis, sets, nodes, self.dtype)
        room = self.memory * (1 - 1 / _OPERATORS)
        n = len(self.basis.vectors)
        batch = self.batch or batch_for(int(room), blocks.bytes_per_target, n)
        vectors = self.basis.vectors_as(self.dtype)
        for columns, y, mean in batches(self.Y, self.rows, batch, self.dtype):
            yield columns, y, mean, blocks(y, vectors.T @ y)


def _groups(members, n_nodes, itemsize, memory) -> list[list[tuple[int, int]]]:
    """Pairs of runs whose systems fit in memory together."""
    groups, size = [[]], 0.0
    for i, o in combinations(range(len(members)), 2):
        # float64 beside the working precision while they are built
        need = n_nodes * (len(members[i]) + len(members[o])) ** 2 * (8 + itemsize)
        if groups[-1] and size + need > memory:
            groups.append([])
            size = 0.0
        groups[-1].append((i, o))
        size += need
    return groups
