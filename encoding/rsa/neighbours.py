"""Which voxels or vertices belong to a searchlight."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from ..errors import InputError
from ..mesh import mesh_graph

_BATCH = 128  # centres at a time


def volume_neighbours(ijk, affine, radius: float) -> scipy.sparse.csr_matrix:
    """Voxels within a radius of every voxel of a mask.

    Parameters
    ----------
    ijk : (n_voxels, 3) indices, as `np.argwhere(mask)` or targets[["i", "j", "k"]]
    affine : (4, 4) of the image, to mm
    radius : mm

    Returns
    -------
    (n_voxels, n_voxels) bool, a row a centre, itself included
    """
    ijk, affine = np.asarray(ijk, float), np.asarray(affine, float)
    if ijk.ndim != 2 or ijk.shape[1] != 3 or affine.shape != (4, 4):
        raise InputError(f"voxels have shape {ijk.shape}, the affine {affine.shape}; give (n, 3) "
                         "and (4, 4)")  # fmt: skip
    if not radius > 0:
        raise InputError(f"radius is {radius}; give mm above 0")
    place = ijk @ affine[:3, :3].T + affine[:3, 3]
    tree, n = cKDTree(place), len(place)
    found = (
        tree.query_ball_point(place[start : start + _BATCH], radius * (1 + 1e-9))
        for start in range(0, n, _BATCH)
    )
    return _rows([np.sort(np.asarray(row)) for batch in found for row in batch], n)


def surface_neighbours(
    coordinates, faces, n_nearest: int = 100, *, vertices=None, radius: float = 25.0
) -> scipy.sparse.csr_matrix:
    """The vertices nearest to every vertex along a mesh (`encoding.mesh.mesh_graph`).

    Use a mid-thickness or white surface: inflated ones distort distances.

    Parameters
    ----------
    coordinates : (n_mesh, 3) mm, faces : (n_faces, 3)
    n_nearest : int
        The centre included.
    vertices : (n_targets,) vertices that were measured, optional
        Default: all. Paths may lead over the others.
    radius : mm
        Beyond which no neighbour is looked for.

    Returns
    -------
    (n_targets, n_targets) bool, a row a centre
    """
    graph = mesh_graph(coordinates, faces)
    if n_nearest < 1 or not radius > 0:
        raise InputError(f"{n_nearest} nearest within {radius} mm; give 1 or more and above 0")
    vertices = np.arange(graph.shape[0]) if vertices is None else np.asarray(vertices)
    rows = []
    for start in range(0, len(vertices), _BATCH):
        batch = vertices[start : start + _BATCH]
        distance = dijkstra(graph, directed=False, indices=batch, limit=radius)[:, vertices]
        nearest = np.argsort(distance, 1, kind="stable")[:, :n_nearest]
        reached = np.isfinite(np.take_along_axis(distance, nearest, 1))
        rows += [np.sort(row[kept]) for row, kept in zip(nearest, reached, strict=True)]
    return _rows(rows, len(vertices))


def _rows(rows, n_targets) -> scipy.sparse.csr_matrix:
    ends = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    columns = np.concatenate(rows).astype(np.int32) if rows else np.zeros(0, np.int32)
    return scipy.sparse.csr_matrix(
        (np.ones(len(columns), bool), columns, ends), (len(rows), n_targets)
    )
