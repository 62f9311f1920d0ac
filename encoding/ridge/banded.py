"""Banded ridge: a penalty for each feature space (band), chosen for each target.

With band weights w on the simplex and columns scaled by sqrt(w) of their band, banded ridge is
ridge: the penalty of band b is alpha / w_b (Nunez-Elizalde, Huth, Gallant 2019; Dupre la Tour,
Eickenberg, Nunez-Elizalde, Gallant 2022). Random search over w is exact but pays k
decompositions and predictions for every candidate and target. Here generalised cross-validation,
which needs one decomposition and no predictions, only screens; the few best candidates of each
target are then compared by leaving runs out. GCV alone would not do: autocorrelated noise makes
it choose too little shrinkage.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from . import kfold
from .gram import eigh

_BATCH = 2048
_CONCENTRATIONS = (1.0, 0.1)  # bands that share, and one or two that dominate


def candidate_weights(sizes: Sequence[int], n_random: int, seed: int = 0) -> np.ndarray:
    """Weights of bands to search over: each row lies on the simplex.

    Equal weights, weights by size (plain ridge on standardised columns), each band alone, then
    Dirichlet draws, of concentration 1 and .1 in turn. Draw i has a generator of its own, so a
    longer search begins like a shorter one.

    Parameters
    ----------
    sizes : (n_bands,) number of features
    n_random : int
    seed : int

    Returns
    -------
    (n_candidates, n_bands)
    """
    sizes = np.asarray(sizes, float)
    n_bands = len(sizes)
    if n_bands == 1:
        return np.ones((1, 1))
    drawn = []
    for i in range(n_random):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i,)))
        concentration = _CONCENTRATIONS[i % len(_CONCENTRATIONS)]
        drawn.append(rng.dirichlet(np.full(n_bands, concentration)))
    fixed = [np.full(n_bands, 1 / n_bands), sizes / sizes.sum(), *np.eye(n_bands)]
    weights = np.array(fixed + drawn)
    # A draw of low concentration may round to NaN or to one band: keep each candidate once.
    weights = weights[np.isfinite(weights).all(1)]
    return weights[np.sort(np.unique(weights, axis=0, return_index=True)[1])]


def screen(
    X: np.ndarray, Y: np.ndarray, bands: np.ndarray, weights: np.ndarray, alphas: np.ndarray
) -> np.ndarray:
    """Generalised cross-validation of each candidate, at its best alpha for each target.

    1 - GCV over the variance, with GCV = n RSS / (n - df)^2 (Golub, Heath, Wahba 1979), df the
    trace of the smoother and one for the mean. With v_j, l_j the eigenvectors and eigenvalues of
    the candidate's Gram matrix and b = v'X'y,

        RSS = y'y - sum_j b_j^2 (l_j + 2 a) / (l_j + a)^2,

    so alphas cost one product with the squares of b, whatever the number of samples.

    Parameters
    ----------
    X : (n_samples, n_features)
    Y : (n_samples, n_targets)
    bands : (n_features,) number of each column's band
    weights : (n_candidates, n_bands)
    alphas : (n_alphas,)

    Returns
    -------
    (n_candidates, n_targets) float32
    """
    n, alphas = len(X), np.asarray(alphas, float)
    dtype = np.result_type(X, Y, np.float32)
    X = X.astype(np.float64)
    X -= X.mean(0)
    primal = X.shape[1] < n
    columns = [slice(s, s + _BATCH) for s in range(0, Y.shape[1], _BATCH)]
    energy = np.empty(Y.shape[1], dtype)
    if primal:
        gram = X.T @ X
        X_t = X.T.astype(dtype)
        moments = np.empty((X.shape[1], Y.shape[1]), dtype)
        for c in columns:
            y = _centred(Y[:, c], dtype)
            energy[c] = np.einsum("tv,tv->v", y, y)
            moments[:, c] = X_t @ y
    else:
        kernels = np.stack([X[:, bands == b] @ X[:, bands == b].T for b in range(weights.shape[1])])
        for c in columns:
            y = _centred(Y[:, c], dtype)
            energy[c] = np.einsum("tv,tv->v", y, y)

    scores = np.empty((len(weights), Y.shape[1]), np.float32)
    for candidate, weight in enumerate(weights):
        if primal:
            used = np.flatnonzero(weight[bands] > 0)
            root = np.sqrt(weight[bands[used]])
            values, vectors = eigh(root[:, None] * gram[np.ix_(used, used)] * root)
            into = (root[:, None] * vectors).T.astype(dtype)  # (rank, n_used)
        else:
            values, vectors = eigh(np.tensordot(weight, kernels, 1))
            into = (vectors * np.sqrt(values)).T.astype(dtype)  # (rank, n_samples)
        shrunk = values + alphas[:, None]  # (n_alphas, rank)
        explained = ((shrunk + alphas[:, None]) / shrunk**2).astype(dtype)
        left = n - 1 - (values / shrunk).sum(1)  # (n_alphas,) residual degrees of freedom
        # A fit that leaves no freedom explains nothing.
        cost = np.where(left > 0.5, (n / np.maximum(left, 0.5)) ** 2, np.inf)
        for c in columns:
            source = moments[used, c] if primal else _centred(Y[:, c], dtype)
            b = into @ source
            rss = np.maximum(energy[c] - explained @ (b * b), 0)
            share = np.divide(rss, energy[c], out=np.ones_like(rss), where=energy[c] > 0)
            scores[candidate, c] = 1 - (share * cost[:, None]).min(0)
    return scores


def search(
    X: np.ndarray,
    Y: np.ndarray,
    bands: np.ndarray,
    weights: np.ndarray,
    alphas: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    n_refined: int = 5,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidate and alpha of each target, by exact cross-validation of the screened few.

    The first candidate (equal weights) is always among those compared, so that no target does
    worse by cross-validation than with equal weights.

    Parameters
    ----------
    X, Y, bands, weights, alphas : see `screen`
    splits : pairs (train, test) of row numbers
    n_refined : int
        Candidates compared for each target, beside the first; all of them if there are no more.

    Returns
    -------
    candidate : (n_targets,) row of weights
    alpha : (n_targets,)
    score : (n_targets,) mean held-out R2, see `kfold.cv_scores`
    """
    if n_refined < 1:
        raise InputError(f"n_refined is {n_refined}; give 1 or more")
    listed = np.ones((len(weights), Y.shape[1]), bool)
    if len(weights) > n_refined + 1:
        ranking = screen(X, Y, bands, weights, alphas)[1:]
        best = np.argpartition(-ranking, n_refined - 1, axis=0)[:n_refined] + 1
        listed[1:] = False
        np.put_along_axis(listed, best, True, axis=0)
    candidate = np.zeros(Y.shape[1], np.int64)
    alpha = np.full(Y.shape[1], alphas[0])
    score = np.full(Y.shape[1], -np.inf)
    for number, weight in enumerate(weights):
        targets = np.flatnonzero(listed[number])
        if not len(targets):
            continue
        scores = kfold.cv_scores(_weighted(X, bands, weight), Y[:, targets], alphas, splits)
        top = np.argmax(scores, 0)
        value = scores[top, np.arange(len(targets))]
        better = value > score[targets]
        won = targets[better]
        candidate[won], alpha[won], score[won] = number, alphas[top[better]], value[better]
    return candidate, alpha, score


def fit(
    X: np.ndarray,
    Y: np.ndarray,
    bands: np.ndarray,
    weights: np.ndarray,
    candidate: np.ndarray,
    alpha: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the features and intercepts, targets of one candidate together.

    Returns
    -------
    coef : (n_features, n_targets), for the columns of X as given
    intercept : (n_targets,)
    """
    dtype = np.result_type(X, Y, np.float32)
    coef = np.zeros((X.shape[1], Y.shape[1]), dtype)
    intercept = np.empty(Y.shape[1], dtype)
    for number in np.unique(candidate):
        targets = np.flatnonzero(candidate == number)
        weight = weights[number]
        used = np.flatnonzero(weight[bands] > 0)
        part, intercept[targets] = kfold.fit(
            _weighted(X, bands, weight), Y[:, targets], alpha[targets]
        )
        root = np.sqrt(weight[bands[used]]).astype(dtype)
        coef[np.ix_(used, targets)] = root[:, None] * part
    return coef, intercept


def _weighted(X, bands, weight) -> np.ndarray:
    used = weight[bands] > 0
    return X[:, used] * np.sqrt(weight[bands[used]]).astype(X.dtype)


def _centred(Y, dtype) -> np.ndarray:
    Y = np.asarray(Y)
    return (Y - Y.mean(0, dtype=np.float64)).astype(dtype)
