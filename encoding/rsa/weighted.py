"""Weighted models: a mixture of RDMs, with weights from other clips than those it predicts."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from ..errors import InputError
from .bootstrap import strata_of
from .ceilings import pool
from .comparison import check_method
from .pairs import n_clips_of, pairs_of, together


def weighted_rdm(
    data, layers, method: str = "rho-a", *, runs=None, n_folds: int = 5, seed: int = 0
) -> np.ndarray:
    """Held-out prediction of a non-negative combination of RDMs.

    As Khaligh-Razavi & Kriegeskorte 2014, PLoS Comput. Biol. 10, e1003915, with other folds: clips
    are dealt to folds, alike from every run; pairs between two folds (or within one) are predicted
    with weights fitted to pairs of which neither clip lies in these folds. No pair is predicted
    from one that shares a clip with it. The result is an RDM as any other to compare, bootstrap
    and test; intervals then take its weights as given.

    Weights are the non-negative least squares fit to the mean RDM of all subjects, each on the
    scale of `rdm_ceiling`; for rho-a, spearman, kendall and corr both sides are z-scored and
    centred (weights of ranks would not predict ranks), for the cosines neither.

    Parameters
    ----------
    data : (n_subjects, n_pairs) or (n_pairs,)
    layers : (n_layers, n_pairs)
    method : see `compare_rdms`
    runs : (n_clips,) labels, optional
    n_folds : int
        Three or more.
    seed : int

    Returns
    -------
    (n_pairs,) float64, NaN where a pair is not known

    Raises
    ------
    InputError
        Too few clips for the folds and layers.
    """
    check_method(method)
    data, layers, known = together(data, layers)
    n = n_clips_of(data.shape[1])
    centred = method not in ("cosine", "whitened-cosine")
    scale = "corr" if centred else "cosine"
    target = pool(data, known, scale).mean(0)
    layers = layers / np.sqrt(np.mean(layers[:, known] ** 2, 1, keepdims=True))
    fold = np.empty(n, int)
    rng, dealt = np.random.default_rng(seed), 0
    for rows in strata_of(n, runs):
        fold[rng.permutation(rows)] = (dealt + np.arange(len(rows))) % n_folds
        dealt += len(rows)
    i, j = pairs_of(n)
    out = np.full(len(known), np.nan)
    for f in range(n_folds):
        for g in range(f, n_folds):
            outside = ~np.isin(fold, (f, g))
            fitted = known & outside[i] & outside[j]
            if n_folds < 3 or fitted.sum() < 3 * len(layers):
                raise InputError(
                    f"{n} clips in {n_folds} folds leave {fitted.sum()} pairs to weigh "
                    f"{len(layers)} layers; three folds and three pairs a layer are the least"
                )
            X, y = layers[:, fitted].T, target[fitted]
            if centred:
                X, y = X - X.mean(0), y - y.mean()
            weights, _ = nnls(X, y)
            wanted = known & (((fold[i] == f) & (fold[j] == g)) | ((fold[i] == g) & (fold[j] == f)))
            out[wanted] = weights @ layers[:, wanted]
    return out
