"""Clip tables with augmented copies, and their sounds or features in one pass."""

import dataclasses
from collections.abc import Callable
from itertools import groupby

import numpy as np
import pandas as pd

from stimuli.audio import RMS, SAMPLE_RATE
from stimuli.augment import Augmenter
from stimuli.clips import waveform
from stimuli.errors import InputError


def augmented_clips(clips, augmenter) -> pd.DataFrame:
    """Table of training clips with their copies, each after its original.

    Parameters
    ----------
    clips : DataFrame
        Training clips: `split` is "train" or "" in every row.
    augmenter : Augmenter

    Returns
    -------
    DataFrame
        As `clips` with ``1 + augmenter.copies`` rows a clip, and the columns ``source`` (clip_id of
        the original), ``copy`` (0: the original) and ``augmentation`` (its kind, "" for the
        original). Copies have the label, track and group of their original and a clip_id of their
        own, ``source+name`` (`Augmenter.names`).

    Raises
    ------
    InputError
        If a row is of another split, or is a copy already.
    """
    if "copy" in clips and (clips["copy"] != 0).any():
        name = clips.loc[clips["copy"] != 0, "clip_id"].iloc[0]
        raise InputError(f"clip '{name}' is a copy already; augment the table of the originals")
    if "split" in clips:
        held_out = ~clips["split"].fillna("").isin(["", "train"])
        if held_out.any():
            row = clips[held_out].iloc[0]
            raise InputError(
                f"clip '{row['clip_id']}' is of split '{row['split']}' ({held_out.sum()} such); "
                "only training clips are augmented, leave the others out"
            )
    n = augmenter.copies + 1
    table = clips.loc[clips.index.repeat(n)].reset_index(drop=True)
    copy = np.tile(np.arange(n), len(clips))
    source = table["clip_id"].astype(str)
    suffixes = ["", *(f"+{name}" for name in augmenter.names)]
    return table.assign(
        clip_id=source + np.array(suffixes, object)[copy],
        source=source,
        copy=copy,
        augmentation=[augmenter.kind(int(k)) for k in copy],
    )


def augment_batch(
    table, augmenter, sample_rate=SAMPLE_RATE, rms=RMS, feature=None, workers=0
) -> list:
    """Sound of every row of `augmented_clips`, or a feature of it, in one pass.

    A clip is read once for all its copies, and a copy lives only until its feature is computed.

    Parameters
    ----------
    table : DataFrame
        With the copies of a clip in neighbouring rows.
    augmenter : Augmenter
        The one the table was made with.
    sample_rate : int
        Hz.
    rms : float
        Of the originals, full scale at 1.
    feature : callable, optional
        Of ``(n_samples,) float32``; default the sound itself. With workers it is pickled.
    workers : int
        Processes; the result is the same for any number. Not threads, because the phase vocoder
        holds Python's lock.

    Returns
    -------
    list, in the order of the rows

    Raises
    ------
    InputError
        As `stimuli.clips.waveform` and `Augmenter`, or if the table is of another augmenter.
    """
    rows = table.to_dict("records")
    for row in rows:
        if row["augmentation"] != augmenter.kind(row["copy"]):
            raise InputError(
                f"clip '{row['clip_id']}' is '{row['augmentation']}' where the augmenter makes "
                f"'{augmenter.kind(row['copy'])}'; use the augmenter of the table"
            )

    clips = [list(copies) for _, copies in groupby(rows, key=lambda row: row["source"])]
    work = _Work(clips, augmenter, sample_rate, rms, feature)
    parts = []
    for part in (
        map(work.__getitem__, range(len(work))) if workers < 1 else _parallel(work, workers)
    ):
        if isinstance(part, InputError):
            raise part
        parts.extend(part)
    return parts


@dataclasses.dataclass
class _Work:
    clips: list[list[dict]]
    augmenter: Augmenter
    sample_rate: int
    rms: float
    feature: Callable | None

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index):
        """Items of one clip; an InputError is returned, because a loader would reword it."""
        copies = self.clips[index]
        try:
            wave = waveform(copies[0], self.sample_rate, self.rms)
            sounds = (
                self.augmenter(wave, self.sample_rate, row["source"], row["copy"]) for row in copies
            )
            return [sound if self.feature is None else self.feature(sound) for sound in sounds]
        except InputError as error:
            return error


def _same(item):
    return item


def _parallel(work, workers):
    from torch.utils.data import DataLoader  # forks safely, one thread of torch a process

    return DataLoader(work, batch_size=None, num_workers=workers, collate_fn=_same)
