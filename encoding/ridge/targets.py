"""Targets in batches of columns, read once from an array or a memory map."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .arrays import NUMPY

_STRIP = 4096  # columns of a memory map read together: rows of whole pages
_LIMITS = 32, 2048


def batch_for(memory: int, bytes_per_target: float, n_rows: int) -> int:
    """How many targets fit beside one strip of responses in `memory` bytes."""
    room = max(memory - 4 * _STRIP * n_rows, memory / 2)
    return int(np.clip(room / max(bytes_per_target, 1), *_LIMITS))


def batches(Y, rows, batch: int, dtype) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Columns of Y (at `rows`): (slice, values less their means of `dtype`, means in float64).

    Removing the mean first keeps the sums of squares that follow accurate.
    """
    strip = max(batch, _STRIP - _STRIP % batch)
    for first in range(0, Y.shape[1], strip):
        values = np.asarray(Y[:, first : first + strip])
        if rows is not None:
            values = values[rows]
        for start in range(0, values.shape[1], batch):
            part = values[:, start : start + batch]
            mean = part.mean(0, dtype=np.float64)
            part = (part - mean).astype(dtype, copy=False)
            yield slice(first + start, first + start + part.shape[1]), part, mean


def sum_of_squares(y: np.ndarray, on=NUMPY) -> np.ndarray:
    """About the mean; exactly 0 for constant columns in spite of rounding."""
    return on.squares(y - on.mean(y)) * (y != y[:1]).any(0)
