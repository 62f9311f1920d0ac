"""The clips of the experiment cut out of their tracks, as the subjects heard them.

Every excerpt is cut, resampled once, faded in and out with raised-cosine ramps and brought to one
root mean square, in this order, and written as a 16-bit wav under the experiment's file name.
"""

import filecmp
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from stimuli.audio import RMS, SAMPLE_RATE, equalise_rms, fade, read_audio, write_audio
from stimuli.clip_names import parse_clip_name
from stimuli.clips import save_clips
from stimuli.errors import InputError
from stimuli.lists import copy_name, copy_names, parse_copy_name, write_lists
from stimuli.provenance import (
    FileHashes,
    Ledger,
    copy_settings,
    decoder_versions,
    digest,
    whole_file,
)
from stimuli.schema import COLUMNS

CLIPS, AUGMENTED = "clips", "augmented"
_LEDGER = ".ledger.jsonl"
_RESULTS = ("prepare.json", "manifest.csv", "presentations.csv", "train_list.txt", "test_list.txt")
_NEEDED = ("clip_id", "path", "label", "track", "split", "dummy", "start", "end", "file")
_TRACED = ("session", "leak", "track_start", "track_end")
# A track of GTZAN at a lower rate has been resampled by somebody and lacks its high frequencies.
_GTZAN_RATE = 22050
# Root mean square, full scale at 1: three steps of 16 bits. Levelling would only bring up noise.
_SILENCE = 1e-4


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did.

    Parameters
    ----------
    summary : dict
        As in ``prepare.json``: complete, problems, counts, settings, clips.
    written, kept : int
        Sound files made now, and found finished.
    """

    summary: dict
    written: int
    kept: int

    @property
    def problems(self) -> list[dict]:
        """Clips left out, as {"path", "what"}; empty if all is well."""
        return self.summary["problems"]


@dataclass(frozen=True)
class _Work:
    """Sound files of one clip that are still to be made, {name below `out`: (copy, key)}."""

    row: dict
    files: dict[str, tuple[int, str]]
    missing: list[str]


def place_presentations(presentations) -> tuple[pd.DataFrame, dict[str, str]]:
    """Give every presentation its file below the output folder.

    Parameters
    ----------
    presentations : DataFrame
        As `stimuli.ds003720.load`, whose `file` is the experiment's name of the clip.

    Returns
    -------
    events : DataFrame
        `file` is "clips/<name>"; a dummy has the file of its clip's first presentation. It is ""
        where a clip has no such name.
    problems : dict
        {clip_id: what is wrong with its name}

    Raises
    ------
    InputError
        If the table lacks a column, names two presentations alike or has a clip in both splits or
        with two excerpts.
    """
    missing = [column for column in _NEEDED if column not in presentations]
    if missing:
        raise InputError(f"presentation table: no column '{missing[0]}'")
    events = presentations.reset_index(drop=True)
    for column in ("split", "path", "start", "end"):
        varied = events.groupby("clip_id")[column].nunique() > 1
        if varied.any():
            raise InputError(
                f"presentation table: clip {varied.idxmax()} has more than one {column}"
            )
    heard = events[~events["dummy"].astype(bool)]
    if heard["file"].duplicated().any():
        name = heard.loc[heard["file"].duplicated(), "file"].iloc[0]
        raise InputError(f"presentation table: two presentations are '{name}'")
    problems = {}
    for clip_id, name in zip(heard["clip_id"], heard["file"], strict=True):
        try:
            parse_clip_name(name)  # such a name cannot lead out of the folder
        except InputError as error:
            problems[clip_id] = str(error)
    named = f"{CLIPS}/" + heard.loc[~heard["clip_id"].isin(problems), "file"]
    first = named.groupby(heard["clip_id"]).first()
    dummies = events.loc[events["dummy"].astype(bool), "clip_id"].map(first)
    return events.assign(
        file=pd.concat([named, dummies]).reindex(events.index).fillna("")
    ), problems


def cut_clip(row, sample_rate=SAMPLE_RATE, fade_seconds=2.0, rms=RMS) -> np.ndarray:
    """Cut one excerpt out of its track: resampled once, faded, then levelled.

    Parameters
    ----------
    row : mapping
        path of the track; start and end, seconds.
    sample_rate : int
        Hz.
    fade_seconds : float
        Length of the raised-cosine ramp at either end.
    rms : float
        Root mean square after the fades, full scale at 1.

    Returns
    -------
    (n_samples,) float32

    Raises
    ------
    InputError
        If the excerpt cannot be read, is silent, comes from a file of a lower sample rate than
        GTZAN's, or would exceed full scale.
    """
    path = row["path"]
    x = read_audio(path, sample_rate, row["start"], row["end"])
    rate = soundfile.info(path).samplerate
    if rate < min(sample_rate, _GTZAN_RATE):
        raise InputError(
            f"{path}: sampled at {rate} Hz, so nothing above {rate // 2} Hz is left; replace it or "
            f"prepare all at {rate} Hz"
        )
    if np.sqrt(np.mean(np.square(x, dtype=np.float64))) < _SILENCE:
        raise InputError(f"{path}: silent from {row['start']:g} to {row['end']:g} s; replace it")
    x = equalise_rms(fade(x, sample_rate, fade_seconds), rms)
    peak = float(np.abs(x).max())
    if peak > 1:
        raise InputError(
            f"{path}: peak {peak:.2f} exceeds full scale at RMS {rms:g}; "
            f"prepare all at RMS {math.floor(1e4 * rms / peak) / 1e4:g}"
        )
    return x


def prepare(
    presentations,
    out,
    sample_rate: int = SAMPLE_RATE,
    fade_seconds: float = 2.0,
    rms: float = RMS,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    augmenter=None,
) -> Prepared:
    """Write the clips of a presentation table, with their manifest and lists.

    Below `out`: ``clips/``, one wav a presentation (the repeats of a test clip are one sound, hard
    links where the file system has them); ``manifest.csv``, a clip table of the distinct clips,
    whose extra columns track_start and track_end are seconds in the track; ``presentations.csv``,
    one row an event, dummies included, with its file; ``train_list.txt`` and ``test_list.txt``; and
    ``prepare.json``. With an augmenter also ``augmented/``, copies of the training clips.

    Finished files are kept when settings, excerpt and the content of the track are the same, so
    that a run which was interrupted goes on. A clip that cannot be made is left out of the tables
    and named in the problems. No level is changed to avoid clipping: a clip whose peak would
    exceed full scale is such a problem, and its remedy is a lower `rms` for all. One process at a
    time may write to a folder.

    Parameters
    ----------
    presentations : DataFrame
        As `stimuli.ds003720.load` with tracks.
    out : path
        A new or empty folder, or one of an earlier call.
    sample_rate : int
        Hz.
    fade_seconds : float
    rms : float
        Full scale at 1.
    workers : int, optional
        Threads; default one a processor. The bytes are the same for any number.
    progress : callable, optional
        Called with (clips done, clips in all); first with those that were done before.
    augmenter : stimuli.augment.Augmenter, optional
        Of the copies of training clips.

    Returns
    -------
    Prepared

    Raises
    ------
    InputError
        If a setting is out of range, the table is unusable or `out` holds something else.
    """
    if sample_rate < 1 or not 0 <= fade_seconds < math.inf or not 0 < rms < 1:
        raise InputError(
            f"sample rate {sample_rate} Hz, fade {fade_seconds} s or RMS {rms} out of range"
        )
    events, badly_named = place_presentations(presentations)
    heard = events[~events["dummy"].astype(bool)]
    clips = heard.drop_duplicates("clip_id").reset_index(drop=True)
    settings = {
        "sample_rate": sample_rate,
        "fade_seconds": fade_seconds,
        "fade_shape": "raised cosine",
        "rms": rms,
        "subtype": "PCM_16",
        "decoder": decoder_versions(),
        "augmentation": None if augmenter is None else augmenter.settings(),
    }
    out = _open_folder(Path(out), augmenter is not None)
    ledger, hashes = Ledger(out / _LEDGER), FileHashes(out / ".hashes.jsonl")
    _remove_strangers(out, heard["file"], augmenter)

    problems = {}
    for row in clips.to_dict("records"):
        if row["clip_id"] in badly_named:
            problems[row["clip_id"]] = _problem(row, badly_named[row["clip_id"]])
    rows = [row for row in clips.to_dict("records") if row["clip_id"] not in problems]
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    try:
        plan = []
        planned = pool.map(lambda row: _plan(out, row, settings, augmenter, ledger, hashes), rows)
        for row, work in zip(rows, planned, strict=True):
            if isinstance(work, InputError):
                problems[row["clip_id"]] = _problem(row, work)
            else:
                plan.append(work)
        waiting = [work for work in plan if work.missing]
        if waiting:
            # Results speak of finished files: none until then.
            for name in _RESULTS:
                (out / name).unlink(missing_ok=True)
        done = len(clips) - len(waiting)
        if progress is not None:
            progress(done, len(clips))
        making = {pool.submit(_make, out, w, settings, augmenter, ledger): w for w in waiting}
        for finished in as_completed(making):
            error, row = finished.result(), making[finished].row
            if error is not None:
                problems[row["clip_id"]] = _problem(row, error)
            done += 1
            if progress is not None:
                progress(done, len(clips))
    finally:
        pool.shutdown(cancel_futures=True)

    events.loc[events["clip_id"].isin(problems), "file"] = ""
    made = [work for work in plan if work.row["clip_id"] not in problems]
    _link_repeats(out, events)
    summary = _write_results(out, events, clips, made, problems, settings, augmenter, ledger)
    written = sum(len(work.missing) for work in made)
    return Prepared(summary, written, sum(len(work.files) for work in made) - written)


def _problem(row, error):
    # A name that is not UTF-8 must not break the report that names it.
    path = os.fsencode(row["path"]).decode("utf-8", "backslashreplace") or row["track"]
    return {"path": path, "what": f"{row['clip_id']}: {error}"}


def _open_folder(out, augment):
    try:
        str(out.absolute()).encode()
    except UnicodeError as error:
        raise InputError(f"{str(out)!a}: the name is not UTF-8; choose another") from error
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; name a folder")
    if out.exists() and any(out.iterdir()) and not (out / _LEDGER).is_file():
        raise InputError(f"{out}: holds something else; name a new folder")
    for name in (CLIPS, AUGMENTED):
        if (out / name).is_symlink():
            raise InputError(f"{out / name}: leads out of the folder; remove the link")
    (out / CLIPS).mkdir(parents=True, exist_ok=True)
    if augment:
        (out / AUGMENTED).mkdir(exist_ok=True)
    (out / _LEDGER).touch()
    for leftover in out.glob("*/.*.part"):
        leftover.unlink()
    return out.resolve()


def _remove_strangers(out, files, augmenter):
    """Remove clips that another table or augmenter left, lest they be taken for this one's."""
    wanted = {Path(file).name for file in files}
    for path in sorted((out / CLIPS).glob("*.wav")):
        if path.name not in wanted and _is_ours(path.name):
            path.unlink()
    if augmenter is not None:
        wanted = {
            copy_name(name, copy) for name in wanted if name for copy in copy_names(augmenter)
        }
        for path in sorted((out / AUGMENTED).glob("*.wav")):
            if path.name not in wanted and _is_ours(path.name):
                path.unlink()


def _is_ours(name):
    try:
        parse_copy_name(name)
    except InputError:
        return False
    return True


def _plan(out, row, settings, augmenter, ledger, hashes):
    """Files of a clip with the key of what makes them, or the InputError that forbids it."""
    try:
        if not row["path"]:
            raise InputError("no such track; complete the copy of GTZAN")
        source = hashes.sha256(row["path"])
    except InputError as error:
        return error
    made_from = [settings | {"augmentation": None}, source, row["start"], row["end"]]
    files = {row["file"]: (0, digest(made_from))}
    if augmenter is not None and row["split"] == "train":
        for copy, name in enumerate(copy_names(augmenter), start=1):
            file = f"{AUGMENTED}/{copy_name(Path(row['file']).name, name)}"
            files[file] = copy, digest([made_from, copy_settings(augmenter, row["clip_id"], copy)])

    def finished(file, key):
        known = ledger.get(file)
        return (
            isinstance(known, list)
            and known[0] == key
            and (out / file).is_file()
            and hashes.sha256(out / file) == known[1]
        )

    return _Work(row, files, [f for f, (_, key) in files.items() if not finished(f, key)])


def _make(out, work, settings, augmenter, ledger):
    """Write the missing files of a clip; the InputError that forbids one is returned."""
    rate = settings["sample_rate"]
    try:
        wave = cut_clip(work.row, rate, settings["fade_seconds"], settings["rms"])
        for file in work.missing:
            copy, key = work.files[file]
            x = augmenter(wave, rate, work.row["clip_id"], copy) if copy else wave
            write_audio(out / file, x, rate)
            with open(out / file, "rb") as written:
                ledger.add(file, [key, hashlib.file_digest(written, "sha256").hexdigest()])
    except InputError as error:
        return error
    return None


def _link_repeats(out, events):
    heard = events[~events["dummy"].astype(bool) & (events["file"] != "")]
    for _, files in heard.groupby("clip_id")["file"]:
        original = out / files.iloc[0]
        for file in files.iloc[1:]:
            name = out / file
            if name.is_file() and (
                os.path.samefile(name, original) or filecmp.cmp(name, original, shallow=False)
            ):
                continue
            with whole_file(name) as partial:
                try:
                    os.link(original, partial)
                except OSError:  # no hard links on this file system
                    shutil.copyfile(original, partial)


def _write_results(out, events, clips, made, problems, settings, augmenter, ledger):
    made_ids = {work.row["clip_id"] for work in made}
    kept = clips[clips["clip_id"].isin(made_ids)]
    manifest = kept.assign(
        path=[str(out / file) for file in kept["file"]],
        track_start=kept["start"],
        track_end=kept["end"],
        # The file is the whole clip and faded already.
        start=np.nan,
        end=np.nan,
    )
    columns = [*COLUMNS, *(c for c in _TRACED if c in manifest)]
    save_clips(manifest[columns], out / "manifest.csv")
    with whole_file(out / "presentations.csv") as partial:
        events.drop(columns="path").to_csv(partial, index=False)
    copies = () if augmenter is None else copy_names(augmenter)
    write_lists(events, out, copies, AUGMENTED)
    heard = events[~events["dummy"].astype(bool) & (events["file"] != "")]
    summary = {
        "complete": not problems,
        "problems": [problems[clip_id] for clip_id in clips["clip_id"] if clip_id in problems],
        "counts": {
            "clips": len(kept),
            "train": int((kept["split"] == "train").sum()),
            "test": int((kept["split"] == "test").sum()),
            "leaking": int(kept["leak"].sum()) if "leak" in kept else 0,
            "presentations": len(heard),
            "dummies": int(events["dummy"].sum()),
            "augmented": sum(len(work.files) - 1 for work in made),
            "problems": len(problems),
        },
        "settings": settings,
        "sha256": {file: ledger.get(file)[1] for work in made for file in work.files},
    }
    with whole_file(out / "prepare.json") as partial:
        partial.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary
