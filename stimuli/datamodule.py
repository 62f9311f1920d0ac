"""Batches of segments for training, validation and test, the same for any number of workers."""

import os

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from stimuli.audio import RMS, SAMPLE_RATE
from stimuli.dataset import EvalSegments, TrainSegments, label_index, load_waveforms
from stimuli.errors import InputError
from stimuli.feature_segments import FeatureSegments
from stimuli.shared_waves import SharedWaves
from stimuli.splits import check_disjoint

SIDES = ("train", "valid", "test")


class SeededOrder(Sampler):
    """A permutation that depends on seed and epoch alone, so that a resumed run repeats it.

    Lightning calls `set_epoch` of a loader's sampler before every epoch.

    Parameters
    ----------
    segments : Dataset
        Its own `set_epoch`, if it has one, follows that of the order.
    seed : int
    kept : int, optional
        How many of the permutation are visited; default all.
    rank, processes : int
        Every `processes`-th of them is visited by this process, from the `rank`-th on, so that the
        batches of all processes together are those of one.
    """

    def __init__(self, segments, seed: int, kept: int | None = None, rank=0, processes=1):
        self.segments, self.seed, self.epoch = segments, seed, 0
        self.share = slice(rank, len(segments) if kept is None else kept, processes)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is drawn; call it before each pass."""
        self.epoch = epoch
        if hasattr(self.segments, "set_epoch"):
            self.segments.set_epoch(epoch)

    def __len__(self):
        return len(range(len(self.segments))[self.share])

    def __iter__(self):
        rng = np.random.default_rng([self.seed, self.epoch, 1])
        return iter(rng.permutation(len(self.segments))[self.share].tolist())


class ClipsModule(lightning.LightningDataModule):
    """Loaders over the sides of a clip table.

    A batch is (segments, labels, clips): float32 ``(batch, samples)``, or ``(batch, time, unit)``
    with a cache; class numbers, which index `labels`; positions in `sides[side]`. One random
    segment of every training clip an epoch; all covering ones of validation and test clips, in
    order. No segment is padded.

    Parameters
    ----------
    clips : DataFrame
        Every row with split "train", "valid" or "test". Training and validation rows that the
        column ``leak`` marks (their recording sounds in a test clip) are left out.
    segment : int
        Samples, or frames with a cache.
    batch_size : int
        Of all processes together, where a trainer runs several.
    seed : int
        With the epoch it alone decides positions, augmented copies and order.
    hop : int, optional
        Between covering segments; default a segment.
    sample_rate : int
        Hz; the cache's own with a cache.
    rms : float
        Full scale at 1; the cache's own with a cache.
    workers : int
        Processes, spawned, that load the training segments. Worth it for augmenting alone: sound in
        memory and cached features are as fast without, and so are validation and test.
    cache : stimuli.cache.FeatureCache, optional
        Segments of its features are loaded instead of waveforms.
    transform : callable, optional
        As `FeatureCache.build`, which makes what is missing; without it features must be there.
    augmenter : stimuli.augment.Augmenter, optional
        Every training segment is of a random copy of its clip, made as it is loaded or, with a
        cache, taken from it.
    waveforms : dict of clip_id to (n_samples,) float32, optional
        Sound that is decoded already.
    labels : list of str, optional
        Sorted names of the classes; default those of all sides.

    Attributes
    ----------
    labels : list of str
        Sorted names of the classes.
    sides : dict of str to DataFrame
        Clips of each side.

    Raises
    ------
    InputError
        If a split is unknown, a group is on two sides, or a side that is asked for has no clips, a
        clip that cannot be read or one shorter than a segment.
    """

    def __init__(
        self,
        clips,
        segment: int,
        batch_size: int = 32,
        seed: int = 0,
        hop: int | None = None,
        sample_rate: int = SAMPLE_RATE,
        rms: float = RMS,
        workers: int = 0,
        cache=None,
        transform=None,
        augmenter=None,
        waveforms=None,
        labels=None,
    ):
        super().__init__()
        clips = clips.reset_index(drop=True)
        strange = clips.loc[~clips["split"].isin(SIDES), "split"]
        if len(strange):
            raise InputError(
                f"split '{strange.iloc[0]}' of clip '{clips['clip_id'][strange.index[0]]}' is none "
                f"of {', '.join(SIDES)}"
            )
        if "leak" in clips:
            leaks = clips["leak"].eq(True) & (clips["split"] != "test")
            clips = clips[~leaks].reset_index(drop=True)
        check_disjoint(clips, *(np.flatnonzero(clips["split"] == side) for side in SIDES))
        self.labels = label_index(clips)[0] if labels is None else list(labels)
        self.sides = {side: clips[clips["split"] == side].reset_index(drop=True) for side in SIDES}
        self.segment, self.hop, self.batch_size = segment, hop or segment, batch_size
        self.seed, self.sample_rate, self.rms, self.workers = seed, sample_rate, rms, workers
        self.cache, self.transform, self.augmenter = cache, transform, augmenter
        self.waveforms = waveforms
        self._segments = {}
        self._order = None

    def segments(self, side: str):
        """Segments of a side, random for "train" and covering else; loaded at the first call."""
        if side not in self._segments:
            self._segments[side] = self._cut(side, random=side == "train")
        return self._segments[side]

    def covering(self, side: str):
        """All segments that cover the clips of a side; loaded anew."""
        return self._cut(side, random=False)

    def _cut(self, side, random):
        rows = self.sides[side]
        if rows.empty:
            raise InputError(f"no clip has split '{side}'")
        labels = np.searchsorted(self.labels, rows["label"].to_numpy(str))
        ids = list(rows["clip_id"])
        if self.cache is not None:
            if self.transform is not None:
                problems = self.cache.build(rows, self.transform, self.augmenter)
                if problems:
                    raise InputError(problems[0]["what"])
            hop = None if random else self.hop
            paths = self.cache.paths(rows, self.augmenter)
            return FeatureSegments(paths, labels, self.segment, hop, self.seed, ids)
        if self.waveforms is None:
            waves = load_waveforms(rows, self.sample_rate, self.rms, os.cpu_count() or 1)
        else:
            waves = [self.waveforms[clip_id] for clip_id in ids]
        if not random:
            return EvalSegments(waves, labels, self.segment, self.hop, ids)
        if self.workers:
            waves = SharedWaves(waves)
        return TrainSegments(
            waves, labels, self.segment, self.seed, ids, self.augmenter, self.sample_rate
        )

    def __getstate__(self):
        # What other processes are sent: segments that are cut, not what they are cut from.
        return self.__dict__ | {"cache": None, "transform": None, "waveforms": None}

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the training loader; Lightning does so itself."""
        if self._order is not None:
            self._order.set_epoch(epoch)

    def _processes(self) -> tuple[int, int]:
        """Number of this process and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, side, workers=0, **options):
        return DataLoader(
            self.segments(side),
            self.batch_size // self._processes()[1],
            num_workers=workers,
            persistent_workers=workers > 0,
            # A fork of a process in which torch or a decoder has started threads can hang.
            multiprocessing_context="spawn" if workers else None,
            # Worker seeds come from here, so that loading leaves the global generator alone.
            generator=torch.Generator().manual_seed(self.seed),
            **options,
        )

    def train_dataloader(self) -> DataLoader:
        """One random segment of every training clip, in the order of the epoch."""
        segments = self.segments("train")
        rank, processes = self._processes()
        kept = kept_segments(len(segments), self.batch_size, processes)
        self._order = SeededOrder(segments, self.seed, kept, rank, processes)
        # Workers load ahead before Lightning names the epoch, which a resumed run needs at once.
        self._order.set_epoch(self.trainer.current_epoch if self.trainer else 0)
        return self._loader("train", self.workers, sampler=self._order)

    def val_dataloader(self) -> DataLoader | list:
        """All segments of the validation clips, dealt out to the processes; none if no clips."""
        if self.sides["valid"].empty:
            return []
        rank, processes = self._processes()
        return self._loader("valid", sampler=range(rank, len(self.segments("valid")), processes))

    def test_dataloader(self) -> DataLoader:
        """All segments of the test clips."""
        return self._loader("test")


def kept_segments(n: int, batch_size: int, processes: int) -> int:
    """How many of `n` segments make batches that all processes can share.

    The last batch is cut to a multiple of the processes, and left out if any of them would get a
    single segment, which cannot be batch-normalised, unless it is the only one.

    Raises
    ------
    InputError
        If a batch cannot be dealt out to the processes.
    """
    if batch_size % processes or n < processes:
        raise InputError(
            f"{n} training segments in batches of {batch_size} cannot be dealt out to {processes} "
            "processes; choose a batch size that is a multiple of them"
        )
    rest = n % batch_size
    shared = rest - rest % processes
    return n - rest + (shared if shared >= 2 * processes or rest == n else 0)
