"""The table of regions: which areas make up core, belt, parabelt and T2/T3, and their order."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ..errors import InputError

_HEMISPHERE = re.compile(r"^(?:[LR]|lh|rh|left|right)[_.\-](.+)$", re.IGNORECASE)
_TRAILING = re.compile(r"^(.+)[_.\-](?:[LR]|lh|rh|left|right|ROI)$", re.IGNORECASE)
_BRODMANN = re.compile(r"^(?:BA|Brodmann(?:[ _.]area)?)[ _.]*0*(\d+)$", re.IGNORECASE)
_KEYS = {"order", "stage", "areas", "extended", "brodmann"}


@dataclass(frozen=True)
class Region:
    """A region of the processing chain.

    Parameters
    ----------
    name : str
    order : int
        Place in the chain; regions of lowest order are primary.
    stage : str or None
        Stage of a network that is expected to fit.
    areas : names of atlas areas, without hemisphere
    brodmann : names as "BA41"
    """

    name: str
    order: int
    stage: str | None = None
    areas: tuple[str, ...] = ()
    brodmann: tuple[str, ...] = ()


def read_region_table(path=None, *, extended: bool = False) -> dict[str, Region]:
    """Regions of auditory cortex from a TOML file.

    The file of the package (`auditory.toml`) has core = A1, belt = MBelt and LBelt, parabelt =
    PBelt, T2 = TE1, T3 = TE2 and the auditory association areas beside them, by HCP-MMP1 (Glasser
    et al. 2016, Nature 536: 171).

    Parameters
    ----------
    path : path, optional
        Of an edited copy. Default: the file of the package.
    extended : bool
        With the areas listed under `extended` (RI and 52 in the belt, A4 and A5 in the parabelt);
        they leave other regions.

    Returns
    -------
    {name: Region}, by order

    Raises
    ------
    InputError
        The file is no such table, or an area is listed twice.
    """
    source = files("encoding.regions") / "auditory.toml" if path is None else Path(path)
    try:
        rows = tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{source}: not a readable TOML table of regions ({error})") from error
    moved = {a for row in rows.values() if extended and isinstance(row, dict)
             for a in row.get("extended", [])}  # fmt: skip
    table = {name: _region(source, name, row, extended, moved) for name, row in rows.items()}
    owner: dict[str, str] = {}
    for region in table.values():
        for area in (*region.areas, *region.brodmann):
            if owner.setdefault(area.lower(), region.name) != region.name:
                raise InputError(
                    f"{source}: area {area} is in {owner[area.lower()]} and {region.name}; "
                    "keep it in one"
                )
    if len({region.order for region in table.values()}) < 2:
        raise InputError(f"{source}: all regions have one order; give primary ones a lower one")
    return dict(sorted(table.items(), key=lambda item: item[1].order))


def _region(source, name, row, extended, moved) -> Region:
    if not isinstance(row, dict) or not isinstance(row.get("order"), int):
        raise InputError(f"{source}: region {name} lacks a whole number `order`")
    unknown = set(row) - _KEYS
    if unknown:
        raise InputError(
            f"{source}: region {name} has {sorted(unknown)}; known are {sorted(_KEYS)}"
        )
    lists = {key: row.get(key, []) for key in ("areas", "extended", "brodmann")}
    for key, value in lists.items():
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise InputError(f"{source}: {key} of region {name} is no list of names in quotes")
    own = lists["extended"] if extended else []
    areas = [a for a in lists["areas"] if a not in moved or a in own]
    return Region(name, row["order"], row.get("stage"), (*areas, *own), tuple(lists["brodmann"]))


def area_name(label: str) -> str:
    """The area in an atlas label: "L_A1_ROI", "lh.A1" and "A1_R" are all "A1"."""
    name = str(label).strip()
    for pattern in (_TRAILING, _TRAILING, _HEMISPHERE):
        found = pattern.match(name)
        name = found[1] if found else name
    return name


def brodmann_name(label: str) -> str | None:
    """ "BA41" of the label of a Brodmann atlas, None of any other."""
    found = _BRODMANN.match(area_name(label))
    return f"BA{int(found[1])}" if found else None
