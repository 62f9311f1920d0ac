"""Segments of cached features for torch, cut as `stimuli.dataset` cuts waveforms."""

import numpy as np
import torch
from torch.utils.data import Dataset

from stimuli.cache import feature_header
from stimuli.dataset import segment_starts
from stimuli.errors import InputError

_FLOAT32 = np.dtype("<f4")


class FeatureSegments(Dataset):
    """Segments of cached features, never padded.

    Parameters
    ----------
    paths : list of list of Path
        As `FeatureCache.paths`.
    labels : (n_clips,) int
    segment : int
        Frames.
    hop : int, optional
        Frames between the segments that cover a clip. Default None: one random segment of every
        clip an epoch, of a random one of its copies that are not shorter; both depend on seed,
        epoch and clip alone.
    seed : int
    clip_ids : sequence of str, optional
        Named in errors; default the positions.

    Raises
    ------
    InputError
        If a file is missing or damaged, or a clip is shorter than a segment.
    """

    def __init__(self, paths, labels, segment, hop=None, seed=0, clip_ids=None):
        names = list(range(len(paths)) if clip_ids is None else clip_ids)
        self.labels, self.segment, self.hop, self.seed = labels, segment, hop, seed
        # Paths, not maps of the files: a worker process would be sent the whole arrays.
        self._files = []
        self.index = []
        for clip, (copies, name) in enumerate(zip(paths, names, strict=True)):
            files = []
            for copy, path in enumerate(copies if hop is None else copies[:1]):
                header = feature_header(path)
                if header is None:
                    raise InputError(f"{path}: features are missing or damaged; build the cache")
                frames = header[1][0]
                if frames < segment and copy:
                    continue  # of a faster copy of a clip that is barely long enough
                if frames < segment:
                    raise InputError(
                        f"clip '{name}' has {frames} frames, fewer than a segment ({segment}); "
                        "use shorter segments or leave the clip out"
                    )
                files.append((str(path), *header))
            self._files.append(files)
            starts = [None]
            if hop is not None:
                starts = segment_starts(files[0][2][0], segment, hop, name).tolist()
            self.index += [(clip, start) for start in starts]
        # In shared memory, because persistent workers hold their own copy of the data set.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch) -> None:
        """Choose the epoch whose segments are drawn; call it before each pass."""
        self._epoch.fill_(epoch)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, item):
        """Return (segment (time, unit) float32 tensor, label index, clip index)."""
        clip, start = self.index[item]
        copy = 0
        if start is None:
            rng = np.random.default_rng([self.seed, int(self._epoch), clip])
            copy = int(rng.integers(len(self._files[clip])))
            start = int(rng.integers(self._files[clip][copy][2][0] - self.segment + 1))
        path, offset, (_, units) = self._files[clip][copy]
        # As fast as a kept map of the file, and thousands of clips do not hold thousands of them.
        x = np.fromfile(path, _FLOAT32, self.segment * units, offset=offset + 4 * start * units)
        if x.size != self.segment * units:
            raise InputError(f"{path}: was cut short; build the cache")
        return torch.from_numpy(x.reshape(self.segment, units)), int(self.labels[clip]), clip
