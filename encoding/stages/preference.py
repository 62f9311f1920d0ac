r"""Which stage a target or a region prefers, and why the best stage alone does not tell.

With r_l the held-out correlation of stage l = 1 ... L:

best stage         argmax_l r_l. The maximum of noisy numbers: the fewer of them rise above the
                   noise, the more it is drawn at random, so its mean moves to (L + 1) / 2 as the
                   signal-to-noise ratio (SNR) falls, whatever the truth. Chosen on one half of the
                   held-out clips it is scored on the other, so that the score at least is not that
                   of a maximum (Kriegeskorte et al. 2009, Nat Neurosci 12: 535).
soft preference    s = \sum_l l r_l / \sum_l r_l, the mean stage weighted by held-out scores, as a
                   centre of mass. Scores enter with their sign, unclipped: noise adds to both sums
                   with mean zero, and the SNR scales both alike, so the *ratio of sums over many
                   targets* stays where it is when the SNR falls, and only its interval widens. Of
                   a single target it is a ratio with a noisy denominator and is given only where
                   the denominator is positive in 97.5 % of resamples; elsewhere it is NaN, not a
                   guess. Stages share variance, so a region that follows stage 1 alone has s well
                   above 1: compare values, do not read them as stage numbers.
contrast           d = mean r over deep stages - mean r over shallow stages, in units of the mean r
                   over all stages: scale-free for the same reason.

Held-out r is used rather than r squared: squares of noise do not average to zero.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError


def halves(owners: np.ndarray) -> np.ndarray:
    """(n_blocks,) bool, the blocks of the first half: every second run, or clip of a single run.

    Raises
    ------
    InputError
        There are fewer than two blocks for each half.
    """
    owners = np.asarray(owners)
    runs, number = np.unique(owners, return_inverse=True)
    first = number % 2 == 0 if len(runs) > 1 else np.arange(len(owners)) % 2 == 0
    if min(first.sum(), (~first).sum()) < 2:
        raise InputError(
            f"{len(owners)} held-out clips in {len(runs)} runs: choosing a stage on one half and "
            "scoring it on the other needs two clips in each; hold more clips out"
        )
    return first


def depth_sides(n_stages: int) -> tuple[np.ndarray, np.ndarray]:
    """(n_stages,) bool of shallow and deep stages; a middle one is neither.

    Raises
    ------
    InputError
        There is one stage alone.
    """
    if n_stages < 2:
        raise InputError(f"{n_stages} stage: an order of stages needs two at least")
    place = np.arange(n_stages)
    return place < n_stages // 2, place >= n_stages - n_stages // 2


def cross_validated_best(first: np.ndarray, second: np.ndarray):
    """Best stage chosen on one half and scored on the other, in both directions.

    Parameters
    ----------
    first, second : (n_stages, n_targets)
        Scores in the two halves.

    Returns
    -------
    chosen : (2, n_targets) int, stages from 1, by the first and by the second half
    score : (n_targets,) mean of the two scores on the other half
    """
    chosen = np.stack([first.argmax(0), second.argmax(0)])
    scored = [
        np.take_along_axis(other, own[None], 0)[0]
        for own, other in zip(chosen, (second, first), strict=True)
    ]
    return chosen + 1, np.mean(scored, 0)


def soft_preference(scores: np.ndarray) -> np.ndarray:
    """Mean stage weighted by scores, along the first axis; NaN where they do not sum above zero.

    Parameters
    ----------
    scores : (n_stages, ...)
        Of a target, or sums or means of r over the targets of a region.

    Returns
    -------
    (...) float
    """
    place = np.arange(1, len(scores) + 1)
    weighted, total = np.tensordot(place, scores, 1), scores.sum(0)
    return np.divide(weighted, total, out=np.full(total.shape, np.nan), where=total > 0)


def depth_contrast(scores: np.ndarray) -> np.ndarray:
    """Mean score of deep minus mean score of shallow stages, along the first axis."""
    shallow, deep = depth_sides(len(scores))
    return scores[deep].mean(0) - scores[shallow].mean(0)
