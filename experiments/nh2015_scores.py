"""Scores of features on the 165 sounds: by stage, best stage, all stages, and against controls."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from encoding import best_stage_r2, held_out_r2, predict_halves, predict_halves_banded

COMPONENTS = ("lowfreq", "highfreq", "envsounds", "pitch", "speech", "music")


@dataclass(frozen=True)
class Scored:
    """Median r2 over splits of one set of features; the first draw is that of all sounds.

    Attributes
    ----------
    by_stage : {stage: (n_draws, 6)}
    joint : {"r2", and with several stages "all_stages", "banded": (n_draws, 6)}
        ``r2`` is the best stage, chosen on half the splits and scored on the others.
    chosen : (6,) names of the best stages
    """

    by_stage: dict[str, np.ndarray]
    joint: dict[str, np.ndarray]
    chosen: np.ndarray


def standardised(x: np.ndarray) -> np.ndarray:
    """z-scores of units over sounds, divided by the root of their number: total variance 1."""
    z = (x - x.mean(0)) / (x.std(0) + 1e-6)
    return z / np.sqrt(z.shape[1])


def score_stages(
    stages: Mapping[str, np.ndarray], profiles: np.ndarray, draws: np.ndarray, seed: int = 0
) -> Scored:
    """Held-out r2 of every stage, of the best one, and of all stages together.

    Parameters
    ----------
    stages : {stage: (n_sounds, n_units)}
    profiles : (n_sounds, 6)
    draws : (n_draws, n_sounds)
        From `encoding.draw_sounds`; the first row all ones.
    seed : int
        Of the splits.
    """
    splits = {
        name: held_out_r2(*predict_halves(x, profiles, seed=seed), profiles, draws)
        for name, x in stages.items()
    }
    by_stage = {name: np.median(r2, 1) for name, r2 in splits.items()}
    if len(splits) == 1:
        ((only, r2),) = by_stage.items()
        return Scored(by_stage, {"r2": r2}, np.full(len(COMPONENTS), only))
    chosen, best = best_stage_r2(splits)
    even = {name: standardised(x) for name, x in stages.items()}
    together = predict_halves(np.concatenate(list(even.values()), 1), profiles, seed=seed)
    banded = predict_halves_banded(even, profiles, seed=seed)[:2]
    joint = {"r2": best}
    for name, predicted in (("all_stages", together), ("banded", banded)):
        joint[name] = np.median(held_out_r2(*predicted, profiles, draws), 1)
    return Scored(by_stage, joint, chosen[0])


def as_row(scored: Sequence[Scored]) -> dict:
    """What ``nh2015.json`` holds of one model, or of the mean over seeds of one control.

    ``intervals`` are of the mean over components.
    """
    averaged = _over_seeds(scored)
    row = {"stages": list(scored[0].by_stage), "r2": components(averaged.joint["r2"][0])}
    row["by_stage"] = {name: components(x[0]) for name, x in averaged.by_stage.items()}
    chosen = np.stack([one.chosen for one in scored], 1)  # (6, n_seeds)
    row["best_stage"] = {
        name: str(Counter(names).most_common(1)[0][0])
        for name, names in zip(COMPONENTS, chosen, strict=True)
    }
    for name in averaged.joint:
        row[name] = components(averaged.joint[name][0])
    row["intervals"] = {name: _interval(x.mean(1)) for name, x in averaged.joint.items()}
    return row


def differences(trained: Scored, control: Sequence[Scored], seed: int = 0) -> dict:
    """Trained minus control: difference, low and high (95 %) by measure and component.

    Each draw takes the same sounds for both, and as many seeds of the control as there are, with
    replacement. One training run stands for all: how scores vary over training seeds is not in
    the interval.

    Returns
    -------
    dict
        ``r2`` (best stage), ``all_stages``, ``banded``, and ``by_stage`` by stage.
    """
    averaged = _over_seeds(control, np.random.default_rng(seed))

    def compare(a, b):
        difference = a - b
        both = np.column_stack([difference, difference.mean(1)])
        row = {}
        for name, draws in zip((*COMPONENTS, "mean"), both.T, strict=True):
            low, high = _interval(draws)
            row[name] = {"difference": round(float(draws[0]), 4), "low": low, "high": high}
        return row

    result = {name: compare(x, averaged.joint[name]) for name, x in trained.joint.items()}
    return result | {
        "by_stage": {n: compare(x, averaged.by_stage[n]) for n, x in trained.by_stage.items()}
    }


def components(values: np.ndarray) -> dict:
    """Six values by the name of their component, and their mean."""
    row = {name: round(float(v), 4) for name, v in zip(COMPONENTS, values, strict=True)}
    return row | {"mean": round(float(values.mean()), 4)}


def _over_seeds(scored: Sequence[Scored], rng: np.random.Generator | None = None) -> Scored:
    """Mean over seeds; with a generator, of each draw but the first over seeds drawn anew."""
    n_draws, n = len(scored[0].joint["r2"]), len(scored)
    share = np.full((n_draws, n), 1 / n)
    if rng is not None:
        share[1:] = rng.multinomial(n, np.full(n, 1 / n), n_draws - 1) / n

    def mean(tables):
        return {
            name: np.einsum("ds,sdc->dc", share, np.stack([table[name] for table in tables]))
            for name in tables[0]
        }

    by_stage, joint = mean([s.by_stage for s in scored]), mean([s.joint for s in scored])
    return Scored(by_stage, joint, scored[0].chosen)


def _interval(draws: np.ndarray) -> list[float]:
    low, high = np.percentile(draws[1:], [2.5, 97.5])
    return [round(float(low), 4), round(float(high), 4)]
