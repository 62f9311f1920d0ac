"""Voxels drawn so that primary and non-primary regions are predicted alike."""

from __future__ import annotations

import numpy as np

_BINS = 12
_LEAST = 0.2  # shared part of the two distributions below which they do not overlap


def matching_weights(first, second, codes, primary, non_primary) -> np.ndarray | None:
    """Weights of targets that equate how well two groups of regions are predicted.

    Targets of high measured predictability in a poor region are partly lucky (regression to the
    mean), so matching on the measured value would leave the groups apart. Values are first drawn
    to the mean of their region by its reliability, the correlation of the two halves over its
    targets (Kelley 1947; a James-Stein estimator). Groups are then weighted to the part of
    their distributions that they share (expected value of resampling voxels in bins).

    Parameters
    ----------
    first, second : (n_targets,)
        Mean score over the trained stages in the half that matches, and in the other one (for the
        reliability alone).
    codes : (n_targets,) region number
    primary, non_primary : (n_regions,) bool

    Returns
    -------
    (2, n_targets) weights of sum 1 for primary and for non-primary targets, or None where the two
    distributions share less than a fifth
    """
    expected = np.empty(len(first))
    base = np.zeros((2, len(first)))
    for region in range(len(primary)):
        here = codes == region
        if not here.any():
            continue
        own = first[here]
        middle = own.mean()
        vary = own.std() * second[here].std() if here.sum() > 2 else 0
        shared = ((own - middle) * (second[here] - second[here].mean())).mean()
        reliability = np.clip(shared / vary, 0, 1) if vary > 0 else 0
        expected[here] = middle + reliability * (own - middle)
        group = 0 if primary[region] else 1
        if primary[region] or non_primary[region]:
            base[group, here] = 1 / here.sum()
    base /= base.sum(1, keepdims=True)
    inside = base.any(0)
    edges = np.linspace(expected[inside].min(), expected[inside].max(), _BINS + 1)
    bins = np.clip(np.searchsorted(edges, expected, side="right") - 1, 0, _BINS - 1)
    height = np.stack([np.bincount(bins, weights=w, minlength=_BINS) for w in base])
    shared = height.min(0)
    if shared.sum() < _LEAST:
        return None
    ratio = np.divide(shared, height, out=np.zeros_like(height), where=height > 0)
    return base * ratio[:, bins] / shared.sum()
