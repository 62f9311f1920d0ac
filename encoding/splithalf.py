"""The 165-sound protocol: ridge on random halves of the sounds, r2 on the others.

Tuckute, Feather, Boebinger, McDermott 2023 (PLOS Biology 21: e3002366).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.linalg import helmert

from .errors import InputError

ALPHAS = 10.0 ** np.arange(-8, 12)


def split_half_r2(
    X: np.ndarray, R: np.ndarray, n_splits: int = 10, seed: int = 0, alphas=ALPHAS
) -> np.ndarray:
    """Held-out r2 of responses to single sounds over random halves.

    Each split fits on ceil(n / 2) sounds, with the alpha of each target chosen by exact
    leave-one-out on that half, and correlates prediction and response on the rest; r below zero
    counts as zero and is squared. Take the median over splits.

    Parameters
    ----------
    X : (n_sounds, n_units), averaged over time; any number of units (reduced by SVD, losslessly)
    R : (n_sounds, n_targets)
    n_splits : int
    seed : int
    alphas : (n_alphas,), positive

    Returns
    -------
    (n_splits, n_targets)
    """
    X, R, alphas = np.asarray(X, float), np.asarray(R, float), np.asarray(alphas, float)
    if X.ndim != 2 or R.ndim != 2 or len(X) != len(R):
        raise InputError(f"X has shape {X.shape}, R has shape {R.shape}; one row a sound in each")
    if len(X) < 6:
        raise InputError(f"{len(X)} sounds; split halves need at least 6")
    if not (np.isfinite(X).all() and np.isfinite(R).all()):
        raise InputError("X or R hold NaN or infinite values; remove these sounds or units")
    U, s, _ = np.linalg.svd(X - X.mean(0), full_matrices=False)
    X = U * s
    half = (len(X) + 1) // 2
    rng = np.random.default_rng(seed)
    out = np.empty((n_splits, R.shape[1]))
    for split in range(n_splits):
        order = rng.permutation(len(X))
        train, test = order[:half], order[half:]
        prediction = loo_predict(X[train], R[train], X[test], alphas)
        out[split] = np.maximum(_correlate(prediction, R[test]), 0) ** 2
    return out


def loo_predict(X: np.ndarray, Y: np.ndarray, X_new: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Ridge with the alpha of each target chosen by leave-one-out; predictions less the mean.

    With H the smoother including the intercept, the left-out residual is e_i / (1 - H_ii). Both
    are formed in an orthonormal basis without the constant direction, where each is a sum of
    alpha / (eigenvalue + alpha): no difference of near-equal numbers arises as alpha -> 0, and
    the constant, which the intercept takes without penalty, cannot win.

    Parameters
    ----------
    X : (n, n_features)
    Y : (n, n_targets)
    X_new : (n_new, n_features)
    alphas : (n_alphas,)

    Returns
    -------
    (n_new, n_targets)
        Add Y.mean(0) for predictions in units of Y; correlations are safer without it.
    """
    basis = helmert(len(X))  # (n - 1, n), orthonormal rows, each of sum 0
    # All n - 1 left vectors are needed: errors also live where X has no variance.
    V, s, Wt = np.linalg.svd(basis @ X, full_matrices=X.shape[1] < len(X) - 1)
    rank = len(s)
    eigenvalues = np.zeros(len(X) - 1)
    eigenvalues[:rank] = s[:rank] ** 2
    U = basis.T @ V  # (n, n - 1)
    projected = U.T @ Y  # (n - 1, n_targets)
    shrink = 1 / (eigenvalues + alphas[:, None])  # (n_alphas, n - 1)
    leverage = shrink @ (U**2).T  # (n_alphas, n): (1 - H_ii) / alpha
    error = np.empty((len(alphas), Y.shape[1]))
    for a, w in enumerate(shrink):
        left_out = (U * w) @ projected / leverage[a][:, None]  # (n, n_targets)
        error[a] = np.einsum("ij,ij->j", left_out, left_out)
    best = shrink[np.argmin(error, 0)].T[:rank]  # (rank, n_targets)
    weights = Wt[:rank].T @ (s[:rank, None] * best * projected[:rank])
    return (X_new - X.mean(0)) @ weights


def best_stage_r2(per_stage: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Best stage of each target, chosen on the first half of the splits, scored on the other.

    Parameters
    ----------
    per_stage : {stage: (n_splits, n_targets)} from `split_half_r2` with equal seeds

    Returns
    -------
    stage : (n_targets,) names
    r2 : (n_targets,) median over the second half of the splits
    """
    names = np.array(list(per_stage))
    values = np.stack(list(per_stage.values()))  # (n_stages, n_splits, n_targets)
    half = values.shape[1] // 2
    if half < 1:
        raise InputError("one split only; choosing and scoring a stage needs two")
    best = np.argmax(np.median(values[:, :half], 1), 0)
    r2 = np.median(values[:, half:], 1)[best, np.arange(values.shape[2])]
    return names[best], r2


def _correlate(a, b) -> np.ndarray:
    """Pearson r of columns, 0 where one is constant."""
    a, b = a - a.mean(0), b - b.mean(0)
    norm = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return np.divide((a * b).sum(0), norm, out=np.zeros_like(norm), where=norm > 0)
