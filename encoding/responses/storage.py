"""Response matrices larger than memory, and which of their columns can be used."""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import InputError

MEMORY = 2 * 2**30  # bytes
_BLOCK = 128 * 2**20  # bytes held at once while copying


def blocks(length: int, row_bytes: int) -> Iterator[slice]:
    """Consecutive slices of at most 128 MB (but of one row at least)."""
    step = max(1, _BLOCK // max(row_bytes, 1))
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


class Buffer:
    """A float32 matrix to be filled piece by piece: in memory where it fits, else in a file.

    Parameters
    ----------
    shape : (int, int)
    memory : int
        Bytes above which the matrix goes to a file.
    cache : folder, optional
        Where the file `name`.npy is kept. Default: a temporary file, gone with the process.
    name : str

    Notes
    -----
    Use it in a `with` block; the file appears under its name with `finish`, never half filled.
    """

    def __init__(self, shape, memory: int = MEMORY, cache=None, name: str = "responses"):
        self.cache, self.name = None if cache is None else Path(cache), name
        self._partial: list[Path] = []
        self._in_memory = int(np.prod(shape)) * 4 <= memory
        self.array = self._allocate(tuple(shape))

    def _allocate(self, shape) -> np.ndarray:
        if self._in_memory:
            return np.zeros(shape, np.float32)
        try:
            if self.cache is None:
                with tempfile.TemporaryFile(prefix="responses-") as file:
                    return np.memmap(file, np.float32, "w+", shape=shape)
            self.cache.mkdir(parents=True, exist_ok=True)
            path = self.cache / f".{self.name}-{uuid.uuid4().hex}.npy"
            self._partial.append(path)
            return np.lib.format.open_memmap(path, "w+", np.float32, shape)
        except OSError as error:
            raise InputError(
                f"{self.cache or tempfile.gettempdir()}: no room for responses of "
                f"{np.prod(shape) * 4 / 2**30:.1f} GB ({error}); choose another folder as cache"
            ) from error

    def finish(self, keep=None, axis: int = 1) -> np.ndarray:
        """The filled matrix, without the rows or columns (`axis`) where `keep` is false."""
        data, self.array = self.array, None
        if keep is not None and not keep.all():
            data = self._without(data, np.flatnonzero(keep), axis)
        if self._in_memory:
            return data
        data.flush()
        if self.cache is None:
            return data
        final = self.cache / f"{self.name}.npy"
        os.replace(self._partial.pop(), final)
        return np.load(final, mmap_mode="r")

    def _without(self, source, kept, axis) -> np.ndarray:
        shape = (source.shape[0], len(kept)) if axis else (len(kept), source.shape[1])
        if self._in_memory:
            # Values only move towards the front, so that no second matrix is needed.
            data = source.reshape(-1)[: shape[0] * shape[1]].reshape(shape)
        else:
            data = self._allocate(shape)
        for part in blocks(shape[0], 4 * source.shape[1]):
            data[part] = source[part][:, kept] if axis else source[kept[part]]
        return data

    def __enter__(self) -> Buffer:
        return self

    def __exit__(self, *_) -> None:
        self.array = None
        for path in self._partial:
            path.unlink(missing_ok=True)


class Usable:
    """Which targets are finite, and vary in every run, told from blocks seen one by one.

    Parameters
    ----------
    runs : (n_samples,) int run numbers
    n_targets : int
    counts : (n_samples,) bool, optional
        Rows whose variation counts (no dummies); all must be finite.
    """

    def __init__(self, runs: np.ndarray, n_targets: int, counts=None):
        self.runs = runs
        self.counts = np.ones(len(runs), bool) if counts is None else np.asarray(counts, bool)
        n_runs = int(runs.max()) + 1
        self.finite = np.ones(n_targets, bool)
        self._low = np.full((n_runs, n_targets), np.inf, np.float32)
        self._high = np.full((n_runs, n_targets), -np.inf, np.float32)

    def see(self, rows: np.ndarray, block: np.ndarray, columns: slice = slice(None)) -> None:
        """Look at `block` (n_rows, n_columns), the values of these rows and columns."""
        self.finite[columns] &= np.isfinite(block).all(0)
        with np.errstate(invalid="ignore"):
            for run in np.unique(self.runs[rows]):
                inside = (self.runs[rows] == run) & self.counts[rows]
                if not inside.any():
                    continue
                part = block if inside.all() else block[inside]
                low, high = self._low[run, columns], self._high[run, columns]
                np.minimum(low, part.min(0), out=low)
                np.maximum(high, part.max(0), out=high)

    @property
    def keep(self) -> np.ndarray:
        return self.finite & ~self.constant

    @property
    def constant(self) -> np.ndarray:
        n_rows = np.bincount(self.runs[self.counts], minlength=len(self._low))
        return self.finite & (self._low == self._high)[n_rows > 1].any(0)

    def report(self, name: str, noun: str, stacklevel: int = 3) -> dict[str, int]:
        """Counts of what is left out, with a warning; nothing left is an error."""
        n_nan, n_constant = int((~self.finite).sum()), int(self.constant.sum())
        total = len(self.finite)
        if n_nan + n_constant == total:
            raise InputError(
                f"{name}: every one of {total} {noun} is constant in some run or holds NaN or "
                "infinite values; check that the file holds responses"
            )
        if n_constant:
            warnings.warn(
                f"{name}: {n_constant} of {total} {noun} are constant in some run; left out",
                stacklevel=stacklevel + 1,
            )
        if n_nan:
            warnings.warn(
                f"{name}: {n_nan} of {total} {noun} hold NaN or infinite values, the first is "
                f"number {int(np.argmin(self.finite))}; left out",
                stacklevel=stacklevel + 1,
            )
        return {"nan": n_nan, "constant": n_constant}
