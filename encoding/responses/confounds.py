"""Confounds that fMRIPrep writes beside its images, by the name of a strategy."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError

# Arguments of nilearn's `load_confounds`. The high-pass filter is ours (`detrend.clean`).
STRATEGIES = {
    "none": None,
    "motion": {"strategy": ("motion",), "motion": "basic"},
    "motion24": {"strategy": ("motion",), "motion": "full"},
    "motion+wm_csf": {"strategy": ("motion", "wm_csf"), "motion": "basic"},
    "motion24+wm_csf": {"strategy": ("motion", "wm_csf"), "motion": "full"},
}


def load_confounds(image, strategy: str = "motion24") -> tuple[pd.DataFrame | None, np.ndarray]:
    """Confounds of one run and the volumes before steady state.

    Parameters
    ----------
    image : path of an image of fMRIPrep, or (left, right) paths of a GIFTI pair
        `*_desc-confounds_timeseries.tsv` must lie beside it.
    strategy : str
        "motion": 3 translations and 3 rotations; "motion24": also their derivatives, squares and
        squared derivatives (Friston et al. 1996); "+wm_csf": also the means of white matter and
        cerebrospinal fluid; "none".

    Returns
    -------
    confounds : DataFrame (n_volumes, n_confounds), or None for "none"
        The first value of derivatives, which fMRIPrep leaves empty, is the second one.
    non_steady : (n_marked,) int
        Volumes that fMRIPrep marks as before steady state.

    Raises
    ------
    InputError
        The strategy is unknown, or the table is missing, lacks columns or holds NaN.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"confounds '{strategy}' are unknown; choose one of {list(STRATEGIES)}")
    if STRATEGIES[strategy] is None:
        return None, np.zeros(0, int)
    from nilearn.interfaces import fmriprep

    paths = [str(p) for p in image] if isinstance(image, (tuple, list)) else str(image)
    name = Path(paths[0] if isinstance(paths, list) else paths).name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Nested, as nilearn reads a flat pair as two runs.
            table, kept = fmriprep.load_confounds(
                [paths] if isinstance(paths, list) else paths, demean=False, **STRATEGIES[strategy]
            )
    except (ValueError, OSError, KeyError, IndexError) as error:
        raise InputError(
            f"{name}: no confounds for '{strategy}' beside it ({_one_line(error)}); give the "
            "folder of fMRIPrep or take confounds 'none'"
        ) from error
    if isinstance(table, list):
        table, kept = table[0], kept[0]
    if table.isna().to_numpy().any():
        bad = list(table.columns[table.isna().any()])
        raise InputError(f"{name}: NaN in its confounds {', '.join(bad[:4])}; repair the table")
    non_steady = np.zeros(0, int)
    if kept is not None:
        non_steady = np.setdiff1d(np.arange(len(table)), kept)
    return table, non_steady


def gather_confounds(confounds, images: Mapping, lengths: Mapping[str, int]):
    """Confounds of every run as arrays, from a strategy or given ones.

    Parameters
    ----------
    confounds : str, {run: (n_volumes, n_confounds) array or DataFrame} or None
    images : {run: path or pair of paths}
    lengths : {run: n_volumes}

    Returns
    -------
    confounds : {run: (n_volumes, n_confounds) or None}
    non_steady : {run: (n_marked,) int}
    """
    nothing = np.zeros(0, int)
    if confounds is None or isinstance(confounds, str):
        loaded = {
            run: (None, nothing) if confounds is None else load_confounds(images[run], confounds)
            for run in lengths
        }
    else:
        absent = [run for run in lengths if run not in confounds]
        if absent:
            raise InputError(f"no confounds are given for the runs {absent}")
        loaded = {run: (confounds[run], nothing) for run in lengths}
    tables = {}
    for run, (table, _) in loaded.items():
        if table is None:
            tables[run] = None
            continue
        tables[run] = np.asarray(table, float)
        if tables[run].ndim != 2 or len(tables[run]) != lengths[run]:
            raise InputError(
                f"run {run}: confounds have shape {tables[run].shape}, its image "
                f"{lengths[run]} volumes; they belong to another run or version"
            )
        if not np.isfinite(tables[run]).all():
            raise InputError(f"run {run}: confounds hold NaN or infinite values")
    return tables, {run: marked for run, (_, marked) in loaded.items()}


def _one_line(error) -> str:
    return " ".join(str(error).split())[:200]
