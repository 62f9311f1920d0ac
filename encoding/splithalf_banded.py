"""Banded ridge in the 165-sound protocol: stages weighted by leave-one-out in the training half.

Side by side, stages share one penalty, and a small informative stage is drowned by large ones.
Here each target chooses weights of the bands (stages) together with alpha; no held-out sound has
a part in the choice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.linalg import eigh, helmert

from .errors import InputError
from .ridge.banded import candidate_weights
from .splithalf import ALPHAS, check_sounds, loo_errors, random_halves

CANDIDATES = 50


def predict_halves_banded(
    bands: Mapping[str, np.ndarray],
    R: np.ndarray,
    n_splits: int = 10,
    seed: int = 0,
    alphas=ALPHAS,
    n_candidates: int = CANDIDATES,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Banded ridge on random halves of the sounds, for `encoding.splithalf.held_out_r2`.

    Each band is centred and brought to unit kernel trace a sound; a candidate is a weighted sum
    of the bands' kernels, and one decomposition a candidate and split gives the exact
    leave-one-out error of all alphas and targets. Candidates: equal weights, weights by size, each
    band alone, and draws from Dirichlet distributions (`encoding.ridge.banded.candidate_weights`).
    With one band this is ridge.

    Parameters
    ----------
    bands : {name: (n_sounds, n_units)}
        Bring units to comparable scales before, without looking at responses.
    R : (n_sounds, n_targets)
    n_splits, seed, alphas : see `encoding.splithalf.split_half_r2`; equal seeds, equal splits
    n_candidates : int
        Draws; their seed is `seed`, too.

    Returns
    -------
    test : (n_splits, floor(n_sounds / 2)) int, held-out sounds
    predictions : (n_splits, floor(n_sounds / 2), n_targets), less a constant
    weights : (n_splits, n_targets, n_bands), chosen; rows sum to 1

    Raises
    ------
    InputError
        Shapes do not fit, or a band is constant.

    References
    ----------
    Nunez-Elizalde, Huth, Gallant 2019, NeuroImage 197: 482-492.
    """
    if not bands:
        raise InputError("no bands are given")
    kernels, sizes = [], []
    for name, X in bands.items():
        X, R = check_sounds(X, R)
        X = X - X.mean(0)
        trace = np.einsum("ij,ij->", X, X) / len(X)
        if trace == 0:
            raise InputError(f"band {name} is constant over sounds; leave it out")
        kernels.append(X @ X.T / trace)
        sizes.append(X.shape[1])
    kernels, alphas = np.stack(kernels), np.asarray(alphas, float)
    weights = candidate_weights(sizes, n_candidates, seed)
    train, test = random_halves(len(R), n_splits, seed)
    shape = (n_splits, R.shape[1])
    predictions, chosen = np.empty((*shape, test.shape[1])), np.empty((*shape, len(sizes)))
    basis = helmert(train.shape[1])  # (n - 1, n), orthonormal rows, each of sum 0
    for split, (fit, held) in enumerate(zip(train, test, strict=True)):
        Y = R[fit]
        inner = basis @ kernels[:, fit[:, None], fit] @ basis.T  # (n_bands, n - 1, n - 1)
        best = np.full(R.shape[1], np.inf)
        for weight in weights:
            dual, error = _fit(np.tensordot(weight, inner, 1), basis, Y, alphas)
            better = np.flatnonzero(error < best)
            if len(better):
                best[better] = error[better]
                across = np.tensordot(weight, kernels[:, held[:, None], fit], 1)
                predictions[split, better] = (across @ dual[:, better]).T
                chosen[split, better] = weight
    return test, predictions.transpose(0, 2, 1), chosen


def _fit(kernel, basis, Y, alphas) -> tuple[np.ndarray, np.ndarray]:
    """Dual coefficients ``(n, n_targets)`` at the best alpha of each target, and its LOO error."""
    values, V = eigh(kernel, driver="evd")
    U = basis.T @ V  # (n, n - 1)
    projected = U.T @ Y  # (n - 1, n_targets)
    shrink = 1 / (np.maximum(values, 0) + alphas[:, None])  # (n_alphas, n - 1)
    errors = loo_errors(U, projected, shrink)
    best = np.argmin(errors, 0)
    return U @ (shrink[best].T * projected), errors[best, np.arange(Y.shape[1])]
