"""Responses from 4-D NIfTI images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from .runs import (
    Cleaning,
    Run,
    check_complete,
    check_lengths_and_times,
    check_runs,
    open_image,
    read_runs,
    sidecar_time,
)
from .storage import MEMORY, blocks
from .table import Responses

_AFFINE_TOLERANCE = 1e-3  # mm
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}


def load_nifti(
    paths: Mapping[str, str | Path],
    samples: pd.DataFrame,
    mask=None,
    regions=None,
    region_names: Mapping[int, str] | str | Path | None = None,
    high_pass: float | None = 1 / 240,
    standardize: bool = True,
    *,
    drift: str = "dct",
    confounds: str | Mapping | None = None,
    tr: float | None = None,
    memory: int = MEMORY,
    cache=None,
) -> Responses:
    """Responses from one 4-D NIfTI image a run.

    Each voxel is cleaned and z-scored within its run (`detrend.clean`). Voxels that are constant
    in any run or hold NaN are left out, with a warning that counts them.

    Parameters
    ----------
    paths : {run: path}, one 4-D image for every run of `samples`
    samples : DataFrame of volumes, in temporal order within each run
    mask : image, path or list of them, optional
        Voxels that are non-zero (in all) are kept. Default: voxels with a region label, or without
        `regions` nilearn's `compute_epi_mask` of the first run.
    regions : integer label image or path, optional
    region_names : {label: name} or path of a TSV with columns index and name, optional
        Default: the label itself.
    high_pass : float, optional
        Hz.
    standardize : bool
    drift : "dct", "median", "linear" or "none"
        "dct" takes away a line and cosines slower than `high_pass`, "median" a running median
        over 1 / `high_pass` seconds.
    confounds : str or {run: (n_volumes, n_confounds)}, optional
        A strategy of `load_confounds` for images of fMRIPrep, or the confounds themselves.
    tr : float, optional
        Seconds. Default: that of `samples`, with which headers and sidecars must agree.
    memory : int
        Bytes above which the responses are memory-mapped.
    cache : folder, optional
        Where the memory-mapped file is kept; default: a temporary file.

    Returns
    -------
    Responses
        targets has the columns region, x, y, z (mm), i, j, k (voxel).

    Raises
    ------
    InputError
        Runs, volumes, repetition times, grids or labels do not fit together, or a file is
        truncated.
    """
    import nibabel as nib

    images = {run: open_image(paths[run]) for run in check_runs(paths, samples)}
    for image, name in images.values():
        if len(image.shape) != 4:
            raise InputError(f"{name}: shape {image.shape}, expected a 4-D image")
    runs = {
        # `inside` is found below, once the cheap checks have passed.
        run: Run(name, image.shape[3], lambda i=image: _series(i, inside), times_of(image))
        for run, (image, name) in images.items()
    }
    tr = check_lengths_and_times(runs, samples, tr)
    first, first_name = next(iter(images.values()))
    for image, name in images.values():
        _check_grid(image, name, first, first_name)
    labels = np.zeros(first.shape[:3], int)
    if regions is not None:
        labels = _volume(regions, first, first_name)
        name = open_image(regions)[1]
        if not np.array_equal(labels, np.round(labels)):
            raise InputError(f"{name}: values are no integers, expected region labels")
        labels = labels.astype(int)
    names = read_region_names(region_names)
    check_complete([image for image, _ in images.values()])
    inside = _inside(mask, labels if regions is not None else None, first, first_name)
    if not inside.any():
        raise InputError("no voxel is left by the mask or the region labels")

    data, samples, keep, dropped = read_runs(
        runs,
        paths,
        samples,
        int(inside.sum()),
        tr=tr,
        cleaning=Cleaning(high_pass, standardize, drift, confounds),
        memory=memory,
        cache=cache,
    )
    index = np.argwhere(inside)[keep]
    xyz = nib.affines.apply_affine(first.affine, index)
    label = labels[tuple(index.T)]
    targets = pd.DataFrame(
        {"region": [names.get(v, str(v)) if v else "" for v in label.tolist()]}
        | {axis: xyz[:, n] for n, axis in enumerate("xyz")}
        | {axis: index[:, n] for n, axis in enumerate("ijk")}
    )
    return Responses(data, samples, targets, dropped)


def times_of(image) -> dict[str, float]:
    """Repetition times (s) that a NIfTI header and the sidecar beside it state."""
    times = {}
    unit = image.header.get_xyzt_units()[1]
    zooms = image.header.get_zooms()
    # Without a unit of time the fourth zoom is a default, not a statement.
    if unit in _SECONDS and len(zooms) > 3 and zooms[3] > 0:
        times["header"] = float(zooms[3]) * _SECONDS[unit]
    path = image.get_filename()
    sidecar = sidecar_time(path) if path else None
    if sidecar is not None:
        times["sidecar"] = sidecar
    return times


def _check_grid(image, name, first, first_name) -> None:
    if image.shape[:3] != first.shape[:3]:
        raise InputError(
            f"{name}: grid {image.shape[:3]}, that of {first_name} is {first.shape[:3]}; "
            "resample it to the functional images"
        )
    if not np.allclose(image.affine, first.affine, atol=_AFFINE_TOLERANCE):
        raise InputError(
            f"{name}: affine differs from that of {first_name}; "
            "resample it to the functional images (nearest neighbour for labels)"
        )


def _volume(image, first, first_name) -> np.ndarray:
    """Values (x, y, z) of a mask or label image on the grid of the functional ones."""
    image, name = open_image(image)
    _check_grid(image, name, first, first_name)
    if int(np.prod(image.shape[3:])) != 1:
        raise InputError(f"{name}: shape {image.shape}, expected a single volume")
    check_complete([image])
    return np.asanyarray(image.dataobj).reshape(first.shape[:3])


def _inside(mask, labels, first, first_name) -> np.ndarray:
    from nilearn.masking import compute_epi_mask

    if isinstance(mask, (list, tuple)):
        inside = [_volume(m, first, first_name) != 0 for m in mask]
        return np.logical_and.reduce(inside)
    if mask is not None:
        return _volume(mask, first, first_name) != 0
    if labels is not None:
        return labels != 0
    return compute_epi_mask(first).get_fdata() != 0


def _series(image, inside) -> np.ndarray:
    """Voxels inside of one run, (n_volumes, n_voxels) float32, without the whole run at once."""
    out = np.empty((image.shape[3], int(inside.sum())), np.float32)
    for volumes in blocks(image.shape[3], 8 * inside.size):
        out[volumes] = np.asanyarray(image.dataobj[..., volumes])[inside].T
    return out


def read_region_names(region_names) -> dict[int, str]:
    """{label: name} from a mapping or a BIDS dseg table; empty for None."""
    if region_names is None:
        return {}
    if isinstance(region_names, Mapping):
        return dict(region_names)
    try:
        table = pd.read_csv(region_names, sep="\t")
    except (OSError, ValueError) as error:
        raise InputError(f"{region_names}: not a readable TSV ({error})") from error
    if not {"index", "name"} <= set(table.columns):
        raise InputError(
            f"{region_names}: columns {list(table.columns)}, expected index and name (BIDS dseg)"
        )
    return dict(zip(table["index"].astype(int), table["name"].astype(str), strict=True))
