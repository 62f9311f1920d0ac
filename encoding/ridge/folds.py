"""Held-out residuals from one eigendecomposition a fold, for any training and held-out rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .arrays import NUMPY
from .basis import basis_of


class FoldResiduals:
    """Residuals of folds whose training rows need not be all the others.

    Parameters
    ----------
    X : (n_samples, n_features)
    splits : pairs (train, test) of row numbers
    alphas, dtype, on : as `BlockResiduals`
    """

    def __init__(
        self,
        X: np.ndarray,
        splits: Sequence[tuple[np.ndarray, np.ndarray]],
        alphas: np.ndarray,
        dtype,
        on=NUMPY,
    ):
        self.dtype, self.on = np.dtype(dtype), on
        self.n_alphas = len(alphas)
        self.n_samples = len(X)
        self._folds = []
        for train, test in splits:
            basis = basis_of(X[train], on)
            shrink = basis.values / (basis.values + alphas[:, None])
            maps = basis.locate(X[test]) * shrink[:, None]  # (n_alphas, n_test, rank)
            maps = maps.reshape(len(alphas) * len(test), len(basis.values))
            into = basis.vectors.T
            # One product per alpha with the training rows, or two by way of the coordinates.
            if len(maps) * len(train) < (len(maps) + len(train)) * len(into):
                maps, into = on.product(maps, into), None
            else:
                into = on.put(into, dtype)
            self._folds.append((train, test, into, on.put(maps, dtype)))

    def __call__(
        self, y: np.ndarray, coordinates: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        """As `BlockResiduals`; coordinates are not needed."""
        for train, test, into, maps in self._folds:
            known = y[train]
            mean = known.mean(0)
            known = known - mean
            held = y[test] - mean
            out = self.on.empty((self.n_alphas + 1, *held.shape), self.dtype)
            self.on.xp.matmul(
                maps,
                known if into is None else into @ known,
                out=out[:-1].reshape(-1, y.shape[1]),
            )
            self.on.xp.subtract(held, out[:-1], out=out[:-1])
            out[-1] = held
            yield test, out, 0.0

    @property
    def bytes_per_target(self) -> float:
        rows = max(len(test) for _, test, _, _ in self._folds)
        return self.dtype.itemsize * (4 * self.n_samples + rows * (2 * self.n_alphas + 4))
