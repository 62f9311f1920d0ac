"""Cleaning of one run: drift, confounds, z-score.

The functions take the volumes of one run, (n_volumes, n_targets). Their order in `clean` matters:

1. Drift and confounds go in *one* projection, or, where drift is a median filter, the confounds
   pass the same filter as the data before they are regressed out. Filtering the data alone and
   regressing raw confounds afterwards brings drift back (Lindquist et al. 2019, Human Brain
   Mapping 40, 2358).
2. The z-score comes last.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError

_COLUMNS = 4096  # targets cleaned at once
DRIFTS = ("dct", "median", "linear", "none")


def cosine_drifts(n_volumes: int, tr: float, cutoff: float = 240.0) -> np.ndarray:
    """Slow cosines of SPM's high-pass filter.

    Parameters
    ----------
    n_volumes : int
    tr, cutoff : float
        Seconds. Cosines of a period of `cutoff` and longer are returned.

    Returns
    -------
    (n_volumes, n_cosines) of unit norm, mutually orthogonal, without the constant
    """
    order = int(np.floor(2 * n_volumes * tr / cutoff))
    order = min(order, n_volumes - 1)
    k = np.arange(1, order + 1)
    volume = np.arange(n_volumes) + 0.5
    return np.sqrt(2 / n_volumes) * np.cos(np.pi * volume[:, None] * k / n_volumes)


def median_drift(data: np.ndarray, tr: float, window: float = 240.0) -> np.ndarray:
    """Running median over `window` seconds (the nearest odd number of volumes).

    Before the first and after the last volume the run is mirrored (`mode="reflect"` of
    `scipy.ndimage.median_filter`): within half a window of the run's ends the drift is told from
    one side only and a steady slope comes out flatter than it is.

    Parameters
    ----------
    data : (n_volumes, n_targets), finite
    tr, window : float
        Seconds.

    Returns
    -------
    (n_volumes, n_targets) float32
    """
    from .median import running_median

    half = max(round(window / tr) // 2, 1)
    if len(data) <= half:
        raise InputError(
            f"a median over {window:g} s needs runs of more than {half} volumes, found "
            f"{len(data)}; take the dct drift or a shorter window"
        )
    mirrored = np.pad(np.arange(len(data)), half, "symmetric")
    out = np.empty(data.shape, np.float32)
    for columns in _blocks(data.shape[1]):
        # One target after the other in memory: the window then slides over neighbours.
        series = np.ascontiguousarray(data[:, columns].T, np.float32)[:, mirrored]
        out[:, columns] = running_median(series, 2 * half + 1).T
    return out


def regress_out(data: np.ndarray, regressors: np.ndarray) -> np.ndarray:
    """Residuals of a regression on `regressors` and a constant, in float64 inside.

    Parameters
    ----------
    data : (n_volumes, n_targets)
    regressors : (n_volumes, n_regressors)
        Collinear and constant columns do no harm.

    Returns
    -------
    (n_volumes, n_targets) float32

    Raises
    ------
    InputError
        Shapes do not fit, regressors are not finite or leave no degree of freedom.
    """
    regressors = np.asarray(regressors, float)
    if regressors.ndim != 2 or len(regressors) != len(data):
        raise InputError(
            f"regressors have shape {regressors.shape}, expected {len(data)} rows (volumes)"
        )
    if not np.isfinite(regressors).all():
        raise InputError("regressors hold NaN or infinite values; fill or remove them")
    basis = _orthonormal(regressors - regressors.mean(0))
    if basis.shape[1] + 1 >= len(data):
        raise InputError(
            f"{basis.shape[1]} independent regressors and a constant leave nothing of "
            f"{len(data)} volumes; take fewer confounds or a longer high-pass period"
        )
    out = np.empty(data.shape, np.float32)
    for columns in _blocks(data.shape[1]):
        block = np.asarray(data[:, columns], np.float64)
        block = block - block.mean(0)
        out[:, columns] = block - basis @ (basis.T @ block)
    return out


def zscore(data: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and sample SD 1; constant ones become 0.

    Parameters
    ----------
    data : (n_volumes, n_targets)

    Returns
    -------
    (n_volumes, n_targets) float32
    """
    out = np.empty(data.shape, np.float32)
    for columns in _blocks(data.shape[1]):
        block = np.asarray(data[:, columns], np.float64)
        size = np.abs(block).max(0)
        block = block - block.mean(0)
        sd = block.std(0, ddof=1)
        varies = sd > 1e-7 * size  # below that, float32 has stored rounding errors
        out[:, columns] = np.where(varies, block / np.where(varies, sd, 1), 0)
    return out


def clean(
    data: np.ndarray,
    tr: float,
    *,
    drift: str = "dct",
    period: float | None = 240.0,
    confounds: np.ndarray | None = None,
    standardize: bool = True,
) -> np.ndarray:
    """Remove drift and confounds from one run and z-score it.

    Parameters
    ----------
    data : (n_volumes, n_targets), finite
    tr : float
        Seconds.
    drift : "dct", "median", "linear" or "none"
        "dct": a straight line and cosines of `period` and longer (SPM). "median": running median
        over `period` (the pipeline of Nakai, Koide-Majima & Nishimoto 2021, with 240 s).
        The mean goes in any case.
    period : float, optional
        Seconds. None with "dct" leaves the straight line.
    confounds : (n_volumes, n_confounds), optional
    standardize : bool

    Returns
    -------
    (n_volumes, n_targets) float32
    """
    if drift not in DRIFTS:
        raise InputError(f"drift is '{drift}'; choose one of {', '.join(DRIFTS)}")
    if len(data) < 3:
        raise InputError(f"a run of {len(data)} volumes cannot be cleaned; check its image")
    confounds = np.zeros((len(data), 0)) if confounds is None else np.asarray(confounds, float)
    if drift == "median":
        if period is None:
            raise InputError("drift 'median' needs a period in seconds")
        data = data - median_drift(data, tr, period)
        confounds = confounds - median_drift(confounds, tr, period)
        regressors = confounds
    else:
        regressors = [confounds]
        if drift in ("dct", "linear"):
            regressors.append(np.linspace(-1, 1, len(data))[:, None])
        if drift == "dct" and period is not None:
            regressors.append(cosine_drifts(len(data), tr, period))
        regressors = np.concatenate(regressors, axis=1)
    size = np.abs(data).max(0, initial=0)
    data = regress_out(data, regressors)
    # What the regressors explain to the last digit is constant, not noise to be blown up.
    data[:, np.abs(data).max(0, initial=0) <= 1e-6 * size] = 0
    return zscore(data) if standardize else data


def _blocks(n_targets):
    return (slice(start, start + _COLUMNS) for start in range(0, n_targets, _COLUMNS))


def _orthonormal(regressors) -> np.ndarray:
    norm = np.linalg.norm(regressors, axis=0)
    regressors = regressors[:, norm > 0] / norm[norm > 0]
    if not regressors.shape[1]:
        return regressors
    u, s, _ = np.linalg.svd(regressors, full_matrices=False)
    return u[:, s > 1e-9 * s[0]]
