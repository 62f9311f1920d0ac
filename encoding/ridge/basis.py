"""The samples' own coordinates: one eigendecomposition that every fold and alpha shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .arrays import NUMPY
from .gram import eigh


@dataclass(frozen=True)
class Basis:
    """Left singular vectors of a column-centred design, constant and null directions left out.

    Ridge with penalty a and a free intercept predicts, for the training rows themselves,
    mean + vectors diag(l / (l + a)) vectors' Y, and for new rows of coordinates t (`locate`)
    mean + t diag(l / (l + a)) vectors' Y.

    Parameters
    ----------
    vectors : (n_samples, rank) float64
    values : (rank,) float64, descending
        Eigenvalues l of the centred kernel.
    back : (n_features, rank), or (n_samples, rank) for a basis of a kernel
        From centred features, or centred kernel rows, to coordinates.
    mean : (n_features,), or (n_samples,) column means of the kernel
    of_kernel : bool
    """

    vectors: np.ndarray
    values: np.ndarray
    back: np.ndarray
    mean: np.ndarray
    of_kernel: bool = False

    def vectors_as(self, dtype) -> np.ndarray:
        """The vectors in the precision of the targets, kept."""
        return self.vectors if np.dtype(dtype) == np.float64 else self._single

    @cached_property
    def _single(self) -> np.ndarray:
        return self.vectors.astype(np.float32)

    @property
    def complete(self) -> bool:
        """Whether nothing but the constant lies outside: no target has an unexplained part."""
        return len(self.values) >= len(self.vectors) - 1

    def locate(self, new: np.ndarray) -> np.ndarray:
        """Coordinates (n_new, rank) of new rows.

        Parameters
        ----------
        new : (n_new, n_features), or their kernel (n_new, n_samples) with the training rows
        """
        if self.of_kernel:
            new = new - new.mean(1, keepdims=True, dtype=np.float64)
            return (new - (self.mean - self.mean.mean())) @ self.back
        return (new - self.mean) @ self.back


def basis_of(X: np.ndarray, on=NUMPY) -> Basis:
    """Basis of features (n_samples, n_features), from the smaller of their Gram matrices.

    Worked out on the back-end `on` (see `arrays`).
    """
    mean = X.mean(0, dtype=np.float64)
    X = X - mean
    if X.shape[1] < len(X):
        values, V = (a[..., ::-1] for a in eigh(on.product(X.T, X), on))
        back = V / np.sqrt(values)
        return Basis(on.product(X, back), values, back, mean)
    values, U = (a[..., ::-1] for a in eigh(on.product(X, X.T), on))
    return Basis(np.ascontiguousarray(U), values, on.product(X.T, U / values), mean)


def basis_of_kernel(K: np.ndarray, on=NUMPY) -> Basis:
    """Basis of samples known by their linear kernel (n_samples, n_samples), not centred."""
    K = np.asarray(K, np.float64)
    mean = K.mean(0)
    values, U = (a[..., ::-1] for a in eigh(K - mean - mean[:, None] + mean.mean(), on))
    # What centring leaves of the mean is rounding, not a direction of the features.
    real = values > len(K) * np.finfo(np.float64).eps * np.diag(K).sum()
    values, U = values[real], U[:, real]
    return Basis(np.ascontiguousarray(U), values, U / values, mean, of_kernel=True)
