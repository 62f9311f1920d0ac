"""Arrays inside files, without reading them: .npy, .npz, HDF5 and zarr."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .storage import MEMORY

_HDF5 = (".h5", ".hdf5", ".hdf", ".mat")


@dataclass(frozen=True)
class Stored:
    """An array on disk.

    Parameters
    ----------
    name : str
        In its file.
    label : str
        File and name, for messages.
    array : with shape, dtype, ndim and slices
    from_matlab : bool
        HDF5 shows MATLAB's arrays transposed.
    """

    name: str
    label: str
    array: Any
    from_matlab: bool = False


def open_arrays(path: Path, stack: ExitStack, memory: int = MEMORY, cache=None) -> list[Stored]:
    """Arrays of numbers with two axes in a file (of a .npy file: its array, whatever it is).

    Parameters
    ----------
    path : Path
    stack : ExitStack
        Closes what must stay open while arrays are read.
    memory : int
        Bytes above which members of .npz files are unpacked to disk.
    cache : folder, optional
        Where; default: a temporary file.

    Raises
    ------
    InputError
        The file is missing, truncated or of another kind.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        return _zarr(path)
    if path.suffix.lower() in _HDF5:
        return _hdf5(path, stack)
    try:
        if zipfile.is_zipfile(path):
            return _npz(path, memory, cache, stack)
        return [Stored(path.stem, str(path), np.load(path, mmap_mode="r", allow_pickle=False))]
    except InputError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable .npy or .npz array ({error})") from error


def _npz(path, memory, cache, stack) -> list[Stored]:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
        stored = []
        for member in members:
            name = member.filename.removesuffix(".npy")
            label = f"{path}" if len(members) == 1 else f"{path}:{name}"
            with archive.open(member) as file:
                if member.file_size <= memory:
                    array = np.lib.format.read_array(file, allow_pickle=False)
                else:
                    folder = stack.enter_context(tempfile.TemporaryDirectory(dir=cache))
                    unpacked = Path(folder) / "array.npy"
                    with open(unpacked, "wb") as out:
                        shutil.copyfileobj(file, out, 2**24)
                    array = np.load(unpacked, mmap_mode="r", allow_pickle=False)
            if len(members) == 1 or (array.ndim == 2 and array.dtype.kind in "fiu"):
                stored.append(Stored(name, label, array))
    return stored


def _hdf5(path, stack) -> list[Stored]:
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path}: reading HDF5 needs h5py; install it") from error
    try:
        file = stack.enter_context(h5py.File(path, "r"))
    except OSError as error:
        hint = "; MATLAB files must be saved with -v7.3" if path.suffix == ".mat" else ""
        raise InputError(
            f"{path}: no complete HDF5 file ({error}); download or copy it again{hint}"
        ) from error
    stored = []

    def visit(name, item):
        if not isinstance(item, h5py.Dataset) or name.startswith("#"):
            return
        if item.external or item.is_virtual:
            raise InputError(f"{path}:{name}: its values lie in other files; save them in this one")
        if item.ndim == 2 and item.dtype.kind in "fiu":
            from_matlab = "MATLAB_class" in item.attrs
            stored.append(Stored(name, f"{path}:{name}", _mapped(path, file, item), from_matlab))

    try:
        file.visititems(visit)
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: damaged HDF5 file ({error})") from error
    return stored


def _mapped(path, file, item):
    """A plain memory map of a dataset stored in one piece, else the dataset."""
    offset = item.id.get_offset()
    plain = item.chunks is None and offset is not None and item.dtype.isnative
    if plain and file.userblock_size == 0:
        return np.memmap(path, item.dtype, "r", offset, item.shape)
    return item


def _zarr(path) -> list[Stored]:
    import zarr

    try:
        node = zarr.open(str(path), mode="r")
    except Exception as error:  # each version of zarr raises its own
        raise InputError(f"{path}: a folder, but no zarr store ({error})") from error
    if isinstance(node, zarr.Array):
        return [Stored(path.stem, str(path), node)]
    arrays = [
        Stored(name, f"{path}:{name}", array)
        for name, array in sorted(node.arrays())
        if array.ndim == 2 and array.dtype.kind in "fiu"
    ]
    return arrays
