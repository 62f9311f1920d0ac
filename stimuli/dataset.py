"""Waveform segments for torch: random ones to train on, covering ones to evaluate on.

A segment always lies inside its clip: nothing is ever padded, so silence is never scored.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.utils.data import Dataset

from stimuli.audio import RMS
from stimuli.augment import MIN_SECONDS
from stimuli.clips import waveform
from stimuli.errors import InputError


def load_waveforms(clips, sample_rate, rms=RMS, workers=0) -> list[np.ndarray]:
    """Read every clip at one sample rate and level.

    Parameters
    ----------
    clips : DataFrame
    sample_rate : int
        Hz.
    rms : float
        Root mean square, full scale at 1.
    workers : int
        Threads; the result is the same for any number.

    Returns
    -------
    list of (n_samples,) float32, in the order of the rows
    """
    rows = clips.to_dict("records")
    if workers < 1:
        return [waveform(row, sample_rate, rms) for row in rows]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda row: waveform(row, sample_rate, rms), rows))


def decoded(clips, sample_rate) -> dict[str, np.ndarray]:
    """Sound of every clip by its clip_id, ``(n_samples,)`` float32, read on all processors."""
    sound = load_waveforms(clips, sample_rate, workers=os.cpu_count() or 1)
    return dict(zip(clips["clip_id"], sound, strict=True))


def label_index(clips) -> tuple[list[str], np.ndarray]:
    """Sorted labels of a clip table and the index of each row's label among them.

    Returns
    -------
    labels : list of str
    index : (n_clips,) int64
    """
    labels, index = np.unique(clips["label"].to_numpy(dtype=str), return_inverse=True)
    return labels.tolist(), index.astype(np.int64)


def segment_starts(n_samples, segment, hop, clip_id="") -> np.ndarray:
    """First samples of the segments that cover a clip.

    Every `hop` samples as long as the segment lies inside the clip; one more segment ends with the
    clip where that leaves a rest of more than a tenth of a segment.

    Parameters
    ----------
    n_samples, segment, hop : int
        Samples.
    clip_id : str
        Named in the error.

    Returns
    -------
    (n_segments,) int64

    Raises
    ------
    InputError
        If the clip is shorter than a segment.
    """
    last = n_samples - segment
    if last < 0:
        raise InputError(
            f"clip '{clip_id}' has {n_samples} samples, fewer than a segment ({segment}); "
            "use shorter segments or leave the clip out"
        )
    starts = np.arange(0, last + 1, hop)
    return np.append(starts, last) if last - starts[-1] > segment / 10 else starts


def _segment_item(wave, start, segment, label, clip):
    return torch.from_numpy(wave[start : start + segment]), int(label), clip


class TrainSegments(Dataset):
    """One random segment of every clip an epoch.

    The position depends on seed, epoch and clip alone, so that a run is the same for any number of
    loading workers, persistent or not.

    Parameters
    ----------
    waveforms : list of (n_samples,) float32
    labels : (n_clips,) int
    segment : int
        Samples.
    seed : int
    clip_ids : sequence of str, optional
        Named in errors; default the positions.
    augment : stimuli.augment.Augmenter, optional
        Every segment is of a random copy of its clip, the original among them, made when it is
        asked for. What is drawn depends on the augmenter's seed too.
    sample_rate : int, optional
        Hz; needed to augment.

    Raises
    ------
    InputError
        If a clip is shorter than a segment, or a segment is too short to augment.
    """

    def __init__(
        self, waveforms, labels, segment, seed=0, clip_ids=None, augment=None, sample_rate=None
    ):
        names = range(len(waveforms)) if clip_ids is None else clip_ids
        for wave, name in zip(waveforms, names, strict=True):
            segment_starts(len(wave), segment, segment, name)
        if augment is not None:
            if sample_rate is None:
                raise InputError("augmented segments need a sample rate; give sample_rate")
            if segment < MIN_SECONDS * sample_rate:
                raise InputError(
                    f"segments of {segment} samples are too short to augment; "
                    f"use at least {MIN_SECONDS} s"
                )
        self.augment, self.sample_rate = augment, sample_rate
        self.waveforms, self.labels, self.segment, self.seed = waveforms, labels, segment, seed
        # In shared memory, because persistent workers hold their own copy of the data set.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch) -> None:
        """Choose the epoch whose segments are drawn; call it before each pass."""
        self._epoch.fill_(epoch)

    def __len__(self):
        return len(self.waveforms)

    def __getitem__(self, clip):
        """Return (segment (n,) float32 tensor, label index, clip index)."""
        wave = self.waveforms[clip]
        place = [self.seed, int(self._epoch), clip]
        if self.augment is not None:
            rng = np.random.default_rng([*place, self.augment.seed])
            x = self.augment.segment(wave, self.sample_rate, self.segment, rng)
            return _segment_item(x, 0, self.segment, self.labels[clip], clip)
        rng = np.random.default_rng(place)
        start = int(rng.integers(len(wave) - self.segment + 1))
        return _segment_item(wave, start, self.segment, self.labels[clip], clip)


class EvalSegments(Dataset):
    """All segments that cover the clips, clip after clip.

    Parameters
    ----------
    waveforms : list of (n_samples,) float32
    labels : (n_clips,) int
    segment, hop : int
        Samples.
    clip_ids : sequence of str, optional
        Named in errors; default the positions.

    Raises
    ------
    InputError
        If a clip is shorter than a segment.
    """

    def __init__(self, waveforms, labels, segment, hop, clip_ids=None):
        names = range(len(waveforms)) if clip_ids is None else clip_ids
        self.waveforms, self.labels, self.segment = waveforms, labels, segment
        self.index = [
            (clip, int(start))
            for clip, (wave, name) in enumerate(zip(waveforms, names, strict=True))
            for start in segment_starts(len(wave), segment, hop, name)
        ]

    def __len__(self):
        return len(self.index)

    def __getitem__(self, item):
        """Return (segment (n,) float32 tensor, label index, clip index)."""
        clip, start = self.index[item]
        return _segment_item(self.waveforms[clip], start, self.segment, self.labels[clip], clip)
