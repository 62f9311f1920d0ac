"""Responses with a planted truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.sparse.linalg import svds

from .design import delay
from .errors import InputError
from .responses import Responses, repetition_time


def simulate(
    features: Mapping[str, np.ndarray],
    samples: pd.DataFrame,
    planted: Mapping[str, str | None],
    n_voxels: int | Mapping[str, int] = 50,
    snr: float | Mapping[str, float] = 0.3,
    *,
    delays: Sequence[int] | None = None,
    n_components: int = 20,
    ar: float = 0.5,
    drift: float = 0.5,
    seed: int = 0,
) -> tuple[Responses, dict]:
    """Simulate regions that each follow one stage of a model.

    A target's signal is a random mixture of the leading principal components of its stage's
    standardised features, delayed inside runs by a haemodynamic response that peaks 5 s after
    the sound. Repeats of a clip share it. Noise is autoregressive within each run, plus slow
    cosines of at most two cycles a run.

    Parameters
    ----------
    features : {stage: (n_samples, n_units)}, on the grid of volumes
    samples : DataFrame, n_samples rows (see `Responses`)
    planted : {region: stage, or None for pure noise}
    n_voxels : int or {region: int}
    snr : float or {region: float}
        Variance of the signal over that of the autoregressive noise, in a single presentation
        (drift apart).
    delays : volumes, optional
        Default: those 3 to 8 s after the sound.
    n_components : int
    ar : float
        Lag-1 autocorrelation of the noise.
    drift : float
        SD of the slow cosines; the noise has SD 1.
    seed : int

    Returns
    -------
    responses : Responses, with targets.region
    truth : dict
        planted, snr, explainable_variance (of one presentation, drift removed), delays, hrf, ar,
        drift, seed; ready for JSON.
    """
    unknown = {s for s in planted.values() if s is not None} - set(features)
    if unknown:
        raise InputError(f"planted stages {sorted(unknown)} are not among {list(features)}")
    if not 0 <= ar < 1:
        raise InputError(f"ar is {ar}; give a lag-1 autocorrelation from 0 to below 1")
    tr = repetition_time(samples)
    if delays is None:
        delays = range(int(np.ceil(3 / tr)), int(np.floor(8 / tr)) + 1)
        delays = list(delays) or [max(round(5 / tr), 1)]
    delays = [int(d) for d in delays]
    hrf = _gamma_hrf(np.array(delays) * tr)
    runs = samples["run"].to_numpy()
    kept = ~samples["dummy"].to_numpy(bool)
    stages = {stage for stage in planted.values() if stage is not None}
    drives = {s: _haemodynamic(features[s], runs, delays, hrf, n_components) for s in stages}

    data, regions, ratio = [], [], {}
    for number, (region, stage) in enumerate(planted.items()):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        n = n_voxels[region] if isinstance(n_voxels, Mapping) else n_voxels
        ratio[region] = 0.0
        values = _noise(rng, runs, n, ar) + drift * _drift(rng, runs, n)
        if stage is not None:
            ratio[region] = float(snr[region] if isinstance(snr, Mapping) else snr)
            signal = drives[stage] @ rng.standard_normal((drives[stage].shape[1], n))
            signal -= signal[kept].mean(0)
            values += np.sqrt(ratio[region]) * signal / signal[kept].std(0)
        data.append(values.astype(np.float32))
        regions += [region] * n
    truth = {
        "planted": dict(planted),
        "snr": ratio,
        "explainable_variance": {region: v / (1 + v) for region, v in ratio.items()},
        "delays": delays,
        "hrf": hrf.tolist(),
        "ar": ar,
        "drift": drift,
        "seed": seed,
    }
    targets = pd.DataFrame({"region": regions})
    return Responses(np.concatenate(data, axis=1), samples, targets), truth


def _gamma_hrf(seconds) -> np.ndarray:
    """Weights t^5 exp(-t), which peak at 5 s, of sum 1."""
    weights = seconds**5 * np.exp(-seconds)
    return weights / weights.sum()


def _haemodynamic(X, runs, delays, hrf, n_components) -> np.ndarray:
    """Principal components of the standardised features, convolved inside runs."""
    X = np.asarray(X, np.float64)
    sd = X.std(0)
    X = (X - X.mean(0)) / np.where(sd > 0, sd, np.inf)
    if min(X.shape) > 4 * n_components:
        # A fixed start makes the iteration give the same components every time.
        U, s, _ = svds(X, k=n_components, v0=np.ones(min(X.shape)))
    else:
        U, s, _ = np.linalg.svd(X, full_matrices=False)
    components = (U * s)[:, np.argsort(s)[::-1][:n_components]]
    delayed = delay(components, runs, delays)
    blocks = delayed.reshape(len(X), len(delays), -1)
    return np.einsum("tdc,d->tc", blocks, hrf)


def _noise(rng, runs, n, ar) -> np.ndarray:
    """Stationary AR(1) of unit variance, started anew in each run."""
    out = np.empty((len(runs), n))
    for run in pd.unique(runs):
        rows = np.flatnonzero(runs == run)
        innovations = rng.standard_normal((len(rows), n)) * np.sqrt(1 - ar**2)
        innovations[0] /= np.sqrt(1 - ar**2)
        out[rows] = lfilter([1], [1, -ar], innovations, axis=0)
    return out


def _drift(rng, runs, n) -> np.ndarray:
    """Cosines of half a cycle to two cycles a run with random weights, of unit variance."""
    out = np.empty((len(runs), n))
    for run in pd.unique(runs):
        rows = np.flatnonzero(runs == run)
        phase = np.pi * (np.arange(len(rows)) + 0.5) / len(rows)
        cosines = np.cos(phase[:, None] * np.arange(1, 5))  # (n_rows, 4), variance 1/2 each
        out[rows] = cosines @ rng.standard_normal((4, n)) / np.sqrt(2)
    return out
