"""Responses from functional GIFTI files: the vertices of both hemispheres, left then right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from .runs import (
    Cleaning,
    Run,
    check_lengths_and_times,
    check_runs,
    open_image,
    read_runs,
    sidecar_time,
)
from .storage import MEMORY
from .table import Responses

HEMISPHERES = ("L", "R")
_STRUCTURE = {"L": "CortexLeft", "R": "CortexRight"}


def load_gifti(
    paths: Mapping[str, tuple[str | Path, str | Path]],
    samples: pd.DataFrame,
    regions: tuple | None = None,
    high_pass: float | None = 1 / 240,
    standardize: bool = True,
    *,
    drift: str = "dct",
    confounds: str | Mapping | None = None,
    tr: float | None = None,
    memory: int = MEMORY,
    cache=None,
) -> Responses:
    """Responses from a pair of functional GIFTI files a run.

    Vertices that are constant in any run or hold NaN, such as those of the medial wall, are left
    out, with a warning that counts them.

    Parameters
    ----------
    paths : {run: (left, right)}, `*_hemi-L_bold.func.gii` and `*_hemi-R_bold.func.gii`
    samples : DataFrame of volumes, in temporal order within each run
    regions : (left, right) label files, optional
        `.label.gii` or FreeSurfer `.annot`, on the same meshes. Vertices without a label are kept
        with region "".
    high_pass, standardize, drift, confounds, tr, memory, cache
        As in `load_nifti`.

    Returns
    -------
    Responses
        targets has the columns region, hemisphere ("L", "R") and vertex.

    Raises
    ------
    InputError
        Runs, hemispheres, meshes, volumes or repetition times do not fit together.
    """
    pairs = {}
    for label in check_runs(paths, samples):
        pair = paths[label]
        if isinstance(pair, (str, Path)) or len(pair) != 2:
            raise InputError(f"run {label}: {pair}; give a pair of GIFTI files, left and right")
        pairs[label] = pair
    runs, n_vertices = {}, None
    for label, pair in pairs.items():
        sides = [describe(path, hemisphere) for path, hemisphere in _sides(pair)]
        n_vertices = n_vertices or [side["n_vertices"] for side in sides]
        for side, expected in zip(sides, n_vertices, strict=True):
            if side["n_vertices"] != expected:
                raise InputError(
                    f"{side['name']}: {side['n_vertices']} vertices, the first run has {expected}; "
                    "take all runs on one mesh"
                )
        left, right = sides
        if left["n_volumes"] != right["n_volumes"]:
            raise InputError(
                f"{right['name']}: {right['n_volumes']} volumes, the left hemisphere has "
                f"{left['n_volumes']}"
            )
        runs[label] = Run(
            left["name"], left["n_volumes"], lambda pair=pair: _read_pair(pair), left["times"]
        )
    tr = check_lengths_and_times(runs, samples, tr)
    hemisphere = np.repeat(HEMISPHERES, n_vertices)
    vertex = np.concatenate([np.arange(n) for n in n_vertices])
    region = np.full(len(vertex), "", object)
    if regions is not None:
        if isinstance(regions, (str, Path)) or len(regions) != 2:
            raise InputError(f"regions are {regions}; give a pair of label files, left and right")
        region = np.concatenate(
            [read_labels(path, n) for path, n in zip(regions, n_vertices, strict=True)]
        )
    data, samples, keep, dropped = read_runs(
        runs,
        pairs,
        samples,
        len(vertex),
        tr=tr,
        cleaning=Cleaning(high_pass, standardize, drift, confounds),
        memory=memory,
        cache=cache,
        noun="vertices",
    )
    targets = pd.DataFrame(
        {"region": region[keep], "hemisphere": hemisphere[keep], "vertex": vertex[keep]}
    )
    return Responses(data, samples, targets, dropped)


def _sides(pair):
    return zip(pair, HEMISPHERES, strict=True)


def describe(path, hemisphere) -> dict:
    """Sizes and times of one functional GIFTI file; its data are not kept."""
    import nibabel as nib

    image, name = open_image(path, nib.gifti.GiftiImage)
    side = image.meta.get("AnatomicalStructurePrimary", _STRUCTURE[hemisphere])
    if side in _STRUCTURE.values() and side != _STRUCTURE[hemisphere]:
        raise InputError(f"{name}: {side}, given as hemisphere {hemisphere}; swap the pair")
    series = _series(image, name)
    times = {}
    step = image.darrays[0].meta.get("TimeStep", image.meta.get("TimeStep"))
    if step is not None:
        times["header"] = float(step) / 1000  # ms
    seconds = sidecar_time(name) if image.get_filename() else None
    if seconds is not None:
        times["sidecar"] = seconds
    return {
        "name": name,
        "n_volumes": series[0],
        "n_vertices": series[1],
        "times": times,
    }


def _series(image, name) -> tuple[int, int]:
    """(n_volumes, n_vertices)."""
    shapes = {array.data.shape for array in image.darrays}
    if len(shapes) == 1:
        (shape,) = shapes
        if len(shape) == 1:
            return len(image.darrays), shape[0]
        if len(shape) == 2 and len(image.darrays) == 1:
            return shape[1], shape[0]
    raise InputError(f"{name}: arrays of shapes {sorted(shapes)}, expected one value a vertex")


def _read_pair(pair) -> np.ndarray:
    """(n_volumes, n_left + n_right) float32."""
    sides = []
    for path in pair:
        image, _ = open_image(path)
        arrays = [array.data for array in image.darrays]
        sides.append(arrays[0].T if arrays[0].ndim == 2 else np.stack(arrays))
    return np.concatenate(sides, axis=1, dtype=np.float32)


def read_labels(path, n_vertices: int | None = None) -> np.ndarray:
    """Region name of every vertex in a `.label.gii` or `.annot`; "" for the unlabelled and unknown.

    Parameters
    ----------
    path : path
    n_vertices : int, optional
        Of the responses' mesh, which the file must have.

    Returns
    -------
    (n_vertices,) object
    """
    import nibabel as nib

    if str(path).endswith(".annot"):
        try:
            labels, _, names = nib.freesurfer.read_annot(path)
        except Exception as error:  # a binary format without a check of its own
            raise InputError(f"{path}: not a readable annot file ({error})") from error
        table = {n: name.decode(errors="replace") for n, name in enumerate(names)}
    else:
        image, _ = open_image(path, nib.gifti.GiftiImage)
        labels = np.asarray(image.darrays[0].data) if image.darrays else np.zeros(0)
        table = image.labeltable.get_labels_as_dict()
    if n_vertices is not None and labels.shape != (n_vertices,):
        raise InputError(
            f"{path}: labels of {labels.shape} vertices, the responses have {n_vertices}; take the "
            "atlas on the same mesh"
        )
    unlabelled = {"???", "unknown", "Unknown", "Medial_wall"}
    table = {key: "" if name in unlabelled else str(name) for key, name in table.items()}
    return np.array([table.get(int(v), "") for v in labels], object)
