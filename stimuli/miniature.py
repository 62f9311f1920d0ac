"""A small data set of generated music in the layouts of GTZAN and of OpenNeuro ds003720.

It has the structure and the oddities of the real files (see `stimuli.ds003720`), so that whatever
runs on it runs on them.
"""

import io
import json
import multiprocessing
import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from scipy.io import savemat

from stimuli.audio import SAMPLE_RATE, write_audio
from stimuli.clip_names import ClipName, format_clip_name
from stimuli.errors import InputError
from stimuli.genres import GENRES
from stimuli.gtzan import GENERATED_MARK
from stimuli.music import render_track
from stimuli.orders import EXCERPTS_FILE, ORDER_FILES

REPETITION_TIME = 1.5
TEST_REPEATS = 4


@dataclass(frozen=True)
class Layout:
    """Sizes of the data set.

    Parameters
    ----------
    subjects : int
    training_runs, training_blocks : int
        A block is ten clips, one of each genre.
    test_runs : int
        One block each, presented four times in the same order.
    clip_seconds : int
        A whole number of volumes.
    track_seconds : int
    tracks_per_genre : int
        Those that no subject hears included.
    """

    subjects: int
    training_runs: int
    training_blocks: int
    test_runs: int
    clip_seconds: int
    track_seconds: int
    tracks_per_genre: int

    def __post_init__(self):
        heard = self.training_runs * self.training_blocks + self.test_runs
        if self.tracks_per_genre < heard or self.track_seconds < self.clip_seconds:
            raise InputError(
                f"layout needs {heard} tracks a genre of {self.clip_seconds} s, has "
                f"{self.tracks_per_genre} of {self.track_seconds} s"
            )


LAYOUTS = {
    "small": Layout(2, 6, 2, 2, clip_seconds=9, track_seconds=12, tracks_per_genre=22),
    "full": Layout(5, 12, 4, 6, clip_seconds=15, track_seconds=30, tracks_per_genre=100),
}


@dataclass(frozen=True)
class _Clip:
    genre: str
    number: int
    start: float
    end: float

    @property
    def track(self):
        return f"{self.genre}.{self.number:05d}"

    @property
    def times(self):
        return f"{round(self.start, 2):g}\t{round(self.end, 2):g}"


def _genre_blocks(n_blocks, rng):
    """Orders of the genres, (n_blocks, 10); no genre twice in a row, even from last to first."""
    blocks = []
    while len(blocks) < n_blocks:
        block = rng.permutation(len(GENRES))
        repeats = blocks and block[0] == blocks[-1][-1]
        closes = len(blocks) == n_blocks - 1 and blocks and block[-1] == blocks[0][0]
        if not (repeats or closes):
            blocks.append(block)
    return np.array(blocks)


def _draw_clips(layout, rng):
    """Clips of every run without dummies: {"Training": [[clip, ...], ...], "Test": ...}."""
    n_training = layout.training_runs * layout.training_blocks
    n_test = layout.test_runs
    spare = layout.track_seconds - layout.clip_seconds
    clips = np.empty((len(GENRES), n_training + n_test), object)
    for g, genre in enumerate(GENRES):
        numbers = rng.permutation(layout.tracks_per_genre)
        for i in range(n_training + n_test):
            start = int(rng.integers(100 * spare + 1)) / 100
            clips[g, i] = _Clip(genre, int(numbers[i]), start, start + layout.clip_seconds)
    # Some excerpts end exactly with their track, and one lacks a hundredth of a second.
    for g in (2, 5, 8):
        i = g % n_training
        number = clips[g, i].number
        clips[g, i] = _Clip(GENRES[g], number, float(spare), float(layout.track_seconds))
    clip = clips[GENRES.index("pop"), n_training - 1]
    clips[GENRES.index("pop"), n_training - 1] = _Clip(
        clip.genre, clip.number, clip.start, clip.end - 0.01
    )
    training = [
        [clips[g, i] for g in order] for i, order in enumerate(_genre_blocks(n_training, rng))
    ]
    test = [[clips[g, n_training + i] for g in rng.permutation(10)] for i in range(n_test)]
    per_run = layout.training_blocks
    return {
        "Training": [
            list(chain.from_iterable(training[r : r + per_run]))
            for r in range(0, n_training, per_run)
        ],
        "Test": [block * TEST_REPEATS for block in test],
    }


def _events(clips, dummy, clip_seconds, unquoted):
    """Text of an events file: the dummy, then the clips; the last `unquoted` lack a quote."""
    lines = ["onset\tduration\tgenre\ttrack\tstart\tend"]
    rows = [dummy, *clips]
    for i, clip in enumerate(rows):
        quote = "" if i >= len(rows) - unquoted else "'"
        lines.append(
            f"{i * clip_seconds}\t{clip_seconds}\t{quote}{clip.genre}'\t{clip.number}\t{clip.times}"
        )
    return "\r\n".join(lines)


def _write_bids(bids, layout, runs):
    bids.mkdir()
    description = {
        "Name": "Generated music, ten genres (miniature of ds003720)",
        "BIDSVersion": "1.4.0",
        "DatasetType": "raw",
        "License": "CC0",
    }
    (bids / "dataset_description.json").write_text(json.dumps(description, indent=2) + "\n")
    for subject in range(1, layout.subjects + 1):
        func = bids / f"sub-{subject:03d}" / "func"
        func.mkdir(parents=True)
        for task, task_runs in runs.items():
            for r, clips in enumerate(task_runs):
                dummy = task_runs[r - 1][-1] if task == "Training" else clips[-1]
                unquoted = 3 if (task, r) == ("Training", 3) else 0
                stem = f"sub-{subject:03d}_task-{task}_run-{r + 1:02d}"
                text = _events(clips, dummy, layout.clip_seconds, unquoted)
                (func / f"{stem}_events.tsv").write_bytes(text.encode())
                bold = {"RepetitionTime": REPETITION_TIME, "TaskName": task}
                (func / f"{stem}_bold.json").write_text(json.dumps(bold))


def _write_order(path, variable, task, task_runs, clip_seconds):
    names = np.array(
        [
            [
                format_clip_name(ClipName(task, r, i, clip.track, clip_seconds))
                for i, clip in enumerate(clips, start=1)
            ]
            for r, clips in enumerate(task_runs, start=1)
        ],
        dtype=object,
    ).T
    buffer = io.BytesIO()
    savemat(buffer, {variable: names})
    # The header's first 116 bytes are free text in which SciPy writes the time of day.
    header = b"MATLAB 5.0 MAT-file".ljust(116)
    path.write_bytes(header + buffer.getvalue()[116:])


def _write_excerpts(path, runs):
    """What the lists do not tell: the excerpt of each track."""
    clips = {clip.track: clip for clip in chain.from_iterable(chain(*runs.values()))}
    rows = [f"{track}\t{clip.times}\n" for track, clip in sorted(clips.items())]
    path.write_text("track\tstart\tend\n" + "".join(rows), encoding="utf-8")


def write_events(out, seed=0, layout=LAYOUTS["small"]) -> None:
    """Write the events and presentation orders alone: `bids/` and `orders/` below a folder.

    Parameters
    ----------
    out : path
        An existing folder.
    seed : int
    layout : Layout
    """
    out = Path(out)
    runs = _draw_clips(layout, np.random.default_rng(seed))
    _write_bids(out / "bids", layout, runs)
    (out / "orders").mkdir()
    for task, (name, variable) in ORDER_FILES.items():
        _write_order(out / "orders" / name, variable, task, runs[task], layout.clip_seconds)
    _write_excerpts(out / "orders" / EXCERPTS_FILE, runs)


def _write_track(job):
    path, genre, seed, seconds = job
    write_audio(path, render_track(genre, seed, seconds), SAMPLE_RATE)


def write_sounds_and_events(out, seed=0, layout="small", workers=None, on_track=None) -> None:
    """Write tracks, events and presentation orders, whole or not at all.

    Below `out`: `genres/<genre>/<genre>.NNNNN.wav` (and `genres/GENERATED.txt`, which says that the
    music is not GTZAN's), `bids/` (description, events and scan parameters of every run; no images)
    and `orders/ExpTrnOrder.mat`, `orders/ExpValOrder.mat`, `orders/excerpts.tsv`.
    "small" is 220 tracks of 12 s, 2 subjects, 6 training runs of 20 clips and 2 test runs of 10
    clips times 4; "full" has the sizes of ds003720 and GTZAN.

    Parameters
    ----------
    out : path
        A new or empty folder.
    seed : int
        The same seed gives the same bytes, whatever the number of workers.
    layout : {"small", "full"} or Layout
    workers : int, optional
        Processes; default one a processor.
    on_track : callable, optional
        Called with (tracks written, tracks in all) after each track.

    Raises
    ------
    InputError
        If `out` holds something, or the layout is unknown.
    """
    out = Path(out)
    if isinstance(layout, str):
        if layout not in LAYOUTS:
            raise InputError(f"no layout '{layout}'; choose from {', '.join(LAYOUTS)}")
        layout = LAYOUTS[layout]
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not an empty folder; name a new one")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    try:
        write_events(partial, seed, layout)
        for genre in GENRES:
            (partial / "genres" / genre).mkdir(parents=True)
        (partial / "genres" / GENERATED_MARK).write_text(
            "Generated music in the layout of GTZAN; none of it is GTZAN's.\n"
        )
        jobs = [
            (
                partial / "genres" / genre / f"{genre}.{number:05d}.wav",
                genre,
                (seed, number),
                layout.track_seconds,
            )
            for genre in GENRES
            for number in range(layout.tracks_per_genre)
        ]
        _write_tracks(jobs, workers or os.cpu_count() or 1, on_track)
        partial.chmod(0o755)
        if out.exists():
            out.rmdir()
        os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_tracks(jobs, workers, on_track):
    def count(finished):
        for done, _ in enumerate(finished, start=1):
            if on_track is not None:
                on_track(done, len(jobs))

    if workers == 1:
        count(map(_write_track, jobs))
        return
    # Spawned, because a fork of a process in which torch has started threads can hang.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        count(pool.map(_write_track, jobs, chunksize=4))
    finally:
        pool.shutdown(cancel_futures=True)
