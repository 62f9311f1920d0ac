"""Activity of everything that an experiment compares: models, untrained controls, baselines."""

import functools
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import zarr
from torch import nn

from cortexnet.activations import extract
from cortexnet.controls import Control, apply_control
from cortexnet.registry import create_model, model_label
from cortexnet.runs import load_run
from experiments.baselines import (
    COCHLEAGRAM,
    PROJECTED,
    PROJECTION,
    CochleagramModel,
    project_store,
)
from experiments.experiment import REFERENCE, Experiment
from experiments.miniature import REFERENCE as REFERENCE_MODEL
from experiments.miniature import reference_network
from experiments.models import Sounds, load_source, untrained


def extract_all(
    experiment: Experiment, heard: pd.DataFrame, out: Path, seed: int, step: Callable, say: Callable
) -> dict[str, Path]:
    """Activity of all models, controls and baselines of an experiment for the clips heard.

    Parameters
    ----------
    experiment : Experiment
    heard : DataFrame of clips
    out : Path
        With the trained models in ``runs/MODEL``; gets ``features/MODEL.zarr``.
    seed : int
        Of baselines; controls have seeds of their own.
    step, say : callables
        Given the name of a step, a context to do it in; given a line of text.

    Returns
    -------
    {model: store}
    """
    folder = out / "features"
    folder.mkdir(exist_ok=True)
    wanted = _networks(experiment, heard, out / "runs", seed)
    stores = {name: folder / f"{name}.zarr" for name in wanted}
    waiting = [name for name in wanted if not _is_complete(stores[name])]
    began = time.perf_counter()
    for i, name in enumerate(waiting):
        with step(f"extract: {name}"):
            network, source = wanted[name]()
            extract(network, heard, stores[name], name, source=source)
            if i == 0 and len(waiting) > 1:
                minutes = (time.perf_counter() - began) * (len(waiting) - 1) / 60
                say(f"{len(waiting) - 1} more networks, about {minutes:.0f} min")
    if PROJECTION in experiment.baselines:
        stores[PROJECTION] = folder / f"{PROJECTION}.zarr"
        if not _is_complete(stores[PROJECTION]):
            with step(f"extract: {PROJECTION}"):
                like = stores[model_label(experiment.stages_of)]
                project_store(stores[PROJECTED], like, stores[PROJECTION], seed)
    return stores


def _networks(
    experiment: Experiment, heard: pd.DataFrame, runs: Path, seed: int
) -> dict[str, Callable[[], tuple[nn.Module, dict]]]:
    """{name: what builds the network, with attributes of its store}."""
    wanted = {}
    reference = functools.cache(lambda: reference_network(heard))
    if experiment.reference:
        wanted[REFERENCE] = lambda: (reference(), {"trained": False})
    for model in map(model_label, experiment.models):
        wanted[model] = lambda model=model: (load_run(runs / model).model, {"trained": True})
    for name in experiment.baselines:
        if name != PROJECTION:
            wanted[model_label(name)] = lambda name=name: (
                _baseline(name, heard, seed),
                {"trained": False},
            )
    tested = model_label(experiment.stages_of)
    for kind, n in experiment.controls.items():
        for control in (Control(kind, i) for i in range(n)):
            source = {"trained": False, "control": kind, "control_seed": control.seed}
            wanted[f"{tested}-{kind}-{control.seed}"] = lambda control=control, source=source: (
                load_source(str(runs / tested), heard, control=control).model
                if tested != REFERENCE
                else _of_reference(reference(), heard, control),
                source,
            )
    return wanted


def _baseline(name: str, heard: pd.DataFrame, seed: int) -> nn.Module:
    if name == COCHLEAGRAM:
        return CochleagramModel()
    return untrained(name, lambda rate: Sounds(heard, rate), seed)


def _of_reference(model: nn.Module, heard: pd.DataFrame, control: Control) -> nn.Module:
    sounds = Sounds(heard, model.sample_rate)
    return apply_control(control, model, lambda: create_model(REFERENCE_MODEL, 2), sounds)


def _is_complete(store: Path) -> bool:
    return store.exists() and bool(
        zarr.open_group(store, mode="r", zarr_format=2).attrs.get("complete")
    )
