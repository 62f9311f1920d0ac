"""How alike two RDMs are."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from scipy.stats import kendalltau, rankdata

from ..errors import InputError
from .pairs import n_clips_of, pairs_of, together

COMPARISONS = ("rho-a", "spearman", "kendall", "cosine", "whitened-cosine", "corr")


def compare_rdms(a, b, method: str = "rho-a", *, sigma_k=None):
    r"""Similarity of every RDM of a stack to every RDM of another.

    With x, y over the n pairs known in all RDMs, and their mid-ranks r, s:

    - rho-a             12 sum (r - mean)(s - mean) / (n^3 - n): Spearman's rho expected when ties
      are broken at random, which does not favour models that predict ties (Schuett et al. 2023,
      eLife 12, e82566)
    - spearman          Pearson correlation of r and s
    - kendall           tau-a: (concordant - discordant) / (n (n - 1) / 2)
    - cosine            x'y / (\|x\| \|y\|)
    - corr              cosine after the means are taken away
    - whitened-cosine   x'V^-1 y / sqrt(x'V^-1 x y'V^-1 y), with V the covariance of unrelated
      distance estimates, V_ij,kl = (c_ij' S_k c_kl)^2 and c_ij the contrast of clips i and j
      (Diedrichsen et al. 2021, Neurons, Behavior, Data analysis, and Theory 5(3), eq. 13);
      S_k = I by default. Without missing pairs this is linear CKA.

    For S_k = I, V = 2 I + M M' with the incidence M of pairs and clips, so that
    V^-1 = (I - M (2 I + M'M)^-1 M') / 2 costs one solution of the size of the clips, missing
    pairs or not.

    Parameters
    ----------
    a, b : (n_pairs,) or (n_rdms, n_pairs)
        NaN: not to be used. A pair that is NaN in any RDM is left out of all.
    method : one of `COMPARISONS`
    sigma_k : (n_clips, n_clips) or (n_clips,), optional
        Covariance (or variances) of the pattern estimates; for whitened-cosine. V is then formed:
        n_pairs^2 numbers.

    Returns
    -------
    (n_a, n_b) float64, without the axis of a single RDM given as a vector
        NaN where an RDM has no variance, or for the cosines no length.

    Raises
    ------
    InputError
        Unknown method, RDMs that do not fit each other, or fewer than three known pairs.
    """
    check_method(method)
    x, y, known = together(a, b)
    if method == "kendall":
        out = np.array([[_tau_a(u, v) for v in y[:, known]] for u in x[:, known]])
    else:
        out = directions(x, known, method, sigma_k)[0] @ directions(y, known, method, sigma_k)[1].T
    return out.reshape(np.shape(a)[:-1] + np.shape(b)[:-1])[()]


def check_method(method: str) -> None:
    """Refuse what `compare_rdms` does not know."""
    if method not in COMPARISONS:
        raise InputError(f"measure '{method}' is unknown; choose one of {', '.join(COMPARISONS)}")


def directions(rdms, known, method, sigma_k=None) -> tuple[np.ndarray, np.ndarray]:
    """Two forms (n_rdms, n_known) of RDMs: the first of one times the second of another RDM is
    their similarity. They differ for whitened-cosine only: V^-1 x and x over the length of x.
    """
    x = rdms[:, known]
    if method in ("rho-a", "spearman"):
        x = rankdata(x, axis=1)
    if method in ("rho-a", "spearman", "corr"):
        x = x - x.mean(1, keepdims=True)
    if method == "rho-a":
        n = x.shape[1]
        x = x * np.sqrt(12 / (n**3 - n))
        return x, x
    white = _whiten(x, known, sigma_k) if method == "whitened-cosine" else x
    squares = np.einsum("ip,ip->i", x, white)
    length = np.sqrt(np.where(squares > 0, squares, np.nan))[:, None]
    return white / length, x / length


def dense_ranks(rdms) -> np.ndarray:
    """Ranks 0, 1, ... (n_rdms, n_pairs) int64 of equal or rising values."""
    return rankdata(rdms, "dense", axis=1).astype(np.int64) - 1


def _tau_a(x, y) -> float:
    """From tau-b, whose denominator leaves out tied pairs."""
    total = len(x) * (len(x) - 1) / 2
    untied = [total - (c * (c - 1) / 2).sum() for c in (np.unique(v, return_counts=True)[1]
                                                        for v in (x, y))]  # fmt: skip
    if min(untied) == 0:
        return 0.0
    return kendalltau(x, y, method="asymptotic").statistic * np.sqrt(untied[0] * untied[1]) / total


def _whiten(x, known, sigma_k) -> np.ndarray:
    """V^-1 x for every RDM."""
    n = n_clips_of(len(known))
    i, j = (index[known] for index in pairs_of(n))
    if sigma_k is None:
        incidence = np.zeros((len(i), n))
        incidence[np.arange(len(i)), i] = incidence[np.arange(len(i)), j] = 1
        small = 2 * np.eye(n) + incidence.T @ incidence
        return (
            x - scipy.linalg.solve(small, incidence.T @ x.T, assume_a="pos").T @ incidence.T
        ) / 2
    sigma_k = np.asarray(sigma_k, np.float64)
    sigma_k = np.diag(sigma_k) if sigma_k.ndim == 1 else sigma_k
    if sigma_k.shape != (n, n):
        raise InputError(f"sigma_k has shape {sigma_k.shape}, the RDMs are of {n} clips")
    contrast = sigma_k[i] - sigma_k[j]  # (n_known, n)
    V = (contrast[:, i] - contrast[:, j]) ** 2
    try:
        return scipy.linalg.solve(V, x.T, assume_a="pos", overwrite_a=True).T
    except np.linalg.LinAlgError as error:
        raise InputError("sigma_k is no covariance: V of the pairs is not positive") from error
