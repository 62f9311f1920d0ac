"""Baselines that are no model of the registry: cochleagram, random projections of features."""

import os
import zlib
from pathlib import Path

import numpy as np
import xarray as xr
from torch import Tensor, nn

from cortexnet.frontends.cochleagram import Cochleagram

COCHLEAGRAM, PROJECTION = "cochleagram", "random_projection"
BASELINES = (COCHLEAGRAM, PROJECTION)
PROJECTED = "modulation_svm"  # what random projections are of: log modulation energies


class CochleagramModel(nn.Module):
    """The cochleagram as a model of one area, for `cortexnet.extract`."""

    areas = (COCHLEAGRAM,)

    def __init__(self, sample_rate: int = 22050):
        super().__init__()
        self.sample_rate = sample_rate
        self.frontend = Cochleagram(sample_rate)

    def forward(self, waveform: Tensor) -> Tensor:
        """Transform ``(batch, samples)`` to ``(batch, n_bands, time)``."""
        return self.frontend(waveform)

    def forward_areas(self, waveform: Tensor) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Activity ``(batch, time, unit)`` and the end of every frame, seconds."""
        x = self(waveform).mT
        seconds = np.arange(1, x.shape[1] + 1) / self.frontend.frame_rate
        return {COCHLEAGRAM: x}, {COCHLEAGRAM: seconds}


def random_projection(features: np.ndarray, n_units: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian projections of features that were brought to one mean and spread.

    As many numbers as a stage of a network has, from features without any order of stages: what a
    stage predicts by its dimension alone.

    Parameters
    ----------
    features : (..., n_features)
        NaN in all features past a clip's end.
    n_units : int
    rng : Generator

    Returns
    -------
    (..., n_units) float32
    """
    x = np.asarray(features, np.float64)
    axes = tuple(range(x.ndim - 1))
    spread = np.nanstd(x, axes)
    x = (x - np.nanmean(x, axes)) / np.where(spread > 0, spread, 1)
    weights = rng.standard_normal((x.shape[-1], n_units)) / np.sqrt(x.shape[-1])
    return (x @ weights).astype(np.float32)


def project_store(source: Path, like: Path, out: Path, seed: int = 0) -> Path:
    """Write random projections of one activation store, as many as another has units by stage.

    Parameters
    ----------
    source, like, out : Path
        Stores of the same clips in the same bins; `out` appears whole or not at all.
    seed : int

    Returns
    -------
    Path
        Of `out`, whose model is "random_projection" and whose layers are those of `like`.
    """
    features, stages = xr.open_zarr(source), xr.open_zarr(like)
    names = [name for name, x in features.data_vars.items() if "layer" in x.attrs]
    together = np.concatenate([features[name].to_numpy() for name in names], -1)
    layers = {}
    for name, stage in stages.data_vars.items():
        if "layer" not in stage.attrs:
            continue
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        values = random_projection(together, stage.shape[-1], rng)
        layers[name] = (("clip", "time", f"unit_{name}"), values, {"layer": stage.attrs["layer"]})
    kept = {key: features.attrs[key] for key in ("bin_seconds", "sample_rate", "stimuli_sha256")}
    data = xr.Dataset(
        layers,
        {"clip": ("clip", features["clip"].to_numpy().astype(str)),
         "time": ("time", features["time"].to_numpy(), {"units": "s"})},
        kept | {"model": PROJECTION, "layers": [x[2]["layer"] for x in layers.values()],
                "of": features.attrs["model"], "seed": seed, "complete": True},
    )  # fmt: skip
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    data.to_zarr(partial, mode="w", zarr_format=2, consolidated=True)
    os.replace(partial, out)
    return out
