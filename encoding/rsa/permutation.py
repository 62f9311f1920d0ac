"""Tests of models: clips of one RDM change places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..blocks import generators
from ..errors import InputError
from .bootstrap import strata_of
from .comparison import check_method, compare_rdms, directions
from .pairs import n_clips_of, pairs_of, together


@dataclass(frozen=True)
class RDMPermutation:
    """One-sided tests of a positive similarity.

    Parameters
    ----------
    scores : (n_models,) mean similarity over subjects
    p : (n_models,) (b + 1) / (m + 1)
    p_max : (n_models,) against the highest of all models in each permutation (family-wise)
    """

    scores: np.ndarray
    p: np.ndarray
    p_max: np.ndarray


def permute_clips(
    data, models, method: str = "rho-a", *, runs=None, n_permutations: int = 2000, seed: int = 0
) -> RDMPermutation:
    """Exchange clips, rows and columns together, against all models at once (Mantel 1967).

    Entries of an RDM share clips and are not exchangeable one by one. With runs, clips change
    places within their run only: a model that follows the runs alone stays as good.

    Parameters
    ----------
    data : (n_subjects, n_pairs) or (n_pairs,)
    models : (n_models, n_pairs) or (n_pairs,)
    method : see `compare_rdms`
    runs : (n_clips,) labels, optional
    n_permutations, seed : int

    Returns
    -------
    RDMPermutation

    Raises
    ------
    InputError
        RDMs that do not fit each other, or pairs left out that permutations would move.
    """
    check_method(method)
    data, models, known = together(data, models)
    n = n_clips_of(data.shape[1])
    strata = strata_of(n, runs)
    scores = compare_rdms(data, models, method).mean(0)
    place = np.zeros((n, n), np.int64)
    i, j = pairs_of(n)
    place[i, j] = place[j, i] = np.arange(len(i))
    left, _ = directions(data, known, method) if method != "kendall" else (None, None)
    mean = np.full(len(known), np.nan)
    if left is not None:
        mean[known] = left.mean(0)
        right = directions(models, known, method)[1]
    reached, reached_max = np.zeros(len(models), int), np.zeros(len(models), int)
    near = scores - 1e-12  # rounding must not make equal arrangements differ
    for rng in generators(seed, n_permutations):
        order = np.arange(n)
        for rows in strata:
            order[rows] = rng.permutation(rows)
        moved = place[order[i], order[j]]
        if not np.array_equal(known[moved], known):
            raise InputError(
                "pairs are left out that exchanging clips would move; give the runs whose pairs "
                "were dropped"
            )
        if left is None:
            found = compare_rdms(data[:, moved], models, method).mean(0)
        else:
            found = right @ mean[moved][known]
        reached += found >= near
        reached_max += found.max() >= near
    return RDMPermutation(
        scores, (reached + 1) / (n_permutations + 1), (reached_max + 1) / (n_permutations + 1)
    )
