"""Tables of excerpts (which seconds of a track were heard), and those of ds003720 itself."""

from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pandas as pd

from stimuli.errors import InputError

_FIELDS = ("track", "start", "end")


def read_excerpts(path) -> pd.DataFrame:
    """Read a tab-separated table of excerpts.

    Parameters
    ----------
    path : path
        Header ``track``, ``start``, ``end``; one row a track; seconds in the track; UTF-8.

    Returns
    -------
    DataFrame with these columns, rows as in the file

    Raises
    ------
    InputError
        If the file cannot be read or a row is malformed or repeats a track (naming the line).
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); write it again") from error
    if not lines or tuple(lines[0].split("\t")) != _FIELDS:
        found = repr(lines[0]) if lines else "nothing"
        raise InputError(f"{path}, line 1: expected the header track, start, end; found {found}")
    rows = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            track, start, end = line.split("\t")
            start, end = float(start), float(end)
        except ValueError as error:
            raise InputError(
                f"{path}, line {number}: {line!r} is no track, start and end; correct it"
            ) from error
        if track in rows or not track or not 0 <= start < end < np.inf:
            raise InputError(
                f"{path}, line {number}: {line!r} repeats a track, names none or does not have "
                "0 <= start < end; correct it"
            )
        rows[track] = (track, start, end)
    return pd.DataFrame(list(rows.values()), columns=list(_FIELDS))


@cache
def _own_table():
    with as_file(files("stimuli") / "ds003720_excerpts.tsv") as path:
        return read_excerpts(path)


def experiment_excerpts() -> pd.DataFrame:
    """Excerpts that the subjects of ds003720 heard, in the order in which they first heard them.

    Taken from the events of Nakai, Koide-Majima & Nishimoto, OpenNeuro ds003720 v1.0.0, which are
    in the public domain (CC0), doi 10.18112/openneuro.ds003720.v1.0.0.

    Returns
    -------
    DataFrame with columns track, start, end (seconds in the track): 480 rows for the training
    clips (12 runs of 40), then 60 for the test clips (6 runs of 10, each heard four times)
    """
    return _own_table().copy()


def is_experiment_excerpt(excerpts) -> np.ndarray:
    """Which excerpts are those of ds003720, to a hundredth of a second.

    Facts about the music of GTZAN hold where this is true. Other music under the names of GTZAN's
    tracks (such as `stimuli.miniature`) is cut elsewhere.

    Parameters
    ----------
    excerpts : DataFrame
        With track, start and end.

    Returns
    -------
    (n,) bool array
    """

    def keys(table):
        hundredths = (table[["start", "end"]] * 100).round()
        return list(zip(table["track"], hundredths["start"], hundredths["end"], strict=True))

    own = set(keys(_own_table()))
    return np.array([key in own for key in keys(excerpts)], bool)
