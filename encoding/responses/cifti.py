"""Responses from CIFTI dense time series: grayordinates of both hemispheres and the subcortex."""

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
from .storage import MEMORY
from .table import Responses

_UNIT = {"SECOND": 1.0}


def load_cifti(
    paths: Mapping[str, str | Path],
    samples: pd.DataFrame,
    regions=None,
    high_pass: float | None = 1 / 240,
    standardize: bool = True,
    *,
    drift: str = "dct",
    confounds: str | Mapping | None = None,
    tr: float | None = None,
    memory: int = MEMORY,
    cache=None,
) -> Responses:
    """Responses from one `.dtseries.nii` a run.

    Grayordinates that are constant in any run or hold NaN are left out, with a warning that
    counts them.

    Parameters
    ----------
    paths : {run: path}
    samples : DataFrame of volumes, in temporal order within each run
    regions : path of a `.dlabel.nii`, optional
        Labels by structure and vertex (or voxel); grayordinates it lacks get region "".
    high_pass, standardize, drift, confounds, tr, memory, cache
        As in `load_nifti`.

    Returns
    -------
    Responses
        targets has the columns region, grayordinate (column of the file), structure (CIFTI's
        name, as CIFTI_STRUCTURE_CORTEX_LEFT), hemisphere ("L", "R" or ""), vertex (-1 for
        voxels), i, j, k (-1 for vertices) and x, y, z (mm, NaN for vertices).

    Raises
    ------
    InputError
        Runs, brain models, volumes or repetition times do not fit together, or a file is
        truncated.
    """
    images = {run: open_cifti(paths[run], "dtseries") for run in check_runs(paths, samples)}
    model, first_name = None, ""
    runs = {}
    for label, (image, name) in images.items():
        series, grayordinates = (image.header.get_axis(axis) for axis in (0, 1))
        if model is None:
            model, first_name = grayordinates, name
        if grayordinates != model:
            raise InputError(f"{name}: brain models differ from those of {first_name}")
        times = {}
        if series.unit in _UNIT:
            times["header"] = float(series.step) * _UNIT[series.unit]
        seconds = sidecar_time(name) if image.get_filename() else None
        if seconds is not None:
            times["sidecar"] = seconds
        runs[label] = Run(name, image.shape[0], lambda i=image: _read(i), times)
    tr = check_lengths_and_times(runs, samples, tr)
    targets = targets_of(model)
    if regions is not None:
        targets["region"] = read_labels(regions, targets)
    check_complete([image for image, _ in images.values()])
    data, samples, keep, dropped = read_runs(
        runs,
        paths,
        samples,
        len(targets),
        tr=tr,
        cleaning=Cleaning(high_pass, standardize, drift, confounds),
        memory=memory,
        cache=cache,
        noun="grayordinates",
    )
    return Responses(data, samples, targets[keep].reset_index(drop=True), dropped)


def open_cifti(path, kind: str):
    """(image, name) of a CIFTI-2 file whose second axis is a brain model.

    Parameters
    ----------
    path : path or image
    kind : "dtseries" or "dlabel", or "" for any
    """
    from nibabel import cifti2

    image, name = open_image(path, cifti2.Cifti2Image)
    first = {"dtseries": cifti2.SeriesAxis, "dlabel": cifti2.LabelAxis}.get(kind, object)
    axes = [image.header.get_axis(i) for i in range(len(image.shape))]
    if (
        len(axes) != 2
        or not isinstance(axes[0], first)
        or not isinstance(axes[1], cifti2.BrainModelAxis)
    ):
        found = " x ".join(type(axis).__name__ for axis in axes)
        raise InputError(f"{name}: axes {found}; expected a dense CIFTI file ({kind or 'any'})")
    return image, name


def targets_of(model) -> pd.DataFrame:
    """Table of the grayordinates of a `BrainModelAxis`."""
    import nibabel as nib

    structure = np.asarray(model.name).astype(str)
    hemisphere = np.where(
        np.char.endswith(structure, "_LEFT"),
        "L",
        np.where(np.char.endswith(structure, "_RIGHT"), "R", ""),
    )
    voxel = np.asarray(model.voxel)
    is_surface = np.asarray(model.surface_mask)
    xyz = np.full((len(structure), 3), np.nan)
    if not is_surface.all():
        xyz[~is_surface] = nib.affines.apply_affine(model.affine, voxel[~is_surface])
    return pd.DataFrame(
        {
            "region": "",
            "grayordinate": np.arange(len(structure)),
            "structure": structure,
            "hemisphere": hemisphere,
            "vertex": np.where(is_surface, model.vertex, -1),
        }
        | {axis: np.where(is_surface, -1, voxel[:, n]) for n, axis in enumerate("ijk")}
        | {axis: xyz[:, n] for n, axis in enumerate("xyz")}
    )


def cortical_map(path) -> dict[str, np.ndarray]:
    """First map of a dense CIFTI file on the meshes of the hemispheres.

    Parameters
    ----------
    path : path or image

    Returns
    -------
    {"L", "R": (n_vertices,)} of those hemispheres that it has; NaN at vertices that it lacks
    """
    image, _ = open_cifti(path, "")
    model = image.header.get_axis(1)
    targets, values = targets_of(model), np.asarray(image.dataobj[0], float)
    found = {}
    for structure, n_vertices in model.nvertices.items():
        here = (targets["structure"] == structure).to_numpy()
        side = targets["hemisphere"].to_numpy()[here][0]
        if side:
            found[side] = np.full(n_vertices, np.nan)
            found[side][targets["vertex"].to_numpy()[here]] = values[here]
    return found


def _read(image) -> np.ndarray:
    return np.asarray(image.dataobj, np.float32)


def read_labels(path, targets: pd.DataFrame) -> np.ndarray:
    """Region of every grayordinate in a `.dlabel.nii`, by structure and vertex or voxel.

    Parameters
    ----------
    path : path or image
    targets : DataFrame with the columns structure, vertex, i, j, k

    Returns
    -------
    (n_targets,) object, "" without a label
    """
    image, name = open_cifti(path, "dlabel")
    place = ["structure", "vertex", "i", "j", "k"]
    table = image.header.get_axis(0).label[0]
    values = np.asarray(image.dataobj)[0].astype(int)
    known = targets_of(image.header.get_axis(1))[place]
    known["name"] = [table[v][0] if v in table else "" for v in values]
    found = targets[place].merge(known, on=place, how="left")["name"]
    if found.isna().all():
        raise InputError(f"{name}: no grayordinate in common with the responses; take its mesh")
    return found.replace("???", "").fillna("").to_numpy(object)
