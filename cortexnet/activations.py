"""Activity of layers for every clip on disk: in time bins, frame by frame, or clip means."""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
import zarr
from torch import nn

from cortexnet.runs import weights_hash
from cortexnet.taps import LayerReader
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


def clip_mean(activity: np.ndarray) -> np.ndarray:
    """Average ``(time, unit)`` over all frames, in float64, to ``(unit,)`` float32."""
    return activity.mean(0, dtype=np.float64).astype(np.float32)


def layer_activity(read: Callable, wave: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Activity of one sound: ``{layer: ((time, unit), (time,) seconds)}``.

    Parameters
    ----------
    read : callable
        ``model.forward_areas`` or a `LayerReader`.
    wave : (samples,)
    """
    with torch.inference_mode():
        layers, seconds = read(torch.from_numpy(wave)[None])
    return {name: (x[0].numpy(), seconds[name]) for name, x in layers.items()}


def extract(
    model: nn.Module,
    clips: pd.DataFrame,
    store: Path,
    name: str,
    layers: list[str] | None = None,
    bin_seconds: float | str = 1.5,
    report: Callable[[int, int], None] = lambda done, total: None,
    *,
    steps: bool = False,
    time_axis: Mapping[str, int] | None = None,
    source: Mapping | None = None,
) -> Path:
    """Write the activity of every clip to a zarr store, clip by clip.

    Memory holds one clip at a time: batches of eight clips of 15 s took 1.4 to 1.7 times as long,
    for their frames no longer fit into the cache. A store that was interrupted is completed; one
    with other settings is refused.

    Parameters
    ----------
    model : nn.Module
        Any, with ``sample_rate`` and waveforms for input; see `LayerReader`.
    clips : DataFrame
        Unique ``clip_id``; ``start`` and ``end`` are respected.
    store : Path
    name : str
        Of the model, kept as an attribute.
    layers : list of str, optional
        Areas, ``"AREA@STEP"`` and dotted module names, mixed. Default: all areas.
    bin_seconds : float, "frames" or "clip"
        Width of the time bins; the scanner's repetition time is a good choice. ``"frames"`` (or
        0) keeps the model's own frames, ``"clip"`` averages over the whole clip.
    report : callable
        Given the number of clips done and their total.
    steps : bool
        Where `layers` is not given: all areas at all recurrent steps.
    time_axis : {layer: int}, optional
        Of modules whose axis of time is not to be measured.
    source : mapping, optional
        Further attributes of the store, JSON values: where the weights come from.

    Returns
    -------
    Path
        Of the store: per layer ``clip x time x unit`` (float32, NaN past a clip's end). The
        coordinate ``time`` holds bin centres in seconds since the clip's onset; frames have
        one axis a layer, ``time_LAYER``, with the *end* of each frame.

    Raises
    ------
    InputError
        If there is no such layer, the store holds something else or a width is not positive.
    """
    store, rate = Path(store), model.sample_rate
    bins = _check_bins(bin_seconds)
    model = model.cpu().eval()
    read = LayerReader(model, layers, steps, time_axis)
    hashes = [_sound_hash(row) for row in clips.to_dict("records")]
    digest = hashlib.sha256(" ".join([*clips["clip_id"], *hashes]).encode()).hexdigest()
    attributes = {
        "model": name,
        "weights_sha256": weights_hash(model),
        "sample_rate": rate,
        "bin_seconds": bins,
        "layers": list(layers or model.areas),
        "stimuli_sha256": digest,
        **({"steps": True} if steps else {}),
        **({"time_axis": dict(time_axis)} if time_axis else {}),
        **(source or {}),
    }
    if store.exists():
        _check_store(store, attributes)
    else:
        _create(store, read, clips, hashes, attributes)
    group = zarr.open_group(store, mode="r+", zarr_format=2)
    arrays = {array.attrs["layer"]: array for _, array in group.arrays() if "layer" in array.attrs}
    done = group["done"][:]
    for i, row in enumerate(clips.to_dict("records")):
        if not done[i]:
            wave = waveform(row, rate)
            for layer, activity in layer_activity(read, wave).items():
                values = _in_time(*activity, bins, len(wave) / rate)
                if layer not in arrays or len(values) > arrays[layer].shape[1]:
                    raise InputError(
                        f"{row['clip_id']}: layer '{layer}' has other calls or frames than in the "
                        "longest clip; extract it alone"
                    )
                arrays[layer][i, : len(values)] = values
            group["done"][i] = True
        report(i + 1, len(clips))
    group.attrs["complete"] = True
    zarr.consolidate_metadata(store, zarr_format=2)
    return store


def _check_bins(bin_seconds) -> float | str:
    if bin_seconds in ("frames", "clip"):
        return bin_seconds
    if not isinstance(bin_seconds, int | float) or not 0 <= bin_seconds < np.inf:
        raise InputError(f"bin_seconds is {bin_seconds!r}; give seconds, 'frames' or 'clip'")
    return bin_seconds or "frames"


def _in_time(activity, seconds, bins, duration) -> np.ndarray:
    """Frames ``(time, unit)`` as they are, in bins or as one mean."""
    if bins == "frames":
        return activity
    if bins == "clip":
        return clip_mean(activity)[None]
    return bin_means(activity, seconds, bins, count_bins(duration, bins))


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


def _create(store, read, clips, hashes, attributes):
    """An empty store, with room for the longest clip; appears whole or not at all."""
    rows = clips.to_dict("records")
    durations = [_duration(row) for row in rows]
    longest = max(durations)
    wave = waveform(rows[int(np.argmax(durations))], read.sample_rate)
    activity = layer_activity(read, wave)
    bins = attributes["bin_seconds"]
    times = {}
    if bins == "clip":
        times["time"] = np.array([longest / 2])
    elif bins != "frames":
        times["time"] = (np.arange(count_bins(longest, bins)) + 0.5) * bins
    axes = {}
    for layer, (_, seconds) in activity.items():
        axes[layer] = f"time_{_safe(layer)}" if bins == "frames" else "time"
        times.setdefault(axes[layer], seconds)
    coords = xr.Dataset(
        {
            "done": ("clip", np.zeros(len(clips), bool)),
            "stimulus_sha256": ("clip", np.asarray(hashes)),
        },
        {"clip": ("clip", clips["clip_id"].to_numpy(dtype=str))}
        | {axis: (axis, value, {"units": "s"}) for axis, value in times.items()},
        attributes | {"complete": False},
    )
    partial = store.with_name(f".{store.name}.{os.getpid()}.part")
    coords.to_zarr(partial, zarr_format=2, consolidated=False)
    group = zarr.open_group(partial, mode="r+", zarr_format=2)
    for layer, (values, _) in activity.items():
        shape = (len(times[axes[layer]]), values.shape[1])
        array = group.create_array(
            _safe(layer),
            shape=(len(clips), *shape),
            chunks=(1, *shape),
            dtype="float32",
            fill_value=np.nan,
        )
        array.attrs["_ARRAY_DIMENSIONS"] = ["clip", axes[layer], f"unit_{_safe(layer)}"]
        array.attrs["layer"] = layer
    os.replace(partial, store)


def _duration(row) -> float:
    start = 0.0 if pd.isna(row.get("start")) else row["start"]
    return (audio_duration(row["path"]) if pd.isna(row.get("end")) else row["end"]) - start
