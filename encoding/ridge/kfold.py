"""Exact k-fold ridge regression of many targets, an alpha for each.

All that a grid of alphas and folds have in common is computed once; `plan` chooses among three
exact ways to held-out residuals:

- `BlockResiduals`: one eigendecomposition, a small system a fold (many features);
- `MomentResiduals`: moments less those of the held-out rows (fewer features than rows);
- `FoldResiduals`: one eigendecomposition a fold (folds that leave many rows unused, or very few).

Targets are worked through in batches, so that Y may be a memory map larger than memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from .arrays import NUMPY
from .basis import Basis, basis_of
from .blocks import BlockResiduals
from .folds import FoldResiduals
from .moments import MomentResiduals
from .plan import choose
from .skeleton import nodes_of_grid
from .targets import batch_for, batches, sum_of_squares

ALPHAS = np.logspace(-3, 5, 17)
"""Default grid, for features scaled by `unit_trace` (the kernel's mean diagonal is 1)."""

MEMORY = 2**30
"""Default bytes for the targets at work."""

_TOLERANCE = {4: 1e-6, 8: 1e-12}  # of predictions from a thinned grid, by size of the float
_CACHED = 2**18  # values combined at a time


class RidgeEdgeWarning(UserWarning):
    """The best alpha of some targets lies at an edge of the grid."""


def cv_scores(
    X: np.ndarray | Basis,
    Y: np.ndarray,
    alphas: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    rows: np.ndarray | None = None,
    batch: int | None = None,
    memory: int = MEMORY,
    method: str | None = None,
    on=NUMPY,
) -> np.ndarray:
    """Cross-validated score of every alpha for every target.

    Parameters
    ----------
    X : (n_samples, n_features), or their `Basis`
    Y : (n_samples, n_targets), or (more samples, n_targets) with `rows`
    alphas : (n_alphas,), positive
    splits : pairs (train, test) of row numbers of X
        Rows may be in neither.
    rows : (n_samples,) int, optional
        The rows of Y that belong to the rows of X: spares copying a memory map.
    batch : int, optional
        Targets in memory at a time; without effect on the result. Default: by `memory`.
    memory : int
        Bytes for the targets at work.
    method : "blocks", "moments" or "folds", optional
        Default: the cheapest.
    on : where to work, see `encoding.ridge.arrays`

    Returns
    -------
    (n_alphas, n_targets) of the common dtype of X and Y
        R2 = 1 - sum (y - prediction)^2 / sum (y - mean of the fold)^2 in each held-out fold,
        averaged over folds (himalaya's `r2_score`); 0 for a target constant in the fold.
    """
    search = Search(X, Y, alphas, splits, rows, method, refit=False, on=on)
    scores = np.empty((len(search.alphas), Y.shape[1]), search.dtype)
    for columns, y, _, coordinates in search.batches(batch, memory):
        scores[:, columns] = search.scores(y, coordinates)
    return scores


def cv_fit(
    X: np.ndarray,
    Y: np.ndarray,
    alphas: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    rows: np.ndarray | None = None,
    batch: int | None = None,
    memory: int = MEMORY,
    on=NUMPY,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Choose alphas by `cv_scores` and fit all rows, in one pass over Y.

    Returns
    -------
    scores : (n_alphas, n_targets)
    best : (n_targets,) alphas
    coef : (n_features, n_targets)
    intercept : (n_targets,)
    """
    search = Search(X, Y, alphas, splits, rows, None, refit=True, on=on)
    scores, best, coef, means = search.refit(search.basis.back, batch, memory)
    return scores, best, coef, means - search.basis.mean.astype(coef.dtype) @ coef


def fit(
    X: np.ndarray,
    Y: np.ndarray,
    alphas: np.ndarray | float,
    *,
    rows: np.ndarray | None = None,
    batch: int | None = None,
    memory: int = MEMORY,
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge weights with an alpha for each target and an unpenalised intercept.

    Parameters
    ----------
    X : (n_samples, n_features)
    Y : (n_samples, n_targets), or (more samples, n_targets) with `rows`
    alphas : (n_targets,) or scalar, positive
    rows, batch, memory : see `cv_scores`

    Returns
    -------
    coef : (n_features, n_targets)
    intercept : (n_targets,)
    """
    alphas = check_problem(X, Y, alphas, rows)
    basis = basis_of(X)
    coef, means = _solve(basis, basis.back, Y, alphas, working_dtype(X, Y), rows, batch, memory)
    return coef, means - basis.mean.astype(coef.dtype) @ coef


def warn_at_edge(best: np.ndarray, alphas: np.ndarray, name: str = "ridge") -> None:
    """Warn of the fraction of targets whose alpha lies at either end of the grid.

    Targets without signal end at the largest alpha rightly; many at the smallest one ask for a
    wider grid.

    Parameters
    ----------
    best : (n_targets,) chosen alphas
    alphas : (n_alphas,)
    name : str
        What was fitted.

    Warns
    -----
    RidgeEdgeWarning
    """
    low, high = np.mean(best == np.min(alphas)), np.mean(best == np.max(alphas))
    if len(alphas) > 1 and (low or high):
        warnings.warn(
            f"{name}: {low:.1%} of targets chose the smallest alpha ({np.min(alphas):g}) and "
            f"{high:.1%} the largest ({np.max(alphas):g}); widen the grid unless these targets "
            "hold no signal",
            RidgeEdgeWarning,
            stacklevel=3,
        )


def add_r2(scores, residuals, beyond, mixing, y, on=NUMPY) -> None:
    """Add a fold's R2 of every alpha to `scores` (n_alphas, n_targets) float64; arrays of `on`.

    Few squares at a time are summed in the residuals' own precision, their sums in float64:
    neighbouring alphas often differ by less than what float32 loses over a run.

    Parameters
    ----------
    residuals, beyond : see `BlockResiduals`; for the nodes of a grid
    mixing : (n_alphas, n_nodes + 1)
        From nodes and the mean to alphas, see `nodes_and_mixing`.
    y : (n_rows, n_targets) held-out targets
    """
    n_nodes, n_rows, n_targets = residuals.shape
    sse = on.xp.zeros_like(scores) + beyond
    thinned = len(mixing) > n_nodes - 1
    step = max(_CACHED // (len(mixing) * n_targets), 1)
    for start in range(0, n_rows, step):
        error = residuals[:, start : start + step]
        if thinned:
            error = (mixing @ error.reshape(n_nodes, -1)).reshape(len(mixing), -1, n_targets)
        sse += on.squares(error if thinned else error[:-1])
    if thinned:
        # Weights add up to 1 but for rounding, which would favour some alphas by 1e-7.
        sse /= on.cast(mixing, np.float64).sum(1)[:, None] ** 2
    sst = sum_of_squares(y, on)
    scores += on.xp.where(sst > 0, 1 - sse / on.xp.where(sst > 0, sst, 1), 0)


def nodes_and_mixing(alphas, largest, dtype) -> tuple[np.ndarray, np.ndarray]:
    """Thin a grid of alphas.

    Returns
    -------
    nodes : (n_nodes,) alphas to be worked out
    mixing : (n_alphas, n_nodes + 1) of dtype
        Residuals of all alphas from those of the nodes and, last, of the mean.
    """
    nodes, mixing = nodes_of_grid(alphas, largest, _TOLERANCE[np.dtype(dtype).itemsize])
    mixing = np.column_stack([mixing, 1 - mixing.sum(1)])
    return alphas[nodes], mixing.astype(dtype)


class Search:
    """What all batches of targets share."""

    def __init__(self, X, Y, alphas, splits, rows, method, *, refit, on=NUMPY):
        self.alphas = check_problem(X, Y, alphas, rows)
        self.on = on
        self.Y, self.rows, self.dtype = Y, rows, working_dtype(X, Y)
        splits = [(np.asarray(train), np.asarray(test)) for train, test in splits]
        self.n_splits = len(splits)
        self.n_samples = _n_samples(X)
        self.basis = X if isinstance(X, Basis) else None
        disjoint = all(_disjoint(*split, self.n_samples) for split in splits)
        if method not in (None, "folds") and not disjoint:
            raise InputError(f"method {method!r} needs folds that hold no row twice")
        sizes = [(len(train), len(test)) for train, test in splits]

        def cheapest(n_alphas):
            shape = X.shape if self.basis is None else self.basis.vectors.shape
            given = {"has_basis": self.basis is not None, "refit": refit}
            return choose(shape, Y.shape[1], n_alphas, sizes, disjoint=disjoint, **given)

        first = method or cheapest(len(self.alphas))
        if self.basis is None and (refit or first != "folds"):
            self.basis = basis_of(X, on)
        if self.basis is None:  # the trace bounds the eigenvalues
            largest = float(np.sum((X - X.mean(0, dtype=np.float64)) ** 2))
        else:
            largest = self.basis.values.max(initial=0)
        nodes, mixing = nodes_and_mixing(self.alphas, largest, self.dtype)
        self.mixing = on.put(mixing, self.dtype)
        # Few nodes may change the balance.
        method = method or (first if self.basis is None else cheapest(len(nodes)))
        if method == "folds":
            if isinstance(X, Basis):
                X = X.vectors * np.sqrt(X.values)
            self.residuals = FoldResiduals(X, splits, nodes, self.dtype, on)
        else:
            kind = BlockResiduals if method == "blocks" else MomentResiduals
            sets = [_left_out(*split, self.n_samples) for split in splits]
            scored = [len(test) for _, test in splits]
            self.residuals = kind(self.basis, sets, nodes, self.dtype, scored, on)

    def batches(self, batch, memory):
        """(columns, centred y, means, coordinates or None) for each batch of targets.

        y and coordinates are arrays of the back-end.
        """
        if self.basis is not None:
            into = self.on.put(self.basis.vectors_as(self.dtype), self.dtype).T
        if batch is None:
            size = self.residuals.bytes_per_target
            batch = batch_for(memory, size, self.n_samples)
        for columns, y, mean in batches(self.Y, self.rows, batch, self.dtype):
            y = self.on.put(y, self.dtype)
            yield columns, y, mean, None if self.basis is None else into @ y

    def scores(self, y, coordinates) -> np.ndarray:
        """(n_alphas, n_targets) float64 of one batch."""
        scores = self.on.empty((len(self.alphas), y.shape[1]), np.float64)
        scores[:] = 0
        for held, residuals, beyond in self.residuals(y, coordinates):
            add_r2(scores, residuals, beyond, self.mixing, y[held], self.on)
        return self.on.get(scores) / self.n_splits

    def refit(self, back, batch, memory):
        """Scores, best alphas, back @ shrunk coordinates (n_back, n_targets), means of Y."""
        n_targets = self.Y.shape[1]
        back = self.on.put(back, self.dtype)
        scores = np.empty((len(self.alphas), n_targets), self.dtype)
        best, means = np.empty(n_targets), np.empty(n_targets, self.dtype)
        out = np.empty((len(back), n_targets), self.dtype)
        for columns, y, mean, coordinates in self.batches(batch, memory):
            scores[:, columns] = own = self.scores(y, coordinates)
            best[columns] = self.alphas[np.argmax(own, 0)]
            means[columns] = mean
            shrunk = self.shrink(coordinates, best[columns])
            out[:, columns] = self.on.get(back @ shrunk)
        return scores, best, out, means

    def shrink(self, coordinates, alphas):
        """Coordinates of targets times l / (l + alpha), each target with its own alpha."""
        return _shrink(coordinates, self.basis.values, alphas, self.dtype, self.on)


def _solve(basis, back, Y, alphas, dtype, rows, batch, memory) -> tuple[np.ndarray, np.ndarray]:
    """back @ shrunk coordinates (n_back, n_targets) at given alphas, and the means of Y."""
    alphas = np.broadcast_to(alphas, Y.shape[1])
    vectors, back = basis.vectors_as(dtype), back.astype(dtype)
    out = np.empty((len(back), Y.shape[1]), dtype)
    means = np.empty(Y.shape[1], dtype)
    if batch is None:
        batch = batch_for(memory, 4 * vectors.itemsize * len(vectors), len(vectors))
    for columns, y, mean in batches(Y, rows, batch, dtype):
        means[columns] = mean
        out[:, columns] = back @ _shrink(vectors.T @ y, basis.values, alphas[columns], dtype, NUMPY)
    return out, means


def _shrink(coordinates, values, alphas, dtype, on):
    values = on.put(values[:, None], dtype)
    return coordinates * (values / (values + on.put(alphas, dtype)))


def check_problem(X, Y, alphas, rows) -> np.ndarray:
    """Alphas as an array; InputError where alphas or shapes cannot be used."""
    alphas = np.atleast_1d(np.asarray(alphas, np.float64))
    if not alphas.size or not np.all(alphas > 0):
        raise InputError(f"alphas must be positive, found {alphas}")
    n = len(Y) if rows is None else len(rows)
    if Y.ndim != 2 or _n_samples(X) != n or (not isinstance(X, Basis) and X.ndim != 2):
        raise InputError(
            f"X has {_n_samples(X)} rows, Y has shape {Y.shape} and {n} rows in use; "
            "give 2-D arrays of one row a sample"
        )
    return alphas


def _n_samples(X) -> int:
    return len(X.vectors) if isinstance(X, Basis) else len(X)


def working_dtype(X, Y) -> np.dtype:
    """Of the work: a basis is in float64 whatever the features, and so leaves it to Y."""
    return np.result_type(*(a.dtype for a in (X, Y) if not isinstance(a, Basis)), np.float32)


def _disjoint(train, test, n_samples) -> bool:
    """Whether a model can be had by leaving rows out: no row twice, some to fit on."""
    marks = np.bincount(np.concatenate([train, test]), minlength=n_samples)
    return len(train) > 0 and bool(np.all(marks <= 1))


def _left_out(train, test, n_samples) -> np.ndarray:
    """All rows but those of train, the rows of test first."""
    return np.concatenate([test, np.setdiff1d(np.arange(n_samples), np.r_[train, test])])
