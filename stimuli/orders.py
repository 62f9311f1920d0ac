"""The MATLAB lists `ExpTrnOrder.mat` and `ExpValOrder.mat`: which clip file was heard when."""

import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from stimuli.clip_names import ClipName, parse_clip_name
from stimuli.errors import InputError
from stimuli.excerpts import experiment_excerpts, read_excerpts
from stimuli.presentations import dummy_origin

# Task, file, variable, and how often a run repeats its clips; the experiment's runs have 40 rows.
ORDER_FILES = {"Training": ("ExpTrnOrder.mat", "TrnOrd"), "Test": ("ExpValOrder.mat", "ValOrd")}
EXCERPTS_FILE = "excerpts.tsv"
_REPEATS = {"Training": 1, "Test": 4}
_ROWS = 40
_MOST_CELLS = 100_000


def _refuse_variable(path, variable, found):
    found = ", ".join(sorted(found)) or "nothing"
    raise InputError(f"{path}: no variable '{variable}' (found: {found}); save it under this name")


def _refuse_type(path, variable, found):
    raise InputError(
        f"{path}: '{variable}' is {found}, not a cell array of file names; save it as cellstr"
    )


def _cells_v5(path, variable):
    from scipy.io import loadmat, whosmat

    contents = whosmat(path)
    if variable not in {name for name, _, _ in contents}:
        _refuse_variable(path, variable, {name for name, _, _ in contents})
    shape, kind = next((shape, kind) for name, shape, kind in contents if name == variable)
    if kind not in ("cell", "char") or np.prod(shape, dtype=float) > 256 * _MOST_CELLS:
        _refuse_type(path, variable, f"{kind} of {' x '.join(map(str, shape))}")
    values = loadmat(path, variable_names=[variable])[variable]
    if values.dtype.kind == "U":  # A char array: its last dimension holds the letters.
        return np.array([name.rstrip() for name in values.ravel()], object).reshape(values.shape)
    texts = np.empty(values.shape, object)
    for index in np.ndindex(values.shape):
        cell = values[index]
        if not (isinstance(cell, np.ndarray) and cell.dtype.kind == "U" and cell.size <= 1):
            _refuse_type(path, variable, f"a cell array with {type(cell).__name__}s in it")
        texts[index] = str(cell.ravel()[0]) if cell.size else ""
    return texts


def _cells_v73(path, variable):
    import h5py

    # MATLAB stores arrays by column, so that HDF5 shows every shape reversed.
    with h5py.File(path, "r") as file:
        if variable not in file:
            _refuse_variable(path, variable, {name for name in file if not name.startswith("#")})
        values = file[variable]
        kind = values.attrs.get("MATLAB_class", b"")
        kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        if not isinstance(values, h5py.Dataset) or values.size > 256 * _MOST_CELLS:
            _refuse_type(path, variable, kind or "no array")
        if kind == "char":
            letters = values[()].T
            names = [_text(row).rstrip() for row in letters.reshape(-1, letters.shape[-1])]
            return np.array(names, object).reshape(letters.shape[:-1])
        if kind != "cell" or values.dtype != h5py.ref_dtype or values.size > _MOST_CELLS:
            _refuse_type(path, variable, kind or "no cell array")
        references = values[()].T
        texts = np.empty(references.shape, object)
        for index in np.ndindex(references.shape):
            cell = file[references[index]]
            if not isinstance(cell, h5py.Dataset) or cell.dtype.kind != "u" or cell.size > 4096:
                _refuse_type(path, variable, "a cell array with something else than text in it")
            texts[index] = "" if "MATLAB_empty" in cell.attrs else _text(cell[()].ravel())
        return texts


def _text(codes):
    return np.asarray(codes).astype("<u2").tobytes().decode("utf-16-le")


def read_order(path, variable) -> np.ndarray:
    """File names in a MATLAB file: a cell array of char, or a char array.

    Files up to version 7 are read with SciPy, those of version 7.3 with h5py; neither executes
    anything.

    Parameters
    ----------
    path : path
    variable : str

    Returns
    -------
    (n_rows, n_runs) object array of str

    Raises
    ------
    InputError
        If the file is missing or damaged, has no such variable, or the variable is no
        two-dimensional array of text.
    """
    import h5py
    from scipy.io.matlab import MatReadError

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; copy it from the experiment's stimuli")
    try:
        read = _cells_v73 if h5py.is_hdf5(path) else _cells_v5
        names = read(path, variable)
    except InputError:
        raise
    except (
        *(OSError, EOFError, RuntimeError, NotImplementedError, MemoryError, zlib.error),
        *(MatReadError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError),
    ) as error:
        raise InputError(
            f"{path}: not a readable MATLAB file ({error}); it may be cut off, copy it again"
        ) from error
    if names.ndim != 2 or names.size == 0:
        shape = " x ".join(map(str, names.shape))
        raise InputError(f"{path}: '{variable}' is {shape}; expected rows x runs of file names")
    return names


def _parse(path, names, task):
    """Names of one file, parsed, (n_rows, n_runs); each must say its own place."""
    parsed = np.empty(names.shape, object)
    for row, run in np.ndindex(names.shape):
        place = f"{path}, row {row + 1}, column {run + 1}"
        try:
            name = parse_clip_name(names[row, run])
        except InputError as error:
            raise InputError(f"{place}: {error}") from error
        if (name.task, name.run, name.row) != (task, run + 1, row + 1):
            raise InputError(
                f"{place}: '{names[row, run]}' belongs elsewhere; expected "
                f"{task}_run-{run + 1:02d}-{row + 1:02d}_..., rows x runs"
            )
        parsed[row, run] = name
    return parsed


def _own_orders():
    """Tracks of ds003720 as {task: (40, n_runs)}."""
    tracks = experiment_excerpts()["track"].to_numpy()
    orders, first = {}, 0
    for task, runs in (("Training", 12), ("Test", 6)):
        block = _ROWS // _REPEATS[task]
        part = tracks[first : first + runs * block].reshape(runs, block)
        orders[task] = np.tile(part, _REPEATS[task]).T
        first += part.size
    return orders


def _check_own(folder, orders):
    for task, own in _own_orders().items():
        path = folder / ORDER_FILES[task][0]
        remedy = f"put {EXCERPTS_FILE} (columns track, start, end) beside it"
        tracks = np.vectorize(lambda name: name.track, otypes=[object])(orders[task])
        if tracks.shape != own.shape:
            found, expected = (" x ".join(map(str, a.shape)) for a in (tracks, own))
            raise InputError(
                f"{path}: {found} names where ds003720 has {expected}, so the excerpts' times are "
                f"not known; {remedy}"
            )
        for run, row in np.argwhere((tracks != own).T)[:1]:
            raise InputError(
                f"{path}, row {row + 1}, column {run + 1}: {tracks[row, run]} where ds003720 has "
                f"{own[row, run]}, so the excerpts' times are not known; {remedy}"
            )


def _own_names():
    """Parsed names of ds003720 as {task: (40, n_runs)}; every clip's name says 15 s."""
    names = {}
    for task, tracks in _own_orders().items():
        names[task] = np.empty(tracks.shape, object)
        for row, run in np.ndindex(tracks.shape):
            names[task][row, run] = ClipName(task, run + 1, row + 1, tracks[row, run], 15)
    return names


def read_runs(folder=None) -> dict[tuple[str, int], pd.DataFrame]:
    """Events of every run according to the two lists, Training runs first.

    The lists leave the dummies out and hold no times: the dummies follow from the design
    (`stimuli.presentations.dummy_origin`), the excerpts from `excerpts.tsv` in the folder or, where
    the order is that of ds003720, from `stimuli.excerpts.experiment_excerpts`.

    Parameters
    ----------
    folder : path, optional
        Holds `ExpTrnOrder.mat` (variable `TrnOrd`, rows x runs) and `ExpValOrder.mat` (`ValOrd`);
        default the order and excerpts of ds003720 as published, without any file.

    Returns
    -------
    dict of (task, number) to DataFrame with onset, duration, label, track, start, end

    Raises
    ------
    InputError
        If a list is missing, damaged or malformed, or the times of a track are not known or do not
        last as long as its file's name says.
    """
    if folder is None:
        source, orders, table = "ds003720", _own_names(), experiment_excerpts()
    else:
        folder = Path(folder)
        orders = {}
        for task, (file, variable) in ORDER_FILES.items():
            orders[task] = _parse(folder / file, read_order(folder / file, variable), task)
        source = folder / EXCERPTS_FILE
        if source.exists():
            table = read_excerpts(source)
        else:
            _check_own(folder, orders)
            table = experiment_excerpts()
    times = {row.track: (row.start, row.end) for row in table.itertuples()}
    clips = {
        (task, run + 1): list(order[:, run])
        for task, order in orders.items()
        for run in range(order.shape[1])
    }
    runs = {}
    for (task, number), names in clips.items():
        dummy = clips[dummy_origin(task, number, clips)][-1]
        rows = []
        onset = 0.0
        for name in (dummy, *names):
            if name.track not in times:
                raise InputError(f"{source}: no track {name.track}, which was heard; add its times")
            start, end = times[name.track]
            if round(end - start) != name.seconds:
                raise InputError(
                    f"{source}: {name.track} from {start:g} to {end:g} s, but its file's name says "
                    f"{name.seconds} s; correct the times"
                )
            genre = name.track.split(".")[0]
            rows.append((onset, float(name.seconds), genre, name.track, start, end))
            onset += name.seconds
        columns = ["onset", "duration", "label", "track", "start", "end"]
        runs[task, number] = pd.DataFrame(rows, columns=columns)
    return runs
