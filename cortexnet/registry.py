"""Models by name."""

import difflib
import fnmatch
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from torch import nn

from cortexnet.own import import_builder, is_own, own_key, refuse_namesake
from stimuli import InputError

# What every model has beside `forward`.
CONTRACT = ("sample_rate", "areas", "forward_areas")

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


def list_models(pattern: str | Iterable[str] | None = None) -> list[str]:
    """Names of the models in alphabetical order.

    Parameters
    ----------
    pattern : str or iterable of str, optional
        Shell patterns (``"cnn*"``), of which a name matches one. Default: all models.
    """
    patterns = [pattern] if isinstance(pattern, str) else pattern or ["*"]
    return sorted({name for p in patterns for name in fnmatch.filter(_models(), p)})


def is_known(name: str) -> bool:
    """Whether a name is registered or its code was named before; imports nothing of one's own."""
    return own_key(name) in _models()


def find_model(name: str) -> Entry:
    """Entry of a model.

    Parameters
    ----------
    name : str
        One of `list_models()`, or code of one's own as ``package.module:function`` or
        ``path/to/file.py:function``, which is imported and from then on known.

    Raises
    ------
    InputError
        If there is no such model.
    """
    key = own_key(name)
    if is_own(name):
        refuse_namesake(name)
        if key not in _models():
            _MODELS[key] = Entry(import_builder(name), f"own code: {name}")
    if key not in _models():
        near = difflib.get_close_matches(name, _models(), n=3)
        there = f"did you mean {' or '.join(near)}?" if near else f"there are {_listed()}"
        raise InputError(f"no model '{name}'; {there}")
    return _MODELS[key]


def _listed() -> str:
    return ", ".join(list_models())


def model_label(name: str) -> str:
    """A model's name for folders and results, without path and colon."""
    return own_key(name).replace(".py:", ".").replace(":", ".")


def create_model(name: str, n_classes: int, sample_rate: int = 22050, **options) -> nn.Module:
    """Build an untrained model.

    Parameters
    ----------
    name : str
        One of `list_models()`, or code of one's own (see `find_model`).
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
        If there is no such model, it has no such option, or one's own code builds something else.
    """
    build = find_model(name).build
    try:
        model = build(n_classes, sample_rate, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        option = str(error).rsplit("'", 2)[-2]
        raise InputError(f"model '{name}' has no option '{option}'") from error
    missing = [part for part in CONTRACT if not hasattr(model, part)]
    if missing or not isinstance(model, nn.Module):
        raise InputError(
            f"model '{name}' is a {type(model).__name__} without {' and '.join(missing)}; "
            "cortexnet.adapt makes a model of any nn.Module"
        )
    return model
