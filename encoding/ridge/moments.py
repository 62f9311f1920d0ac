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
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from .arrays import NUMPY
from .basis import Basis

_TRUSTED = 1e-5  # rounding of residuals that float32 may bring


@dataclass(frozen=True)
class _Fold:
    rows: np.ndarray
    n_scored: int
    others: np.ndarray | None  # for a hat matrix: the rows it applies to
    rotation: np.ndarray | None  # (n_scored, n_rotated)
    maps: np.ndarray  # (n_alphas * n_rotated or n_scored, rank + 1 or n_others)


class MomentResiduals:
    """Residuals of folds, rotated where that is shorter. Parameters as `BlockResiduals`."""

    def __init__(
        self,
        basis: Basis,
        sets: Sequence[np.ndarray],
        alphas: np.ndarray,
        dtype,
        scored: Sequence[int] | None = None,
        on=NUMPY,
    ):
        self.dtype, self.on = np.dtype(dtype), on
        self.n_alphas = len(alphas)
        scored = [len(rows) for rows in sets] if scored is None else scored
        n = len(basis.vectors)
        U = np.concatenate([np.full((n, 1), n**-0.5), basis.vectors], 1)
        shrink = basis.values / (basis.values + alphas[:, None])
        shrink = np.concatenate([np.ones((len(alphas), 1)), shrink], 1)  # (n_alphas, rank + 1)
        folds = [self._fold(U, *pair, shrink) for pair in zip(sets, scored, strict=True)]
        # Maps that magnify what float32 rounds off are applied in float64.
        growth = max(np.sqrt((fold.maps**2).sum(1).max(initial=0)) for fold in folds)
        careful = growth * np.finfo(self.dtype).eps > _TRUSTED
        self._work = np.dtype(np.float64) if careful else self.dtype
        self.vectors = on.put(U, self._work)
        self._folds = [
            replace(
                f,
                rotation=None if f.rotation is None else on.put(f.rotation, self._work),
                maps=on.put(f.maps, self._work),
            )
            for f in folds
        ]

    def _fold(self, U, rows, n_scored, shrink) -> _Fold:
        n, columns = U.shape
        left, own = U[rows], U[rows[:n_scored]]
        constant, rotation = np.ones(n_scored), None
        if n_scored > columns:
            rotation, own = np.linalg.qr(own)
            constant = rotation.sum(0)
        if len(rows) > columns:
            gram = left.T @ left
            maps = np.stack([own @ _solve(np.diag(1 / d) - gram) for d in shrink])
        else:
            identity = np.eye(len(rows))
            maps = [_solve(identity - (left * d) @ left.T, left * d)[:n_scored] for d in shrink]
            maps = np.stack(maps)
        # Predictions less the mean of the other rows, which is the first moment's.
        maps[:, :, 0] -= constant * np.sqrt(n) / (n - len(rows))
        maps = maps.reshape(-1, columns)
        others = None
        if hat_pays(n - len(rows), n_scored, columns, len(shrink)):
            others = np.setdiff1d(np.arange(n), rows)
            maps = maps @ U[others].T
        return _Fold(rows, n_scored, others, rotation, maps)

    def __call__(
        self, y: np.ndarray, coordinates: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | float]]:
        """As `BlockResiduals`, rotated where that is shorter."""
        if self._work != self.dtype:
            y = self.on.cast(y, self._work)
            coordinates = self.vectors[:, 1:].T @ y
        xp = self.on.xp
        total = xp.concatenate([xp.zeros_like(y[:1]), coordinates])  # y is centred
        for fold in self._folds:
            left = y[fold.rows]
            if fold.others is None:
                known = total - self.vectors[fold.rows].T @ left
            else:
                known = y[fold.others]
            held = left[: fold.n_scored] + left.sum(0) / (len(y) - len(fold.rows))
            beyond = 0.0
            if fold.rotation is not None:
                beyond = self.on.squares(held)
                held = fold.rotation.T @ held
                beyond = self.on.cast(beyond - self.on.squares(held), self.dtype)
            out = self.on.empty((self.n_alphas + 1, *held.shape), self._work)
            xp.matmul(fold.maps, known, out=out[:-1].reshape(-1, y.shape[1]))
            xp.subtract(held, out[:-1], out=out[:-1])
            out[-1] = held
            yield fold.rows[: fold.n_scored], self.on.cast(out, self.dtype), beyond

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
