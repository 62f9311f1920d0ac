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
    return held_out_r2(*predict_halves(X, R, n_splits, seed, alphas), np.asarray(R, float))


def predict_halves(
    X: np.ndarray, R: np.ndarray, n_splits: int = 10, seed: int = 0, alphas=ALPHAS
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions behind `split_half_r2`, of which it takes the same parameters.

    Returns
    -------
    test : (n_splits, floor(n_sounds / 2)) int, held-out sounds
    predictions : (n_splits, floor(n_sounds / 2), n_targets), less a constant
    """
    X, R = check_sounds(X, R)
    alphas = np.asarray(alphas, float)
    U, s, _ = np.linalg.svd(X - X.mean(0), full_matrices=False)
    X = U * s
    train, test = random_halves(len(X), n_splits, seed)
    pairs = zip(train, test, strict=True)
    return test, np.stack([loo_predict(X[a], R[a], X[b], alphas) for a, b in pairs])


def check_sounds(X: np.ndarray, R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and responses as float arrays, one row a sound; refused if they do not fit."""
    X, R = np.asarray(X, float), np.asarray(R, float)
    if X.ndim != 2 or R.ndim != 2 or len(X) != len(R):
        raise InputError(f"X has shape {X.shape}, R has shape {R.shape}; one row a sound in each")
    if len(X) < 6:
        raise InputError(f"{len(X)} sounds; split halves need at least 6")
    if not (np.isfinite(X).all() and np.isfinite(R).all()):
        raise InputError("X or R hold NaN or infinite values; remove these sounds or units")
    return X, R


def random_halves(n_sounds: int, n_splits: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sounds to fit on, ``(n_splits, ceil(n / 2))``, and held out, ``(n_splits, floor(n / 2))``."""
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(n_sounds) for _ in range(n_splits)])
    half = (n_sounds + 1) // 2
    return order[:, :half], order[:, half:]


def held_out_r2(
    test: np.ndarray, predictions: np.ndarray, R: np.ndarray, counts: np.ndarray | None = None
) -> np.ndarray:
    """Squared correlation of predictions and responses; r below zero counts as zero.

    Parameters
    ----------
    test, predictions : see `predict_halves`
    R : (n_sounds, n_targets)
    counts : (n_resamples, n_sounds), optional
        How often each sound is drawn: r2 of resampled held-out sounds, the same draw in every
        split.

    Returns
    -------
    (n_splits, n_targets), or with counts (n_resamples, n_splits, n_targets)
    """
    if counts is None:
        return held_out_r2(test, predictions, R, np.ones((1, len(R))))[0]
    out = np.empty((len(counts), *predictions[:, 0].shape))
    for split, (rows, p) in enumerate(zip(test, predictions, strict=True)):
        y, w = R[rows], counts[:, rows].astype(float)  # (n_test, n_targets), (n_resamples, n_test)
        p, y = p - p.mean(0), y - y.mean(0)  # sums of squares lose no digits
        n = np.maximum(w.sum(1, keepdims=True), 1)
        mean_p, mean_y = w @ p / n, w @ y / n
        covariance = w @ (p * y) / n - mean_p * mean_y
        norm = (w @ p**2 / n - mean_p**2) * (w @ y**2 / n - mean_y**2)
        # Where one side is constant r is 0, not 0 / 0 or a ratio of rounding errors.
        floor = 1e-24 * (p**2).mean(0) * (y**2).mean(0)
        r = covariance / np.sqrt(np.where(norm > floor, norm, np.inf))
        out[:, split] = np.maximum(r, 0) ** 2
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
    error = loo_errors(U, projected, shrink)
    best = shrink[np.argmin(error, 0)].T[:rank]  # (rank, n_targets)
    weights = Wt[:rank].T @ (s[:rank, None] * best * projected[:rank])
    return (X_new - X.mean(0)) @ weights


def loo_errors(U: np.ndarray, projected: np.ndarray, shrink: np.ndarray) -> np.ndarray:
    """Sum of squared left-out residuals of kernel ridge with an intercept.

    Parameters
    ----------
    U : (n, n - 1), eigenvectors of the centred kernel
    projected : (n - 1, n_targets), U'Y
    shrink : (n_alphas, n - 1), 1 / (eigenvalue + alpha)

    Returns
    -------
    (n_alphas, n_targets)
    """
    leverage = shrink @ (U**2).T  # (n_alphas, n): (1 - H_ii) / alpha
    left_out = U @ (shrink[:, :, None] * projected) / leverage[:, :, None]
    return np.einsum("aij,aij->aj", left_out, left_out)


def draw_sounds(n_sounds: int, n_resamples: int, seed: int = 0) -> np.ndarray:
    """How often each sound is drawn, ``(1 + n_resamples, n_sounds)``; the first row is all ones.

    For intervals with `held_out_r2`. The halves are of the same sounds, so their scores are far
    from independent: their SD over the root of their number is no standard error. Drawing sounds
    with replacement, the same ones in every split and for both models, respects that. Drawing them
    before the splits would put copies of a sound on both sides. The training halves stay as they
    are, which leaves a part of the variance out: in simulated experiments (165 sounds, ten splits,
    200 each for four sizes of the difference between two models) 95 % intervals held the true
    difference in .91 to .98, intervals from the SD over splits in .55 to .77.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n_sounds, np.full(n_sounds, 1 / n_sounds), n_resamples)
    return np.concatenate([np.ones((1, n_sounds), drawn.dtype), drawn])


def best_stage_r2(per_stage: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Best stage of each target, chosen on the first half of the splits, scored on the other.

    Parameters
    ----------
    per_stage : {stage: (..., n_splits, n_targets)} from `split_half_r2` with equal seeds
        Leading axes (resamples) choose each for themselves.

    Returns
    -------
    stage : (..., n_targets) names
    r2 : (..., n_targets) median over the second half of the splits
    """
    names = np.array(list(per_stage))
    values = np.stack(list(per_stage.values()))  # (n_stages, ..., n_splits, n_targets)
    half = values.shape[-2] // 2
    if half < 1:
        raise InputError("one split only; choosing and scoring a stage needs two")
    best = np.argmax(np.median(values[..., :half, :], -2), 0)
    r2 = np.median(values[..., half:, :], -2)
    return names[best], np.take_along_axis(r2, best[None], 0)[0]
