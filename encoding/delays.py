"""Time course of prediction: how well features of each delay alone predict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from .errors import InputError
from .layers import fit_layers


def delay_profile(
    X: np.ndarray,
    Y: np.ndarray,
    runs,
    delays: Sequence[int] = tuple(range(9)),
    alphas: np.ndarray | None = None,
    *,
    targets: pd.DataFrame | None = None,
) -> xr.Dataset:
    """Held-out r of models with a single delay each, and the best delay of every target.

    The weights of a joint model do not tell which delay matters: features are autocorrelated,
    so ridge spreads a response over neighbouring delays. A model refitted for each delay answers
    on held-out runs. As neighbours share what they predict, the profiles do not add up, and r at
    the best delay is optimistic, being the largest of several: take the delay, not the r.

    Parameters
    ----------
    X : (n_samples, n_units), on the grid of volumes, not delayed
    Y, runs, alphas, targets : see `fit_layers`
    delays : non-negative ints, in volumes, each once

    Returns
    -------
    Dataset
        r, r2 (delay, target); best_delay (target), in volumes: that of the highest r.

    Raises
    ------
    InputError
        A delay is given twice, or as `fit_layers`.
    """
    delays = [int(d) for d in delays]
    if not delays or len(set(delays)) < len(delays):
        raise InputError(f"delays are {delays}; give each once")
    each = [fit_layers({"X": X}, Y, runs, (d,), alphas, targets=targets).dataset for d in delays]
    out = xr.concat([d[["r", "r2"]].isel(layer=0, drop=True) for d in each], "delay")
    out = out.assign_coords(delay=delays)
    best = np.array(delays)[out["r"].to_numpy().argmax(0)]
    return out.assign(best_delay=("target", best))
