"""Models by name."""

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import nn

from cortexnet.classifiers import modulation_svm, scattering_svm
from cortexnet.networks.convnets import CNN2D4L
from cortexnet.networks.cortex import CortexNetZ
from stimuli import InputError


@dataclass(frozen=True)
class Entry:
    """How to build a model, where its design comes from and how it is best trained.

    `recipe` holds what differs from the defaults of `cortexnet.training.Recipe`, `countable` the
    options of an equal model whose operations torch sees, so that they can be counted.
    """

    build: Callable[..., nn.Module]
    source: str
    recipe: dict = field(default_factory=dict)
    countable: dict = field(default_factory=dict)


MODELS = {
    "cortexnet_z": Entry(
        CortexNetZ, "fixed STRFs (Chi, Ru & Shamma 2005), CORnet-style areas (Kubilius et al. 2018)"
    ),
    "cnn2d_4l": Entry(
        CNN2D4L,
        "four-layer 2-D CNN on log-mel, as used with GTZAN",
        # Thirteen times the parameters of cortexnet_z: more and smaller steps.
        {"batch_size": 16, "learning_rate": 1e-3},
    ),
    "scattering_svm": Entry(
        scattering_svm,
        "Anden & Mallat 2014, kymatio's 1-D transform",
        countable={"preset": "kymatio"},
    ),
    "modulation_svm": Entry(modulation_svm, "modulation energy (Chi, Ru & Shamma 2005)"),
}


def list_models(pattern: str | None = None) -> list[str]:
    """Names of the models, optionally those that match a shell pattern (``"cnn*"``)."""
    return sorted(fnmatch.filter(MODELS, pattern or "*"))


def find_model(name: str) -> Entry:
    """Entry of a model.

    Raises
    ------
    InputError
        If there is no such model.
    """
    if name not in MODELS:
        raise InputError(f"no model '{name}'; there are {', '.join(list_models())}")
    return MODELS[name]


def create_model(name: str, n_classes: int, sample_rate: int = 22050, **options) -> nn.Module:
    """Build an untrained model.

    Parameters
    ----------
    name : str
        One of `list_models()`.
    n_classes : int
        Length of the logits.
    sample_rate : int
        Sampling rate of the waveforms it will be given, Hz.
    **options
        Passed to the model.

    Returns
    -------
    model : nn.Module
        Maps waveforms ``(batch, samples)`` of any duration >= 1 s to logits
        ``(batch, n_classes)``; ``model.areas`` names its stages and
        ``model.forward_areas(x)`` gives their activity over time.

    Raises
    ------
    InputError
        If there is no such model.
    """
    return find_model(name).build(n_classes, sample_rate, **options)
