"""Clip tables on disk, and the sound of a row."""

from pathlib import Path

import numpy as np
import pandas as pd

from stimuli.audio import RMS, SAMPLE_RATE, equalise_rms, fade, read_audio
from stimuli.errors import InputError
from stimuli.folder import scan_folder
from stimuli.provenance import whole_file
from stimuli.schema import COLUMNS, COUNTS, SECONDS, TEXT, complete_clips, validate_clips

__all__ = ["COLUMNS", "load_clips", "save_clips", "validate_clips", "waveform"]


def _numbers(table, column, source):
    numbers = pd.to_numeric(table[column], errors="coerce")
    bad = table.index[numbers.isna() & table[column].notna()]
    if len(bad):
        raise InputError(
            f"{source}, line {bad[0] + 2}: {column} is '{table.at[bad[0], column]}', not a number"
        )
    return numbers


def load_clips(path, files=True) -> pd.DataFrame:
    """Read a clip table from a CSV, or make one from a folder of folders.

    Parameters
    ----------
    path : path
        CSV with at least the columns path and label (paths relative to the CSV's folder, or
        absolute; UTF-8), or a folder for `stimuli.folder.scan_folder`.
    files : bool
        Whether the files must exist; `stimuli.audit` names those that do not.

    Returns
    -------
    DataFrame with COLUMNS, then any extra columns; absolute paths, unique clip_id, default index

    Raises
    ------
    InputError
        If the table cannot be read or breaks a rule of `validate_clips`.
    """
    path = Path(path)
    if path.is_dir():
        return scan_folder(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    try:
        # Blank lines are kept until the end so that row numbers are those of an editor.
        table = pd.read_csv(
            path,
            encoding="utf-8-sig",
            dtype=dict.fromkeys((*TEXT, *SECONDS, *COUNTS), str),
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV table in UTF-8 ({str(error).strip()})") from error
    table = table.dropna(how="all")
    if table.empty or not {"path", "label"} <= set(table.columns):
        validate_clips(table, path)
    for column in (*SECONDS, *COUNTS):
        if column in table:
            table[column] = _numbers(table, column, path)
    relative = table["path"]
    table["path"] = relative.map(lambda name: str((path.parent / name).resolve()), "ignore")
    validate_clips(table, path, files)
    clips = complete_clips(table, relative)
    validate_clips(clips, path, files)
    return clips.reset_index(drop=True)


def save_clips(clips, csv_path) -> None:
    """Write a clip table as CSV, whole or not at all.

    Paths below the CSV's folder are made relative to it, so that the folder can be moved.

    Parameters
    ----------
    clips : DataFrame
    csv_path : path
        Its folder must exist.
    """
    csv_path = Path(csv_path)
    folder = csv_path.parent.resolve()

    def portable(name):
        path = Path(name)
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)

    table = clips.assign(path=[portable(name) for name in clips["path"]])
    with whole_file(csv_path) as partial:
        table.to_csv(partial, index=False)


def waveform(row, sample_rate=SAMPLE_RATE, rms=RMS) -> np.ndarray:
    """Sound of one clip at one level.

    Parameters
    ----------
    row : Series or mapping
        A row of a clip table: path, start and end in seconds (NaN: the file's own), and where
        the table has it ``fade``, the length of a fade in and out in seconds.
    sample_rate : int
        Hz.
    rms : float
        Root mean square, full scale at 1.

    Returns
    -------
    (n_samples,) float32

    Raises
    ------
    InputError
        As `stimuli.audio.read_audio`.
    """
    if not row["path"]:
        raise InputError(
            f"clip '{row['clip_id']}' has no sound file; name its data set or complete the copy"
        )
    start, end = (None if pd.isna(row.get(key)) else float(row[key]) for key in SECONDS)
    x = read_audio(row["path"], sample_rate, start, end)
    if row.get("fade", 0) > 0:  # false for NaN
        x = fade(x, sample_rate, row["fade"])
    return equalise_rms(x, rms)
