"""Waveforms that several processes read."""

from collections.abc import Sequence

import numpy as np
import torch


class SharedWaves(Sequence):
    """Waveforms in one block of memory, which worker processes are given instead of a copy each.

    Parameters
    ----------
    waves : list of (n_samples,) float32
    """

    def __init__(self, waves):
        self.ends = np.cumsum([0, *map(len, waves)])
        self.samples = torch.empty(int(self.ends[-1])).share_memory_()
        for wave, start, end in zip(waves, self.ends, self.ends[1:], strict=False):
            self.samples[start:end] = torch.from_numpy(wave)

    def __len__(self):
        return len(self.ends) - 1

    def __getitem__(self, clip):
        """Waveform of a clip, (n_samples,) float32, a view of the block."""
        return self.samples[self.ends[clip] : self.ends[clip + 1]].numpy()
