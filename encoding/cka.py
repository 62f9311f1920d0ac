"""Linear centred kernel alignment (CKA): how alike two representations of the same sounds are.

The usual estimate grows towards 1 with the number of units, whatever they code: of 60 sounds,
two independent noises of 1000 and 2000 units reach .96. With the unbiased HSIC of Song et al. in
its three terms the bias is gone, and independent noises give 0 on average.

References
----------
Kornblith, Norouzi, Lee & Hinton (2019), ICML, 3519-3529: linear CKA. Song, Smola, Gretton, Bedo &
Borgwardt (2012), J. Mach. Learn. Res. 13, 1393-1434, equation 5: unbiased HSIC. Nguyen, Raghu &
Kornblith (2021), ICLR: its use in CKA. Murphy, Zylberberg & Fyshe (2024), ICLR Re-Align: how large
the bias is where units outnumber stimuli.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from .errors import InputError

_LEAST = 4  # stimuli that the unbiased estimate needs


def cka(X: np.ndarray, Y: np.ndarray, debiased: bool = True) -> float:
    """Linear CKA of two representations.

    Parameters
    ----------
    X : (n, p)
        A row a stimulus.
    Y : (n, q)
        Of the same stimuli.
    debiased : bool
        By the unbiased HSIC; it may then be negative, which means 0.

    Returns
    -------
    float
        1 for representations that rotation, reflection and one factor turn into each other.

    Raises
    ------
    InputError
        If rows differ in number, are fewer than four, not finite or all alike.
    """
    K, L = _grams(X, Y)
    if not debiased:
        return float(np.vdot(K, L) / (np.linalg.norm(K) * np.linalg.norm(L)))
    return float(_debiased(K, L, np.ones((len(K), 1)))[0])


def cka_interval(
    X: np.ndarray, Y: np.ndarray, groups=None, level: float = 0.95
) -> tuple[float, float, float]:
    """Debiased CKA with its interval over stimuli: jackknife, a group left out at a time.

    A bootstrap draws stimuli twice, and a stimulus is perfectly similar to itself in both
    representations, which raises CKA; leaving out does not.

    Parameters
    ----------
    X, Y : as `cka`
    groups : (n,), optional
        What is left out together, such as the track of a clip; default: each stimulus alone.
    level : float

    Returns
    -------
    estimate, low, high : float
        Student's t on one degree of freedom less than there are groups, no further than -1 and 1.

    Raises
    ------
    InputError
        As `cka`, or if there are fewer than three groups or one leaves fewer than four stimuli.

    References
    ----------
    Efron & Stein (1981), Ann. Stat. 9, 586-596.
    """
    K, L = _grams(X, Y)
    names, where = np.unique(np.arange(len(K)) if groups is None else groups, return_inverse=True)
    kept = np.ones((len(K), len(names) + 1))
    kept[np.arange(len(K)), where + 1] = 0
    if len(names) < 3 or kept.sum(0).min() < _LEAST:
        raise InputError(
            f"CKA over {len(names)} groups of {len(K)} stimuli has no interval; it needs three "
            f"groups, and {_LEAST} stimuli without any of them"
        )
    estimate, *without = _debiased(K, L, kept)
    spread = np.sqrt((len(names) - 1) * np.var(without))
    half = student.ppf((1 + level) / 2, len(names) - 1) * spread
    return float(estimate), float(max(estimate - half, -1)), float(min(estimate + half, 1))


def _grams(X, Y) -> tuple[np.ndarray, np.ndarray]:
    """Centred Gram matrices ``(n, n)`` of mean size 1, in double precision."""
    if len(X) != len(Y):
        raise InputError(f"CKA of {len(X)} and {len(Y)} rows; give the same stimuli in both")
    if len(X) < _LEAST:
        raise InputError(f"CKA of {len(X)} stimuli; it needs at least {_LEAST}")
    grams = []
    for Z in (X, Y):
        Z = np.asarray(Z, np.float64)
        if not np.isfinite(Z).all():
            raise InputError("CKA of NaN or infinite values; compute the activations again")
        Z = Z - Z.mean(0)
        gram = Z @ Z.T
        size = np.trace(gram) / len(gram)
        if not size > 0:
            raise InputError("CKA of a representation that is the same for all stimuli")
        grams.append(gram / size)
    return grams[0], grams[1]


def _debiased(K, L, kept) -> np.ndarray:
    """CKA of every subset of the stimuli, the columns of `kept` ``(n, n_subsets)`` of 0 and 1."""
    K, L = (gram - np.diag(np.diag(gram)) for gram in (K, L))
    return _hsic(K, L, kept) / np.sqrt(_hsic(K, K, kept) * _hsic(L, L, kept))


def _hsic(K, L, kept) -> np.ndarray:
    """Unbiased HSIC of Gram matrices without diagonal (Song et al. 2012, equation 5)."""
    n = kept.sum(0)
    of_k, of_l = kept * (K @ kept), kept * (L @ kept)  # sums of the rows within each subset
    trace = (kept * ((K * L) @ kept)).sum(0)
    sums = of_k.sum(0) * of_l.sum(0) / ((n - 1) * (n - 2))
    return (trace + sums - 2 / (n - 2) * (of_k * of_l).sum(0)) / (n * (n - 3))
