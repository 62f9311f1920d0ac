"""Designs convolved with a canonical haemodynamic response, the alternative to free delays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .errors import InputError

_STEP = 0.01  # s
_LENGTH = 32.0  # s
HRFS = ("spm", "glover")


def step_response(seconds: np.ndarray, hrf: str = "spm") -> np.ndarray:
    """Response to a stimulus that begins at 0 and goes on, of final value 1.

    The response to a boxcar from a to b is `step_response(t - a) - step_response(t - b)`.

    Parameters
    ----------
    seconds : array of times since the beginning
    hrf : "spm" or "glover"
    """
    from nilearn.glm.first_level import glover_hrf, spm_hrf

    if hrf not in HRFS:
        raise InputError(f"hrf '{hrf}' is unknown; choose one of {', '.join(HRFS)}")
    kernel = {"spm": spm_hrf, "glover": glover_hrf}[hrf](_STEP, 1, _LENGTH)
    total = np.concatenate([[0], np.cumsum(kernel)])
    return np.interp(seconds, np.arange(len(total)) * _STEP, total / total[-1])


def hrf_design(
    features: np.ndarray,
    runs,
    tr: float,
    hrf: str = "spm",
    *,
    bins_per_volume: int = 1,
    slice_time: float = 0.5,
) -> np.ndarray:
    """Features convolved with a haemodynamic response, inside runs only.

    Features are constant within their bins and convolved exactly (no oversampled grid). Rows of
    dummies belong in here: they are what the first real volumes respond to. Drop them afterwards.

    Parameters
    ----------
    features : (n_samples * bins_per_volume, n_units)
        Row n * bins_per_volume is the first bin of volume n.
    runs : (n_samples,) run labels; rows of a run are in temporal order
    tr : float
        Seconds.
    hrf : "spm" or "glover"
    bins_per_volume : int
    slice_time : float
        When in the TR a volume counts as measured: 0 its start (nilearn's default), 0.5 its
        middle (images of fMRIPrep, and raw ones on average over slices).

    Returns
    -------
    (n_samples, n_units) float32
    """
    features, runs = np.asarray(features), np.asarray(runs)
    if not tr > 0 or bins_per_volume < 1 or not 0 <= slice_time <= 1:
        raise InputError(
            f"tr {tr}, bins_per_volume {bins_per_volume}, slice_time {slice_time}; expected "
            "tr > 0, at least one bin and a slice time from 0 to 1"
        )
    if features.ndim != 2 or len(features) != len(runs) * bins_per_volume:
        raise InputError(
            f"features have shape {features.shape}, expected {len(runs)} volumes x "
            f"{bins_per_volume} bins rows"
        )
    out = np.empty((len(runs), features.shape[1]), np.float32)
    for run in pd.unique(runs):
        rows = np.flatnonzero(runs == run)
        bins = (rows[:, None] * bins_per_volume + np.arange(bins_per_volume)).ravel()
        edges = np.arange(len(bins) + 1) * tr / bins_per_volume
        volumes = (np.arange(len(rows)) + slice_time) * tr
        risen = step_response(volumes[:, None] - edges, hrf)
        # (n_volumes, n_bins) @ (n_bins, n_units)
        out[rows] = (risen[:, :-1] - risen[:, 1:]) @ features[bins]
    return out
