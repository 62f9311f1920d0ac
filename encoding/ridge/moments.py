"""Held-out residuals from downdated moments, one linear map of them per fold and alpha.

In the orthonormal basis of all rows (the constant first, unpenalised) a fold's normal equations
are those of all rows less the held-out rows' share: Gram I - U_b'U_b, moments U'Y - U_b'Y_b.
Solved in float64 as a k x k system, or as an m x m one where a fold has fewer rows than the
basis columns. Where the basis is about as large as the training rows, the map is carried on to
the training targets themselves (a hat matrix), which spares the moments.

Held-out rows enter scores through sums of squares only, so when they outnumber the columns a QR
rotation shortens them; the part of y outside is beyond the reach of any alpha.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from .basis import Basis

_TRUSTED = 1e-5  # rounding of residuals that float32 may bring


@dataclass(frozen=True)
class _Fold:
    rows: np.ndarray
    others: np.ndarray | None  # for a hat matrix: the rows it applies to
    rotation: np.ndarray | None  # (n_rows, n_rotated)
    maps: np.ndarray  # (n_alphas * n_rotated, rank + 1 or n_others)


class MomentResiduals:
    """Residuals of folds, rotated where that is shorter. Parameters as `BlockResiduals`."""

    def __init__(self, basis: Basis, sets: Sequence[np.ndarray], alphas: np.ndarray, dtype):
        self.dtype = np.dtype(dtype)
        self.n_alphas = len(alphas)
        n = len(basis.vectors)
        U = np.concatenate([np.full((n, 1), n**-0.5), basis.vectors], 1)
        shrink = basis.values / (basis.values + alphas[:, None])
        shrink = np.concatenate([np.ones((len(alphas), 1)), shrink], 1)  # (n_alphas, rank + 1)
        folds = [self._fold(U, rows, shrink) for rows in sets]
        # Maps that magnify what float32 rounds off are applied in float64.
        growth = max(np.sqrt((fold.maps**2).sum(1).max(initial=0)) for fold in folds)
        careful = growth * np.finfo(self.dtype).eps > _TRUSTED
        self._work = np.dtype(np.float64) if careful else self.dtype
        self.vectors = U.astype(self._work)
        self._folds = [
            _Fold(f.rows, f.others, f.rotation, f.maps.astype(self._work)) for f in folds
        ]

    def _fold(self, U, rows, shrink) -> _Fold:
        n, columns = U.shape
        own = U[rows]
        constant, rotation = np.ones(len(rows)), None
        if len(rows) > columns:
            Q, R = np.linalg.qr(own)
            gram = own.T @ own
            maps = np.stack([R @ _solve(np.diag(1 / d) - gram) for d in shrink])
            constant, rotation = Q.sum(0), Q.astype(self.dtype)
        else:
            identity = np.eye(len(rows))
            maps = np.stack([_solve(identity - (own * d) @ own.T, own * d) for d in shrink])
        # Predictions less the mean of the other rows, which is the first moment's.
        maps[:, :, 0] -= constant * np.sqrt(n) / (n - len(rows))
        maps = maps.reshape(-1, columns)
        others = None
        if hat_pays(n - len(rows), len(rows), columns, len(shrink)):
            others = np.setdiff1d(np.arange(n), rows)
            maps = maps @ U[others].T
        return _Fold(rows, others, rotation, maps)

    def __call__(
        self, y: np.ndarray, coordinates: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | float]]:
        """As `BlockResiduals`, rotated where that is shorter."""
        if self._work != self.dtype:
            y = y.astype(self._work)
            coordinates = self.vectors[:, 1:].T @ y
        total = np.concatenate([np.zeros_like(y[:1]), coordinates])  # y is centred
        for fold in self._folds:
            held = y[fold.rows]
            if fold.others is None:
                known = total - self.vectors[fold.rows].T @ held
            else:
                known = y[fold.others]
            held = held + held.sum(0) / (len(y) - len(fold.rows))
            beyond = 0.0
            if fold.rotation is not None:
                beyond = np.einsum("rv,rv->v", held, held)
                held = fold.rotation.T @ held
                beyond -= np.einsum("rv,rv->v", held, held)
            out = np.empty((self.n_alphas + 1, *held.shape), self._work)
            np.matmul(fold.maps, known, out=out[:-1].reshape(-1, y.shape[1]))
            np.subtract(held, out[:-1], out=out[:-1])
            out[-1] = held
            yield fold.rows, out.astype(self.dtype, copy=False), beyond

    @property
    def bytes_per_target(self) -> float:
        n, columns = self.vectors.shape
        rows = max(len(fold.rows) for fold in self._folds)
        return self._work.itemsize * (4 * n + 3 * columns + rows * (2 * self.n_alphas + 4))


def hat_pays(n_train: int, n_held: int, columns: int, n_alphas: int) -> bool:
    """Whether maps of the training targets cost less than maps of the moments."""
    rows = n_alphas * min(n_held, columns)
    return rows * n_train < (rows + n_held) * columns


def _solve(matrix, right=None) -> np.ndarray:
    right = np.eye(len(matrix)) if right is None else right
    # Jacobi scaling: weak directions have large diagonal entries.
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    scaled = matrix * scale * scale[:, None]
    try:
        factor = scipy.linalg.cho_factor(scaled, lower=True, check_finite=False)
        solved = scipy.linalg.cho_solve(factor, right * scale[:, None], check_finite=False)
    except np.linalg.LinAlgError:  # positive in theory, on the verge of rounding in fact
        solved = np.linalg.pinv(scaled, hermitian=True) @ (right * scale[:, None])
    return solved * scale[:, None]
