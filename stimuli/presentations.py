"""The presentation table of ds003720, from whichever files tell the order of the clips."""

import warnings

import numpy as np
import pandas as pd

from stimuli.clip_names import ClipName, format_clip_name
from stimuli.errors import InputError
from stimuli.excerpts import is_experiment_excerpt
from stimuli.gtzan import track_files
from stimuli.recordings import recording_groups
from stimuli.schema import COLUMNS, complete_clips

PRESENTATION_COLUMNS = (
    *COLUMNS,
    "onset",
    "duration",
    "first_volume",
    "n_volumes",
    "dummy",
    "session",
    "leak",
    "fade",
    "file",
)

FADE_SECONDS = 2.0
_RUNS_PER_SESSION = {"Training": 4, "Test": 2}
_SPLIT = {"Training": "train", "Test": "test"}


def dummy_origin(task, number, runs) -> tuple[str, int]:
    """The run with whose last clip a run opens.

    Parameters
    ----------
    task : {"Training", "Test"}
    number : int
        Run, from 1.
    runs : iterable of (task, number)
        All runs.

    Returns
    -------
    (task, number)
        A Training run opens with the end of the run before it (the first: of the last), a Test run
        with its own end.
    """
    if task == "Test":
        return task, number
    return task, number - 1 if number > 1 else max(n for t, n in runs if t == task)


def _volumes(seconds, repetition_time, source):
    volumes = seconds / repetition_time
    whole = volumes.round()
    off = np.flatnonzero((volumes - whole).abs() > 1e-6)
    if off.size:
        raise InputError(
            f"{source}: {seconds.iloc[off[0]]:g} s is no whole number of volumes of "
            f"{repetition_time:g} s; correct RepetitionTime or the events"
        )
    return whole.astype("int64")


def _recordings(table):
    """Group of each row: known pairs count only where the excerpt is the experiment's own."""
    groups = recording_groups(table.loc[is_experiment_excerpt(table), "track"])
    return [groups.get(track, track) for track in table["track"]]


def _paths(tracks, gtzan_root):
    if gtzan_root is None:
        return ""
    found = track_files(gtzan_root)
    missing = sorted(set(tracks) - set(found))
    if missing:
        genre = missing[0].split(".")[0]
        others = f" (and {len(missing) - 1} more tracks)" if len(missing) > 1 else ""
        what = f"{gtzan_root}: no {genre}/{missing[0]}.wav, .au, .flac or .mp3{others}"
        if not found.keys() & set(tracks):
            raise InputError(f"{what}; is this GTZAN?")
        warnings.warn(f"{what}; these clips have no sound", stacklevel=4)
    return [str(found.get(track, "")) for track in tracks]


def presentation_table(runs, repetition_time, source, gtzan_root=None) -> pd.DataFrame:
    """One row an event, in the columns that `stimuli.ds003720.load` describes.

    Parameters
    ----------
    runs : dict of (task, number) to DataFrame
        Events of each run, the dummy first: onset, duration, label, track, start, end.
    repetition_time : float
        Seconds a volume.
    source : path
        Named in messages.
    gtzan_root : path, optional

    Returns
    -------
    DataFrame with PRESENTATION_COLUMNS

    Raises
    ------
    InputError
        If one clip is two excerpts, an event is not on the grid of volumes or no track is found.
        Where some tracks are missing a warning counts them and their path is "".
    """
    parts = []
    for (task, number), events in runs.items():
        part = events.assign(run=f"{task}-{number:02d}", split=_SPLIT[task])
        part["session"] = (number - 1) // _RUNS_PER_SESSION[task] + 1
        part["position"] = np.arange(len(part))
        seconds = (part["end"] - part["start"]).round().astype(int)
        part["file"] = [
            format_clip_name(ClipName(task, number, row, track, s)) if row else ""
            for row, track, s in zip(part["position"], part["track"], seconds, strict=True)
        ]
        part["clip_id"] = part["track"] + "_" + seconds.astype(str) + "s"
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    table["dummy"] = table["position"] == 0
    excerpts = table.groupby("clip_id")[["start", "end"]].nunique().max(axis=1)
    if (excerpts > 1).any():
        raise InputError(
            f"{source}: clip {excerpts.idxmax()} is presented with different starts or ends"
        )
    heard = table[~table["dummy"]]
    table["repeat"] = (heard.groupby(["run", "clip_id"]).cumcount() + 1).reindex(
        table.index, fill_value=0
    )
    table["first_volume"] = _volumes(table["onset"], repetition_time, source)
    table["n_volumes"] = _volumes(table["duration"], repetition_time, source)
    table["group"] = _recordings(table)
    tested = set(table.loc[table["split"] == "test", "group"])
    table["leak"] = (table["split"] == "train") & table["group"].isin(tested)
    table["fade"] = FADE_SECONDS
    table["path"] = _paths(table["track"], gtzan_root)
    return complete_clips(table, table["track"])[list(PRESENTATION_COLUMNS)]
