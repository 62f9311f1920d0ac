"""Code of one's own, named explicitly: ``package.module:function`` or ``path/to/file.py:function``.

Code runs when it is imported. Only names that a person gives come here, never names read from a
file (`cortexnet.runs.load_run`).
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from stimuli import InputError

_FILES: dict[str, Path] = {}  # by the name of their module


def is_own(name: str) -> bool:
    """Whether a model's name points to code."""
    return ":" in name


def own_key(name: str) -> str:
    """The name without folders: ``"nets/mine.py:build"`` is known as ``"mine.py:build"``."""
    module, _, function = name.rpartition(":")
    return f"{Path(module).name}:{function}" if module.endswith(".py") else name


def refuse_namesake(name: str) -> None:
    """Two files of one name cannot be told apart in the cards of runs.

    Raises
    ------
    InputError
        If a file is named and another of its name was imported before.
    """
    path = Path(name.rpartition(":")[0]).resolve()
    known = _FILES.get(_module_name(path))
    if path.is_file() and known not in (None, path):
        raise InputError(f"{path}: {known} has the same name; rename one of them")


def import_code(name: str) -> ModuleType:
    """Import a module by its dotted name, from the working folder too, or a file by its path.

    Raises
    ------
    InputError
        If there is none, or it fails.
    """
    try:
        return _import_file(Path(name)) if name.endswith(".py") else _import_module(name)
    except InputError:
        raise
    except Exception as error:  # whatever a person's code raises
        raise InputError(f"{name}: {type(error).__name__} on import: {error}") from error


def import_builder(name: str) -> Callable:
    """The function or class that builds a model, given ``(n_classes, sample_rate, **options)``.

    Raises
    ------
    InputError
        If the module has no such function, or it takes other arguments.
    """
    where, _, attribute = name.rpartition(":")
    build = getattr(import_code(where), attribute, None)
    if not callable(build):
        raise InputError(f"{name}: {where} has no function '{attribute}'")
    try:
        inspect.signature(build).bind(2, 22050)
    except TypeError as error:
        raise InputError(f"{name}: must take (n_classes, sample_rate, ...): {error}") from error
    return build


def _import_module(name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # last: what is installed comes first
    return importlib.import_module(name)


def _module_name(path: Path) -> str:
    return f"cortexnet_own_{path.stem}"


def _import_file(path: Path) -> ModuleType:
    path, name = path.resolve(), _module_name(path)
    if name in _FILES:
        return sys.modules[name]
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # it may import its neighbours
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look it up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _FILES[name] = path
    return module
