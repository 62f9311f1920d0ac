"""From scores to results.json and tables on disk."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from .errors import InputError
from .layers import Scores
from .resampling import Bootstrap, Permutation, block_bootstrap, permutation_test


@dataclass(frozen=True)
class Inference:
    """Tests and intervals of each layer; resamples are shared by all layers."""

    permutations: Mapping[str, Permutation]
    bootstraps: Mapping[str, Bootstrap]
    n_permutations: int
    n_resamples: int
    seed: int


def infer(
    scores: Scores, *, n_permutations: int = 2000, n_resamples: int = 1000, seed: int = 0
) -> Inference:
    """Permutation test and bootstrap of every layer, by whole clips within runs."""
    regions = scores.dataset["region"].to_numpy()
    labels = scores.samples["run"].to_numpy(), scores.samples["block"].to_numpy()
    permutations, bootstraps = {}, {}
    layers = scores.dataset["layer"].to_numpy().tolist()
    crossed = scores.dataset.attrs["scheme"] == "leave-one-group-out"
    for layer, predictions in zip(layers, scores.predictions, strict=True):
        common = (predictions, scores.responses, *labels)
        permutations[layer] = permutation_test(
            *common, regions=regions, n_permutations=n_permutations, seed=seed, crossed=crossed
        )
        bootstraps[layer] = block_bootstrap(
            *common, regions=regions, n_resamples=n_resamples, seed=seed, crossed=crossed
        )
    return Inference(permutations, bootstraps, n_permutations, n_resamples, seed)


def summarise(scores: Scores, inference: Inference | None = None, *, floor: float = 0.05) -> dict:
    """What `results.json` holds: every layer and region, and the best layer of each region.

    Parameters
    ----------
    scores : Scores
    inference : Inference, optional
        Default: `infer(scores)`.
    floor : float
        Targets whose explainable variance lies below are not normalised by their ceiling.

    Returns
    -------
    dict
        layers: {layer: {region: {mean_r, mean_r2, interval (95 % of mean_r), n_targets, ceiling
        (mean CC_max of the averaged repeats), r_normalised (mean of r / CC_max), n_normalised,
        p}}}; best_stage: see `best_stages`. Targets of region "" are reported as "unlabelled".
        Quantities that do not exist are None.
    """
    inference = infer(scores) if inference is None else inference
    data = scores.dataset
    layers = data["layer"].to_numpy().tolist()
    region_of = data["region"].to_numpy()
    ceiling = data["cc_max_mean"].to_numpy()
    reliable = (data["explainable_variance"].to_numpy() > floor) & np.isfinite(ceiling)
    names = inference.bootstraps[layers[0]].regions.tolist()

    per_layer = {}
    for layer in layers:
        r, r2 = (data[v].sel(layer=layer).to_numpy() for v in ("r", "r2"))
        bootstrap, permutation = inference.bootstraps[layer], inference.permutations[layer]
        rows = {}
        for i, name in enumerate(names):
            inside = region_of == name
            usable = inside & reliable
            rows[name or "unlabelled"] = {
                "mean_r": r[inside].mean(),
                "mean_r2": r2[inside].mean(),
                "interval": bootstrap.region_interval[i].tolist(),
                "n_targets": int(inside.sum()),
                "ceiling": _mean(ceiling[inside & np.isfinite(ceiling)]),
                "r_normalised": _mean(r[usable] / ceiling[usable]),
                "n_normalised": int(usable.sum()),
                "p": permutation.region_p[i],
            }
        per_layer[layer] = rows

    return json_ready(
        {
            "layers": per_layer,
            "best_stage": best_stages(scores, inference),
            "floor": floor,
            "n_permutations": inference.n_permutations,
            "n_resamples": inference.n_resamples,
            "seed": inference.seed,
            **data.attrs,
        }
    )


def best_stages(
    scores: Scores, inference: Inference, layers: Sequence[str] | None = None
) -> dict[str, dict]:
    """The layer of highest mean r in each region, and how firmly it leads.

    Parameters
    ----------
    scores : Scores
    inference : Inference
    layers : names of layers to choose among, optional
        Default: all, for instance those of one model.

    Returns
    -------
    {region: {layer, share, shares}}
        share: fraction of bootstrap resamples, paired across layers, that the layer wins.
    """
    data = scores.dataset
    layers = data["layer"].to_numpy().tolist() if layers is None else list(layers)
    means = np.stack([inference.bootstraps[layer].region_means for layer in layers])
    winner = np.argmax(means, 0)  # (n_resamples, n_regions)
    out = {}
    for i, name in enumerate(inference.bootstraps[layers[0]].regions.tolist()):
        inside = data["region"].to_numpy() == name
        best = layers[int(data["r"].sel(layer=layers).to_numpy()[:, inside].mean(1).argmax())]
        shares = {layer: float(np.mean(winner[:, i] == k)) for k, layer in enumerate(layers)}
        out[name or "unlabelled"] = {"layer": best, "share": shares[best], "shares": shares}
    return out


def save_scores(out_dir, scores: Scores, summary: dict, inference: Inference | None = None) -> None:
    """Write scores.zarr, scores.csv (a row a layer and target) and results.json.

    scores.zarr holds predictions and responses too, see `load_scores`. Each is written under a
    temporary name and then moved into place.

    Parameters
    ----------
    out_dir : path of a folder, made if need be
    scores : Scores
    summary : dict from `summarise`
    inference : Inference, optional
        Adds p, q, p_max and the interval of r (r_low, r_high) of each target.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    dataset = scores.dataset
    if inference is not None:
        layers = dataset["layer"].to_numpy().tolist()
        permutations = [inference.permutations[layer] for layer in layers]
        intervals = np.stack([inference.bootstraps[layer].interval for layer in layers])
        columns = {name: np.stack([getattr(t, name) for t in permutations]) for name in _TESTS}
        columns |= {"r_low": intervals[..., 0], "r_high": intervals[..., 1]}
        dataset = dataset.assign({k: (("layer", "target"), v) for k, v in columns.items()})

    with tempfile.TemporaryDirectory(prefix=".scores-", dir=out_dir) as folder:
        folder = Path(folder)
        # Format 2 stores text without relying on unfinished parts of format 3.
        options = {"mode": "w", "zarr_format": 2, "consolidated": True}
        whole = _with_samples(dataset, scores)
        chunks = {name: _chunks(whole[name]) for name in ("predictions", "responses")}
        whole.to_zarr(folder / "scores.zarr", encoding=chunks, **options)
        _long_table(dataset).to_csv(folder / "scores.csv", index=False)
        text = json.dumps(json_ready(summary), indent=2, allow_nan=False)
        (folder / "results.json").write_text(text + "\n", encoding="utf-8")
        old = out_dir / "scores.zarr"
        if old.exists():
            os.replace(old, folder / "old.zarr")
        for name in ("scores.zarr", "scores.csv", "results.json"):
            os.replace(folder / name, out_dir / name)
        shutil.rmtree(folder / "old.zarr", ignore_errors=True)


def load_scores(out_dir, *, in_memory: bool = True) -> Scores:
    """What `save_scores` wrote, ready to be resampled again.

    Parameters
    ----------
    out_dir : path of a folder
    in_memory : bool
        Without it the predictions stay in their store, and slices of them are read when asked for
        (`zarr.Array`).

    Returns
    -------
    Scores
        Its dataset keeps the tests that were saved with it.

    Raises
    ------
    InputError
        The folder holds no scores, or scores without predictions.
    """
    path = Path(out_dir) / "scores.zarr"
    try:
        with xr.open_zarr(path) as stored:
            predictions = None
            if not in_memory and "predictions" in stored:
                import zarr

                predictions = zarr.open_group(path, mode="r")["predictions"]
                stored = stored.drop_vars("predictions")
            stored = stored.load()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: no readable scores ({error}); run the encoding again") from error
    missing = {"predictions", "responses", "run", "block"} - set(stored.variables)
    if (
        missing - ({"predictions"} if predictions is not None else set())
        or "scheme" not in stored.attrs
    ):
        raise InputError(f"{path}: holds no predictions to resample; run the encoding again")
    samples = pd.DataFrame({c: stored[c].to_numpy() for c in _OF_SAMPLES if c in stored.coords})
    responses = stored["responses"].to_numpy()
    if predictions is None:
        predictions = stored["predictions"].to_numpy()
    return Scores(stored.drop_dims("sample"), predictions, responses, samples)


_TESTS = ("p", "q", "p_max")
_OF_SAMPLES = ("run", "clip_id", "time", "block")
_SHARE = 4096  # targets a chunk of the store


def _with_samples(dataset, scores) -> xr.Dataset:
    samples = {}
    for name, column in scores.samples.items():
        if column.dtype.kind not in "biuf":
            column = column.fillna("").astype(str)
        values = column.to_numpy()
        samples[name] = ("sample", values if values.dtype != object else values.astype(str))
    return dataset.assign(
        predictions=(("layer", "sample", "target"), scores.predictions),
        responses=(("sample", "target"), scores.responses),
    ).assign_coords(samples)


def _chunks(variable) -> dict:
    """Whole columns, as resampling reads them."""
    sizes = {"layer": 1, "target": min(_SHARE, max(variable.sizes["target"], 1))}
    return {"chunks": [sizes.get(d, variable.sizes[d]) for d in variable.dims]}


def _long_table(dataset) -> pd.DataFrame:
    table = dataset.to_dataframe().reset_index()
    first = ["layer", "region", "target"]
    return table[first + [c for c in table.columns if c not in first]]


def _mean(values) -> float | None:
    return values.mean() if len(values) else None


def json_ready(value):
    """Values JSON can hold: plain numbers, None for NaN."""
    if isinstance(value, Mapping):
        return {str(k): json_ready(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
