"""A surface that turns with the mouse, as a page of its own within the report."""

import importlib.util
import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import ListedColormap

from experiments.report.meshes import SIDES, group_mesh, space_of, sulci
from experiments.report.surface_figures import stage_colours

# nilearn's page asks for an icon from the network.
ICON = re.compile(r"<link[^>]*rel=.?[\"'](?:shortcut )?icon[\"'][^>]*>", re.IGNORECASE)


def can_turn() -> bool:
    """Whether plotly (extra ``interactive``), with which nilearn draws, is installed."""
    return importlib.util.find_spec("plotly") is not None


def turning_map(maps: Mapping[str, np.ndarray], stages: Sequence[str]) -> str:
    """HTML of a whole page with its scripts: stages on both inflated hemispheres.

    Parameters
    ----------
    maps : {"L", "R": (n_vertices,)}, as `surface_figures.stage_map`
    stages : list of str
    """
    from nilearn.plotting import view_surf
    from nilearn.surface import SurfaceImage

    space = space_of(len(maps["L"]))
    mesh = group_mesh(space, "inflated")
    depth = SurfaceImage(mesh, {side: values[:, None] for side, values in sulci(space).items()})
    stage = {SIDES[side]: np.asarray(values, "f4")[:, None] for side, values in maps.items()}
    page = view_surf(
        mesh,
        SurfaceImage(mesh, stage),
        bg_map=depth,
        hemi="both",
        cmap=ListedColormap(stage_colours(len(stages)), "stages"),
        vmin=0.5,
        vmax=len(stages) + 0.5,
        symmetric_cmap=False,
        threshold=0.5,
        colorbar=False,
    )
    return ICON.sub("", page.html)
