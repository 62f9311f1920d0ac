"""Which of the exact methods is the cheapest for a given shape, by counting flops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .moments import hat_pays

METHODS = ("blocks", "moments", "folds")

# Relative to a flop of a large float32 product.
_DOUBLE = 2.5  # of a large float64 product
_FACTOR = 5.0  # of a small float64 system
_EIGH = 25.0  # times n^3: a whole eigendecomposition
_SHARE = 4.5  # products with U for a grid of alphas, where the spectrum is cut into segments
_NARROW = 1.35  # of products with pieces of the spectrum and with small systems
_MIX = 8.0  # of the narrow products that combine alphas


def flops(
    method: str,
    shape: tuple[int, int],
    n_targets: int,
    n_alphas: int,
    folds: Sequence[tuple[int, int]],
    *,
    has_basis: bool = False,
    refit: bool = False,
    eigh: float = _EIGH,
) -> float:
    """Cost of cross-validated scores, in flops of a large float32 product.

    Parameters
    ----------
    method : one of METHODS
    shape : (n_samples, n_features or rank)
    n_alphas : int
        After the grid has been thinned.
    folds : (number of training rows, number of held-out rows) of each
        Together fewer than n_samples where rows are left unused.
    has_basis : bool
        Whether the basis of all rows is at hand already.
    refit : bool
        Whether a fit on all rows follows, for which "blocks" and "moments" have the basis.
    eigh : float
        Cost of an eigendecomposition over n^3.
    """
    n, p = shape
    k = min(n - 1, p)
    train, held = np.array(folds, float).T
    left = n - train
    basis = 0.0 if has_basis else _basis(n, p, eigh)
    project = 2 * n * k * n_targets
    if method == "folds":
        rank = np.minimum(train - 1, p)
        cost = sum(_basis(rows, p, eigh) for rows in train)
        maps = n_alphas * held
        apply = 2 * n_targets * np.minimum(maps * train, (maps + train) * rank)
        cost += np.sum(apply) + _DOUBLE * np.sum(2 * maps * rank * np.minimum(train, p))
        return cost + refit * (basis + project)
    if method == "blocks":
        share = min(_SHARE, n_alphas) + (p < n - 1)
        build = n_alphas * np.sum(_DOUBLE * 2 * left**2 * k + _FACTOR * 2 * left**3)
        apply = _NARROW * 2 * n_targets * np.sum(left * (share * k + n_alphas * held))
        mixing = _MIX * 2 * n_targets * np.sum(left) * n_alphas * 8 * _SHARE
        return basis + project + build + apply + mixing
    rows = np.minimum(left, k + 1)
    maps = n_alphas * np.minimum(held, k + 1)
    hat = np.array([hat_pays(*fold, k + 1, n_alphas) for fold in folds])
    build = n_alphas * np.sum(_DOUBLE * 4 * rows * left * k + _FACTOR * rows**3)
    build += _DOUBLE * 2 * np.sum(hat * maps * k * train)
    apply = 2 * n_targets * np.sum(np.where(hat, maps * train, (left + maps) * k))
    return basis + project + build + apply


def choose(shape, n_targets, n_alphas, folds, *, disjoint: bool, **given) -> str:
    """The cheapest method; "folds" alone serves folds that hold some rows twice."""
    if not disjoint:
        return "folds"
    return min(METHODS, key=lambda m: flops(m, shape, n_targets, n_alphas, folds, **given))


def _basis(n, p, eigh) -> float:
    small = min(n, p)
    return _DOUBLE * 2 * n * p * small * (1 if n <= p else 2) + eigh * small**3
