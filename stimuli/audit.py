"""Audit of a clip table: what leaks between the sides of a split, and which files are unusable."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import soxr

from stimuli import fingerprint
from stimuli.audit_report import SEVERITIES, Report
from stimuli.errors import InputError
from stimuli.health import MIN_RATE, Problem, digest, examine, excerpt, is_silent, printable
from stimuli.recordings import connected
from stimuli.relations import known_recordings, relation, shared_names, strongest
from stimuli.schema import complete_clips

IMBALANCE = 2.0
_SHORT, _ALIKE_LENGTHS = 0.8, 1.1


def audit(clips, sound=True, workers=None, progress=None, strict_artists=False) -> Report:
    """Find what leaks between the sides of a split, and which files are unusable.

    Parameters
    ----------
    clips : DataFrame
        A clip table; path may be "" where only the description is known. The sides are the values
        of split; where some rows have a split, those without are on no side.
    sound : bool
        Decode every file once, check it, and search all pairs of clips for replicas
        (`stimuli.fingerprint`). Otherwise only the table is looked at.
    workers : int, optional
        Threads; default one a processor. The report does not depend on it.
    progress : callable, optional
        Called with (files decoded, files in all) after each file.
    strict_artists : bool
        Count clips of one artist on two sides as leaks.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If the table is empty or has no label or path. A bad file never raises: it is a problem.
    """
    for column in ("path", "label"):
        if column not in clips:
            raise InputError(f"clip table: no column '{column}'; add it")
    if not len(clips):
        raise InputError("clip table: no clips; add rows")
    clips = complete_clips(clips, _names(clips))
    rows = clips[~clips["dummy"].astype(bool)] if "dummy" in clips else clips
    table = rows.drop_duplicates(["clip_id", "split", "path", "start", "end"])
    table = table.reset_index(drop=True)
    table["file"] = [os.path.realpath(path) if path else "" for path in table["path"]]
    notes, problems, replicas = [], _table_problems(rows), None
    files = table.loc[table["file"] != "", "file"].nunique()
    if sound and files:
        workers = workers or os.cpu_count() or 1
        found, prints, table, heard = _listen(table, workers, progress)
        problems += found
        replicas = _replicas(table, prints, workers)
        without = (table["file"] == "").sum()
        lacking = f"; {without} clips have no file" if without else ""
        notes.append(f"Sound: {heard} of {files} files decoded and compared{lacking}.")
    else:
        why = "not asked for" if files else "no clip has a file"
        notes.append(f"Sound: not checked ({why}); replicas and bad files may be there.")
    heard_pairs = None if replicas is None else {row[:2] for row in replicas}
    known, doubts = known_recordings(table, heard_pairs)
    pairs = strongest([*shared_names(table, strict_artists), *(replicas or ()), *known])
    leaks, same_side = _by_side(pairs, table)
    if "leak" in table:
        marked = set(table.loc[table["leak"].eq(True) & (table["split"] != "test"), "clip_id"])
        left_out = sum(bool({pair.a, pair.b} & marked) for pair in leaks.itertuples())
        if left_out:
            notes.append(
                f"{left_out} of {len(leaks)} leaks are of clips that the table marks (column "
                "leak): training and encoding leave these clips out."
            )
    problems += _label_conflicts(pairs, table)
    problems = pd.DataFrame(
        [(p.path, p.what, p.severity) for p in problems], columns=["path", "what", "severity"]
    )
    problems = problems.sort_values(
        "severity", key=lambda column: column.map(SEVERITIES.index), kind="stable"
    ).reset_index(drop=True)
    return Report(
        leaks=leaks,
        related=same_side,
        artists=_shared_artists(table),
        problems=problems,
        n_clips=int(table["clip_id"].nunique()),
        splits=_summary(rows),
        notes=notes + doubts,
    )


def _names(clips):
    """What to name each row after where it has no clip_id: its file below the common folder."""
    names = pd.Series([f"row {i}" for i in range(1, len(clips) + 1)], index=clips.index)
    if "track" in clips:
        names = clips["track"].where(clips["track"].notna() & (clips["track"] != ""), names)
    paths = clips["path"].fillna("").astype(str)
    given = {path: os.path.abspath(path) for path in paths if path}
    if given:
        common = os.path.commonpath([os.path.dirname(path) for path in given.values()])
        relative = {path: os.path.relpath(whole, common) for path, whole in given.items()}
        names = paths.map(relative).where(paths != "", names)
    return names


def _listen(table, workers, progress):
    """Check every file once: (problems, landmarks of each clip, table with ends, files heard)."""
    by_file = table.groupby("file", sort=False).indices
    by_file.pop("", None)
    clips = {path: table.iloc[members] for path, members in by_file.items()}
    prints = [(np.empty((0, 2), np.int32), "")] * len(table)
    problems, rates, lengths, heard = [], {}, {}, 0
    ends = table["end"].to_numpy(float, copy=True)
    with ThreadPoolExecutor(workers) as pool:
        jobs = pool.map(_hear, clips.values())
        for done, ((path, part), (sound, found, marks)) in enumerate(
            zip(clips.items(), jobs, strict=True), start=1
        ):
            name = printable(part["path"].iat[0])
            problems += sound.problems + found
            if marks:
                heard += 1
                rates[name] = sound.rate
            for position, mark in zip(by_file[path], marks, strict=False):
                prints[position] = mark
                if np.isnan(ends[position]):
                    ends[position] = sound.duration
                lengths[position] = ends[position] - np.nan_to_num(table["start"].iat[position])
            if progress is not None:
                progress(done, len(clips))
    table = table.assign(end=ends)
    problems += _unlike_the_rest(table, rates, lengths)
    return problems, prints, table, heard


def _hear(clips):
    """Decode one file and take the landmarks and the digest of each of its clips."""
    path = clips["path"].iat[0]
    sound = examine(path)
    problems, marks = [], []
    if len(sound.mono):
        for start, end in zip(clips["start"], clips["end"], strict=True):
            x, found = excerpt(sound, path, start, end)
            problems += [problem for problem in found if problem not in problems]
            if is_silent(x):
                marks.append((np.empty((0, 2), np.int32), ""))
                continue
            marks.append((fingerprint.landmarks(_low(x, sound.rate)), digest(x, sound.rate)))
        # The samples of one file are let go before the next is decoded.
        sound = replace(sound, mono=np.zeros(0, np.float32))
    return sound, problems, marks


def _low(x, rate):
    """A sound at the rate of the fingerprints."""
    return soxr.resample(x, rate, fingerprint.RATE, quality="HQ")


def _unlike_the_rest(table, rates, lengths):
    """Files at another rate than most, and clips shorter than the rest."""
    if rates:
        counts = pd.Series(rates).value_counts()
        usual = int(counts.index[0])
        for name, rate in rates.items():
            if rate != usual and rate >= MIN_RATE:
                what = (
                    f"sample rate is {rate} Hz, that of most files {usual} Hz; resampled when read"
                )
                yield Problem(name, what, "warning")
    seconds = pd.Series(lengths, dtype=float)
    if len(seconds) > 2 and seconds.quantile(0.75) <= _ALIKE_LENGTHS * seconds.median():
        for position in seconds.index[seconds < _SHORT * seconds.median()]:
            what = (
                f"clip {table['clip_id'].iat[position]} lasts {seconds[position]:.2f} s, most last "
                f"{seconds.median():.2f} s; check whether it is complete"
            )
            yield Problem(printable(table["path"].iat[position]), what, "warning")


def _replicas(table, prints, workers):
    """Relations of clips from different files that hold the same sound."""

    def read(position):
        path, start, end = table.loc[position, ["path", "start", "end"]]
        sound = examine(path)
        return _low(excerpt(sound, path, start, end)[0], sound.rate)

    rows = []
    copies = pd.Series(range(len(table))).groupby([digest for _, digest in prints])
    for digest_, members in copies:
        for a, b in pairwise(members) if digest_ else ():
            seconds = table["end"].iat[a] - np.nan_to_num(table["start"].iat[a])
            rows.append(relation(a, b, "replica in sound", seconds, 0.0, 1.0, "the same samples"))
    for r in fingerprint.find_replicas([marks for marks, _ in prints], read, workers):
        rows.append(relation(r.a, r.b, "replica in sound", r.overlap, r.lag, r.similarity))
    file = table["file"].to_numpy()
    return [row for row in rows if file[row[0]] != file[row[1]]]


def _by_side(pairs, table):
    """Pairs of positions as pairs of clip_ids: across sides, and on one side."""
    a, b = pairs["a"].to_numpy(int), pairs["b"].to_numpy(int)
    value = {c: table[c].to_numpy() for c in ("clip_id", "split", "group", "track")}
    named = pairs.assign(
        a=[printable(name) for name in value["clip_id"][a]],
        b=[printable(name) for name in value["clip_id"][b]],
        split_a=value["split"][a],
        split_b=value["split"][b],
        shared=[printable(text) for text in pairs["shared"]],
    )
    across = (named["split_a"] != named["split_b"]) & (named[["split_a", "split_b"]] != "").all(
        axis=1
    )
    together = (value["group"][a] == value["group"][b]) & (value["group"][a] != "")
    same_music = named["kind"].isin(["replica", "replica in sound", "same recording"])
    # Excerpts of one track in one group are as they should be; so are clips of one artist.
    telling = ~together | (same_music & (value["track"][a] != value["track"][b]))
    telling &= ~named["kind"].isin(["same group", "same artist"])
    on_one = (named["split_a"] == named["split_b"]) & telling
    return (
        named[across].reset_index(drop=True),
        named.assign(kept_together=together)[on_one].reset_index(drop=True),
    )


def _label_conflicts(pairs, table):
    label, name = table["label"].to_numpy(), table["clip_id"].to_numpy()
    same = pairs["kind"].isin(["same clip", "overlapping excerpt", "replica", "replica in sound"])
    for a, b in pairs.loc[same, ["a", "b"]].to_numpy(int):
        if label[a] != label[b]:
            what = (
                f"{name[a]} and {name[b]} hold the same sound but are labelled {label[a]} and "
                f"{label[b]}; correct one or leave both out"
            )
            yield Problem(printable(table["path"].iat[a]), printable(what), "warning")


def _table_problems(rows):
    """What is wrong with the table as a whole, side by side."""
    problems = []
    sides = dict(list(rows.groupby("split", sort=False)))
    for side, part in sides.items():
        where = f"split {side}: " if side else ""
        distinct = part.drop_duplicates("clip_id")
        placed = distinct[distinct["path"] != ""]
        again = placed.duplicated(["path", "start", "end"]).sum()
        clips = len(distinct) - int(again)
        if clips < len(part):
            what = (
                f"{where}{len(part)} rows are {clips} distinct clips; repeats are not independent: "
                "score each clip once"
            )
            problems.append(Problem("", what, "warning"))
        counts = distinct["label"].value_counts()
        if counts.iloc[0] > IMBALANCE * counts.iloc[-1]:
            what = (
                f"{where}labels are unbalanced, {counts.index[0]} has {counts.iloc[0]} clips and "
                f"{counts.index[-1]} {counts.iloc[-1]}; weight the classes or balance them"
            )
            problems.append(Problem("", what, "warning"))
        if side not in ("", "train") and "train" in sides:
            for label in sorted(set(part["label"]) - set(sides["train"]["label"])):
                what = f"label '{label}' is in {side} but not in train; add clips or leave it out"
                problems.append(Problem("", what))
    return problems


def _shared_artists(table):
    counts = table[(table["artist"] != "") & (table["split"] != "")]
    counts = counts.groupby("artist")["split"].value_counts(sort=False).unstack(fill_value=0)
    sides = list(dict.fromkeys(side for side in table["split"] if side in counts))
    rows = [
        (
            printable(artist),
            first,
            second,
            int(counts.at[artist, first]),
            int(counts.at[artist, second]),
        )
        for i, first in enumerate(sides)
        for second in sides[i + 1 :]
        for artist in counts.index[(counts[first] > 0) & (counts[second] > 0)]
    ]
    return pd.DataFrame(rows, columns=["artist", "split_a", "split_b", "n_a", "n_b"])


def _summary(rows):
    return {
        side: {
            "rows": len(part),
            "clips": int(part["clip_id"].nunique()),
            "groups": int(part["group"].nunique()),
            "labels": {
                label: int(n)
                for label, n in part.drop_duplicates("clip_id")["label"].value_counts().items()
            },
        }
        for side, part in rows.groupby("split", sort=False)
    }


def merge_groups(clips, report) -> pd.DataFrame:
    """Give related clips one group, so that no fold divides them.

    A split that leaks is not mended by it: split anew with the merged groups, or leave clips out.

    Parameters
    ----------
    clips : DataFrame
        The table that was audited, with clip_id and group.
    report : Report

    Returns
    -------
    DataFrame
        The same rows; a merged group is named after the first of its groups in the table.
    """
    code, groups = pd.factorize(clips["group"])
    of_clip = dict(zip(clips["clip_id"].map(printable), code, strict=True))
    pairs = pd.concat([report.leaks, report.related])
    pairs = pairs.loc[pairs["kind"] != "same artist", ["a", "b"]].to_numpy()
    links = [(of_clip[a], of_clip[b]) for a, b in pairs if a in of_clip and b in of_clip]
    return clips.assign(group=np.asarray(groups)[connected(links, len(groups))[code]])
