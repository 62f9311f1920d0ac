"""Scores back on the brain: NIfTI, GIFTI and CIFTI maps, NaN where nothing was scored."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from .errors import InputError
from .responses.cifti import open_cifti
from .responses.runs import open_image

_MAPPED = ("r", "r2")
_HEMISPHERES = ("L", "R")


def to_nifti(values: np.ndarray, targets: pd.DataFrame, reference):
    """Values of voxels as an image.

    Parameters
    ----------
    values : (n_targets,) or (n_maps, n_targets)
    targets : DataFrame, n_targets rows
        Columns i, j, k (voxel), or x, y, z (mm, on the grid of the reference).
    reference : image or path
        Mask or functional image that gives grid and affine.

    Returns
    -------
    nibabel.Nifti1Image, float32 of shape (x, y, z) or (x, y, z, n_maps), NaN outside targets
    """
    import nibabel as nib

    values = _check_values(values, targets)
    image, name = open_image(reference)
    if len(image.shape) < 3:
        raise InputError(f"{name}: shape {image.shape}, expected an image with three axes")
    grid = image.shape[:3]
    if {"i", "j", "k"} <= set(targets):
        index = targets[["i", "j", "k"]].to_numpy(int)
    elif {"x", "y", "z"} <= set(targets):
        exact = nib.affines.apply_affine(
            np.linalg.inv(image.affine), targets[["x", "y", "z"]].to_numpy(float)
        )
        index = np.round(exact).astype(int)
        if np.abs(exact - index).max(initial=0) > 0.05:
            raise InputError(
                f"{name}: targets lie between its voxels; give the responses' own grid"
            )
    else:
        raise InputError(f"targets have the columns {list(targets)}, expected i, j, k or x, y, z")
    if len(index) and ((index < 0) | (index >= grid)).any():
        raise InputError(f"{name}: targets lie outside its grid {grid}; give the responses' grid")
    out = np.full((*grid, *values.shape[:-1]), np.nan, np.float32)
    out[tuple(index.T)] = values.T
    header = nib.Nifti1Header()
    if hasattr(image.header, "get_xyzt_units"):
        header.set_xyzt_units(*image.header.get_xyzt_units()[:1])
    return nib.Nifti1Image(out, image.affine, header)


def to_gifti(values: np.ndarray, targets: pd.DataFrame, hemisphere: str, n_vertices: int):
    """Values of the vertices of one hemisphere as a GIFTI image.

    Parameters
    ----------
    values : (n_targets,) or (n_maps, n_targets), of both hemispheres
    targets : DataFrame, n_targets rows, with columns hemisphere and vertex
    hemisphere : "L" or "R"
    n_vertices : int
        Of the mesh.

    Returns
    -------
    nibabel.gifti.GiftiImage, one float32 array a map, NaN at vertices without a target
    """
    import nibabel as nib

    values = np.atleast_2d(_check_values(values, targets))
    if not {"hemisphere", "vertex"} <= set(targets):
        raise InputError(
            f"targets have the columns {list(targets)}, expected hemisphere and vertex"
        )
    if hemisphere not in _HEMISPHERES:
        raise InputError(f"hemisphere '{hemisphere}'; expected L or R")
    inside = (targets["hemisphere"] == hemisphere).to_numpy() & (targets["vertex"] >= 0).to_numpy()
    vertex = targets["vertex"].to_numpy(int)[inside]
    if len(vertex) and vertex.max() >= n_vertices:
        raise InputError(
            f"hemisphere {hemisphere}: vertex {vertex.max()} of a mesh of {n_vertices}; the "
            "targets are of another mesh"
        )
    out = np.full((len(values), n_vertices), np.nan, np.float32)
    out[:, vertex] = values[:, inside]
    side = {"L": "CortexLeft", "R": "CortexRight"}[hemisphere]
    return nib.gifti.GiftiImage(
        meta=nib.gifti.GiftiMetaData({"AnatomicalStructurePrimary": side}),
        darrays=[nib.gifti.GiftiDataArray(row, "NIFTI_INTENT_NONE") for row in out],
    )


def to_cifti(values: np.ndarray, targets: pd.DataFrame, reference, names=None):
    """Values of grayordinates as a dense scalar CIFTI image.

    Parameters
    ----------
    values : (n_targets,) or (n_maps, n_targets)
    targets : DataFrame, n_targets rows, with column grayordinate
    reference : `.dtseries.nii` (image or path) from which the targets came
    names : list of str, n_maps, optional

    Returns
    -------
    nibabel.cifti2.Cifti2Image, NaN at grayordinates without a target
    """
    from nibabel import cifti2

    values = np.atleast_2d(_check_values(values, targets))
    image, name = open_cifti(reference, "")
    model = image.header.get_axis(1)
    if "grayordinate" not in targets:
        raise InputError(f"targets have the columns {list(targets)}, expected grayordinate")
    place = targets["grayordinate"].to_numpy(int)
    if len(place) and place.max() >= len(model):
        raise InputError(f"{name}: {len(model)} grayordinates, a target has number {place.max()}")
    out = np.full((len(values), len(model)), np.nan, np.float32)
    out[:, place] = values
    names = [f"map {n + 1}" for n in range(len(values))] if names is None else list(names)
    return cifti2.Cifti2Image(out, header=(cifti2.ScalarAxis(names), model))


def best_layer(r: np.ndarray) -> np.ndarray:
    """Number of the layer of highest r, from 1; NaN where no layer has one.

    The maximum follows the signal-to-noise ratio (targets of little signal choose at random):
    show it beside the scores, never alone.

    Parameters
    ----------
    r : (n_layers, n_targets)

    Returns
    -------
    (n_targets,) float32
    """
    r = np.asarray(r, float)
    scored = np.isfinite(r).any(0)
    best = np.argmax(np.where(np.isfinite(r), r, -np.inf), 0) + 1
    return np.where(scored, best, np.nan).astype(np.float32)


def save_maps(scores, reference, out, targets: pd.DataFrame | None = None) -> list[Path]:
    """Write r and R2 of every layer, and the number of the best one, as maps.

    Parameters
    ----------
    scores : Scores, or its xarray.Dataset
        Variables r and r2 (layer, target).
    reference : image or path for voxels; (left, right) functional GIFTI files or numbers of
        vertices for surfaces; `.dtseries.nii` for grayordinates
    out : folder
    targets : DataFrame, n_targets rows, optional
        `responses.targets`. Default: the coordinates of the scores, which do for voxels.

    Returns
    -------
    list of Path
        r_<layer>, r2_<layer>, best_layer, each .nii.gz, .func.gii by hemisphere or
        .dscalar.nii, and best_layer.tsv (number and name of layers).

    Raises
    ------
    InputError
        Targets have no place on the reference.
    """
    dataset = getattr(scores, "dataset", scores)
    layers = [str(name) for name in dataset["layer"].to_numpy()]
    maps = {}
    for variable in _MAPPED:
        if variable in dataset:
            values = dataset[variable].transpose("layer", "target").to_numpy()
            maps |= {
                f"{variable}_{stem}": row for stem, row in zip(_stems(layers), values, strict=True)
            }
    maps["best_layer"] = best_layer(dataset["r"].transpose("layer", "target").to_numpy())
    if targets is None:
        targets = target_table(dataset)
    written = write_maps(maps, targets, reference, out)
    out = Path(out)
    table = pd.DataFrame({"index": np.arange(len(layers)) + 1, "name": layers})
    partial = out / f".best_layer-{uuid.uuid4().hex}.tsv"
    table.to_csv(partial, sep="\t", index=False)
    os.replace(partial, out / "best_layer.tsv")
    return [*written, out / "best_layer.tsv"]


def write_maps(maps: Mapping[str, np.ndarray], targets: pd.DataFrame, reference, out) -> list[Path]:
    """Write values of targets as maps, each whole or not at all.

    Parameters
    ----------
    maps : {stem of the file's name: (n_targets,)}
    targets, reference, out : see `save_maps`

    Returns
    -------
    list of Path
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for stem, values in maps.items():
        for suffix, image in _images(values, targets, reference, stem).items():
            written.append(_write(image, out / f"{stem}{suffix}"))
    return written


def _images(values, targets, reference, name) -> Mapping:
    if "grayordinate" in targets:
        return {".dscalar.nii": to_cifti(values, targets, reference, [name])}
    if "vertex" in targets:
        if isinstance(reference, (str, Path)) or not hasattr(reference, "__len__"):
            raise InputError(
                "surfaces need a pair as reference: GIFTI files or numbers of vertices"
            )
        sizes = [_mesh_size(side) for side in reference]
        return {
            f"_hemi-{side}.func.gii": to_gifti(values, targets, side, n)
            for side, n in zip(_HEMISPHERES, sizes, strict=True)
        }
    return {".nii.gz": to_nifti(values, targets, reference)}


def _mesh_size(side) -> int:
    if isinstance(side, (int, np.integer)):
        return int(side)
    image, name = open_image(side)
    if not getattr(image, "darrays", None):
        raise InputError(f"{name}: holds no GIFTI arrays; give a functional GIFTI file")
    return len(image.darrays[0].data)


def target_table(dataset: xr.Dataset) -> pd.DataFrame:
    """Region and place of every target, from the coordinates of scores."""
    names = [c for c in dataset.coords if c != "target" and dataset[c].dims == ("target",)]
    return pd.DataFrame({name: dataset[name].to_numpy() for name in names})


def _stems(layers) -> list[str]:
    stems = [re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.") for name in layers]
    if len(set(stems)) < len(stems) or not all(stems):
        raise InputError(f"layers {layers} do not make file names of their own; rename them")
    return stems


def _check_values(values, targets) -> np.ndarray:
    values = np.asarray(values, np.float32)
    if values.ndim not in (1, 2) or values.shape[-1] != len(targets):
        raise InputError(f"values have shape {values.shape}, expected {len(targets)} targets last")
    return values


def _write(image, path: Path) -> Path:
    import nibabel as nib

    partial = path.with_name(f".{uuid.uuid4().hex}-{path.name}")
    try:
        nib.save(image, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
