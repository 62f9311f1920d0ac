"""Exact k-fold ridge regression of many targets, an alpha for each.

All that a grid of alphas and folds have in common is computed once; `plan` chooses among three
exact ways to held-out residuals:

- `BlockResiduals`: one eigendecomposition, a small system a fold (many features);
- `MomentResiduals`: moments less those of the held-out rows (fewer features than rows);
- `FoldResiduals`: one eigendecomposition a fold (folds that leave rows unused, or very few).

Targets are worked through in batches, so that Y may be a memory map larger than memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
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
) -> np.ndarray:
    """Cross-validated score of every alpha for every target.

    Parameters
    ----------
    X : (n_samples, n_features), or their `Basis`
    Y : (n_samples, n_targets), or (more samples, n_targets) with `rows`
    alphas : (n_alphas,), positive
    splits : pairs (train, test) of row numbers of X
    rows : (n_samples,) int, optional
        The rows of Y that belong to the rows of X: spares copying a memory map.
    batch : int, optional
        Targets in memory at a time; without effect on the result. Default: by `memory`.
    memory : int
        Bytes for the targets at work.
    method : "blocks", "moments" or "folds", optional
        Default: the cheapest.

    Returns
    -------
    (n_alphas, n_targets) of the common dtype of X and Y
        R2 = 1 - sum (y - prediction)^2 / sum (y - mean of the fold)^2 in each held-out fold,
        averaged over folds (himalaya's `r2_score`); 0 for a target constant in the fold.
    """
    search = Search(X, Y, alphas, splits, rows, method, refit=False)
    scores = np.empty((len(search.alphas), Y.shape[1]), search.dtype)
    for columns, y, _, coordinates in search.batches(batch, memory):
        scores[:, columns] = search.scores(y, coordinates)
    return scores


def cv_predict(
    X: np.ndarray | Basis,
    Y: np.ndarray,
    alphas: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    X_new: np.ndarray,
    *,
    rows: np.ndarray | None = None,
    batch: int | None = None,
    memory: int = MEMORY,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose alphas by `cv_scores` and predict new rows, in one pass over Y.

    Parameters
    ----------
    X_new : (n_new, n_features), or what `Basis.locate` takes
    others : see `cv_scores`

    Returns
    -------
    scores : (n_alphas, n_targets)
    best : (n_targets,) alphas
    predictions : (n_new, n_targets)
    """
    search = Search(X, Y, alphas, splits, rows, None, refit=True)
    scores, best, out, means = search.refit(search.basis.locate(X_new), batch, memory)
    out += means
    return scores, best, out


def cv_fit(
    X: np.ndarray,
    Y: np.ndarray,
    alphas: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    rows: np.ndarray | None = None,
    batch: int | None = None,
    memory: int = MEMORY,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Choose alphas by `cv_scores` and fit all rows, in one pass over Y.

    Returns
    -------
    scores : (n_alphas, n_targets)
    best : (n_targets,) alphas
    coef : (n_features, n_targets)
    intercept : (n_targets,)
    """
    search = Search(X, Y, alphas, splits, rows, None, refit=True)
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


def fit_predict(
    X: np.ndarray | Basis,
    Y: np.ndarray,
    alphas: np.ndarray | float,
    X_new: np.ndarray,
    *,
    rows: np.ndarray | None = None,
    batch: int | None = None,
    memory: int = MEMORY,
) -> np.ndarray:
    """Predictions (n_new, n_targets) of `fit` for X_new, without forming the weights."""
    alphas = check_problem(X, Y, alphas, rows)
    basis = X if isinstance(X, Basis) else basis_of(X)
    located = basis.locate(X_new)
    out, means = _solve(basis, located, Y, alphas, working_dtype(X, Y), rows, batch, memory)
    out += means
    return out


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


def add_r2(scores, residuals, beyond, mixing, y) -> None:
    """Add a fold's R2 of every alpha to `scores` (n_alphas, n_targets).

    Parameters
    ----------
    residuals, beyond : see `BlockResiduals`; for the nodes of a grid
    mixing : (n_alphas, n_nodes + 1)
        From nodes and the mean to alphas, see `nodes_and_mixing`.
    y : (n_rows, n_targets) held-out targets
    """
    n_nodes, n_rows, n_targets = residuals.shape
    sse = np.zeros_like(scores) + beyond
    if len(mixing) == n_nodes - 1:
        sse += np.einsum("arv,arv->av", residuals[:-1], residuals[:-1])
    else:
        step = max(_CACHED // (len(mixing) * n_targets), 1)
        for start in range(0, n_rows, step):
            part = residuals[:, start : start + step]
            error = mixing @ part.reshape(n_nodes, -1)
            error = error.reshape(len(mixing), -1, n_targets)
            sse += np.einsum("arv,arv->av", error, error)
    sst = sum_of_squares(y)
    scores += np.where(sst > 0, 1 - sse / np.where(sst > 0, sst, 1), 0)


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

    def __init__(self, X, Y, alphas, splits, rows, method, *, refit):
        self.alphas = check_problem(X, Y, alphas, rows)
        self.Y, self.rows, self.dtype = Y, rows, working_dtype(X, Y)
        splits = [(np.asarray(train), np.asarray(test)) for train, test in splits]
        self.n_splits = len(splits)
        self.n_samples = _n_samples(X)
        self.basis = X if isinstance(X, Basis) else None
        complementary = all(_complementary(train, test, self.n_samples) for train, test in splits)
        if method not in (None, "folds") and not complementary:
            raise InputError(f"method {method!r} needs folds that train on all other rows")
        sizes = [(len(train), len(test)) for train, test in splits]

        def cheapest(n_alphas):
            shape = X.shape if self.basis is None else self.basis.vectors.shape
            given = {"has_basis": self.basis is not None, "refit": refit}
            return choose(shape, Y.shape[1], n_alphas, sizes, complementary=complementary, **given)

        first = method or cheapest(len(self.alphas))
        if self.basis is None and (refit or first != "folds"):
            self.basis = basis_of(X)
        if self.basis is None:  # the trace bounds the eigenvalues
            largest = float(np.sum((X - X.mean(0, dtype=np.float64)) ** 2))
        else:
            largest = self.basis.values.max(initial=0)
        nodes, self.mixing = nodes_and_mixing(self.alphas, largest, self.dtype)
        # Few nodes may change the balance.
        method = method or (first if self.basis is None else cheapest(len(nodes)))
        if method == "folds":
            if isinstance(X, Basis):
                X = X.vectors * np.sqrt(X.values)
            self.residuals = FoldResiduals(X, splits, nodes, self.dtype)
        else:
            kind = BlockResiduals if method == "blocks" else MomentResiduals
            self.residuals = kind(self.basis, [test for _, test in splits], nodes, self.dtype)

    def batches(self, batch, memory):
        """(columns, centred y, means, coordinates or None) for each batch of targets."""
        if batch is None:
            size = self.residuals.bytes_per_target
            batch = batch_for(memory, size, self.n_samples)
        for columns, y, mean in batches(self.Y, self.rows, batch, self.dtype):
            coordinates = None
            if self.basis is not None:
                coordinates = self.basis.vectors_as(self.dtype).T @ y
            yield columns, y, mean, coordinates

    def scores(self, y, coordinates) -> np.ndarray:
        """(n_alphas, n_targets) of one batch."""
        scores = np.zeros((len(self.alphas), y.shape[1]), self.dtype)
        for held, residuals, beyond in self.residuals(y, coordinates):
            add_r2(scores, residuals, beyond, self.mixing, y[held])
        return scores / self.n_splits

    def refit(self, back, batch, memory):
        """Scores, best alphas, back @ shrunk coordinates (n_back, n_targets), means of Y."""
        n_targets = self.Y.shape[1]
        back = back.astype(self.dtype)
        scores = np.empty((len(self.alphas), n_targets), self.dtype)
        best, means = np.empty(n_targets), np.empty(n_targets, self.dtype)
        out = np.empty((len(back), n_targets), self.dtype)
        for columns, y, mean, coordinates in self.batches(batch, memory):
            scores[:, columns] = own = self.scores(y, coordinates)
            best[columns] = self.alphas[np.argmax(own, 0)]
            means[columns] = mean
            out[:, columns] = back @ _shrink(coordinates, self.basis.values, best[columns])
        return scores, best, out, means


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
        out[:, columns] = back @ _shrink(vectors.T @ y, basis.values, alphas[columns])
    return out, means


def _shrink(coordinates, values, alphas) -> np.ndarray:
    """Coordinates of targets times l / (l + alpha), each target with its own alpha."""
    dtype = coordinates.dtype
    values = values[:, None].astype(dtype)
    return coordinates * (values / (values + alphas.astype(dtype)))


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


def _complementary(train, test, n_samples) -> bool:
    marks = np.zeros(n_samples, int)
    np.add.at(marks, train, 1)
    np.add.at(marks, test, 1)
    return len(train) > 0 and bool(np.all(marks == 1))
