"""Clips of an experiment from end to end: what was heard, and music outside it to train on."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from cortexnet.runs import write_json
from stimuli import InputError, audit, gtzan, load_clips, save_clips
from stimuli.audit_report import Report
from stimuli.prepare import prepare

OUTSIDE = "outside"


def prepare_heard(
    presentations: pd.DataFrame, out: Path, rms: float, progress=None
) -> pd.DataFrame:
    """Cut the clips of an experiment (`stimuli.prepare`); the clip table of what was heard.

    Raises
    ------
    InputError
        A clip cannot be made, or as `stimuli.prepare`.
    """
    prepared = prepare(presentations, out, rms=rms, progress=progress)
    if prepared.problems:
        first, n = prepared.problems[0], len(prepared.problems)
        raise InputError(f"{n} clips cannot be cut, first {first['path']}: {first['what']}")
    return load_clips(out / "manifest.csv")


def audit_experiment(
    heard: pd.DataFrame, outside: pd.DataFrame, out: Path, progress=None
) -> tuple[pd.DataFrame, list[str]]:
    """Look for leaks among what was heard, and between it and the music outside.

    Known leaks, of training clips that the experiment's table marks, are left to the encoding,
    which drops them. Music outside that sounds in a clip after all, or cannot be read, is left
    out.

    Parameters
    ----------
    heard : DataFrame
        As `prepare_heard`.
    outside : DataFrame
        As `stimuli.gtzan.outside_experiment`.
    out : Path
        Gets ``audit.json``.

    Returns
    -------
    table : DataFrame
        What is left of the music outside (split "") and all clips heard (split "test").
    left_out : list of str

    Raises
    ------
    InputError
        A training clip that is not marked leaks into a test clip, or a clip heard is damaged.
    """
    together = pd.concat([heard, outside.assign(split=OUTSIDE)], ignore_index=True)
    found = audit(together, progress=progress)
    paths = dict(zip(outside["path"], outside["clip_id"], strict=True))
    left_out = sorted(_leaking(found, together, out) | _damaged(found, paths))
    write_json(out / "audit.json", found.to_json() | {"left_out": left_out})
    kept = outside[~outside["clip_id"].isin(left_out)].assign(split="")
    table = pd.concat([kept, heard.assign(split="test")], ignore_index=True)
    return table, left_out


def training_table(
    presentations: pd.DataFrame,
    tracks: Path,
    out: Path,
    rms: float,
    step: Callable,
    report,
    progress=None,
) -> pd.DataFrame:
    """Clip table of an experiment: prepared, audited, and beside the music that nobody heard.

    Parameters
    ----------
    presentations : DataFrame
        As `stimuli.ds003720.load` with tracks.
    tracks : Path
        GTZAN's folder.
    out : Path
        Gets ``prepared``, ``audit.json`` and ``clips.csv``, which is read where it is there.
    rms : float
        Of the clips.
    step : callable
        Given the name of a step, a context to do it in.
    report, progress : callables
        Given a line of text; given (done, total).
    """
    path = out / "clips.csv"
    if not path.is_file():
        with step("prepare"):
            heard = prepare_heard(presentations, out / "prepared", rms, progress)
            report(f"{len(heard)} clips as they were heard")
        with step("audit"):
            outside = gtzan.outside_experiment(gtzan.load(tracks), presentations)
            table, left_out = audit_experiment(heard, outside, out, progress)
            for name in left_out:
                report(f"{name}: left out of training, see audit.json")
        with step("clips"):
            save_clips(table, path)
    table = load_clips(path)
    heard = table["split"] == "test"
    report(f"{(~heard).sum()} tracks to train on, {heard.sum()} clips heard")
    return table


def _leaking(found: Report, clips: pd.DataFrame, out: Path) -> set[str]:
    """Clips outside that hold music of a clip; refuses leaks that nobody marked."""
    outside = set(clips.loc[clips["split"] == OUTSIDE, "clip_id"])
    marked = set()
    if "leak" in clips:
        marked = set(clips.loc[clips["leak"].eq(True) & (clips["split"] != "test"), "clip_id"])
    drop = set()
    for pair in found.leaks.itertuples():
        both = {pair.a, pair.b}
        if both & outside:
            drop |= both & outside
        elif not both & marked:
            raise InputError(
                f"{pair.a} and {pair.b} are on two sides of the split and share music "
                f"({pair.kind}); see `cortexnet stimuli audit {out / 'prepared'}`"
            )
    return drop


def _damaged(found: Report, outside: dict[str, str]) -> set[str]:
    """Clips outside whose file cannot be used; refuses a clip heard."""
    drop = set()
    for problem in found.problems[found.problems["severity"] == "error"].itertuples():
        if problem.path not in outside:
            raise InputError(f"{problem.path or 'clip table'}: {problem.what}")
        drop.add(outside[problem.path])
    return drop
