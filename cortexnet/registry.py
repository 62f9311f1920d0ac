"""Models by name."""

import fnmatch
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import nn

from stimuli import InputError

# Importing these fills the registry; a module of one's own does the same (see `register_model`).
FAMILIES = (
    "networks.cortex",
    "networks.convnets",
    "networks.samplecnn",
    "networks.vision",
    "classifiers",
)

_MODELS: dict[str, "Entry"] = {}


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


def register_model(
    name: str, source: str, recipe: dict | None = None, countable: dict | None = None
) -> Callable:
    """Decorate a builder ``(n_classes, sample_rate, **options) -> nn.Module`` to make it known.

    Parameters
    ----------
    name : str
        By which `create_model` and the command line find it.
    source : str
        Where the design comes from, in a line.
    recipe : dict, optional
        What differs from the defaults of `cortexnet.training.Recipe`.
    countable : dict, optional
        Options of an equal model whose operations torch sees.

    Raises
    ------
    InputError
        If another builder has the name.
    """

    def register(build):
        known = _MODELS.get(name)
        if known is not None and known.build.__qualname__ != build.__qualname__:
            raise InputError(f"a model '{name}' is registered already; choose another name")
        _MODELS[name] = Entry(build, source, recipe or {}, countable or {})
        return build

    return register


def _models() -> dict[str, Entry]:
    for family in FAMILIES:
        importlib.import_module(f"cortexnet.{family}")
    return _MODELS


def list_models(pattern: str | None = None) -> list[str]:
    """Names of the models, optionally those that match a shell pattern (``"cnn*"``)."""
    return sorted(fnmatch.filter(_models(), pattern or "*"))


def find_model(name: str) -> Entry:
    """Entry of a model.

    Raises
    ------
    InputError
        If there is no such model.
    """
    if name not in _models():
        raise InputError(f"no model '{name}'; there are {', '.join(list_models())}")
    return _MODELS[name]


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
        If there is no such model, or it has no such option.
    """
    build = find_model(name).build
    try:
        return build(n_classes, sample_rate, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        option = str(error).rsplit("'", 2)[-2]
        raise InputError(f"model '{name}' has no option '{option}'") from error
