"""How alike the layers of two models are: debiased CKA over test clips."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from torch import nn

from cortexnet.activations import clip_mean, layer_activity
from cortexnet.taps import LayerReader
from encoding import cka_interval
from experiments.compare.parallel import over_clips
from stimuli.provenance import whole_file


def mean_activity(model: nn.Module, waves: dict, path: Path) -> dict[str, np.ndarray]:
    """Activity of every area averaged over each clip, kept in a file.

    Parameters
    ----------
    model : nn.Module
        Of a scattering classifier the areas are the orders.
    waves : {clip_id: (n_samples,) float32}
    path : Path
        Of safetensors.

    Returns
    -------
    {layer: (n_clips, n_units) float32}
        In the order of the model.
    """
    if not path.is_file():
        read = LayerReader(model)

        def means(_: str, wave: np.ndarray) -> dict[str, np.ndarray]:
            return {layer: clip_mean(x) for layer, (x, _) in layer_activity(read, wave).items()}

        rows = over_clips(means, waves)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            save_file({k: np.stack([row[k] for row in rows]) for k in model.areas}, partial)
    found = load_file(path)
    return {layer: found[layer] for layer in model.areas}


def alignment(first: dict[str, np.ndarray], second: dict[str, np.ndarray], groups) -> dict:
    """CKA of every layer of one model with every layer of another.

    Parameters
    ----------
    first, second : as of `mean_activity`
    groups : (n_clips,)
        Left out together for the intervals.

    Returns
    -------
    {"rows": list of {"first_layer", "second_layer", "cka", "low", "high"}}
        None where a layer is the same for all clips.
    """
    rows = []
    for layer, X in first.items():
        for other, Y in second.items():
            alike = not (np.ptp(X, 0).any() and np.ptp(Y, 0).any())
            value, low, high = (None,) * 3 if alike else cka_interval(X, Y, groups)
            row = {"first_layer": layer, "second_layer": other}
            rows.append(row | {"cka": value, "low": low, "high": high})
    return {"rows": rows}
