"""Exact k-fold ridge regression of many targets, an alpha for each.

For a fold with centred training rows X and held-out rows Z the prediction is

    Z (X'X + a I)^-1 X'Y  =  Z X' (X X' + a I)^-1 Y,

one eigendecomposition of the smaller Gram matrix serving every alpha and target. Means are those
of the training rows of each fold, exactly. Targets are worked through in batches, so that Y may
be a memory map larger than memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import InputError
from .gram import eigh

ALPHAS = np.logspace(-3, 5, 17)
"""Default grid, for features scaled by `unit_trace` (the kernel's mean diagonal is 1)."""

_BATCH = 1024


class RidgeEdgeWarning(UserWarning):
    """The best alpha of some targets lies at an edge of the grid."""


def cv_scores(
    X: np.ndarray,
    Y: np.ndarray,
    alphas: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    rows: np.ndarray | None = None,
    batch: int = _BATCH,
) -> np.ndarray:
    """Cross-validated score of every alpha for every target.

    Parameters
    ----------
    X : (n_samples, n_features)
    Y : (n_samples, n_targets), or (more samples, n_targets) with `rows`
    alphas : (n_alphas,), positive
    splits : pairs (train, test) of row numbers of X
    rows : (n_samples,) int, optional
        The rows of Y that belong to the rows of X: spares copying a memory map.
    batch : int
        Targets in memory at a time; without effect on the result.

    Returns
    -------
    (n_alphas, n_targets) of the common dtype of X and Y
        R2 = 1 - sum (y - prediction)^2 / sum (y - mean of the fold)^2 in each held-out fold,
        averaged over folds (himalaya's `r2_score`); 0 for a target constant in the fold.
    """
    alphas = _check_alphas(alphas)
    splits = [(np.asarray(train), np.asarray(test)) for train, test in splits]
    _check_rows(X, Y, rows)
    smallest = min(len(train) for train, _ in splits)
    method = _primal_scores if X.shape[1] < smallest else _dual_scores
    return method(X, Y, alphas, splits, rows, batch) / len(splits)


def fit(
    X: np.ndarray,
    Y: np.ndarray,
    alphas: np.ndarray | float,
    *,
    rows: np.ndarray | None = None,
    batch: int = _BATCH,
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge weights with an alpha for each target and an unpenalised intercept.

    Parameters
    ----------
    X : (n_samples, n_features)
    Y : (n_samples, n_targets), or (more samples, n_targets) with `rows`
    alphas : (n_targets,) or scalar, positive
    rows, batch : see `cv_scores`

    Returns
    -------
    coef : (n_features, n_targets)
    intercept : (n_targets,)
    """
    coef, mean = _solve(X, Y, alphas, None, rows, batch)
    return coef, mean - X.mean(0, dtype=np.float64).astype(coef.dtype) @ coef


def fit_predict(
    X: np.ndarray,
    Y: np.ndarray,
    alphas: np.ndarray | float,
    X_new: np.ndarray,
    *,
    rows: np.ndarray | None = None,
    batch: int = _BATCH,
) -> np.ndarray:
    """Predictions (n_new, n_targets) of `fit` for X_new, without forming the weights."""
    prediction, mean = _solve(X, Y, alphas, X_new, rows, batch)
    prediction += mean
    return prediction


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


def _check_alphas(alphas) -> np.ndarray:
    alphas = np.atleast_1d(np.asarray(alphas, np.float64))
    if not alphas.size or not np.all(alphas > 0):
        raise InputError(f"alphas must be positive, found {alphas}")
    return alphas


def _check_rows(X, Y, rows) -> None:
    n = len(Y) if rows is None else len(rows)
    if X.ndim != 2 or Y.ndim != 2 or len(X) != n:
        raise InputError(
            f"X has shape {X.shape}, Y has shape {Y.shape} and {n} rows in use; "
            "give 2-D arrays of one row a sample"
        )


def _batches(Y, rows, batch, dtype) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, Y.shape[1], batch):
        columns = slice(start, min(start + batch, Y.shape[1]))
        values = np.asarray(Y[:, columns])
        yield columns, (values if rows is None else values[rows]).astype(dtype, copy=False)


def _centre(array) -> np.ndarray:
    """Remove column means, which keeps the sums of squares that follow accurate."""
    return array - array.mean(0, dtype=np.float64).astype(array.dtype)


def _add_r2(scores, weights, basis_y, y, residual, sst) -> None:
    """Add one fold's R2: predictions for all alphas in one product, errors summed at once.

    weights : (n_alphas, n_rows, rank); basis_y : (rank, n_targets); y : (n_rows, n_targets)
    residual : sum of squares out of reach of every alpha; sst : total sum of squares
    """
    n_alphas, n_rows, rank = weights.shape
    error = weights.reshape(n_alphas * n_rows, rank) @ basis_y
    error = error.reshape(n_alphas, n_rows, y.shape[1])
    error -= y
    sse = np.einsum("arv,arv->av", error, error) + residual
    scores += np.where(sst > 0, 1 - sse / np.where(sst > 0, sst, 1), 0)


def _sst(y) -> np.ndarray:
    """Sum of squares about the mean; exactly 0 for constant columns in spite of rounding."""
    centred = _centre(y)
    sst = np.einsum("rv,rv->v", centred, centred)
    return np.where(np.ptp(y, axis=0) > 0, sst, 0)


def _dual_scores(X, Y, alphas, splits, rows, batch) -> np.ndarray:
    """n_features >= n_train: the kernel of all rows once, one eigh a fold."""
    dtype = np.result_type(X, Y, np.float32)
    X = _centre(X.astype(np.float64))
    kernel = X @ X.T
    scores = np.zeros((len(alphas), Y.shape[1]), dtype)
    for train, test in splits:
        K = kernel[np.ix_(train, train)]
        row_mean = K.mean(0)
        cross = kernel[np.ix_(test, train)]
        cross = cross - cross.mean(1, keepdims=True) - row_mean + row_mean.mean()
        values, U = eigh(K - row_mean - row_mean[:, None] + row_mean.mean())
        projected = cross @ U  # (n_test, rank)
        weights = (projected / (values + alphas[:, None])[:, None]).astype(dtype)
        U = U.astype(dtype)
        # Hat matrices (n_alphas, n_test, n_train) pay once targets outnumber their rows.
        hat = Y.shape[1] > len(alphas) * len(test)
        if hat:
            weights = weights @ U.T
        for columns, y in _batches(Y, rows, batch, dtype):
            y = _centre(y)
            mean = y[train].mean(0)
            y_train, y_test = y[train] - mean, y[test] - mean
            basis_y = y_train if hat else U.T @ y_train
            _add_r2(scores[:, columns], weights, basis_y, y_test, 0, _sst(y_test))
    return scores


def _primal_scores(X, Y, alphas, splits, rows, batch) -> np.ndarray:
    """n_features < n_train: Gram matrices of the held-out rows, subtracted from the total.

    Held-out rows enter through sums of squares only, so when they outnumber the features a QR
    rotation shortens them to n_features rows; the part of y outside that space is beyond the
    reach of any alpha and its sum of squares is added unchanged.
    """
    dtype = np.result_type(X, Y, np.float32)
    X = _centre(X.astype(np.float64))
    n = len(X)
    gram = X.T @ X
    X_work = X.astype(dtype)
    folds = []
    for train, test in splits:
        complement = len(train) + len(test) == n and not np.isin(train, test).any()
        mean = X[train].mean(0)
        inner = gram - X[test].T @ X[test] if complement else X[train].T @ X[train]
        values, V = eigh(inner - len(train) * np.outer(mean, mean))
        projected = (X[test] - mean) @ V  # (n_test, rank)
        Q = None
        if projected.shape[1] < len(test):
            Q, projected = np.linalg.qr(projected)
            Q = Q.astype(dtype)
        shrink = 1 / (values + alphas[:, None])  # (n_alphas, rank)
        folds.append((train, test, complement, mean, V.T.astype(dtype), projected, Q, shrink))
    scores = np.zeros((len(alphas), Y.shape[1]), dtype)
    for columns, y in _batches(Y, rows, batch, dtype):
        y = _centre(y)
        total, total_y = X_work.T @ y, y.sum(0)
        for train, test, complement, mean, Vt, projected, Q, shrink in folds:
            y_test = y[test]
            if complement:
                moments = total - X_work[test].T @ y_test
                y_mean = (total_y - y_test.sum(0)) / len(train)
            else:
                moments = X_work[train].T @ y[train]
                y_mean = y[train].mean(0)
            moments -= len(train) * np.outer(mean, y_mean).astype(dtype)
            basis_y = Vt @ moments
            y_test = y_test - y_mean
            sst = _sst(y_test)
            residual = 0
            if Q is not None:
                rotated = Q.T @ y_test
                residual = np.einsum("rv,rv->v", y_test, y_test)
                residual = residual - np.einsum("rv,rv->v", rotated, rotated)
                y_test = rotated
            weights = (projected * shrink[:, None]).astype(dtype)
            _add_r2(scores[:, columns], weights, basis_y, y_test, residual, sst)
    return scores


def _solve(X, Y, alphas, X_new, rows, batch) -> tuple[np.ndarray, np.ndarray]:
    """Weights (or, with X_new, predictions less the mean) and the mean of Y."""
    _check_rows(X, Y, rows)
    alphas = np.broadcast_to(_check_alphas(alphas), Y.shape[1])
    dtype = np.result_type(X, Y, np.float32)
    mean = X.mean(0, dtype=np.float64)
    X = X - mean
    if X.shape[1] < len(X):
        values, V = eigh(X.T @ X)
        into, back = (X @ V).T, V  # (rank, n_samples), (n_features, rank)
    else:
        values, U = eigh(X @ X.T)
        into, back = U.T, X.T @ U
    if X_new is not None:
        back = (X_new - mean) @ back  # (n_new, rank)
    into, back = into.astype(dtype), back.astype(dtype)
    out = np.empty((len(back), Y.shape[1]), dtype)
    means = np.empty(Y.shape[1], dtype)
    for columns, y in _batches(Y, rows, batch, dtype):
        means[columns] = y.mean(0, dtype=np.float64)
        basis_y = into @ (y - means[columns])  # (rank, n_targets)
        basis_y /= (values[:, None] + alphas[columns]).astype(dtype)
        out[:, columns] = back @ basis_y
    return out, means
