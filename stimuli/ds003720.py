"""OpenNeuro ds003720: which clip was heard when, from the events files.

Nakai, Koide-Majima & Nishimoto 2021, Brain and Behavior 11, e01936. Excerpts of GTZAN tracks, once
each in the Training runs and four times each in the Test runs. The first event of a run is a dummy:
a Training run opens with the last clip of the run before it (the first run: of the last), a Test
run with its own last clip.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from stimuli.errors import InputError
from stimuli.schema import COLUMNS, complete_clips

PRESENTATION_COLUMNS = (*COLUMNS, "onset", "duration", "dummy", "session", "leak", "fade")

# (training track, its start, test track, its start). The first four pairs are exact replicas of
# each other with 4 to 14 s of shared audio, the last two are other excerpts of one song.
SHARED_WITH_TEST = (
    ("disco.00074", 3.28, "disco.00071", 0.81),
    ("jazz.00067", 3.64, "jazz.00040", 14.3),
    ("jazz.00043", 10.81, "jazz.00069", 1.97),
    ("jazz.00070", 8.92, "jazz.00044", 9.49),
    ("reggae.00044", 13.02, "reggae.00033", 12.55),
    ("hiphop.00069", 10.77, "hiphop.00049", 14.12),
)

FADE_SECONDS = 2.0
_RUNS_PER_SESSION = {"Training": 4, "Test": 2}
_SPLIT = {"Training": "train", "Test": "test"}
_EVENTS_NAME = re.compile(r"sub-[^_]+_task-(Training|Test)_run-(\d+)_events\.tsv")
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
        if not genre or not 0 <= start < end < np.inf or not duration > 0:
            raise InputError(
                f"{path}, line {number}: no genre, no duration or start not before end: {line!r}"
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
    last_training = max((n for task, n in runs if task == "Training"), default=0)
    for (task, number), (path, events) in runs.items():
        if task == "Test":
            origin = (task, number)
        else:
            origin = (task, number - 1 if number > 1 else last_training)
        if origin not in runs:
            continue
        excerpt = ["genre", "track", "start", "end"]
        if not events.loc[0, excerpt].equals(runs[origin][1][excerpt].iloc[-1]):
            raise InputError(
                f"{path}, line 2: the first event is not the last clip of {origin[0]} run "
                f"{origin[1]}, as in ds003720"
            )


def _find_tracks(gtzan_root, tracks):
    """Path of each GTZAN track below a root that holds the genre folders or their parent."""
    root = Path(gtzan_root).resolve()
    folders = [root / "genres", root / "genres_original", root]
    paths = {}
    for track in tracks:
        genre = track.split(".")[0]
        candidates = [
            folder / genre / f"{track}{suffix}"
            for folder in folders
            for suffix in (".wav", ".au", ".mp3")
        ]
        found = next((path for path in candidates if path.is_file()), None)
        if found is None:
            raise InputError(f"{root}: no {genre}/{track}.wav, .au or .mp3; is this GTZAN?")
        paths[track] = str(found)
    return paths


def load(bids_root, gtzan_root=None) -> pd.DataFrame:
    """Presentation table of the experiment: one row an event, Training runs first.

    Parameters
    ----------
    bids_root : path
        Holds `sub-*/func/*_task-{Training,Test}_run-*_events.tsv`.
    gtzan_root : path, optional
        GTZAN: holds `genres/`, `genres_original/` or the genre folders themselves.

    Returns
    -------
    DataFrame with the clip columns and

        onset, duration : seconds in the run
        dummy : bool, the first event of a run (position 0, repeat 0)
        session : 1 to 3
        leak : bool, a training clip whose recording also sounds in a presented test clip
        fade : 2 s, the fade in and out that the scanner's clips had

    `run` is "Training-01" ..., `position` counts the events of a run from 0, `repeat` the
    presentations of a clip from 1; `path` is "" without `gtzan_root`; `start` and `end` are seconds
    in the track.

    Raises
    ------
    InputError
        If events are missing, malformed (naming file and line), differ between subjects or do not
        have the dummies of this experiment, or a track is not found.
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

    parts = []
    for (task, number), (_, events) in runs.items():
        part = events.rename(columns={"genre": "label"})
        part["run"] = f"{task}-{number:02d}"
        part["split"] = _SPLIT[task]
        part["session"] = (number - 1) // _RUNS_PER_SESSION[task] + 1
        part["position"] = np.arange(len(part))
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    table["dummy"] = table["position"] == 0
    table["track"] = [f"{g}.{n:05d}" for g, n in zip(table["label"], table["track"], strict=True)]
    seconds = (table["end"] - table["start"]).round().astype(int)
    table["clip_id"] = table["track"] + "_" + seconds.astype(str) + "s"
    excerpts = table.groupby("clip_id")[["start", "end"]].nunique().max(axis=1)
    if (excerpts > 1).any():
        raise InputError(
            f"{bids_root}: clip {excerpts.idxmax()} is presented with different starts or ends"
        )
    heard = table[~table["dummy"]]
    table["repeat"] = (heard.groupby(["run", "clip_id"]).cumcount() + 1).reindex(
        table.index, fill_value=0
    )
    presented = set(zip(table["split"], table["track"], table["start"], strict=True))
    leaking = [
        track
        for track, start, partner, partner_start in SHARED_WITH_TEST
        if {("train", track, start), ("test", partner, partner_start)} <= presented
    ]
    table["leak"] = (table["split"] == "train") & table["track"].isin(leaking)
    table["fade"] = FADE_SECONDS
    paths = {} if gtzan_root is None else _find_tracks(gtzan_root, sorted(set(table["track"])))
    table["path"] = table["track"].map(lambda track: paths.get(track, ""))
    return complete_clips(table, table["track"])[list(PRESENTATION_COLUMNS)]


def unique_clips(presentations) -> pd.DataFrame:
    """Clips of a presentation table, one row each, in the order of first presentation.

    Parameters
    ----------
    presentations : DataFrame
        As `load` returns.

    Returns
    -------
    DataFrame with the clip columns (run, position and repeat of the first presentation that is no
    dummy), session, leak and fade
    """
    columns = [c for c in presentations.columns if c not in ("onset", "duration", "dummy")]
    ordered = presentations.sort_values("dummy", kind="stable")
    return ordered.drop_duplicates("clip_id")[columns].reset_index(drop=True)
