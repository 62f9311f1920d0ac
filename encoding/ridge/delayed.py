"""The kernel of a finite impulse response design, without the design."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import InputError


def delayed_gram(
    X: np.ndarray,
    runs,
    delays: Sequence[int],
    other: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """`delay(X, runs, delays) @ delay(X, runs, delays).T` from one Gram matrix of X.

    Rows t and s of the delayed design have the product sum over d of x[t - d] . x[s - d], terms
    before a run's start being zero: the Gram matrix of X shifted along its diagonal, summed.
    Scale or weight columns of X beforehand; scales that differ between delays call for a product
    a delay.

    Parameters
    ----------
    X : (n_samples, n_units)
    runs : (n_samples,) labels; rows of a run are in temporal order
    delays : non-negative ints, in volumes
    other : (Z, runs of Z), optional
        For the products of X's rows with those of a second design of the same units, for
        instance of held-out rows with training rows. Default: X itself.

    Returns
    -------
    (n_samples, n_samples), or (n_samples, rows of Z), float64
    """
    X = np.asarray(X, np.float64)
    Z, other_runs = (X, runs) if other is None else (np.asarray(other[0], np.float64), other[1])
    lags, other_lags = _positions(X, runs), _positions(Z, other_runs)
    delays = [int(d) for d in delays]
    if not delays or min(delays) < 0:
        raise InputError(f"delays are {delays}; give one or more non-negative counts of volumes")
    gram = X @ Z.T
    out = np.zeros_like(gram)
    for d in delays:
        columns, sources = _shift(other_lags, d)
        for row, source in zip(*_shift(lags, d), strict=True):
            out[row, columns] += gram[source, sources]
    return out


def _positions(X, runs) -> list[np.ndarray]:
    """Rows of each run."""
    runs = np.asarray(runs)
    if runs.shape != (len(X),):
        raise InputError(f"runs have shape {runs.shape}, expected ({len(X)},): one label a row")
    codes = pd.factorize(runs)[0]
    return [np.flatnonzero(codes == code) for code in range(codes.max(initial=-1) + 1)]


def _shift(runs, d) -> tuple[np.ndarray, np.ndarray]:
    """Rows d or more volumes after their run's start, and the rows d volumes before them."""
    return (
        np.concatenate([rows[d:] for rows in runs]),
        np.concatenate([rows[: max(len(rows) - d, 0)] for rows in runs]),
    )
