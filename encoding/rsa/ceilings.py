"""How well any model could do, given how subjects differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from .comparison import check_method, compare_rdms
from .pairs import together


@dataclass(frozen=True)
class RDMCeiling:
    """Bounds on the mean similarity of the true model to the subjects."""

    lower: float
    upper: float


def rdm_ceiling(data, method: str = "rho-a") -> RDMCeiling | None:
    """Lower and upper noise ceiling over subjects.

    Nili et al. 2014, PLoS Comput. Biol. 10, e1003553.
    upper = mean over subjects of the similarity to the RDM pooled over all subjects: it overfits,
    so that the true model lies below. lower = the same with the RDM pooled over the other
    subjects. The pooled RDM is the mean, over subjects, of ranks (rho-a, spearman, kendall), of
    z-scored RDMs (corr) or of RDMs over their root mean square (cosine, whitened-cosine), as in
    rsatoolbox. For kendall and whitened-cosine this pool is near the best RDM, not exactly it.

    Parameters
    ----------
    data : (n_subjects, n_pairs)
    method : see `compare_rdms`

    Returns
    -------
    RDMCeiling, or None for one subject, who says nothing about others
    """
    check_method(method)
    data, _, known = together(data, data)
    n = len(data)
    if n < 2:
        return None
    pooled = pool(data, known, method)
    total = pooled.sum(0)
    upper = compare_rdms(data, total / n, method)
    lower = [compare_rdms(x, (total - own) / (n - 1), method)
             for x, own in zip(data, pooled, strict=True)]  # fmt: skip
    return RDMCeiling(float(np.mean(lower)), float(upper.mean()))


def pool(data, known, method) -> np.ndarray:
    """RDMs (n_subjects, n_pairs) on the scale on which they are averaged; NaN where not known."""
    out = np.full(data.shape, np.nan)
    x = data[:, known]
    if method in ("rho-a", "spearman", "kendall"):
        out[:, known] = rankdata(x, axis=1)
    elif method == "corr":
        out[:, known] = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    else:
        out[:, known] = x / np.sqrt((x * x).mean(1, keepdims=True))
    return out
