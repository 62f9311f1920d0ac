"""Nuisance columns, and regressors that cannot be estimated."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import scipy.linalg
import xarray as xr

from .design import features_at
from .errors import InputError
from .responses import repetition_time
from .responses.detrend import cosine_drifts

_SILENCE = 1e-4  # RMS taken for silence: -80 dB of full scale
_DEPENDENT = 1e-6


def presentations(samples: pd.DataFrame) -> np.ndarray:
    """Number of the presentation to which each volume belongs, -1 without a clip.

    Parameters
    ----------
    samples : DataFrame, n_samples rows, with columns run, clip_id and time

    Returns
    -------
    (n_samples,) int, counted over all runs
    """
    heard = samples["clip_id"].notna().to_numpy()
    new = samples["run"].ne(samples["run"].shift()) | samples["clip_id"].ne(
        samples["clip_id"].shift()
    )
    new |= samples["time"].diff() <= 0  # the same clip again
    return np.where(heard, np.cumsum(new.to_numpy() & heard) - 1, -1)


def nuisance_columns(
    samples: pd.DataFrame,
    *,
    loudness: Mapping[str, np.ndarray] | None = None,
    bin_seconds: float | None = None,
    motion: Mapping[str, np.ndarray | pd.DataFrame] | None = None,
    period: float | None = None,
) -> pd.DataFrame:
    """What drives responses besides the content of sounds, on the grid of volumes.

    Onsets, offsets and loudness are of the stimulus: delay or convolve them as the features.
    Motion and drift are of the measurement: use them as they are.

    Parameters
    ----------
    samples : DataFrame, n_samples rows
    loudness : {clip_id: (n_bins,) RMS amplitude}, optional
        Linear, full scale 1. Energy is averaged over each volume and given in dB (silence:
        -80 dB).
    bin_seconds : float, optional
        Width of these bins. Default: one TR.
    motion : {run: (n_volumes, n_parameters)}, optional
    period : float, optional
        Seconds; cosines of this period and longer, those of every run in the same columns (fit
        them run by run).

    Returns
    -------
    DataFrame, n_samples rows
        onset and offset (1 in the first and last volume of a presentation), loudness_db,
        motion_01 ..., cosine_01 ...
    """
    number = presentations(samples)
    before, after = np.r_[-1, number[:-1]], np.r_[number[1:], -1]
    columns = {
        "onset": ((number >= 0) & (number != before)).astype(float),
        "offset": ((number >= 0) & (number != after)).astype(float),
    }
    table = pd.DataFrame(columns, index=samples.index)
    if loudness is not None:
        tr = repetition_time(samples)
        table["loudness_db"] = _decibels(loudness, bin_seconds or tr, samples)
    for prefix, given in (("motion", motion), ("cosine", _drifts(samples, period))):
        if given is None:
            continue
        widths = {np.shape(values)[1] for values in given.values()}
        stacked = np.zeros((len(samples), max(widths)))
        for run in samples["run"].unique():
            rows = np.flatnonzero(samples["run"] == run)
            values = np.asarray(given.get(run, np.zeros((0, 0))), float)
            if len(values) != len(rows):
                raise InputError(f"run {run}: {len(values)} rows of {prefix}, {len(rows)} volumes")
            stacked[rows, : values.shape[1]] = values
        names = [f"{prefix}_{n + 1:02d}" for n in range(stacked.shape[1])]
        table[names] = stacked
    return table


def check_regressors(design, runs=None) -> None:
    """Refuse regressors that no data can tell from the baseline or from each other.

    Where sounds follow each other without silence, "listening" is 1 all the time: there is no
    "listening > rest". Convolved, it varies where a run begins and nowhere else, so that a
    regressor counts as constant too when it stays at one value, not 0, in the second half of
    every run.

    Parameters
    ----------
    design : DataFrame or (n_samples, n_regressors) array, without intercepts
    runs : (n_samples,) run labels, optional; rows of a run are in temporal order
        Each run has its own mean. Default: one run.

    Raises
    ------
    InputError
        Names the constant and the linearly dependent regressors.
    """
    design = pd.DataFrame(design)
    X = design.to_numpy(float)
    names = np.array([str(name) for name in design.columns], object)
    if not np.isfinite(X).all():
        bad = names[~np.isfinite(X).all(0)]
        raise InputError(f"regressors {', '.join(bad[:8])} hold NaN or infinite values")
    labels = np.zeros(len(X), int) if runs is None else pd.factorize(np.asarray(runs))[0]
    if len(labels) != len(X):
        raise InputError(f"runs have {len(labels)} labels, the design {len(X)} rows")
    centred = X - pd.DataFrame(X).groupby(labels).transform("mean").to_numpy()
    spread = np.linalg.norm(centred, axis=0)
    constant = spread <= _DEPENDENT * np.linalg.norm(X, axis=0)
    stays = np.ones(len(names), bool)
    for run in np.unique(labels):
        rows = np.flatnonzero(labels == run)
        second_half = X[rows[len(rows) // 2 :]]
        level = np.abs(second_half).max(0)
        stays &= (level > 0) & (np.ptp(second_half, axis=0) <= _DEPENDENT * level)
    constant |= stays
    if constant.any():
        raise InputError(
            f"regressors {', '.join(names[constant][:8])} are constant: without a silent baseline "
            "there is nothing to compare them with; contrast clips or conditions with each other "
            "and remove these"
        )
    if X.shape[1] > len(X) - labels.max() - 1:
        raise InputError(
            f"{X.shape[1]} regressors, {labels.max() + 1} run means and {len(X)} rows: nothing "
            "can be estimated; use fewer regressors or ridge"
        )
    _, R, order = scipy.linalg.qr(centred / spread, mode="economic", pivoting=True)
    dependent = np.sort(order[np.abs(np.diag(R)) < _DEPENDENT])
    if len(dependent):
        raise InputError(
            f"regressors {', '.join(names[dependent][:8])} are linear combinations of the others "
            "(a singular design); remove them"
        )


def _decibels(loudness, bin_seconds, samples) -> np.ndarray:
    lengths = {clip: len(rms) for clip, rms in loudness.items()}
    energy = np.full((len(lengths), max(lengths.values(), default=1), 1), np.nan, np.float32)
    for n, rms in enumerate(loudness.values()):
        rms = np.asarray(rms, float)
        if rms.ndim != 1 or not (np.isfinite(rms) & (rms >= 0)).all():
            raise InputError("loudness must be the RMS amplitude of bins, finite and not negative")
        energy[n, : len(rms), 0] = rms**2
    layer = xr.DataArray(
        energy,
        dims=("clip", "time", "unit"),
        coords={
            "clip": [str(clip) for clip in lengths],
            "time": (np.arange(energy.shape[1]) + 0.5) * bin_seconds,
        },
        name="loudness",
    )
    mean = features_at(layer, samples)[:, 0]
    return 10 * np.log10(np.maximum(mean.astype(float), _SILENCE**2))


def _drifts(samples, period):
    if period is None:
        return None
    tr = repetition_time(samples)
    counts = samples.groupby("run", sort=False).size()
    return {run: cosine_drifts(int(n), tr, period) for run, n in counts.items()}
