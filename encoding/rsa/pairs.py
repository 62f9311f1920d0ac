"""Pairs of clips, and pairs that share a run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..errors import InputError

RUN_HANDLING = ("drop", "partial", "keep")


def n_clips_of(n_pairs: int) -> int:
    """Clips of an RDM with this many pairs.

    Raises
    ------
    InputError
        No number of clips has as many pairs.
    """
    n = (1 + round(np.sqrt(1 + 8 * n_pairs))) // 2
    if n < 2 or n * (n - 1) // 2 != n_pairs:
        raise InputError(
            f"{n_pairs} pairs: no RDM has as many; give the upper triangle without its diagonal"
        )
    return n


def pairs_of(n_clips: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column (n_pairs,) of every pair, in the order of `squareform`."""
    return np.triu_indices(n_clips, 1)


def stack(rdms, what: str) -> np.ndarray:
    """(n_rdms, n_pairs) float64 from one RDM or several.

    Raises
    ------
    InputError
        Another number of axes, infinite values or a number of pairs that no RDM has.
    """
    rdms = np.atleast_2d(np.asarray(rdms, np.float64))
    if rdms.ndim != 2 or not len(rdms):
        raise InputError(f"{what} has shape {rdms.shape}; give (n_pairs,) or (n_rdms, n_pairs)")
    n_clips_of(rdms.shape[1])
    if np.isinf(rdms).any():
        raise InputError(f"{what} holds infinite values; leave pairs out by NaN")
    return rdms


def together(a, b) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both stacks and the pairs (n_pairs,) bool known in all RDMs of both.

    Leaving a pair out of all keeps comparisons comparable: they are of the same pairs.

    Raises
    ------
    InputError
        RDMs of different numbers of clips, or fewer than three known pairs.
    """
    a, b = stack(a, "the first stack of RDMs"), stack(b, "the second stack of RDMs")
    if a.shape[1] != b.shape[1]:
        raise InputError(
            f"RDMs of {n_clips_of(a.shape[1])} and {n_clips_of(b.shape[1])} clips; take the same "
            "clips in the same order"
        )
    known = ~(np.isnan(a).any(0) | np.isnan(b).any(0))
    if known.sum() < 3:
        raise InputError(
            f"{known.sum()} of {len(known)} pairs are known in all RDMs; three are the least"
        )
    return a, b, known


def category_rdm(labels) -> np.ndarray:
    """1 for pairs of different labels (n_clips,), such as genre or run, else 0."""
    codes = pd.factorize(np.asarray(labels))[0]
    i, j = pairs_of(len(codes))
    return (codes[i] != codes[j]).astype(np.float64)


def between_runs(rdms, runs, how: str = "drop") -> np.ndarray:
    """RDMs without what clips have in common because they were heard in one run.

    Patterns of a run share its offset and slow noise, so that clips of a run look alike, or
    unlike after patterns were centred in each run (the mean correlation within a run of n is then
    -1 / (n - 1)). A model RDM that happens to follow the runs is then "explained".

    Parameters
    ----------
    rdms : (n_pairs,) or (n_rdms, n_pairs)
    runs : (n_clips,) labels
    how : "drop", "partial" or "keep"
        "drop" marks pairs within a run NaN. "partial" takes the run RDM (0 within, 1 between
        runs) out by least squares, keeping the mean: both kinds of pairs then have the same mean,
        which leaves within-run pairs in but not their larger noise; treat data and models alike.
        "keep" changes nothing.

    Returns
    -------
    Array of the shape of `rdms`, float64

    Raises
    ------
    InputError
        Labels do not fit, or all clips are of one run, so that "drop" leaves no pair.
    """
    if how not in RUN_HANDLING:
        raise InputError(f"within_runs is '{how}'; choose one of {', '.join(RUN_HANDLING)}")
    rdms = np.array(rdms, np.float64)
    n, different = n_clips_of(rdms.shape[-1]), category_rdm(runs).astype(bool)
    if different.shape != rdms.shape[-1:]:
        raise InputError(f"runs label {len(runs)} clips, the RDM has {n}")
    if how == "keep":
        return rdms
    if not different.any():
        raise InputError(f"all {n} clips are of one run: no pair is between runs; use 'keep'")
    if how == "drop":
        rdms[..., ~different] = np.nan
        return rdms
    level = np.nanmean(rdms, -1, keepdims=True)
    for kind in (different, ~different):
        if kind.any():
            rdms[..., kind] -= np.nanmean(rdms[..., kind], -1, keepdims=True)
    return rdms + level
