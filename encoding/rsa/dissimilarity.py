"""From patterns to the dissimilarity of every pair of clips."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..ceiling import repeat_grid
from ..errors import InputError
from .pairs import pairs_of

DISTANCES = ("correlation", "euclidean", "cosine", "mahalanobis", "crossnobis")


def rdm(X, method: str = "correlation", *, noise=None, clips=None, repeats=None) -> np.ndarray:
    r"""Representational dissimilarity matrix, as the vector of its upper triangle.

    With patterns x_i of P channels and the precision S^-1 of their noise:

    - correlation   1 - r(x_i, x_j)
    - cosine        1 - x_i'x_j / (\|x_i\| \|x_j\|)
    - euclidean     (x_i - x_j)'(x_i - x_j) / P, squared
    - mahalanobis   (x_i - x_j)' S^-1 (x_i - x_j) / P, squared
    - crossnobis    mean over ordered pairs of different repeats a, b of
      (x_i^a - x_j^a)' S^-1 (x_i^b - x_j^b) / P. Noise that is independent between repeats
      averages to 0 (it may be negative), while the other distances grow with noise (Walther et
      al. 2016, NeuroImage 137, 188, eqs. 5-8). Equal to leaving one repeat out against the mean
      of the others.

    Conventions (squares, division by P) are those of rsatoolbox.

    Parameters
    ----------
    X : (n_clips, n_channels), or (n_repeats, n_clips, n_channels)
        Or (n_presentations, n_channels) with `clips`. Repeats are averaged but for crossnobis.
    method : one of `DISTANCES`
    noise : (n_channels, n_channels), optional
        Precision of the noise, see `noise_precision`. Default: identity. For mahalanobis and
        crossnobis.
    clips : (n_presentations,) labels, optional
        The clips of the RDM are then in sorted order.
    repeats : (n_presentations,) labels, optional
        Default: repeats of a clip in the order given.

    Returns
    -------
    (n_clips (n_clips - 1) / 2,) float64, ordered as `scipy.spatial.distance.squareform`

    Raises
    ------
    InputError
        Unknown method, shapes that do not fit, values that are not finite, a pattern without a
        direction (constant for correlation, zero for cosine), or repeats that a clip lacks.
    """
    if method not in DISTANCES:
        raise InputError(f"distance '{method}' is unknown; choose one of {', '.join(DISTANCES)}")
    X = np.asarray(X, np.float64)
    if X.ndim == 2 and clips is not None:
        X = X[_presentations(len(X), clips, repeats)]
    if X.ndim not in (2, 3) or X.shape[-2] < 2 or X.shape[-1] < 1:
        raise InputError(
            f"patterns have shape {X.shape}; give two or more clips x channels, before that an "
            "axis of repeats if there are any"
        )
    if not np.isfinite(X).all():
        raise InputError("patterns hold NaN or infinite values; leave these channels or clips out")
    if method == "crossnobis" and (X.ndim == 2 or len(X) < 2):
        raise InputError("crossnobis needs two or more repeats of every clip; there is one")
    if noise is not None:
        if method not in ("mahalanobis", "crossnobis"):
            raise InputError(f"{method} distance takes no noise; use mahalanobis or crossnobis")
        noise = np.asarray(noise, np.float64)
        if noise.shape != 2 * X.shape[-1:]:
            raise InputError(
                f"noise has shape {noise.shape}, expected {2 * X.shape[-1:]}: a precision of the "
                "channels"
            )
    if method in ("correlation", "cosine"):
        lost = without_direction(X, method)
        if len(lost):
            what = "constant" if method == "correlation" else "zero"
            raise InputError(f"pattern {lost[0]} is {what}: it has no {method} distance to others")
        X = _about_zero(X, method)
        X = X / np.linalg.norm(X, axis=1, keepdims=True)
        return (1 - X @ X.T)[pairs_of(len(X))]
    X = X - X.mean(-2, keepdims=True)  # distances stay, rounding shrinks
    if method != "crossnobis":
        return np.maximum(_from_kernel(_kernel(X.mean(0) if X.ndim == 3 else X, noise)), 0)
    n_repeats = len(X)
    across = _kernel(X.sum(0), noise) - sum(_kernel(x, noise) for x in X)
    return _from_kernel(across / (n_repeats * (n_repeats - 1)))


def without_direction(X, method: str) -> np.ndarray:
    """Numbers of the patterns that correlation (constant) or cosine (zero) cannot compare.

    X : (n_clips, n_channels) or (n_repeats, n_clips, n_channels)
    """
    if method not in ("correlation", "cosine"):
        return np.zeros(0, int)
    X = np.asarray(X, np.float64)
    size = np.abs(X).max(axis=(0, 2) if X.ndim == 3 else 1)
    # A constant row minus its mean is zero but for rounding.
    left = np.abs(_about_zero(X, method)).max(1)
    return np.flatnonzero(left <= 1e-13 * size)


def _about_zero(X, method) -> np.ndarray:
    """Mean over repeats; for correlation without the mean of each pattern."""
    X = X.mean(0) if X.ndim == 3 else X
    return X - X.mean(1, keepdims=True) if method == "correlation" else X


def _kernel(X, noise) -> np.ndarray:
    """Inner products of patterns a channel."""
    return (X if noise is None else X @ noise) @ X.T / X.shape[1]


def _from_kernel(kernel) -> np.ndarray:
    i, j = pairs_of(len(kernel))
    own = np.diag(kernel)
    return own[i] + own[j] - kernel[i, j] - kernel[j, i]


def _presentations(n, clips, repeats) -> np.ndarray:
    """(n_repeats, n_clips) row numbers."""
    clips = pd.Series(np.asarray(clips))
    repeats = clips.groupby(clips).cumcount() if repeats is None else repeats
    return repeat_grid(n, repeats, clips)
