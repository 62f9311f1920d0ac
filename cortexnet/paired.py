"""Two models on the same clips, and one model over groups of clips."""

import itertools

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from stimuli import InputError

N_BOOT = 10_000


def group_interval(values, groups, level: float = 0.95, n_boot: int = N_BOOT, seed: int = 0):
    """Percentile bootstrap interval of a mean over clips, whole groups of clips drawn at a time.

    Clips of a track are right or wrong together more often than others, so that intervals that take
    them for independent are too narrow.

    Parameters
    ----------
    values : (n_clips,) float
    groups : (n_clips,) array
    level : float
    n_boot : int
    seed : int

    Returns
    -------
    low, high : float
    """
    _, where = np.unique(np.asarray(groups, str), return_inverse=True)
    sums, sizes = np.bincount(where, values), np.bincount(where)
    # How often each group is drawn decides a draw's mean: no index of clips is needed.
    drawn = np.random.default_rng(seed).multinomial(
        len(sums), np.full(len(sums), 1 / len(sums)), n_boot
    )
    means = drawn @ sums / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_difference(
    first: pd.DataFrame, second: pd.DataFrame, n_boot: int = N_BOOT, seed: int = 0
) -> dict:
    """Difference in clip accuracy of two models that were given the same clips.

    Parameters
    ----------
    first, second : DataFrame
        Predictions (``predictions.csv`` of `cortexnet.crossval.crossval`): clip_id, label,
        predicted; where there are, unit (what the folds keep whole; default the clip) and seed.
        Whether a clip is right is averaged over the seeds.
    n_boot : int
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        ``difference`` (first - second), ``interval`` (95 %, bootstrap over units), ``unit_p``
        (`sign_flip_p` over units), ``n_clips``, ``seeds`` of both, and where each has a single one
        ``only_first``, ``only_second`` and the two-sided ``p`` of the exact test of McNemar (1947,
        Psychometrika 12, 153-157).

    Raises
    ------
    InputError
        If the clips or their labels are not the same.
    """
    a, b = _correct(first), _correct(second)
    if not a.index.equals(b.index) or not a["label"].equals(b["label"]):
        raise InputError(
            f"predictions of {len(a)} and {len(b)} clips are not of the same clips and labels"
        )
    difference = (a["right"] - b["right"]).to_numpy()
    n_seeds = [_n_seeds(table) for table in (first, second)]
    result = {
        "difference": float(difference.mean()),
        "interval": list(group_interval(difference, a["unit"], n_boot=n_boot, seed=seed)),
        "unit_p": sign_flip_p(difference, a["unit"], n_boot, seed),
        "n_clips": len(a),
        "seeds": n_seeds,
    }
    if n_seeds == [1, 1]:
        only = int((difference > 0).sum()), int((difference < 0).sum())
        result |= {"only_first": only[0], "only_second": only[1], "p": mcnemar_p(*only)}
    return result


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided p of the exact McNemar test, from the clips that only one of two models has right.

    References
    ----------
    McNemar (1947), Psychometrika 12, 153-157; here with binomial probabilities.
    """
    n = only_first + only_second
    return float(binomtest(only_first, n).pvalue) if n else 1.0


EXACT_UNITS = 12  # up to which all signs are tried


def sign_flip_p(values, groups, n_flips: int = N_BOOT, seed: int = 0) -> float:
    """Two-sided p of a mean paired difference of 0, the signs of whole groups flipped at random.

    If two models are equally good, each may as well have had the other's results in any group of
    clips. Clips of a group are right or wrong together, and seeds may be averaged before.

    Parameters
    ----------
    values : (n_clips,) float
        Differences.
    groups : (n_clips,) array
    n_flips : int
    seed : int

    Returns
    -------
    float
        Exact where at most twelve groups differ, else (count + 1) / (n_flips + 1).

    References
    ----------
    Fisher (1935), The Design of Experiments, section 21; Phipson & Smyth (2010), Stat. Appl. Genet.
    Mol. Biol. 9, 39, for the count.
    """
    _, where = np.unique(np.asarray(groups, str), return_inverse=True)
    sums = np.bincount(where, values)
    sums = sums[sums != 0]
    if len(sums) <= EXACT_UNITS:
        signs = np.array(list(itertools.product((-1, 1), repeat=len(sums))))
    else:
        signs = np.random.default_rng(seed).choice((-1, 1), (n_flips, len(sums)))
    # Rounding must not make equal sums differ.
    count = int((np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9).sum())
    if len(sums) <= EXACT_UNITS:
        return count / len(signs)
    return (count + 1) / (n_flips + 1)


def holm(p) -> np.ndarray:
    """p values corrected for their number, step down: (n,) to (n,), in the same order.

    References
    ----------
    Holm (1979), Scand. J. Stat. 6, 65-70.
    """
    p = np.asarray(p, float)
    order = np.argsort(p)
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    return np.minimum(corrected, 1)


def _n_seeds(table) -> int:
    return table["seed"].nunique() if "seed" in table else 1


def _correct(table) -> pd.DataFrame:
    """Label, unit and share of seeds that are right, by clip."""
    unit = table["unit"] if "unit" in table else table["clip_id"]
    rows = table.assign(unit=unit, right=(table["predicted"] == table["label"]).astype(float))
    by_clip = rows.groupby("clip_id").agg(
        label=("label", "first"), unit=("unit", "first"), right=("right", "mean")
    )
    return by_clip.sort_index()
