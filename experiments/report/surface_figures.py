"""Stages on the cortical surface, inflated and flattened, drawn without a network."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch

from experiments.report.figures import shortened
from experiments.report.meshes import SIDES, group_mesh, space_of, sulci
from experiments.report.svg import Picture

# Hemisphere, whether its outside is seen, and the direction of the viewer along the first axis.
VIEWS = (("L", "lateral", -1), ("L", "medial", 1), ("R", "medial", -1), ("R", "lateral", 1))
GAP, LABEL = 12, 34  # mm on the page
STRETCHED = 4  # times the median: longer sides of a triangle of the flat map bridge a cut


def drawable(subjects: Mapping[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Those maps {"L", "R": (n_vertices,)} whose mesh is at hand, the same for both sides."""
    found = {}
    for subject, maps in subjects.items():
        sizes = {len(values) for values in maps.values()}
        if len(sizes) == 1 and space_of(*sizes):
            found[subject] = maps
    return found


def most_frequent(subjects: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The stage that most of the subjects with one have at a vertex; of equals the earlier.

    Subjects on another mesh than the first are left out.
    """
    size = len(subjects[0]["L"])
    alike = [maps for maps in subjects if len(maps["L"]) == size]
    found = {}
    for side in SIDES:
        stages = np.stack([maps[side] for maps in alike])
        numbers = np.arange(1, 1 + np.nanmax(stages, initial=1))
        counts = (stages == numbers[:, None, None]).sum(1)  # (n_stages, n_vertices)
        found[side] = np.where(counts.any(0), numbers[counts.argmax(0)], np.nan)
    return found


def stage_map(
    maps: Mapping[str, np.ndarray], stages: Sequence[str], subject: str, name: str
) -> Picture:
    """Both hemispheres from outside and from within, and the flat map of both.

    Parameters
    ----------
    maps : {"L", "R": (n_vertices,)}
        Number of the stage, from 1; NaN where there is none. Of a mesh with `space_of`.
    stages : list of str
    subject, name : str
    """
    space = space_of(len(maps["L"]))
    colours = stage_colours(len(stages))

    def paint(axes):
        right = left = tallest = 0.0
        for side, view, towards in VIEWS:
            triangles, faces = seen(space, side, towards)
            tallest = max(tallest, np.ptp(triangles[..., 1]))
            face = _face_colours(maps[side], faces, colours, sulci(space)[SIDES[side]])
            right = _draw(axes, triangles, face, f"{SIDES[side]}, {view}", right, 0)
        flat = {side: flattened(space, side) for side in SIDES}
        width = sum(np.ptp(triangles[..., 0]) for triangles, _ in flat.values())
        scale = (right - len(SIDES) * GAP) / width
        height = scale * max(np.ptp(triangles[..., 1]) for triangles, _ in flat.values())
        middle = -tallest / 2 - LABEL - height / 2
        for side, (triangles, faces) in flat.items():
            face = _face_colours(maps[side], faces, colours, sulci(space)[SIDES[side]])
            left = _draw(axes, scale * triangles, face, f"{SIDES[side]}, flat", left, middle)
        axes.set(xlim=(-4, right), ylim=(middle - height / 2 - LABEL, tallest / 2 + 4),
                 aspect="equal")  # fmt: skip
        axes.set_axis_off()
        handles = [
            Patch(color=colour, label=shortened(stage))
            for colour, stage in zip(colours, stages, strict=True)
        ]
        axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), frameon=False,
                    ncols=min(len(stages), 5), fontsize=9)  # fmt: skip

    counts = [sum(int((m == k + 1).sum()) for m in maps.values()) for k in range(len(stages))]
    shares = ", ".join(f"{s} {n}" for s, n in zip(stages, counts, strict=True))
    told = f"Best stage on the surface of {space}, {subject}; vertices: {shares}"
    return Picture(paint, 8.2, 5.6, name, told)


def stage_colours(n_stages: int) -> np.ndarray:
    """(n_stages, 4) from dark to light, as everywhere in the page."""
    return colormaps["viridis"](np.linspace(0.1, 1, n_stages))


def seen(space: str, side: str, towards: int) -> tuple[np.ndarray, np.ndarray]:
    """Inflated triangles that face the viewer, the farthest first: (n, 3, 2) and (n, 3)."""
    points, faces = _mesh(space, "inflated", side)
    corners = points[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = np.sign((normal * (corners.mean(1) - points.mean(0))).sum())
    front = outward * towards * normal[:, 0] > 0
    corners, faces = corners[front], faces[front]
    order = np.argsort(towards * corners[..., 0].mean(1))
    return corners[order][..., 1:] * [towards, 1], faces[order]


def flattened(space: str, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the flat map that lie within it: (n, 3, 2) and (n, 3)."""
    points, faces = _mesh(space, "flat", side)
    corners = points[faces][..., :2]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max(1)
    whole = longest < STRETCHED * np.median(longest)
    return corners[whole], faces[whole]


def _mesh(space: str, kind: str, side: str) -> tuple[np.ndarray, np.ndarray]:
    mesh = group_mesh(space, kind).parts[SIDES[side]]
    return np.asarray(mesh.coordinates), np.asarray(mesh.faces)


def _face_colours(values, faces, colours, depth) -> np.ndarray:
    """(n_faces, 4) colours of stages over the grey of sulci and gyri."""
    # Of a triangle, the middle of three values; without two there is none.
    value = np.sort(values[faces], 1)[:, 1]
    known = ~np.isnan(value)
    shade = np.where(depth[faces].mean(1) > 0, 0.68, 0.82)
    face = np.repeat(shade[:, None], 4, 1)
    face[:, 3] = 1
    face[known] = colours[value[known].astype(int) - 1]
    return face


def _draw(axes, triangles, face, label, left, middle) -> float:
    """Paint triangles from ``left`` on, around the height ``middle``; where the next may begin."""
    x, y = triangles[..., 0], triangles[..., 1]
    triangles = triangles + np.array([left - x.min(), middle - (y.max() + y.min()) / 2])
    axes.add_collection(
        PolyCollection(triangles, facecolors=face, edgecolors=face, linewidths=0.2, rasterized=True)
    )
    width = np.ptp(x)
    axes.text(left + width / 2, triangles[..., 1].min() - 6, label, ha="center", va="top")
    return left + width + GAP
