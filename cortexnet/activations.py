"""Activity of every area for every clip, in time bins, on disk."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
import zarr
from torch import nn

from cortexnet.runs import weights_hash
from stimuli import InputError
from stimuli.audio import audio_duration
from stimuli.clips import waveform


def bin_means(activity: np.ndarray, seconds: np.ndarray, bin_seconds: float, n_bins: int):
    """Average frames into bins of time.

    Parameters
    ----------
    activity : (time, unit)
    seconds : (time,)
        End of each frame.
    bin_seconds : float
    n_bins : int

    Returns
    -------
    (n_bins, unit) float32
        A bin without a frame of its own (frames longer than bins) takes the frame that covers it.
    """
    # A frame that ends on a border belongs to the bin it fills, hence the small step back.
    where = np.minimum(((seconds - 1e-6) / bin_seconds).astype(int), n_bins - 1)
    counts = np.bincount(where, minlength=n_bins)
    weights = (where == np.arange(n_bins)[:, None]) / np.maximum(counts, 1)[:, None]
    means = weights @ activity  # (n_bins, time) times (time, unit), in float64
    for empty in np.flatnonzero(counts == 0):
        later = np.searchsorted(seconds, (empty + 0.5) * bin_seconds)
        means[empty] = activity[min(later, len(activity) - 1)]
    return means.astype(np.float32)


def area_activity(model: nn.Module, wave: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Activity of one sound: ``{area: ((time, unit), (time,) seconds)}``."""
    with torch.inference_mode():
        areas, seconds = model.forward_areas(torch.from_numpy(wave)[None])
    return {name: (x[0].numpy(), seconds[name]) for name, x in areas.items()}


def extract(
    model: nn.Module,
    clips: pd.DataFrame,
    store: Path,
    name: str,
    layers: list[str] | None = None,
    bin_seconds: float = 1.5,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the activity of every clip to a zarr store, clip by clip.

    A store that was interrupted is completed; one with other settings is refused.

    Parameters
    ----------
    model : nn.Module
        With ``areas`` and ``forward_areas``.
    clips : DataFrame
        Unique ``clip_id``; ``start`` and ``end`` are respected.
    store : Path
    name : str
        Of the model, kept as an attribute.
    layers : list of str, optional
        Default: all areas.
    bin_seconds : float
        Width of the time bins; the scanner's repetition time is a good choice.
    report : callable
        Given the number of clips done and their total.

    Returns
    -------
    Path
        Of the store: per layer ``clip x time x unit`` (float32, NaN past a clip's end), the
        coordinate ``time`` in seconds since the clip's onset (bin centres).
    """
    store, rate = Path(store), model.sample_rate
    layers = layers or list(model.areas)
    unknown = [layer for layer in layers if layer not in model.areas]
    if unknown:
        raise InputError(f"no layer '{unknown[0]}' in {name}; there are {', '.join(model.areas)}")
    model = model.cpu().eval()
    hashes = [_sound_hash(row) for row in clips.to_dict("records")]
    digest = hashlib.sha256(" ".join([*clips["clip_id"], *hashes]).encode()).hexdigest()
    attributes = {
        "model": name,
        "weights_sha256": weights_hash(model),
        "sample_rate": rate,
        "bin_seconds": bin_seconds,
        "layers": layers,
        "stimuli_sha256": digest,
    }
    if store.exists():
        _check_store(store, attributes)
    else:
        _create(store, model, clips, hashes, attributes)
    group = zarr.open_group(store, mode="r+", zarr_format=2)
    done = group["done"][:]
    for i, row in enumerate(clips.to_dict("records")):
        if not done[i]:
            wave = waveform(row, rate)
            n_bins = count_bins(len(wave) / rate, bin_seconds)
            activity = area_activity(model, wave)
            for layer in layers:
                group[_safe(layer)][i, :n_bins] = bin_means(*activity[layer], bin_seconds, n_bins)
            group["done"][i] = True
        report(i + 1, len(clips))
    group.attrs["complete"] = True
    zarr.consolidate_metadata(store, zarr_format=2)
    return store


def count_bins(seconds: float, bin_seconds: float) -> int:
    """Number of bins of a clip; a rest of half a bin or more counts."""
    return max(1, int(seconds / bin_seconds + 0.5))


def _safe(layer: str) -> str:
    return layer.replace("/", "_")  # a slash would make a sub-group of the store


def _sound_hash(row) -> str:
    digest = hashlib.sha256(Path(row["path"]).read_bytes())
    digest.update(f"{row.get('start')},{row.get('end')},{row.get('fade')}".encode())
    return digest.hexdigest()


def _check_store(store, attributes):
    try:
        kept = dict(zarr.open_group(store, mode="r", zarr_format=2).attrs)
    except (FileNotFoundError, ValueError) as error:
        raise InputError(
            f"{store}: exists and is no activation store; choose another --out"
        ) from error
    for key, value in attributes.items():
        if kept.get(key) != value:
            raise InputError(
                f"{store}: holds other activations ({key} differs); choose another --out"
            )


def _create(store, model, clips, hashes, attributes):
    first = waveform(clips.iloc[0], model.sample_rate)
    shapes = {k: v[0].shape for k, v in area_activity(model, first).items()}
    durations = [_duration(row) for row in clips.to_dict("records")]
    n_bins = count_bins(max(durations), attributes["bin_seconds"])
    coords = xr.Dataset(
        {
            "done": ("clip", np.zeros(len(clips), bool)),
            "stimulus_sha256": ("clip", np.asarray(hashes)),
        },
        {
            "clip": ("clip", clips["clip_id"].to_numpy(dtype=str)),
            "time": ("time", (np.arange(n_bins) + 0.5) * attributes["bin_seconds"]),
        },
        attributes | {"complete": False},
    )
    coords["time"].attrs["units"] = "s"
    partial = store.with_name(f".{store.name}.{os.getpid()}.part")
    coords.to_zarr(partial, zarr_format=2, consolidated=False)
    group = zarr.open_group(partial, mode="r+", zarr_format=2)
    for layer in attributes["layers"]:
        n_units = shapes[layer][1]
        array = group.create_array(
            _safe(layer),
            shape=(len(clips), n_bins, n_units),
            chunks=(1, n_bins, n_units),
            dtype="float32",
            fill_value=np.nan,
        )
        array.attrs["_ARRAY_DIMENSIONS"] = ["clip", "time", f"unit_{_safe(layer)}"]
        array.attrs["layer"] = layer
    os.replace(partial, store)


def _duration(row) -> float:
    start = 0.0 if pd.isna(row.get("start")) else row["start"]
    return (audio_duration(row["path"]) if pd.isna(row.get("end")) else row["end"]) - start
