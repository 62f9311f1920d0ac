"""The 165 natural sounds: how well features predict six components of auditory cortex.

Norman-Haignere, Kanwisher & McDermott 2015 (sounds, components); the protocol is that of Tuckute,
Feather, Boebinger & McDermott 2023.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io
from torch import nn

from cortexnet.activations import area_activity
from encoding import best_stage_r2, split_half_r2
from experiments.models import load_source
from stimuli import InputError, nh2015
from stimuli.dataset import load_waveforms

COMPONENTS = ("lowfreq", "highfreq", "envsounds", "pitch", "speech", "music")
ALIASES = {
    "modulation": "modulation_svm",
    "scattering": "scattering_svm",
    "joint_scattering": "joint_scattering_svm",
}
GAUSSIAN = "gaussian"


def load_components(root: Path) -> np.ndarray:
    """Response profiles ``(165, 6)`` of the components, in the order of `COMPONENTS`.

    Raises
    ------
    InputError
        If ``components.mat`` is missing or holds something else.
    """
    path = Path(root) / "components.mat"
    try:
        content = scipy.io.loadmat(path, squeeze_me=True)
        names = [str(name) for name in content["component_names"]]
        profiles = np.asarray(content["R"], float)
        order = [names.index(name) for name in COMPONENTS]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: no readable table of components ({error})") from error
    return profiles[:, order]


def time_averages(model: nn.Module, waveforms: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Mean over time of every unit: ``{area: (n_sounds, n_units)}``."""
    rows = {}
    for wave in waveforms:
        for area, (activity, _) in area_activity(model, wave).items():
            rows.setdefault(area, []).append(activity.mean(0))
    return {area: np.stack(values) for area, values in rows.items()}


def joined(stages: dict[str, np.ndarray]) -> np.ndarray:
    """All stages side by side, standardised, every stage with the same total variance."""
    parts = []
    for x in stages.values():
        z = (x - x.mean(0)) / (x.std(0) + 1e-6)
        parts.append(z / np.sqrt(z.shape[1]))
    return np.concatenate(parts, 1)


def score_stages(stages: dict[str, np.ndarray], profiles: np.ndarray, seed: int = 0) -> dict:
    """r2 of every stage and of the best one, chosen on half the splits and scored on the others.

    Parameters
    ----------
    stages : dict of (n_sounds, n_units)
    profiles : (n_sounds, 6)
    seed : int
        Of the splits.

    Returns
    -------
    dict
        ``stages, r2, by_stage, best_stage``. With one stage ``r2`` is the median over all splits.
    """
    splits = {name: split_half_r2(x, profiles, seed=seed) for name, x in stages.items()}
    by_stage = {name: _row(np.median(values, 0)) for name, values in splits.items()}
    if len(splits) == 1:
        (only,) = splits
        return {
            "stages": [only],
            "r2": by_stage[only],
            "by_stage": by_stage,
            "best_stage": dict.fromkeys(COMPONENTS, only),
        }
    chosen, r2 = best_stage_r2(splits)
    return {
        "stages": list(stages),
        "r2": _row(r2),
        "by_stage": by_stage,
        "best_stage": dict(zip(COMPONENTS, chosen, strict=True)),
    }


def run_nh2015(root: Path, models: list[str], seed: int = 0, report=lambda line: None) -> dict:
    """Score models on the benchmark.

    Parameters
    ----------
    root : Path
        Folder with ``wav/`` and ``components.mat``.
    models : list of str
        Models of the registry (random weights), ``modulation``, ``scattering`` and
        ``joint_scattering`` (the features of the classifiers of these names), or folders of runs.
    seed : int
        Of random weights, Gaussian features and splits.
    report : callable
        Given a line of text as work goes on.

    Returns
    -------
    dict
        ``models``, ``published`` (digitised from Tuckute et al. 2023, where the file is there) and
        ``protocol``. Gaussian features are always scored beside the models.
    """
    clips = nh2015.load(root)
    profiles = load_components(root)
    scores = {}
    for name in models:
        source = load_source(ALIASES.get(name, name), clips, seed)
        report(f"{name}: activity for {len(clips)} sounds")
        waveforms = load_waveforms(clips, source.model.sample_rate, workers=os.cpu_count() or 1)
        stages = time_averages(source.model, waveforms)
        row = score_stages(stages, profiles, seed)
        if len(stages) > 1:
            row["all_stages"] = _row(
                np.median(split_half_r2(joined(stages), profiles, seed=seed), 0)
            )
        scores[name if not source.trained else source.name] = row | {"trained": source.trained}
    noise = np.random.default_rng(seed).standard_normal((len(clips), 500))
    scores[GAUSSIAN] = score_stages({GAUSSIAN: noise}, profiles, seed) | {"trained": False}
    return {
        "models": scores,
        "published": published(root),
        "protocol": {
            "source": "Tuckute, Feather, Boebinger & McDermott 2023",
            "sounds": len(clips),
            "splits": 10,
            "train": (len(clips) + 1) // 2,
            "features": "time-averaged units",
            "alpha": "leave-one-out on the training half, per component",
            "score": "squared correlation (negative ones count 0), median over splits",
            "best_stage": "chosen on 5 splits, scored on the other 5",
            "untrained": "random weights; fixed normalisations fitted on the sounds, no labels",
            "seed": seed,
        },
    }


def published(root: Path) -> dict:
    """Published scores by model, trained and permuted, where the digitised table is there."""
    path = Path(root) / "published" / "tuckute2023_digitised.csv"
    if not path.exists():
        return {}
    table = pd.read_csv(path)
    rows = {}
    for row in table.to_dict("records"):
        name = row["model"] + ("" if row["trained"] else ", weights permuted")
        rows[name] = _row(np.array([row[f"R2_{component}"] for component in COMPONENTS]))
    return rows


def _row(values: np.ndarray) -> dict:
    row = {name: round(float(v), 4) for name, v in zip(COMPONENTS, values, strict=True)}
    return row | {"mean": round(float(values.mean()), 4)}
