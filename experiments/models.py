"""A model from a run folder or from the registry."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from cortexnet.fixed import trained_input
from cortexnet.huggingface import PREFIX, load_huggingface
from cortexnet.own import is_own
from cortexnet.registry import create_model, list_models, model_label
from cortexnet.runs import load_run
from cortexnet.training import fit_norms
from stimuli import InputError
from stimuli.clips import waveform


@dataclass(frozen=True)
class Source:
    """A model ready to be run on sounds.

    Attributes
    ----------
    model : nn.Module
        In evaluation mode.
    name : str
        Of the run's folder or of the registry.
    trained : bool
    """

    model: nn.Module
    name: str
    trained: bool


def untrained(name: str, clips: pd.DataFrame, seed: int) -> nn.Module:
    """A model of the registry with random weights, its fixed normalisations fitted on `clips`."""
    torch.manual_seed(seed)
    model = create_model(name, n_classes=2).eval()
    rate = model.sample_rate
    waves = (torch.from_numpy(waveform(row, rate))[None] for _, row in clips.iterrows())
    with torch.inference_mode():
        fit_norms(model, (trained_input(model, wave) for wave in waves))
    return model


def load_source(source: str, clips: pd.DataFrame, seed: int = 0) -> Source:
    """Load a trained run or a model of Hugging Face, or build a model with random weights.

    The fixed normalisations of an untrained network are fitted on the clips it is to be run on;
    labels are not looked at.

    Parameters
    ----------
    source : str
        Folder of a run, name of a model, own code (`cortexnet.registry.find_model`), or
        ``hf:NAME-OR-FOLDER``.
    clips : DataFrame
        The clips it will be run on.
    seed : int
        Of the random weights.

    Raises
    ------
    InputError
        If it is neither.
    """
    if (Path(source) / "card.json").exists():
        return Source(load_run(Path(source)).model, Path(source).name, True)
    if source.startswith(PREFIX):
        model = load_huggingface(source.removeprefix(PREFIX))
        return Source(model, Path(source.removeprefix(PREFIX)).name, True)
    if not is_own(source) and source not in list_models():
        raise InputError(
            f"'{source}' is neither a finished run nor a model; models: {', '.join(list_models())}"
        )
    return Source(untrained(source, clips, seed), model_label(source), False)
