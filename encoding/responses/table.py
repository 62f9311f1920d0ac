"""What was measured, and what the rows and columns are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..errors import InputError


@dataclass(frozen=True)
class Responses:
    """What was measured, one row a volume and one column a target.

    Parameters
    ----------
    data : (n_samples, n_targets) float32 array, possibly memory-mapped
    samples : DataFrame, n_samples rows
        Columns run, clip_id, repeat, time (seconds since the clip's onset at which the volume
        starts), dummy, split; others are kept.
    targets : DataFrame, n_targets rows
        Column region ("" if none) and where a target came from, which is what maps need: i, j, k
        (voxel of the image), vertex and hemisphere ("L", "R"), grayordinate and structure, or
        column (of the array); optionally x, y, z (mm).
    dropped : {reason: count}
        Targets that were left out: "nan" (NaN or infinite values) and "constant" (in some run).
    """

    data: np.ndarray
    samples: pd.DataFrame
    targets: pd.DataFrame
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self):
        expected = (len(self.samples), len(self.targets))
        if self.data.shape != expected:
            raise InputError(
                f"responses have shape {self.data.shape}, the tables of samples and targets ask "
                f"for {expected}; give one row a volume and one column a target"
            )

    def select(self, mask) -> Responses:
        """Keep the samples where `mask` (n_samples,) is true."""
        mask = np.asarray(mask, bool)
        if mask.shape != (len(self.samples),):
            raise InputError(f"mask has shape {mask.shape}, expected ({len(self.samples)},)")
        samples = self.samples[mask].reset_index(drop=True)
        return Responses(self.data[mask], samples, self.targets, self.dropped)
