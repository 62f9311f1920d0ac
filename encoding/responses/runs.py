"""What all readers of images share: checks of runs, and one cleaned run after the other."""

from __future__ import annotations

import gzip
import hashlib
import json
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from .confounds import gather_confounds
from .detrend import clean
from .samples import repetition_time
from .storage import MEMORY, Buffer, Usable

READ_ERRORS = (OSError, EOFError, ValueError, zlib.error)
_TR_TOLERANCE = 0.005  # relative: headers round 1.5 s no worse


@dataclass(frozen=True)
class Run:
    """One run on disk: what its header says, and how to read it.

    Parameters
    ----------
    name : str
    n_volumes : int
    read : () -> (n_volumes, n_targets) array
    repetition_times : {where: seconds}
    """

    name: str
    n_volumes: int
    read: Callable[[], np.ndarray]
    repetition_times: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Cleaning:
    """How each run is cleaned; see `detrend.clean`."""

    high_pass: float | None = 1 / 240  # Hz
    standardize: bool = True
    drift: str = "dct"
    confounds: str | Mapping | None = None


def check_runs(paths: Mapping, samples: pd.DataFrame) -> list:
    """Runs of `samples` in order, each of which must have its image."""
    in_samples = list(samples["run"].unique())
    if set(in_samples) != set(paths):
        raise InputError(
            f"images are given for the runs {sorted(paths)}, the samples hold "
            f"{sorted(in_samples)}; give one image a run"
        )
    return in_samples


def check_lengths_and_times(
    runs: Mapping[str, Run], samples: pd.DataFrame, tr: float | None
) -> float:
    """The repetition time, once lengths and times of all runs agree with the events."""
    wrong = []
    for label, run in runs.items():
        rows = int((samples["run"] == label).sum())
        if run.n_volumes != rows:
            wrong.append(
                f"{run.name}: {run.n_volumes} volumes, expected {rows} as in the events of run "
                f"{label}"
            )
    if wrong:
        more = f" (and {len(wrong) - 1} more runs)" if len(wrong) > 1 else ""
        raise InputError(wrong[0] + more)
    if tr is not None:
        return float(tr)
    tr = repetition_time(samples)
    for run in runs.values():
        for where, seconds in run.repetition_times.items():
            if abs(seconds - tr) > _TR_TOLERANCE * tr:
                raise InputError(
                    f"{run.name}: repetition time {seconds:g} s in its {where}, {tr:g} s in the "
                    "events' table of volumes; correct the wrong one or give tr"
                )
    return tr


def read_runs(
    runs: Mapping[str, Run],
    images: Mapping,
    samples: pd.DataFrame,
    n_targets: int,
    *,
    tr: float,
    cleaning: Cleaning,
    memory: int = MEMORY,
    cache=None,
    noun: str = "voxels",
) -> tuple[np.ndarray, pd.DataFrame, np.ndarray, dict[str, int]]:
    """Read and clean run after run; no more than one raw run is in memory.

    Returns
    -------
    data : (n_samples, n_kept) float32
    samples : DataFrame
        Volumes before steady state are marked dummy; they are 0 in `data`.
    keep : (n_targets,) bool, the targets that are finite and vary in every run
    dropped : {"nan": int, "constant": int}
    """
    lengths = {label: run.n_volumes for label, run in runs.items()}
    confounds, non_steady = gather_confounds(cleaning.confounds, images, lengths)
    samples = _mark_non_steady(samples, non_steady)

    numbers, _ = pd.factorize(samples["run"])
    usable = Usable(numbers, n_targets)
    names = [run.name for run in runs.values()]
    key = hashlib.sha256(repr((names, images, len(samples), n_targets)).encode()).hexdigest()
    with Buffer((len(samples), n_targets), memory, cache, f"responses-{key[:12]}") as buffer:
        for label, run in runs.items():
            rows = np.flatnonzero(samples["run"] == label)
            try:
                signal = run.read()
            except READ_ERRORS as error:
                raise InputError(
                    f"{run.name}: truncated or damaged ({error}); download or copy it again"
                ) from error
            finite = np.isfinite(signal).all(0)
            usable.finite &= finite
            if not finite.all():
                signal = np.where(finite, signal, 0)
            # Volumes before steady state are far off and would rule drift, confounds and SD.
            steady = np.setdiff1d(np.arange(len(rows)), non_steady[label])
            table = confounds[label]
            cleaned = clean(
                signal if len(steady) == len(rows) else signal[steady],
                tr,
                drift=cleaning.drift,
                period=1 / cleaning.high_pass if cleaning.high_pass else None,
                confounds=None if table is None else table[steady],
                standardize=cleaning.standardize,
            )
            rows = rows[steady]
            usable.see(rows, cleaned)  # constant voxels, or all drift and confounds, are 0 now
            buffer.array[rows] = cleaned
        dropped = usable.report(names[0], noun, stacklevel=4)
        data = buffer.finish(usable.keep)
    return data, samples, usable.keep, dropped


def sidecar_time(path) -> float | None:
    """RepetitionTime (s) in the JSON file beside an image, if there is one."""
    path = Path(path)
    stem = path.name
    for end in (".gz", ".nii", ".gii", ".dtseries", ".func"):
        stem = stem.removesuffix(end)
    sidecar = path.with_name(stem + ".json")
    return read_repetition_time(sidecar) if sidecar.is_file() else None


def read_repetition_time(sidecar: Path) -> float | None:
    """RepetitionTime (s) of a BIDS sidecar, None where it has none."""
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
        seconds = content.get("RepetitionTime")
        return None if seconds is None else float(seconds)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{sidecar}: no readable BIDS sidecar ({error})") from error


def open_image(image, kind=None):
    """(image, its name), from a path or an image in memory.

    Parameters
    ----------
    kind : class or tuple, optional
        What a path must hold.
    """
    import nibabel as nib

    if isinstance(image, nib.filebasedimages.FileBasedImage):
        return image, image.get_filename() or "image in memory"
    try:
        # Kept open, so that reading a compressed image in pieces decompresses it once.
        options = {"keep_file_open": True} if str(image).endswith((".nii", ".nii.gz")) else {}
        loaded = nib.load(image, **options)
    except Exception as error:  # GIFTI is XML: whatever its parser raises
        if isinstance(error, (MemoryError, TypeError)):
            raise
        raise InputError(f"{image}: not a readable image ({error})") from error
    if kind is not None and not isinstance(loaded, kind):
        raise InputError(f"{image}: a {type(loaded).__name__}, not the kind of image expected here")
    return loaded, str(image)


def check_complete(images: Sequence) -> None:
    """Refuse truncated NIfTI files before anything long begins.

    Parameters
    ----------
    images : nibabel images with a `dataobj` on disk; others are passed over
    """
    for image in images:
        path, proxy = image.get_filename(), image.dataobj
        if path is None or not hasattr(proxy, "offset"):
            continue
        expected = proxy.offset + int(np.prod(proxy.shape)) * proxy.dtype.itemsize
        try:
            found = _content_bytes(Path(path), expected)
        except READ_ERRORS as error:
            raise InputError(
                f"{path}: truncated or damaged ({error}); download or copy it again"
            ) from error
        if found < expected:
            raise InputError(
                f"{path}: truncated, {found} bytes where its header asks for {expected}; download "
                "or copy it again"
            )


def _content_bytes(path: Path, expected: int) -> int:
    if path.suffix != ".gz":
        return path.stat().st_size
    with open(path, "rb") as file:
        file.seek(-4, 2)
        # gzip ends with the size of its content modulo 2^32.
        if int.from_bytes(file.read(4), "little") == expected % 2**32:
            return expected
    # Several members, or data behind the image, or truncated: only reading tells.
    found = 0
    with gzip.open(path) as file:
        while piece := file.read(2**24):
            found += len(piece)
    return found


def _mark_non_steady(samples, non_steady) -> pd.DataFrame:
    dummy = (
        samples["dummy"].to_numpy(bool).copy()
        if "dummy" in samples
        else np.zeros(len(samples), bool)
    )
    marked = np.zeros(len(samples), bool)
    for label, volumes in non_steady.items():
        marked[np.flatnonzero(samples["run"] == label)[volumes]] = True
    if not marked.any():
        return samples
    new = marked & ~dummy
    if new.any():
        warnings.warn(
            f"{new.sum()} volumes are marked as before steady state by fMRIPrep; they are left out "
            "of cleaning and marked dummy",
            stacklevel=5,
        )
    return samples.assign(dummy=dummy | marked)
