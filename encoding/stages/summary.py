"""What `stages.json` holds."""

from __future__ import annotations

from dataclasses import asdict

from ..results import json_ready
from .subject import SubjectStages


def summarise_stages(test) -> dict:
    """A `StageTest` as plain numbers, None where a quantity does not exist.

    Returns
    -------
    dict
        kind ("stages"), model, stages, verdict, ladder, controls, n_shuffles, n_resamples, seed,
        and subjects: {name: {regions: {region: {n_targets, ceiling, mean_r and interval by stage,
        soft, soft_interval, best (share of targets by stage), agreement, best_score}},
        interactions: {control, "" the trained model: {value, low, high, exceeded}}, passed, rank,
        notes}}.
    """
    first = next(iter(test.subjects.values()))
    return json_ready(
        {
            "kind": "stages",
            "model": test.model,
            "stages": first.stages,
            "verdict": asdict(test.verdict),
            "ladder": test.ladder,
            "controls": dict(test.controls),
            "n_shuffles": test.n_shuffles,
            "n_resamples": test.n_resamples,
            "seed": test.seed,
            "subjects": {name: _subject(one) for name, one in test.subjects.items()},
        }
    )


def _subject(one: SubjectStages) -> dict:
    return {
        "regions": {
            region: {
                "n_targets": one.n_targets[i],
                "ceiling": one.ceiling[i],
                "mean_r": dict(zip(one.stages, one.mean_r[:, i].tolist(), strict=True)),
                "interval": dict(zip(one.stages, one.region_spread[:, i].tolist(), strict=True)),
                "soft": one.region_soft[i],
                "soft_interval": one.region_soft_interval[i].tolist(),
                "best": dict(zip(one.stages, one.region_best[:, i].tolist(), strict=True)),
                "agreement": one.region_agreement[i],
                "best_score": one.region_best_score[i],
            }
            for i, region in enumerate(one.regions)
        },
        "interactions": {
            name: {"value": value, "low": low, "high": high, "exceeded": one.exceeded.get(name)}
            for name, (value, low, high) in one.interactions.items()
        },
        "passed": one.passed,
        "rank": dict(one.rank),
        "notes": list(one.notes),
    }
