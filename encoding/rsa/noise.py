"""Precision of the noise between channels, shrunk so that it can be inverted."""

from __future__ import annotations

import numpy as np

from ..errors import InputError

TARGETS = ("diagonal", "identity", "variances")


def noise_precision(residuals, shrink_to: str = "diagonal", *, dof: int | None = None):
    """Inverse of the shrunk covariance of noise.

    With residuals e of n rows, centred, S = e'e / dof, and R its correlations:

    - "diagonal": off-diagonal elements are multiplied by 1 - l,
      l = n / dof^2 sum_{i!=j} (mean_z2_ij - mean_z_ij^2) / sum_{i!=j} mean_z_ij^2, where z_ij are
      products of standardised residuals and means divide by n - 1 (Schaefer & Strimmer 2005,
      Stat. Appl. Genet. Mol. Biol. 4, 32)
    - "identity": towards the mean variance times the identity with the optimal weight of Ledoit &
      Wolf 2004, J. Multivar. Anal. 88, 365
    - "variances": no covariance at all (univariate noise normalisation)

    Both estimators are those that rsatoolbox calls shrinkage_diag and shrinkage_eye.

    Parameters
    ----------
    residuals : (n, n_channels)
        What is left of presentations after the mean of their clip, or of volumes after a model.
    shrink_to : "diagonal", "identity" or "variances"
    dof : int, optional
        Degrees of freedom. Default n - 1; for presentations minus their clip's mean it is the
        number of presentations minus that of clips.

    Returns
    -------
    (n_channels, n_channels) float64

    Raises
    ------
    InputError
        Too few residuals, a channel without noise, or an unknown target.
    """
    if shrink_to not in TARGETS:
        raise InputError(f"shrink_to is '{shrink_to}'; choose one of {', '.join(TARGETS)}")
    E = np.asarray(residuals, np.float64)
    if E.ndim != 2 or len(E) < 3 or not np.isfinite(E).all():
        raise InputError(f"residuals of shape {E.shape}: give three or more rows of finite values")
    E = E - E.mean(0)
    n, p = E.shape
    dof = n - 1 if dof is None else dof
    if dof < 1:
        raise InputError(f"dof is {dof}; residuals need at least one degree of freedom")
    variance = np.einsum("np,np->p", E, E) / dof
    if not (variance > 0).all():
        raise InputError(f"channel {np.flatnonzero(variance <= 0)[0]} has no noise; leave it out")
    if shrink_to == "variances":
        return np.diag(1 / variance)
    products, squares = E.T @ E, (E * E).T @ (E * E)
    if shrink_to == "diagonal":
        scale = np.sqrt(np.outer(variance, variance)) * (n - 1)
        mean, mean2 = products / scale, squares / (scale * scale) * (n - 1)
        off = ~np.eye(p, dtype=bool)
        spread = n / dof**2 * (mean2 - mean**2)
        strength = spread[off].sum() / (mean[off] ** 2).sum() if p > 1 else 0
        covariance = products / dof
        covariance[off] *= 1 - np.clip(strength, 0, 1)
    else:
        S = products / n
        level = np.trace(S) / p
        distance = ((S - level * np.eye(p)) ** 2).sum()
        error = min((squares / n - S * S).sum() / n, distance)
        share = error / distance if distance > 0 else 1.0
        covariance = (share * level * np.eye(p) + (1 - share) * S) * n / dof
    try:
        return np.linalg.inv(covariance)
    except np.linalg.LinAlgError as error:
        raise InputError(
            f"covariance of {p} channels from {n} residuals cannot be inverted; use 'variances'"
        ) from error


def repeat_residuals(X) -> tuple[np.ndarray, int]:
    """Presentations minus the mean of their clip, and their degrees of freedom.

    Parameters
    ----------
    X : (n_repeats, n_clips, n_channels)

    Returns
    -------
    residuals : (n_repeats * n_clips, n_channels)
    dof : int
        (n_repeats - 1) n_clips
    """
    X = np.asarray(X, np.float64)
    return (X - X.mean(0)).reshape(-1, X.shape[2]), (len(X) - 1) * X.shape[1]
