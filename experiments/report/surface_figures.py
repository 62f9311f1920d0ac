"""Stages on the inflated surface of fsaverage5, drawn without a network."""

from functools import cache

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch

from experiments.report.figures import shortened
from experiments.report.records import StageTest
from experiments.report.svg import Picture

N_VERTICES = 10242  # of a hemisphere of fsaverage5
# Hemisphere, whether its outside is seen, and the direction of the viewer along the first axis.
VIEWS = (("L", "lateral", -1), ("L", "medial", 1), ("R", "medial", -1), ("R", "lateral", 1))
SIDES = {"L": "left", "R": "right"}


def best_stages(test: StageTest, slug: str) -> list[tuple[str, Picture]]:
    """(caption, picture) of the best stage of every subject whose map is on fsaverage5."""
    return [
        (
            f"Best stage of each vertex, {subject or 'subject'}; none where the halves of the "
            "clips differ.",
            stage_map(maps, test.stages, subject or "subject", f"{slug}-surface{i}"),
        )
        for i, (subject, maps) in enumerate(test.surfaces.items())
        if {len(values) for values in maps.values()} == {N_VERTICES}
    ]


def stage_map(maps: dict[str, np.ndarray], stages: list[str], subject: str, name: str) -> Picture:
    """Both hemispheres from outside and from within.

    Parameters
    ----------
    maps : {"L", "R": (10242,)}
        Number of the stage, from 1; NaN where there is none.
    stages : list of str
    subject, name : str
    """
    colours = colormaps["viridis"](np.linspace(0.1, 1, len(stages)))

    def paint(axes):
        left = 0.0
        for side, view, towards in VIEWS:
            polygons, faces = seen(side, towards)
            x, y = polygons[..., 0], polygons[..., 1]
            polygons = polygons + np.array([left - x.min(), -(y.max() + y.min()) / 2])
            # Of a triangle, the middle of three values; without two there is none.
            value = np.sort(maps[side][faces], 1)[:, 1]
            known = ~np.isnan(value)
            shade = np.where(_sulci(side)[faces].mean(1) > 0, 0.68, 0.82)
            face = np.repeat(shade[:, None], 4, 1)
            face[:, 3] = 1
            face[known] = colours[value[known].astype(int) - 1]
            axes.add_collection(
                PolyCollection(
                    polygons, facecolors=face, edgecolors=face, linewidths=0.2, rasterized=True
                )
            )
            middle = left + np.ptp(x) / 2
            axes.text(middle, polygons[..., 1].min() - 6, f"{SIDES[side]}, {view}", ha="center",
                      va="top")  # fmt: skip
            left += np.ptp(x) + 12
        axes.set(xlim=(-4, left), ylim=(-85, 75), aspect="equal")
        axes.set_axis_off()
        handles = [
            Patch(color=colour, label=shortened(stage))
            for colour, stage in zip(colours, stages, strict=True)
        ]
        axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), frameon=False,
                    ncols=min(len(stages), 5), fontsize=9)  # fmt: skip

    counts = [sum(int((m == k + 1).sum()) for m in maps.values()) for k in range(len(stages))]
    shares = ", ".join(f"{s} {n}" for s, n in zip(stages, counts, strict=True))
    return Picture(
        paint, 8.2, 2.2, name, f"Best stage on the inflated surface, {subject}; vertices: {shares}"
    )


def seen(side: str, towards: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles that face the viewer, the farthest first: (n, 3, 2) on the page and (n, 3)."""
    points, faces = _mesh(side)
    corners = points[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = np.sign((normal * (corners.mean(1) - points.mean(0))).sum())
    front = outward * towards * normal[:, 0] > 0
    corners, faces = corners[front], faces[front]
    order = np.argsort(towards * corners[..., 0].mean(1))
    flat = corners[order][..., 1:] * [towards, 1]
    return flat, faces[order]


@cache
def _mesh(side: str) -> tuple[np.ndarray, np.ndarray]:
    from nilearn.datasets import load_fsaverage

    mesh = load_fsaverage("fsaverage5")["inflated"].parts[SIDES[side]]
    return np.asarray(mesh.coordinates), np.asarray(mesh.faces)


@cache
def _sulci(side: str) -> np.ndarray:
    from nilearn.datasets import load_fsaverage_data

    found = load_fsaverage_data(mesh="fsaverage5", mesh_type="inflated", data_type="sulcal")
    return np.asarray(found.data.parts[SIDES[side]]).ravel()
