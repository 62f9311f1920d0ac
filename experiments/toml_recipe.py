"""Recipes as TOML files: found, read, and their keys and values checked in one line."""

import difflib
import tomllib
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from stimuli import InputError

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_NAMES |= {dict: "a table", list: "a list"}


def recipe_file(source: str | Path, shipped: Iterable[str]) -> Path:
    """Path of a recipe: a file, or the name of one that comes with the package.

    Raises
    ------
    InputError
        If it is neither.
    """
    if Path(source).is_file():
        return Path(source)
    if str(source) in shipped:
        return Path(str(files("experiments") / "recipes" / f"{source}.toml"))
    raise InputError(f"{source}: no such recipe; name a TOML file or one of {', '.join(shipped)}")


def read_toml(path: Path, make: Callable[[dict, str], Any]):
    """What `make` makes of the content of a file and its name; its errors name the file.

    Raises
    ------
    InputError
        The file is not TOML, or as `make`.
    """
    try:
        with path.open("rb") as file:
            value = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error})") from error
    try:
        return make(value, path.stem)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def check_keys(value: dict, kinds: dict, prefix: str = "") -> None:
    """Refuse a key that there is not, or a value of another kind than its own.

    Parameters
    ----------
    value : dict
    kinds : {key: kind}, as of `check_kind`
    prefix : str
        Of the keys in what is said, such as "controls.".
    """
    for key, given in value.items():
        if key not in kinds:
            raise InputError(f"unknown key '{prefix}{key}'{near(key, kinds)}")
        check_kind(prefix + key, given, kinds[key])


def check_kind(key: str, value, kind) -> None:
    """Refuse a value that is not of a kind.

    Parameters
    ----------
    key : str
    value
    kind : str, int, float, bool, dict, object (any of the plain ones), or a list of one of them
        A list is not empty and names nothing twice. All else (``float | None``) is a number.
    """
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise InputError(f"{key} is {_shown(value)}; it must be a list")
        if not value:
            raise InputError(f"{key} is an empty list; name something or leave it out")
        if len({written(v) for v in value}) < len(value):
            raise InputError(f"{key} names something twice")
        for each in value:
            check_kind(key, each, kind[0])
        return
    if kind is object:
        kind = str | int | float | bool
    elif kind not in (str, int, float, bool, dict):  # float | None
        kind = float
    fits = isinstance(value, int | float if kind is float else kind)
    if isinstance(value, bool) and kind in (int, float):
        fits = False
    if not fits:
        wanted = _NAMES.get(kind, "a number, text, true or false")
        raise InputError(f"{key} is {_shown(value)}; it must be {wanted}")


def written(value) -> str:
    """A value as a recipe has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def near(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that was meant, else at all of them."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else f"; there are {', '.join(known)}"


def _shown(value) -> str:
    return f"'{value}'" if isinstance(value, str) else written(value)
