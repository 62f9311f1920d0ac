"""A trained model on disk: weights as safetensors, a card as JSON, the clips it was trained on."""

import dataclasses
import hashlib
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from cortexnet.devices import is_lead
from cortexnet.fixed import clips_module
from cortexnet.recipe import Recipe
from cortexnet.registry import create_model, is_known
from cortexnet.training import refit_decoder, train_network, train_readout
from stimuli import InputError, save_clips
from stimuli.augment import Augmenter
from stimuli.dataset import label_index
from stimuli.provenance import whole_file
from stimuli.splits import grouped_holdout


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained model with its card.

    Attributes
    ----------
    model : nn.Module
        In evaluation mode.
    card : dict
        ``model, options, labels, sample_rate, recipe, parameters, weights_sha256, seconds`` and
        what training reported.
    folder : Path
    """

    model: nn.Module
    card: dict
    folder: Path


def split_clips(clips: pd.DataFrame, valid_fraction: float, seed: int) -> pd.DataFrame:
    """Give every clip a side: the table's own ``split`` where it has one, else grouped at random.

    Rows of split ``test`` stay as they are; where no row is ``valid`` a share of the groups of the
    remaining rows becomes it. Rows outside the test that are marked ``leak``, because a test clip
    holds their recording, are left out.
    """
    clips = clips.reset_index(drop=True)
    if "leak" in clips:
        clips = clips[~(clips["leak"].eq(True) & (clips["split"] != "test"))]
        clips = clips.reset_index(drop=True)
    split = clips["split"].fillna("").astype(str)
    unknown = sorted(set(split) - {"", "train", "valid", "test"})
    if unknown:
        raise InputError(f"split '{unknown[0]}' is none of train, valid, test")
    split[split == ""] = "train"
    if not (split == "valid").any():
        rows = np.flatnonzero(split == "train")
        held = grouped_holdout(clips.iloc[rows], valid_fraction, seed)[1]
        split.iloc[rows[held]] = "valid"
    return clips.assign(split=split)


def train_run(
    name: str,
    clips: pd.DataFrame,
    folder: Path,
    recipe: Recipe,
    valid_fraction: float = 0.15,
    sample_rate: int = 22050,
    options: dict | None = None,
    waveforms: dict[str, np.ndarray] | None = None,
    progress: bool = False,
    workers: int = 0,
    cache: Path | None = None,
    device: str = "auto",
    devices: int = 1,
    tensorboard: bool = False,
) -> Run:
    """Train a model on a clip table and write the run.

    Parameters
    ----------
    name : str
        A model of the registry.
    clips : DataFrame
        Rows with split ``test`` are left alone; see `split_clips`.
    folder : Path
        Made if need be; a finished run there with the same settings is returned as it is, an
        interrupted one goes on.
    recipe : Recipe
    valid_fraction : float
        Share of groups that choose the checkpoint, where the table does not say.
    sample_rate : int
        Hz.
    options : dict
        Passed to the model.
    waveforms : dict of clip_id to (n_samples,) array, optional
        Already decoded sound.
    progress : bool
    workers : int
        Processes that load training segments; worth it for augmentation. The run is the same for
        any number.
    cache : Path, optional
        Folder that keeps the features of stages that never learn (`cortexnet.fixed`); default one
        in the run's own, deleted when the run is whole.
    device, devices, tensorboard
        As `cortexnet.training.train_network`.

    Returns
    -------
    Run
    """
    folder, options = Path(folder), options or {}
    if recipe.segment < sample_rate:
        raise InputError(
            f"segments of {recipe.segment / sample_rate:.2f} s are too short; networks need a "
            "second of sound at least"
        )
    clips = split_clips(clips, valid_fraction, recipe.seed)
    labels = label_index(clips)[0]
    settings = {
        "model": name,
        "options": options,
        "labels": labels,
        "sample_rate": sample_rate,
        "recipe": dataclasses.asdict(recipe),
        "clips_sha256": table_hash(clips),
    }
    folder.mkdir(parents=True, exist_ok=True)
    check_settings(folder, settings)
    if (folder / "card.json").exists():
        return load_run(folder)
    save_clips(clips, folder / "clips.csv")

    started = time.perf_counter()
    torch.manual_seed(recipe.seed)
    model = create_model(name, len(labels), sample_rate, **options)
    loading = {"batch_size": recipe.batch_size, "seed": recipe.seed, "waveforms": waveforms}
    features = folder / "features" if cache is None else Path(cache)
    if hasattr(model, "fit_readout"):
        if recipe.augment or recipe.mixup or recipe.spec_augment:
            raise InputError(
                f"{name} is fitted in one step: augmentation, mixup and masks are for networks"
            )
        # No checkpoint is chosen, so the validation clips serve for training too.
        order = pd.concat([clips[clips["split"] == side] for side in ("train", "valid")])
        data = clips_module(model, order.assign(split="train"), recipe.segment, **loading)
        groups = order["group"].to_numpy()
        summary = train_readout(model, data.covering("train"), groups, recipe)
    else:
        augmenter = Augmenter(seed=recipe.seed) if recipe.augment else None
        data = clips_module(
            model, clips, recipe.segment, (name, options, features), augmenter, workers=workers,
            **loading,
        )  # fmt: skip
        summary = train_network(model, data, recipe, folder, progress, device, devices, tensorboard)
        if hasattr(model, "fit_decoder"):
            summary |= refit_decoder(model, data, recipe.batch_size)
    card = {
        **settings,
        **summary,
        "parameters": sum(p.numel() for p in model.parameters()),
        "weights_sha256": weights_hash(model),
        "train_clips": int((clips["split"] == "train").sum()),
        "valid_clips": int((clips["split"] == "valid").sum()),
        "seconds": round(time.perf_counter() - started, 2),
    }
    run = Run(model.eval(), card, folder)
    if not is_lead():
        return run
    with whole_file(folder / "model.safetensors") as partial:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, partial)
    write_json(folder / "card.json", card)  # last: a folder with a card is a whole run
    if cache is None:
        shutil.rmtree(features, ignore_errors=True)
    return run


def load_run(folder: Path) -> Run:
    """Read a run. Nothing in it is executed: JSON and safetensors only.

    A model of one's own code is built where that code was named before in this process
    (`cortexnet.registry.find_model`).

    Raises
    ------
    InputError
        If the folder holds no finished run, its files do not fit each other or its model is not
        known.
    """
    folder = Path(folder)
    for name in ("card.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder}: not a finished run ({name} is missing); train it with `cortexnet train`"
            )
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        if not is_known(card["model"]):
            raise InputError(
                f"{folder}: its model '{card['model']}' is not one of ours, and a run imports no "
                "code by itself; if you trust it, name it: cortexnet --import FILE.py:FUNCTION ..."
            )
        model = create_model(
            card["model"], len(card["labels"]), card["sample_rate"], **card["options"]
        )
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except InputError as error:  # no such model, or no such option any more
        raise InputError(f"{folder}: {error}; train it again with this version") from error
    except (json.JSONDecodeError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder}: damaged run ({str(error).splitlines()[0]})") from error
    if weights_hash(model) != card.get("weights_sha256"):
        raise InputError(f"{folder}: weights and card.json do not belong together; train it again")
    return Run(model.eval(), card, folder)


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over names, shapes and bytes of parameters and persistent buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def write_json(path: Path, value: dict) -> None:
    """Write JSON whole or not at all; NaN is not allowed."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def table_hash(clips: pd.DataFrame) -> str:
    """SHA-256 over what of a clip table matters to training: clips, labels, groups, sides."""
    columns = ["clip_id", "label", "group", "split", "start", "end", "fade"]
    return hashlib.sha256(clips.reindex(columns=columns).to_csv(index=False).encode()).hexdigest()


def check_settings(folder: Path, settings: dict) -> None:
    """Note the settings a folder is begun with; refuse to go on in it with others.

    Raises
    ------
    InputError
        Naming the first setting that differs.
    """
    path = Path(folder) / "settings.json"
    if not path.exists():
        write_json(path, settings)
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    for key, value in settings.items():
        if before.get(key) != value:
            raise InputError(
                f"{folder}: begun with other settings ({key} differs); "
                "choose another --out or delete the folder"
            )
