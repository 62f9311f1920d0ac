"""A model from a run folder or from the registry, trained or as its untrained counterpart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from cortexnet.controls import Control, apply_control, fit_fixed_norms, random_weights
from cortexnet.huggingface import PREFIX, load_huggingface
from cortexnet.own import is_own
from cortexnet.registry import create_model, list_models, model_label
from cortexnet.runs import load_run
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
        False for controls, too.
    """

    model: nn.Module
    name: str
    trained: bool


class Sounds(Sequence):
    """Waveforms of clips at one sampling rate, each read when it is asked for."""

    def __init__(self, clips: pd.DataFrame, sample_rate: int):
        self.rows, self.sample_rate = clips.to_dict("records"), sample_rate

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> np.ndarray:
        return waveform(self.rows[index], self.sample_rate)


def untrained(name: str, sounds: Callable[[int], Sequence[np.ndarray]], seed: int) -> nn.Module:
    """A model of the registry with random weights, its fixed normalisations fitted on sounds.

    Parameters
    ----------
    name : str
    sounds : callable
        Given a sampling rate, waveforms ``(samples,)``.
    seed : int
    """
    model = random_weights(lambda: create_model(name, n_classes=2), seed)
    fit_fixed_norms(model, sounds(model.sample_rate))
    return model


def load_source(
    source: str,
    clips: pd.DataFrame,
    seed: int = 0,
    control: Control | None = None,
    sounds: Callable[[int], Sequence[np.ndarray]] | None = None,
) -> Source:
    """Load a trained run or its untrained counterpart, or build a model with random weights.

    The normalisations of untrained networks are fitted on the clips they are to be run on; labels
    are not looked at.

    Parameters
    ----------
    source : str
        Folder of a run, name of a model, own code (`cortexnet.registry.find_model`), or
        ``hf:NAME-OR-FOLDER``.
    clips : DataFrame
        The clips it will be run on.
    seed : int
        Of the random weights of a model named without a control.
    control : Control, optional
        Put random or permuted weights in place of the run's own (`cortexnet.controls`).
    sounds : callable, optional
        Given a sampling rate, the waveforms of the clips. Default: read from their files.

    Raises
    ------
    InputError
        If it is neither run nor model, or there is nothing to permute.
    """
    sounds = sounds or (lambda rate: Sounds(clips, rate))
    is_run = (Path(source) / "card.json").exists()
    if source.startswith(PREFIX):
        if control is not None:
            raise InputError(f"control {control} needs a run or a model of the registry")
        name = source.removeprefix(PREFIX)
        return Source(load_huggingface(name), Path(name).name, True)
    if not is_run and not is_own(source) and source not in list_models():
        raise InputError(
            f"'{source}' is neither a finished run nor a model; models: {', '.join(list_models())}"
        )
    if is_run:
        run = load_run(Path(source))
        model, name, card = run.model, Path(source).name, run.card

        def build():
            return create_model(
                card["model"], len(card["labels"]), card["sample_rate"], **card["options"]
            )
    else:
        if control is not None and control.kind != "random":
            raise InputError(f"control {control} needs a trained run; '{source}' has no weights")
        if control is None:
            return Source(untrained(source, sounds, seed), model_label(source), False)
        name = model_label(source)

        def build():
            return create_model(source, n_classes=2)

        model = build()
    if control is None:
        return Source(model, name, True)
    model = apply_control(control, model, build, sounds(model.sample_rate))
    return Source(model, f"{name}-{control.kind}-{control.seed}", False)
