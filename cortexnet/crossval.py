"""Grouped cross-validation of a model on a clip table."""

import dataclasses
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cortexnet.devices import find_device, launched_outside
from cortexnet.evaluation import accuracy_report, wilson_interval
from cortexnet.fixed import has_fixed
from cortexnet.heldout import clip_table, evaluate_run
from cortexnet.paired import group_interval, paired_difference
from cortexnet.recipe import Recipe
from cortexnet.registry import create_model
from cortexnet.runs import check_settings, train_run, write_json
from cortexnet.training import embed_segments
from stimuli import InputError
from stimuli.dataset import EvalSegments, decoded, label_index
from stimuli.provenance import whole_file
from stimuli.splits import grouped_folds, split_units


def crossval(
    name: str,
    clips: pd.DataFrame,
    n_folds: int,
    folder: Path,
    recipe: Recipe,
    sample_rate: int = 22050,
    options: dict | None = None,
    progress: bool = False,
    report: Callable[[str], None] = lambda line: None,
    by: Sequence[str] = (),
    seeds: Sequence[int] = (),
    workers: int = 0,
    cache: Path | None = None,
    device: str = "auto",
    devices: int = 1,
    tensorboard: bool = False,
) -> dict:
    """Cross-validate; a group (by default a track) is never on two sides of a fold.

    Networks choose their checkpoint on groups held out of the training side, never on the fold
    they are tested on. Called again with the same folder, finished folds are not computed anew.

    Parameters
    ----------
    name : str
        A model of the registry.
    clips : DataFrame
    n_folds : int
    folder : Path
        One run a fold, under the name of its seed where there are several; ``predictions.csv`` and
        ``crossval.json``.
    recipe : Recipe
    sample_rate : int
        Hz.
    options : dict
        Passed to the model.
    progress : bool
        Show a bar for every fold.
    report : callable
        Given a line of text after every fold.
    by : sequence of str
        Columns that stay whole beside the group, for instance "artist".
    seeds : sequence of int
        Of everything random in training; default the recipe's own, which also decides the folds:
        they are the same for all seeds. Classifiers that are fitted in one step have none.
    workers : int
        Processes that load training segments.
    cache : Path, optional
        Folder that keeps the features of stages that never learn, for all folds; default one in
        `folder`, deleted in the end.
    device, devices, tensorboard
        As `cortexnet.training.train_network`.

    Returns
    -------
    dict
        As `accuracy_report` over all folds and seeds, with ``model``, ``folds`` and ``seconds``.
        ``clip_accuracy`` is a mean over seeds, ``clip_interval`` is of as many clips as there are,
        ``group_interval`` is its bootstrap over groups; ``seeds`` and ``seed_sd`` show how much
        training itself varies. ``confusion`` counts a clip once for every seed.
    """
    if launched_outside():
        raise InputError(
            "crossval is started once, not by srun or torchrun; use --devices, or a job a fold"
        )
    find_device(device)
    folder, options = Path(folder), options or {}
    folder.mkdir(parents=True, exist_ok=True)
    # Groups keep what leaks together, so marks that are about the table's own split do not count.
    clips = clips.reset_index(drop=True).drop(columns="leak", errors="ignore")
    clips = clips.assign(split="", group=split_units(clips, by))
    folds = grouped_folds(clips, n_folds, recipe.seed)
    labels, truth = label_index(clips)
    model = create_model(name, len(labels), sample_rate, **options)
    readout = hasattr(model, "fit_readout")
    seeds = [recipe.seed] if readout or not seeds else list(seeds)
    started = time.perf_counter()
    features = folder / "features" if cache is None else Path(cache)
    how = {
        "sample_rate": sample_rate,
        "options": options,
        "waveforms": None if readout or has_fixed(model) else decoded(clips, sample_rate),
        "progress": progress,
        "workers": workers,
        "cache": features,
        "device": device,
        "devices": devices,
        "tensorboard": tensorboard,
    }
    tables, summaries, segments = [], [], []
    for place, seed in enumerate(seeds):
        if readout:
            parts = _readout_folds(model, name, clips, truth, folds, folder, recipe, options)
        else:
            own = folder if len(seeds) == 1 else folder / f"seed-{seed}"
            seeded = dataclasses.replace(recipe, seed=seed)
            parts = _network_folds(name, clips, folds, own, seeded, how)
        for number, (table, probabilities, seg_truth, seg_clip, seconds) in enumerate(parts, 1):
            accuracy = float((table["label"] == table["predicted"]).mean())
            summaries.append(
                {
                    "fold": number,
                    "seed": seed,
                    "clip_accuracy": accuracy,
                    "n_clips": len(table),
                    "seconds": seconds,
                }
            )
            tables.append(table.assign(fold=number, seed=seed))
            # The same clip under another seed is another prediction.
            segments.append((probabilities, seg_truth, seg_clip + place * len(clips)))
            said = f"seed {seed}, " if len(seeds) > 1 else ""
            report(
                f"{said}fold {number}/{n_folds}: {accuracy:.3f} of {len(table)} clips, "
                f"{seconds:.0f} s"
            )
    units = pd.Series(clips["group"].to_numpy(), clips["clip_id"])
    predictions = pd.concat(tables, ignore_index=True)
    predictions = predictions.assign(unit=predictions["clip_id"].map(units))
    pooled = [np.concatenate(part) for part in zip(*segments, strict=True)]
    result = accuracy_report(*pooled, labels) | over_seeds(predictions, len(clips))
    result |= {
        "model": name,
        "folds": summaries,
        "seconds": round(sum(fold["seconds"] for fold in summaries), 2),
        "wall_seconds": round(time.perf_counter() - started, 2),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seed": recipe.seed,
    }
    with whole_file(folder / "predictions.csv") as partial:
        predictions.to_csv(partial, index=False)
    write_json(folder / "crossval.json", result)
    if cache is None:
        shutil.rmtree(features, ignore_errors=True)
    return result


def over_seeds(predictions: pd.DataFrame, n_clips: int) -> dict:
    """Accuracy over seeds, with intervals that do not count a clip once for every seed.

    Parameters
    ----------
    predictions : DataFrame
        clip_id, label, predicted, unit, seed.
    n_clips : int

    Returns
    -------
    dict
        ``clip_accuracy, clip_interval, group_interval, n_clips, seeds, seed_sd`` as of `crossval`.
    """
    right = (predictions["label"] == predictions["predicted"]).astype(float)
    by_clip = right.groupby(predictions["clip_id"]).mean()
    units = predictions.groupby("clip_id")["unit"].first()
    by_seed = right.groupby(predictions["seed"]).mean()
    return {
        "clip_accuracy": float(by_clip.mean()),
        "clip_interval": list(wilson_interval(by_clip.sum(), n_clips)),
        "group_interval": list(group_interval(by_clip.to_numpy(), units)),
        "n_clips": n_clips,
        "seeds": [{"seed": int(k), "clip_accuracy": float(v)} for k, v in by_seed.items()],
        "seed_sd": float(by_seed.std()) if len(by_seed) > 1 else None,
    }


def compare_crossvals(first: Path, second: Path, seed: int = 0) -> dict:
    """`paired_difference` of two folders of `crossval`.

    Raises
    ------
    InputError
        If one is not finished, or they are not of the same clips.
    """
    tables = []
    for folder in (Path(first), Path(second)):
        if not (folder / "crossval.json").is_file():
            raise InputError(f"{folder}: not a finished cross-validation (no crossval.json)")
        tables.append(pd.read_csv(folder / "predictions.csv", dtype={"unit": str, "clip_id": str}))
    return paired_difference(*tables, seed=seed)


def _network_folds(name, clips, folds, folder, recipe, how):
    position = {clip_id: row for row, clip_id in enumerate(clips["clip_id"])}
    for number, (_, test) in enumerate(folds, 1):
        sides = clips.assign(split=np.where(np.isin(np.arange(len(clips)), test), "test", ""))
        run = train_run(name, sides, folder / f"fold-{number}", recipe, **how)
        evaluation = evaluate_run(
            run, waveforms=how["waveforms"], cache=how["cache"], device=how["device"]
        )
        rows = np.array([position[clip_id] for clip_id in evaluation.clips["clip_id"]])
        seconds = round(run.card["seconds"] + evaluation.report["seconds"], 2)
        probabilities, truth, index = evaluation.segments
        yield evaluation.clips, probabilities, truth, rows[index], seconds


def _readout_folds(model, name, clips, truth, folds, folder, recipe, options):
    """Features do not depend on the fold: they are computed once and kept in the folder."""
    started = time.perf_counter()
    sound = list(decoded(clips, model.sample_rate).values())
    digest = hashlib.sha256("".join(clips["clip_id"] + clips["label"]).encode())
    for wave in sound:
        digest.update(wave.tobytes())
    check_settings(
        folder,
        {
            "model": name,
            "options": options,
            "segment": recipe.segment,
            "sound_sha256": digest.hexdigest(),
        },
    )
    path = folder / "features.npz"
    if path.exists():
        with np.load(path) as kept:
            features, index = kept["features"], kept["clip"]
    else:
        data = EvalSegments(sound, truth, recipe.segment, recipe.segment, list(clips["clip_id"]))
        features, _, index = embed_segments(model, data, recipe.batch_size)
        partial = path.with_suffix(".part.npz")
        np.savez(partial, features=features, clip=index)
        os.replace(partial, path)
    shared = (time.perf_counter() - started) / len(folds)
    groups = clips["group"].to_numpy()
    for train, test in folds:
        started = time.perf_counter()
        in_train, in_test = np.isin(index, train), np.isin(index, test)
        rows = index[in_train]
        model.fit_readout(features[in_train], truth[rows], groups[rows], rows)
        with torch.inference_mode():
            logits = model.classify(torch.from_numpy(features[in_test]))
        probabilities = logits.double().softmax(1).numpy()
        labels = sorted(set(clips["label"]))
        part = probabilities, truth[index[in_test]], index[in_test]
        seconds = round(time.perf_counter() - started + shared, 2)
        yield clip_table(clips, labels, *part), *part, seconds
