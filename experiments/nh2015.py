"""The 165 natural sounds: how well features predict six components of auditory cortex.

Norman-Haignere, Kanwisher & McDermott 2015 (sounds, components); the protocol is that of Tuckute,
Feather, Boebinger & McDermott 2023.
"""

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io
from torch import nn

from cortexnet.activations import clip_mean, layer_activity
from cortexnet.controls import Control, is_trainable
from cortexnet.taps import LayerReader
from encoding import draw_sounds
from experiments.models import load_source
from experiments.nh2015_scores import COMPONENTS, as_row, components, differences, score_stages
from stimuli import InputError, nh2015
from stimuli.dataset import load_waveforms

RESAMPLES = 1000
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


def time_averages(
    model: nn.Module, waveforms: Sequence[np.ndarray], steps: bool = False
) -> dict[str, np.ndarray]:
    """Mean over time of every unit, ``{area: (n_sounds, n_units)}``, of all steps if asked."""
    read, rows = LayerReader(model, steps=steps), {}
    for wave in waveforms:
        for area, (activity, _) in layer_activity(read, wave).items():
            rows.setdefault(area, []).append(clip_mean(activity))
    return {area: np.stack(values) for area, values in rows.items()}


def run_nh2015(
    root: Path,
    models: list[str],
    seed: int = 0,
    report=lambda line: None,
    controls: Sequence[str] = (),
    control_seeds: int = 3,
    steps: bool = False,
) -> dict:
    """Score models on the benchmark.

    Parameters
    ----------
    root : Path
        Folder with ``wav/`` and ``components.mat``.
    models : list of str
        Models of the registry (random weights), ``modulation``, ``scattering`` and
        ``joint_scattering`` (the features of the classifiers of these names), or folders of runs.
    seed : int
        Of random weights, Gaussian features, splits and draws of sounds.
    report : callable
        Given a line of text as work goes on.
    controls : sequence of str
        Kinds of `cortexnet.controls` to score beside each model that can be trained: a row
        ``"NAME, KIND"``, the mean over seeds. What is permuted is a run; models of the registry
        have random controls alone.
    control_seeds : int
        Networks a control.
    steps : bool
        All recurrent steps as stages of their own.

    Returns
    -------
    dict
        ``models``, ``published`` (digitised from Tuckute et al. 2023, where the file is there) and
        ``protocol``. Gaussian features are always scored beside the models.
    """
    clips = nh2015.load(root)
    profiles = load_components(root)
    draws = draw_sounds(len(clips), RESAMPLES, seed)

    @functools.cache
    def sounds(rate):
        return load_waveforms(clips, rate, workers=os.cpu_count() or 1)

    def scored(name, control=None):
        source = load_source(ALIASES.get(name, name), clips, seed, control, sounds)
        report(f"{source.name}: activity for {len(clips)} sounds")
        stages = time_averages(source.model, sounds(source.model.sample_rate), steps)
        return source, score_stages(stages, profiles, draws, seed)

    rows = {}
    for given in models:
        source, own = scored(given)
        name = source.name if source.trained else given
        rows[name] = as_row([own]) | {"trained": source.trained}
        for kind in controls if is_trainable(source.model) else ():
            if kind != "random" and not source.trained:
                continue
            seeds = list(range(seed, seed + control_seeds))
            others = [scored(given, Control(kind, number))[1] for number in seeds]
            row = as_row(others) | {"trained": False}
            row["control"] = {"of": name, "kind": kind, "seeds": seeds}
            if source.trained:
                row["trained_minus"] = differences(own, others, seed)
            rows[f"{name}, {kind}"] = row
    noise = np.random.default_rng(seed).standard_normal((len(clips), 500))
    rows[GAUSSIAN] = as_row([score_stages({GAUSSIAN: noise}, profiles, draws, seed)])
    rows[GAUSSIAN]["trained"] = False
    return {
        "models": rows,
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
            "all_stages": "units z-scored over the sounds, stages of equal total variance",
            "banded": "the same units, weights of stages chosen with alpha on the training half",
            "untrained": "random weights; fixed normalisations fitted on the sounds, no labels",
            "controls": "normalisations fitted on the sounds, no labels; mean over seeds",
            "intervals": f"95 %, {RESAMPLES} draws of the held-out sounds, the same in all splits",
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
        rows[name] = components(np.array([row[f"R2_{component}"] for component in COMPONENTS]))
    return rows
