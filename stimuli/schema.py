"""What a clip table is: its columns, their defaults and its rules.

A clip table has one row a clip. `group` is what must never be on both sides of a split.
"""

from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from stimuli.errors import InputError

TEXT = ("clip_id", "path", "label", "track", "group", "artist", "recording", "split", "run")
SECONDS = ("start", "end")
COUNTS = ("position", "repeat")
COLUMNS = (
    "clip_id",
    "path",
    "label",
    "track",
    "group",
    "artist",
    "recording",
    "start",
    "end",
    "split",
    "run",
    "position",
    "repeat",
)


def default_clip_id(relative, label) -> str:
    """Name of a clip after its file: the relative path without suffix.

    The folder is dropped where the file repeats it, as in GTZAN: `blues/blues.00000.wav` of label
    blues is `blues.00000`.
    """
    relative = PurePath(relative)
    if relative.name.startswith(f"{label}."):
        return relative.stem
    return relative.with_suffix("").as_posix()


def complete_clips(clips, relative) -> pd.DataFrame:
    """Fill in the columns that a table lacks and the cells that it leaves empty.

    The default `track` is the file's stem, or the default `clip_id` where different files have the
    same stem (`jazz/01.wav`, `rock/01.wav`), and the default `group` is the track. Other text is
    "", times and counts are NaN.

    Parameters
    ----------
    clips : DataFrame
        At least path and label.
    relative : sequence of str
        Path of each file relative to the table's or the collection's folder.

    Returns
    -------
    DataFrame with COLUMNS first, then the extra columns; same rows and index
    """
    clips = clips.copy()
    for column in TEXT:
        values = clips[column] if column in clips else pd.Series("", index=clips.index)
        clips[column] = values.astype(object).where(values.notna(), "").astype(str)
    for column in SECONDS + COUNTS:
        values = clips[column] if column in clips else pd.Series(np.nan, index=clips.index)
        clips[column] = values.astype(
            "int64" if column in COUNTS and values.notna().all() else float
        )

    def fill(column, default):
        clips[column] = clips[column].where(clips[column] != "", default)

    name = pd.Series(
        [default_clip_id(r, label) for r, label in zip(relative, clips["label"], strict=True)],
        index=clips.index,
    )
    stem = clips["path"].map(lambda path: PurePath(path).stem)
    ambiguous = clips["path"].groupby(stem).transform("nunique") > 1
    fill("clip_id", name)
    fill("track", stem.where(~ambiguous, name))
    fill("group", clips["track"])
    extra = [column for column in clips.columns if column not in COLUMNS]
    return clips[[*COLUMNS, *extra]]


def validate_clips(clips, source, files=True) -> None:
    """Refuse a table that cannot be used.

    Parameters
    ----------
    clips : DataFrame
        Its index counts the rows of the source from 0; messages give the line as an editor shows it
        (the header is line 1).
    source : path or str
        Named in the messages.
    files : bool
        Whether the files must exist.

    Raises
    ------
    InputError
        No rows, a missing column, an empty label, a clip_id that occurs twice, a file that does
        not exist, or a start that is not before its end.
    """
    for column in ("path", "label"):
        if column not in clips:
            found = ", ".join(map(str, clips.columns))
            raise InputError(f"{source}: no column '{column}' (found: {found}); add it")
    if clips.empty:
        raise InputError(f"{source}: no clips, only a header; add rows")
    line = clips.index.to_numpy() + 2

    def refuse(bad, message):
        bad = np.flatnonzero(bad)
        if bad.size:
            others = f" (and {bad.size - 1} more rows)" if bad.size > 1 else ""
            raise InputError(
                f"{source}, line {line[bad[0]]}: {message(clips.iloc[bad[0]])}{others}"
            )

    def blank(column):
        return clips[column].isna() | (clips[column].astype(str).str.strip() == "")

    refuse(blank("label"), lambda row: "no label; give one or remove the row")
    refuse(blank("path"), lambda row: "no path; give one or remove the row")
    if "clip_id" in clips:
        twice = (clips["clip_id"].duplicated() & clips["clip_id"].notna()).to_numpy()
        if twice.any():
            second = int(np.flatnonzero(twice)[0])
            name = clips["clip_id"].iloc[second]
            first = int(np.flatnonzero(clips["clip_id"].to_numpy() == name)[0])
            raise InputError(
                f"{source}, line {line[second]}: clip_id '{name}' is already on line {line[first]} "
                f"({clips['path'].iloc[first]}, {clips['path'].iloc[second]}); make it unique"
            )
    if files:
        refuse(
            ~clips["path"].map(lambda path: Path(path).is_file()).to_numpy(dtype=bool),
            lambda row: f"file not found: {row['path']}",
        )
    if "start" in clips and "end" in clips:
        refuse(
            clips["start"].fillna(0) >= clips["end"].fillna(np.inf),
            lambda row: f"start {row['start']:g} s is not before end {row['end']:g} s",
        )
        refuse(clips["start"] < 0, lambda row: f"start {row['start']:g} s is negative")
