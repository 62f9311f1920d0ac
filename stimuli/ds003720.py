"""OpenNeuro ds003720: which clip was heard when, from the events or the MATLAB lists.

Nakai, Koide-Majima & Nishimoto 2021, Brain and Behavior 11, e01936. Excerpts of GTZAN tracks, once
each in the Training runs and four times each in the Test runs. The first event of a run is a dummy:
a Training run opens with the last clip of the run before it (the first run: of the last), a Test
run with its own last clip.
"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from stimuli.errors import InputError
from stimuli.orders import read_runs
from stimuli.presentations import dummy_origin, presentation_table

__all__ = ["REPETITION_TIME", "load", "load_orders", "read_repetition_time", "unique_clips"]

REPETITION_TIME = 1.5

_EVENTS_NAME = re.compile(r"sub-[^_]+_task-(Training|Test)_run-(\d+)_events\.tsv")
_GENRE = re.compile("[a-z]+")
_FIELDS = ("onset", "duration", "genre", "track", "start", "end")


def _read_events(path):
    """Rows of one events file as a DataFrame; genre strings lose whatever quotes they have."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    header = lines[0].split("\t") if lines else []
    missing = [field for field in _FIELDS if field not in header]
    if missing:
        raise InputError(f"{path}, line 1: no column '{missing[0]}' (found: {', '.join(header)})")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != len(header):
            raise InputError(f"{path}, line {number}: {len(cells)} cells, expected {len(header)}")
        row = dict(zip(header, cells, strict=True))
        genre = row["genre"].strip().strip("'\"")
        try:
            onset, duration, start, end = (
                float(row[field]) for field in ("onset", "duration", "start", "end")
            )
            track = int(row["track"])
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        times = 0 <= start < end < np.inf and 0 <= onset < np.inf and 0 < duration < np.inf
        if not _GENRE.fullmatch(genre) or track < 0 or not times:
            raise InputError(
                f"{path}, line {number}: no genre in small letters, no track number, no onset and "
                f"duration or start not before end: {line!r}"
            )
        rows.append((onset, duration, genre, track, start, end))
    if not rows:
        raise InputError(f"{path}: no events, only a header")
    return pd.DataFrame(rows, columns=list(_FIELDS))


def _subject_runs(folder):
    """Events of one subject: {(task, number): (path, DataFrame)} with Training runs first."""
    runs = {}
    for path in sorted((folder / "func").glob("*_events.tsv")):
        match = _EVENTS_NAME.fullmatch(path.name)
        if match:
            runs[match[1], int(match[2])] = path
    ordered = sorted(runs, key=lambda run: (run[0] == "Test", run[1]))
    return {run: (runs[run], _read_events(runs[run])) for run in ordered}


def _check_subjects_agree(folders, runs):
    for folder in folders[1:]:
        other = _subject_runs(folder)
        for task, number in sorted(set(runs) ^ set(other)):
            lacking = folder if (task, number) in runs else folders[0]
            raise InputError(
                f"{lacking}: no events of {task} run {number}, unlike other subjects; restore the "
                "file or remove the subject"
            )
        for run, (path, events) in other.items():
            if not events.equals(runs[run][1]):
                raise InputError(
                    f"{path}: differs from {runs[run][0]}; all subjects heard the same"
                )


def _check_dummies(runs):
    """The first event of a run repeats the last of the run that the design names, if present."""
    for run, (path, events) in runs.items():
        origin = dummy_origin(*run, runs)
        if origin not in runs:
            continue
        excerpt = ["genre", "track", "start", "end"]
        if not events.loc[0, excerpt].equals(runs[origin][1][excerpt].iloc[-1]):
            raise InputError(
                f"{path}, line 2: the first event is not the last clip of {origin[0]} run "
                f"{origin[1]}, as in ds003720"
            )


def read_repetition_time(bids_root) -> float:
    """Seconds a volume, from the sidecars ``*_bold.json`` of all runs.

    Parameters
    ----------
    bids_root : path
        Sidecars lie in it (for all runs) and in `sub-*/func`; those that leave RepetitionTime to
        another are passed over.

    Returns
    -------
    float
        `REPETITION_TIME` where no sidecar gives one.

    Raises
    ------
    InputError
        If a sidecar is no JSON object, its RepetitionTime no positive number, or two disagree.
    """
    bids_root = Path(bids_root)
    first = None
    for pattern in ("*_bold.json", "sub-*/func/*_bold.json"):
        for path in sorted(bids_root.glob(pattern)):
            try:
                value = json.loads(path.read_text(encoding="utf-8-sig")).get("RepetitionTime")
                seconds = None if value is None else float(value)
            except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
                raise InputError(f"{path}: no readable scan parameters ({error})") from error
            if seconds is None:
                continue
            if not 0 < seconds < np.inf:
                raise InputError(f"{path}: RepetitionTime is {value}; expected seconds, as 1.5")
            if first is not None and seconds != first[1]:
                raise InputError(
                    f"{path}: RepetitionTime {seconds:g} s, but {first[0]} has {first[1]:g} s; "
                    "all runs of this experiment have one, correct or remove the wrong file"
                )
            first = first or (path, seconds)
    return REPETITION_TIME if first is None else first[1]


def load(bids_root, gtzan_root=None) -> pd.DataFrame:
    """Presentation table of the experiment: one row an event, Training runs first.

    Parameters
    ----------
    bids_root : path
        Holds `sub-*/func/*_task-{Training,Test}_run-*_events.tsv`.
    gtzan_root : path, optional
        A copy of GTZAN (see `stimuli.gtzan.track_files`).

    Returns
    -------
    DataFrame with the clip columns and

        onset, duration : seconds in the run
        first_volume, n_volumes : the same in volumes, the first of a run being 0
        dummy : bool, the first event of a run (position 0, repeat 0)
        session : 1 to 3
        leak : bool, a training clip whose recording also sounds in a presented test clip
        fade : 2 s, the fade in and out that the scanner's clips had
        file : name of the presented clip file (see `stimuli.clip_names`), "" for a dummy

    `group` is the recording (see `stimuli.recordings`) where track, start and end are those of the
    published experiment, else the track. `run` is "Training-01" ..., `position` counts the events
    of a run from 0, `repeat` the presentations of a clip from 1; `path` is "" without `gtzan_root`;
    `start` and `end` are seconds in the track.

    Raises
    ------
    InputError
        If events are missing, malformed (naming file and line), differ between subjects, do not
        have the dummies of this experiment or are not on the grid of volumes, or no track is
        found. Where some tracks are missing a warning counts them and their path is "".
    """
    bids_root = Path(bids_root)
    folders = [f for f in sorted(bids_root.glob("sub-*")) if any(f.glob("func/*_events.tsv"))]
    runs = _subject_runs(folders[0]) if folders else {}
    if not runs:
        raise InputError(
            f"{bids_root}: no sub-*/func/sub-*_task-Training_run-*_events.tsv; name the BIDS folder"
        )
    _check_subjects_agree(folders, runs)
    _check_dummies(runs)
    events = {}
    for run, (_, table) in runs.items():
        tracks = [f"{g}.{n:05d}" for g, n in zip(table["genre"], table["track"], strict=True)]
        events[run] = table.rename(columns={"genre": "label"}).assign(track=tracks)
    return presentation_table(events, read_repetition_time(bids_root), bids_root, gtzan_root)


def load_orders(folder=None, gtzan_root=None) -> pd.DataFrame:
    """The same table from the MATLAB lists of clip files.

    Parameters
    ----------
    folder : path, optional
        Holds `ExpTrnOrder.mat` and `ExpValOrder.mat`, and for other excerpts than those of ds003720
        `excerpts.tsv` (see `stimuli.orders.read_runs`); default ds003720 as published.
    gtzan_root : path, optional
        As for `load`.

    Returns
    -------
    DataFrame equal to that of `load` for the events of the same experiment

    Raises
    ------
    InputError
        As `stimuli.orders.read_runs`, or if no track is found.
    """
    return presentation_table(read_runs(folder), REPETITION_TIME, folder or "ds003720", gtzan_root)


def unique_clips(presentations) -> pd.DataFrame:
    """Clips of a presentation table, one row each, in the order of first presentation.

    Parameters
    ----------
    presentations : DataFrame
        As `load` returns.

    Returns
    -------
    DataFrame with the clip columns (run, position and repeat of the first presentation that is no
    dummy), session, leak, fade and file (of that presentation)
    """
    of_presentations = ("onset", "duration", "first_volume", "n_volumes", "dummy")
    columns = [c for c in presentations.columns if c not in of_presentations]
    ordered = presentations.sort_values("dummy", kind="stable")
    return ordered.drop_duplicates("clip_id")[columns].reset_index(drop=True)
