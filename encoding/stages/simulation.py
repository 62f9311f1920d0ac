"""Whole experiments in a fraction of a second: how often would a hierarchy be claimed?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from ..layers import Scores

_ALPHAS = 10.0 ** np.arange(-2, 3.5, 0.5)  # in units of the mean eigenvalue
STAGES = ("A1", "belt", "parabelt", "T2/T3")
REGIONS = ("core", "belt", "parabelt", "T2T3")
SNR = {"core": 0.5, "belt": 0.4, "parabelt": 0.3, "T2T3": 0.3}


def simulate_scores(
    planted: Mapping[str, str | None],
    snr: Mapping[str, float],
    *,
    n_subjects: int = 5,
    n_voxels: int = 20,
    n_controls: int = 4,
    n_train: int = 240,
    n_test: int = 60,
    n_repeats: int = 4,
    snr_spread: float = 0.4,
    n_units: int = 20,
    kept: float = 0.8,
    shared: float = 0.9,
    seed: int = 0,
) -> dict[str, Scores]:
    """Scores of a trained network, of untrained ones and of a baseline on simulated responses.

    Units of stage k keep the correlation `kept` with those of stage k - 1; an untrained network
    has a first stage that correlates `shared` with the trained one (filters that no training
    changes) and goes its own way from there. The baseline, a cochleagram, is a first stage too.
    A voxel is a random mixture of the units of its region's stage, plus white noise, one value a
    clip. Ridge with the alpha of each voxel by exact leave-one-out predicts the test clips.

    Parameters
    ----------
    planted : {region: stage of `STAGES`, or None for noise alone}
    snr : {region: variance of the signal over that of the noise in one presentation of a clip}
    n_subjects, n_voxels : int
        Voxels a region.
    n_controls : int
        Random and permuted networks, in turn.
    n_train, n_test, n_repeats : int
        Clips; test clips lie in six runs and are averaged over repeats.
    snr_spread : float
        SD of the logarithm of the SNR over the voxels of a region.
    n_units, kept, shared : of the networks
    seed : int

    Returns
    -------
    {subject: Scores}
    """
    rng = np.random.default_rng(seed)
    n = n_train + n_test
    trained = _network(rng, n, n_units, kept)
    models = {"net": dict(zip(STAGES, trained, strict=True))}
    for i in range(n_controls):
        own = _network(rng, n, n_units, kept, trained[0], shared)
        name = f"net-{('random', 'permuted')[i % 2]}-{i // 2}"
        models[name] = dict(zip(STAGES, own, strict=True))
    models["cochleagram"] = {"all": _network(rng, n, n_units, kept, trained[0], shared)[0]}

    region = np.tile(np.repeat(list(planted), n_voxels), n_subjects)
    ratio = np.array([float(snr[r]) if planted[r] else 0.0 for r in region.tolist()])
    ratio *= np.exp(snr_spread * rng.standard_normal(len(region)))
    Y = rng.standard_normal((n, len(region)))
    Y[n_train:] /= np.sqrt(n_repeats)
    for stage, X in zip(STAGES, trained, strict=True):
        own = np.array([planted[r] == stage for r in region.tolist()])
        mixture = rng.standard_normal((n_units, own.sum())) / np.sqrt(n_units)
        Y[:, own] += np.sqrt(ratio[own]) * (X @ mixture)

    layers = [f"{model}:{stage}" for model, own in models.items() for stage in own]
    spaces = [X for own in models.values() for X in own.values()]
    predictions = np.stack([_predict(X, Y, n_train) for X in spaces]).astype(np.float32)
    responses = Y[n_train:].astype(np.float32)
    samples = pd.DataFrame({"run": np.arange(n_test) * 6 // n_test, "block": np.arange(n_test)})
    place = rng.uniform(0, 10, (n_voxels * len(planted), 3))
    place[:, 0] += 10 * np.repeat(np.arange(len(planted)), n_voxels)  # regions lie in a row
    ceiling = np.sqrt(ratio / (ratio + 1 / n_repeats))
    out = {}
    for subject in range(n_subjects):
        own = slice(subject * len(place), (subject + 1) * len(place))
        coordinates = {axis: ("target", place[:, i]) for i, axis in enumerate("xyz")}
        dataset = xr.Dataset(
            {"cc_max_mean": ("target", ceiling[own])},
            coords={"layer": layers, "region": ("target", region[own]), **coordinates},
            attrs={"scheme": "test runs"},
        )
        out[f"sub-{subject + 1}"] = Scores(
            dataset, predictions[..., own], responses[:, own], samples
        )
    return out


def _network(rng, n, n_units, kept, first=None, shared=0.0) -> list[np.ndarray]:
    """Units (n, n_units) of every stage."""
    X = rng.standard_normal((n, n_units))
    if first is not None:
        X = shared * first + np.sqrt(1 - shared**2) * X
    out = [X]
    for _ in STAGES[1:]:
        X = kept * X + np.sqrt(1 - kept**2) * rng.standard_normal(X.shape)
        out.append(X)
    return out


def _predict(X, Y, n_train) -> np.ndarray:
    """Ridge on the first rows, alpha of every target by exact leave-one-out, on the others."""
    middle, mean = X[:n_train].mean(0), Y[:n_train].mean(0)
    U, s, Vt = np.linalg.svd(X[:n_train] - middle, full_matrices=False)
    projected, best = U.T @ (Y[:n_train] - mean), None
    for alpha in _ALPHAS * (s**2).mean():
        gain = s**2 / (s**2 + alpha)
        left = 1 - 1 / n_train - (U**2) @ gain  # of one row, where it is left out
        error = (Y[:n_train] - mean - U @ (gain[:, None] * projected)) / left[:, None]
        error = (error**2).sum(0)
        weights = (s / (s**2 + alpha))[:, None] * projected
        if best is None:
            best, chosen = error, weights
        else:
            chosen = np.where(error < best, weights, chosen)
            best = np.minimum(error, best)
    return (X[n_train:] - middle) @ (Vt.T @ chosen) + mean
