"""Design matrices: features on the grid of volumes, delayed inside each run.

The order matters: features are averaged in TR bins, delayed over *all* volumes of a run (the
dummy clip included, so that the first real volumes see what was heard before them), and only
then are dummy rows dropped by the caller::

    X = design_matrix(store["belt"], samples, delays=(2, 3, 4, 5))
    X = X[~samples["dummy"]]
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from .errors import InputError
from .responses import repetition_time


def features_at(
    layer: xr.DataArray, samples: pd.DataFrame, *, tr: float | None = None, tolerance: float = 0.02
) -> np.ndarray:
    """Features of the clip heard during each volume, averaged over [time, time + tr).

    Parameters
    ----------
    layer : DataArray (clip, time, unit)
        One layer of an activation store; `time` holds bin centres in seconds since the clip's
        onset, NaN past a clip's end.
    samples : DataFrame, n_samples rows, with columns run, clip_id and time
    tr : float, optional
        Seconds; default: the step of `samples`.
    tolerance : float
        By how much of a bin the TR and the times may miss a multiple of the store's bins.

    Returns
    -------
    X : (n_samples, n_units) float32
        The last bin of a clip is held for less than one TR past its end (clips cut a little
        short); later volumes, and volumes without a clip, hear nothing and are zero.

    Raises
    ------
    InputError
        A clip is missing in the store, or TR or onsets are no multiple of its bins.
    """
    name = layer.name or "layer"
    tr = repetition_time(samples) if tr is None else tr
    centres = layer["time"].to_numpy().astype(float)
    width = float(np.diff(centres).mean()) if len(centres) > 1 else 2 * float(centres[0])
    if len(centres) > 1 and np.ptp(np.diff(centres)) > tolerance * width:
        raise InputError(f"{name}: time bins of unequal width; extract on a regular grid")
    per_tr = round(tr / width)
    if per_tr < 1 or abs(tr / width - per_tr) > tolerance:
        raise InputError(
            f"{name}: TR of {tr:g} s is no multiple of the store's bins of {width:g} s; "
            f"extract with bins of {tr:g} s or a fraction of it"
        )
    offset = (samples["time"].to_numpy(float) - (centres[0] - width / 2)) / width
    first_bin = np.round(offset).astype(int)
    off_grid = np.flatnonzero(np.abs(offset - first_bin) > tolerance)
    if len(off_grid):
        row = samples.iloc[off_grid[0]]
        raise InputError(
            f"{name}: in run {row['run']} a volume starts {row['time']:g} s after the onset of "
            f"{row['clip_id']}, no multiple of the store's bins of {width:g} s; extract finer bins"
        )
    store_clips = pd.Index(layer["clip"].to_numpy().astype(str))
    if not store_clips.is_unique:
        raise InputError(f"{name}: clip {store_clips[store_clips.duplicated()][0]} is stored twice")

    layer = layer.transpose("clip", "time", ...)
    X = np.zeros((len(samples), layer.shape[2]), np.float32)
    silent = 0
    heard = samples["clip_id"].reset_index(drop=True)
    for clip, rows in heard.groupby(heard, sort=False).indices.items():
        if clip not in store_clips:
            raise InputError(f"{name}: clip {clip} is not in the store; extract it first")
        bins = np.asarray(layer[store_clips.get_loc(clip)].values, np.float32)
        filled = np.flatnonzero(~np.isnan(bins).all(1))
        if not len(filled):
            raise InputError(f"{name}: clip {clip} has no values in the store; extract it again")
        end = filled[-1] + 1
        # (n_rows, bins per TR): indices past the end of the clip are cut off by the mask
        window = first_bin[rows, None] + np.arange(per_tr)
        inside = (window >= 0) & (window < end)
        window = np.where(inside, window, 0)
        held = ~inside.any(1) & (first_bin[rows] - end < per_tr) & (first_bin[rows] >= end)
        window[held, 0] = end - 1
        inside[held, 0] = True
        count = inside.sum(1)
        total = np.einsum("rb,rbu->ru", inside.astype(np.float32), bins[window])
        X[rows] = total / np.maximum(count, 1)[:, None]
        silent += int((count == 0).sum())
    if silent:
        warnings.warn(
            f"{name}: {silent} volumes lie past the end of their clip; their features are zero",
            stacklevel=2,
        )
    if np.isnan(X).any():
        raise InputError(f"{name}: NaN inside clips of the store; extract them again")
    return X


def delay(X: np.ndarray, runs, delays: Sequence[int]) -> np.ndarray:
    """Finite impulse response design: copies of X shifted in time, never across runs.

    Parameters
    ----------
    X : (n_samples, n_units)
    runs : (n_samples,) run labels; rows of a run are in temporal order
    delays : non-negative ints, in volumes

    Returns
    -------
    (n_samples, n_units * len(delays))
        Column block d at row t is X[t - d] of the same run, zero before the run's start.
    """
    delays = [int(d) for d in delays]
    if not delays or min(delays) < 0:
        raise InputError(f"delays are {delays}; give one or more non-negative counts of volumes")
    X, runs = np.asarray(X), np.asarray(runs)
    if runs.shape != (len(X),):
        raise InputError(f"runs have shape {runs.shape}, expected ({len(X)},): one label a row")
    units = X.shape[1]
    out = np.zeros((len(X), units * len(delays)), X.dtype)
    for run in pd.unique(runs):
        rows = np.flatnonzero(runs == run)
        for block, d in enumerate(delays):
            columns = slice(block * units, (block + 1) * units)
            out[rows[d:], columns] = X[rows[: max(len(rows) - d, 0)]]
    return out


def design_matrix(
    layer: xr.DataArray,
    samples: pd.DataFrame,
    delays: Sequence[int] = (2, 3, 4, 5),
    *,
    tr: float | None = None,
) -> np.ndarray:
    """Delayed features of a layer over all `samples`; drop dummy rows afterwards.

    Returns
    -------
    X : (n_samples, n_units * len(delays)) float32
    """
    return delay(features_at(layer, samples, tr=tr), samples["run"].to_numpy(), delays)
