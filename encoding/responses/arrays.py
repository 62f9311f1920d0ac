"""Responses from arrays: .npy, .npz, HDF5 (MATLAB v7.3 too) and zarr, in one part or several."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from .containers import Stored, open_arrays
from .runs import READ_ERRORS
from .storage import MEMORY, Buffer, Usable, blocks
from .table import Responses

# Names of parts, as Resp_Training, RespTest, resp_test_mean.
_PART = re.compile(r"resp_?(trn|train|training|val|test)(?:_?(mean))?", re.IGNORECASE)
_MEAN_AGREES = 0.9  # correlation over samples and targets


def load_array(
    path,
    samples: pd.DataFrame,
    targets: pd.DataFrame | None = None,
    *,
    name: str | None = None,
    transposed: bool | None = None,
    memory: int = MEMORY,
    cache=None,
) -> Responses:
    """Responses from arrays on disk, memory-mapped where they can be.

    A file may hold all rows, or all but those of dummies (these stay 0 in the result, which has
    every volume, so that delayed features still see what was heard before). Arrays named like
    `Resp_Training`, `Resp_Test` and `Resp_Test_Mean`, in one file or in several, are put where
    `samples` has its training and test rows. `Resp_Test_Mean` is used only where `Resp_Test` is
    missing: it becomes the first repeat, and the other repeats are marked dummy.

    Parameters
    ----------
    path : path, or list of paths, of .npy, .npz, .h5/.hdf5/.mat (v7.3) or .zarr
        Arrays (n_samples, n_targets); the transpose is accepted when only that fits `samples`,
        with a warning unless MATLAB wrote it (whose arrays HDF5 shows transposed).
    samples : DataFrame, n_samples rows
    targets : DataFrame, n_targets rows, optional
        Without it every target has region "".
    name : str, optional
        Array in the file. Default: the only one, or those named like Resp_Training.
    transposed : bool, optional
        Whether rows are targets. Needed when both axes fit.
    memory : int
        Bytes above which copies are memory-mapped.
    cache : folder, optional
        Where such copies are kept; default: a temporary file.

    Returns
    -------
    Responses
        Targets that hold NaN or infinite values, or are constant in a run, are left out with a
        warning that counts them; targets.column is the column in the file.

    Raises
    ------
    InputError
        A file is no such array or is truncated, or no axis fits the tables, or both do.
    """
    paths = [Path(p) for p in (path if isinstance(path, (list, tuple)) else [path])]
    with ExitStack() as stack:
        stored = [array for p in paths for array in open_arrays(p, stack, memory, cache)]
        chosen = _choose(stored, name, paths)
        n_targets = None if targets is None else len(targets)
        parts = [_fit(array, part, samples, transposed, n_targets) for array, part in chosen]
        widths = {part.n_targets for part in parts}
        if len(widths) > 1:
            raise InputError(
                f"{parts[0].stored.label}: parts with {sorted(widths)} targets; they belong to "
                "different subjects or masks"
            )
        parts, samples = _without_mean(parts, samples)
        (width,) = widths
        if n_targets not in (None, width):
            raise InputError(
                f"{parts[0].stored.label}: {width} targets, the table of targets has "
                f"{n_targets} rows"
            )
        try:
            data, keep, dropped = _gather(parts, samples, width, memory, cache)
        except InputError:
            raise
        except READ_ERRORS as error:
            raise InputError(
                f"{paths[0]}: truncated or damaged ({error}); download or copy it again"
            ) from error
    targets = pd.DataFrame({"region": [""] * width}) if targets is None else targets
    if "region" not in targets:
        targets = targets.assign(region="")
    if "column" not in targets:
        targets = targets.assign(column=np.arange(width))
    return Responses(data, samples, targets[keep].reset_index(drop=True), dropped)


@dataclass(frozen=True)
class _Part:
    """An array and the rows of the table that it fills."""

    stored: Stored
    kind: str  # "all", "train", "test" or "mean"
    rows: np.ndarray
    transposed: bool

    @property
    def n_targets(self) -> int:
        return self.stored.array.shape[0 if self.transposed else 1]

    def blocks(self) -> Iterator[tuple[np.ndarray, slice, np.ndarray]]:
        """(rows of the table, targets, their values), along the axis in which the file runs."""
        source = self.stored.array
        everything = slice(None)
        for part in blocks(source.shape[0], 8 * source.shape[1]):
            values = np.asarray(source[part])
            if self.transposed:
                yield self.rows, part, values.T
            else:
                yield self.rows[part], everything, values


def _choose(stored: Sequence[Stored], name, paths) -> list[tuple[Stored, str]]:
    """Arrays to read and which part of the experiment each is."""
    listed = ", ".join(array.name for array in stored[:8])
    where = paths[0] if len(paths) == 1 else f"{len(paths)} files"
    if name is not None:
        named = [array for array in stored if array.name == name]
        if len(named) != 1:
            raise InputError(f"{where}: no array {name}; found {listed}")
        stored = named
    if not stored:
        raise InputError(f"{where}: holds no array with two axes")
    parts = {}
    for array in stored:
        match = _PART.fullmatch(array.name.rsplit("/", 1)[-1])
        if match:
            kind = "train" if match[1].lower().startswith("tr") else "test"
            kind = "mean" if match[2] else kind
            if kind in parts:
                raise InputError(
                    f"{array.label}: a second {kind} part beside {parts[kind].label}; name one"
                )
            parts[kind] = array
    if len(stored) == 1:
        # A single part may also be the whole: its length tells.
        return [(stored[0], next(iter(parts), "all"))]
    if parts:
        return [(array, kind) for kind, array in parts.items()]
    raise InputError(
        f"{where}: holds the arrays {listed}, expected exactly one, or parts named Resp_Training "
        "and Resp_Test; name the array of responses"
    )


def _fit(stored: Stored, kind, samples, transposed, n_targets) -> _Part:
    """Find the axis of samples and the rows of the table that it stands for."""
    array = stored.array
    if array.dtype.kind not in "fiu":
        raise InputError(f"{stored.label}: values of type {array.dtype}, expected real numbers")
    dummy = _column(samples, "dummy", False).astype(bool)
    test = _column(samples, "split", "train") == "test"
    first = _column(samples, "repeat", 1) == 1
    every = np.ones(len(samples), bool)
    inside = {"all": every, "train": ~test, "test": test, "mean": test & first & ~dummy}[kind]
    candidates = [inside & ~dummy, inside] + ([every] if kind in ("train", "test") else [])
    # Of equal lengths the last counts: all rows, where nothing is a dummy.
    rows = {int(c.sum()): np.flatnonzero(c) for c in candidates if c.any()}
    fitting = []
    if array.ndim == 2:
        fitting = [
            axis
            for axis in (0, 1)
            if array.shape[axis] in rows
            and transposed in (None, bool(axis))
            and n_targets in (None, array.shape[1 - axis])
        ]
    if len(fitting) == 2:
        raise InputError(
            f"{stored.label}: shape {array.shape}, both axes fit the {len(samples)} volumes of the "
            "events; say whether it is transposed (targets x volumes)"
        )
    if not fitting:
        raise InputError(_why_not(stored, kind, sorted(rows, reverse=True), samples, dummy))
    (axis,) = fitting
    if axis == 1 and transposed is None and not stored.from_matlab:
        warnings.warn(
            f"{stored.label}: shape {array.shape} read as (targets, samples); transposed",
            stacklevel=3,
        )
    return _Part(stored, kind, rows[array.shape[axis]], bool(axis))


def _why_not(stored, kind, lengths, samples, dummy) -> str:
    shape = stored.array.shape
    expected = [f"{n} rows" if i == 0 else str(n) for i, n in enumerate(lengths)]
    without = ", the least without dummies" if len(lengths) > 1 else ""
    what = {"all": "", "train": " of training", "test": " of test", "mean": " of averaged test"}
    message = (
        f"{stored.label}: shape {shape}, expected {' or '.join(expected) or 'no rows'} (one a "
        f"volume{what[kind]}{without}) x targets; "
    )
    opening = _column(samples, "clip_id", "").astype(str)
    new = samples["run"].ne(samples["run"].shift()).to_numpy()
    start = pd.Series(np.where(new, opening, None)).ffill().to_numpy()
    time = _column(samples, "time", 0.0)
    clip = np.cumsum(new | (np.diff(time, prepend=np.inf) < 0))
    first_clip = clip == pd.Series(np.where(new, clip, np.nan)).ffill().to_numpy()
    if not dummy.any() and len(start) and int((~first_clip).sum()) in shape:
        return message + "it fits without the first clip of every run: mark these rows dummy"
    return message + "check that the array and the events cover the same runs"


def _without_mean(parts, samples):
    """Drop the averaged test part where single repeats are there, else stand in for them."""
    mean = next((p for p in parts if p.kind == "mean"), None)
    test = next((p for p in parts if p.kind == "test"), None)
    if mean is None:
        return parts, samples
    if test is not None:
        _check_mean(test, mean, samples)
        return [p for p in parts if p is not mean], samples
    dummy = _column(samples, "dummy", False).astype(bool)
    others = (_column(samples, "split", "train") == "test") & ~np.isin(
        np.arange(len(samples)), mean.rows
    )
    return parts, samples.assign(dummy=dummy | others)


def _check_mean(test: _Part, mean: _Part, samples) -> None:
    """The average over repeats, by the events, must look like the stored one."""
    some = np.linspace(0, test.n_targets - 1, min(test.n_targets, 64)).astype(int)

    def values(part):
        columns = sorted(set(some))
        array = part.stored.array
        if part.transposed:
            return np.stack([np.asarray(array[c]) for c in columns], 1).astype(float)
        return np.stack([np.asarray(array[:, c]) for c in columns], 1).astype(float)

    keys = ["run", "clip_id", "time"]
    if not set(keys) <= set(samples.columns):
        return
    table = samples.iloc[test.rows].reset_index(drop=True)
    if "dummy" in table:
        table = table[~table["dummy"].astype(bool)]
    number = table.groupby(keys, sort=False).ngroup().to_numpy()
    averaged = pd.DataFrame(values(test)[table.index]).groupby(number).mean().to_numpy()
    stored = values(mean)
    both = np.isfinite(averaged).all(0) & np.isfinite(stored).all(0)
    a, b = averaged[:, both].ravel(), stored[:, both].ravel()
    if len(a) and np.std(a) > 0 and np.std(b) > 0 and np.corrcoef(a, b)[0, 1] < _MEAN_AGREES:
        warnings.warn(
            f"{mean.stored.label}: correlates {np.corrcoef(a, b)[0, 1]:.2f} with the average of "
            f"{test.stored.label} over the repeats of the events; their rows may be in another "
            "order than the events",
            stacklevel=4,
        )


def _gather(parts, samples, width, memory, cache):
    """The responses themselves: the file where it can be mapped as it is, else a copy."""
    filled = np.concatenate([part.rows for part in parts])
    present = np.zeros(len(samples), bool)
    present[filled] = True
    dummy = _column(samples, "dummy", False).astype(bool)
    if not present[~dummy].all():
        raise InputError(
            f"{parts[0].stored.label}: no responses for {int((~present & ~dummy).sum())} of "
            f"{int((~dummy).sum())} volumes of the events; give the other part too, or its "
            "events only"
        )
    numbers, _ = pd.factorize(samples["run"])
    usable = Usable(numbers, width, ~dummy)
    only = parts[0]
    array = only.stored.array
    mapped = (
        len(parts) == 1
        and isinstance(array, np.ndarray)
        and array.dtype == np.float32
        and np.array_equal(only.rows, np.arange(len(samples)))
    )
    label = only.stored.label
    if mapped:
        for rows, columns, values in only.blocks():
            usable.see(rows, values, columns)
        dropped = usable.report(label, "targets", stacklevel=4)
        if usable.keep.all():
            return (array.T if only.transposed else array), usable.keep, dropped

    flipped = all(part.transposed for part in parts)  # kept as the files run
    shape = (width, len(samples)) if flipped else (len(samples), width)
    key = hashlib.sha256(repr([p.stored.label for p in parts]).encode()).hexdigest()[:12]
    with Buffer(shape, memory, cache, f"responses-{key}") as buffer:
        for part in parts:
            for rows, columns, values in part.blocks():
                if not mapped:
                    usable.see(rows, values, columns)
                if flipped:
                    buffer.array[columns, rows] = values.T
                else:
                    buffer.array[rows, columns] = values
        if not mapped:
            dropped = usable.report(label, "targets", stacklevel=4)
        data = buffer.finish(usable.keep, axis=0 if flipped else 1)
    return (data.T if flipped else data), usable.keep, dropped


def _column(samples: pd.DataFrame, name: str, default) -> np.ndarray:
    return samples[name].to_numpy() if name in samples else np.full(len(samples), default)
