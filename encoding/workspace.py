"""A folder that holds unfinished work: every file whole, nothing pickled.

    settings.json            what the inputs were, by hash
    job.npz                  rows, labels, delays and alphas (`Job`)
    shared-responses.npy     only for workers, where the responses were no file (and .json)
    features-003.npy         only for workers
    design-003-vectors.npy   and -values, -located: the decomposition of layer 3
    part-003-4096-8192.npz   alphas and predictions of layer 3, targets 4096 to 8191

Files appear under their names when they are complete: whatever is there can be trusted after a
kill.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

import numpy as np

from .errors import InputError
from .ridge.arrays import open_arrays
from .tasks import Design, Job, make_design, solver

_FORMAT = 2
_BLOCK = 64 * 2**20  # bytes hashed at a time
_HIDDEN = ".unfinished-"


class Workspace:
    """Files of one run of `fit_layers`.

    Parameters
    ----------
    folder : path
    settings : dict
        As `settings.json`; read from the folder by default.
    """

    def __init__(self, folder, settings: Mapping | None = None):
        self.folder = Path(folder)
        path = self.folder / "settings.json"
        self.settings = _read_json(path) if settings is None else settings

    @property
    def fingerprint(self) -> str:
        """Of everything that results depend on."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()

    def save_job(self, job: Job) -> None:
        """Keep what all tasks share."""
        with self._writing("job.npz") as file:
            np.savez(file, **{f.name: getattr(job, f.name) for f in fields(job)})

    def load_job(self) -> Job:
        """What `save_job` kept."""
        with np.load(self.folder / "job.npz", allow_pickle=False) as stored:
            return Job(**stored)

    def save_features(self, layer: int, X: np.ndarray) -> None:
        """Keep the features of a layer, for workers."""
        self._save(f"features-{layer:03d}.npy", X)

    def share_responses(self, Y: np.ndarray) -> None:
        """Let workers find the responses: where they lie already, or as a copy."""
        place = find_memmap(Y)
        if place is None:
            if not (self.folder / "shared-responses.npy").exists():
                self._save("shared-responses.npy", Y)
            place = {}
        with self._writing("shared-responses.json") as file:
            file.write(json.dumps(place).encode())

    def load_responses(self) -> np.ndarray:
        """What `share_responses` kept, memory-mapped."""
        place = _read_json(self.folder / "shared-responses.json")
        return open_memmap(place) if place else self._load("shared-responses.npy", mmap_mode="r")

    def has_design(self, layer: int) -> bool:
        """Whether all files of a layer's design are there."""
        return all((self.folder / name).exists() for name in _design_files(layer))

    def save_design(self, layer: int, design: Design) -> None:
        """Keep a layer's design."""
        for name, part in zip(_design_files(layer), fields(design), strict=True):
            self._save(name, getattr(design, part.name))

    def load_design(self, layer: int) -> Design:
        """What `save_design` kept."""
        return Design(*(self._load(name) for name in _design_files(layer)))

    def part(self, layer: int, columns: slice) -> Path:
        """Of the results of these targets."""
        return self.folder / f"part-{layer:03d}-{columns.start}-{columns.stop}.npz"

    def save_part(self, layer: int, columns: slice, best, predictions) -> None:
        """Keep the results of a chunk."""
        with self._writing(self.part(layer, columns).name) as file:
            np.savez(file, best=best, predictions=predictions)

    def load_part(self, layer: int, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Best alphas (n_folds, n_columns) and predictions (n_samples, n_columns)."""
        path = self.part(layer, columns)
        try:
            with np.load(path, allow_pickle=False) as stored:
                return stored["best"], stored["predictions"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: damaged ({error}); delete it and run again") from error

    def tidy(self) -> None:
        """Leave settings and parts alone, from which the results can be had again at once."""
        for pattern in ("design-*.npy", "features-*.npy", "shared-responses.*", f"{_HIDDEN}*"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def _save(self, name, array) -> None:
        with self._writing(name) as file:
            np.save(file, array, allow_pickle=False)

    def _load(self, name, **options) -> np.ndarray:
        path = self.folder / name
        try:
            return np.load(path, allow_pickle=False, **options)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: damaged ({error}); delete it and run again") from error

    @contextmanager
    def _writing(self, name: str) -> Iterator:
        partial = self.folder / f"{_HIDDEN}{uuid.uuid4().hex}"
        try:
            with partial.open("wb") as file:
                yield file
            os.replace(partial, self.folder / name)
        finally:
            partial.unlink(missing_ok=True)


def open_workspace(folder, features: Mapping, Y: np.ndarray, job: Job, on) -> Workspace:
    """Begin in an empty folder, or go on in one that was begun with the same inputs.

    Raises
    ------
    InputError
        The folder holds the work of other inputs, or other files.
    """
    folder = Path(folder)
    settings = {
        "format": _FORMAT,
        "layers": list(features),
        "features": {name: hash_array(X) for name, X in features.items()},
        "responses": hash_array(Y),
        "samples": hash_array(*(getattr(job, f) for f in _ROWS)),
        "delays": job.delays.tolist(),
        "alphas": job.alphas.tolist(),
        "device": " ".join(on.label),
    }
    work = Workspace(folder, settings)
    path = folder / "settings.json"
    if path.exists():
        found = _read_json(path)
        changed = [name for name in settings if found.get(name) != settings[name]]
        if changed:
            raise InputError(
                f"{folder}: holds unfinished work on other inputs (other {', '.join(changed)}); "
                "give another folder or delete this one"
            )
        return work
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error})") from error
    if any(not p.name.startswith(_HIDDEN) and p.name != "job.npz" for p in folder.iterdir()):
        raise InputError(f"{folder}: holds other files; give a new or an empty folder")
    work.save_job(job)
    with work._writing("settings.json") as file:
        file.write(json.dumps(settings, indent=1).encode())
    return work


def make_layer(folder: str, layer: int, backend: str, device: str) -> None:
    """Task: the design of a layer, from files to files."""
    work = Workspace(folder)
    if not work.has_design(layer):
        X = work._load(f"features-{layer:03d}.npy")
        work.save_design(layer, make_design(X, work.load_job(), open_arrays(backend, device)))


def make_part(
    folder: str, layer: int, start: int, stop: int, memory: int, backend: str, device: str
) -> None:
    """Task: the results of a chunk of targets, from files to files."""
    work, columns = Workspace(folder), slice(start, stop)
    if not work.part(layer, columns).exists():
        solve = _solver(folder, work.fingerprint, layer, memory, backend, device)
        work.save_part(layer, columns, *solve(columns))


@lru_cache(maxsize=1)
def _solver(folder, fingerprint, layer, memory, backend, device):
    """Kept for the next chunk of the same layer; `fingerprint` tells reused folders apart."""
    work = Workspace(folder)
    responses, on = work.load_responses(), open_arrays(backend, device)
    return solver(work.load_design(layer), work.load_job(), responses, memory, on)


def hash_array(*arrays: np.ndarray) -> str:
    """SHA-256 of shapes, types and values; a memory map is read in blocks."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype.str}".encode())
        # Along the axis in which a file runs.
        rows = array if array.flags.c_contiguous or array.ndim < 2 else array.T
        digest.update(b"" if rows is array else b"T")
        step = max(_BLOCK * len(rows) // max(array.nbytes, 1), 1)
        for start in range(0, len(rows), step):
            digest.update(np.ascontiguousarray(rows[start : start + step]))
    return digest.hexdigest()


def find_memmap(array: np.ndarray) -> dict | None:
    """File and place in it of (a view of) a memory map; None of other arrays."""
    root, found = array, None
    while isinstance(root, np.ndarray):
        found = root if isinstance(root, np.memmap) else found
        root = root.base
    if found is None or not found.filename or not Path(found.filename).is_file():
        return None
    if min(array.strides, default=0) < 0:
        return None
    address = [a.__array_interface__["data"][0] for a in (array, found)]
    return {
        "path": str(Path(found.filename).resolve()),
        "offset": found.offset + address[0] - address[1],
        "shape": list(array.shape),
        "strides": list(array.strides),
        "dtype": array.dtype.str,
    }


def open_memmap(place: Mapping) -> np.ndarray:
    """The array that `find_memmap` described."""
    raw = np.memmap(place["path"], np.uint8, "r")
    return np.ndarray(
        tuple(place["shape"]), place["dtype"], raw, place["offset"], tuple(place["strides"])
    )


_ROWS = ("runs", "groups", "heard", "train", "held", "sample")


def _design_files(layer: int) -> list[str]:
    return [f"design-{layer:03d}-{f.name}.npy" for f in fields(Design)]


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: unreadable ({error}); delete the folder") from error
