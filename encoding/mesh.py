"""Ways along a triangle mesh, as a sparse graph."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from .errors import InputError


def mesh_graph(vertices: np.ndarray, faces: np.ndarray) -> scipy.sparse.csr_matrix:
    """Lengths of ways between the vertices of a mesh, for `scipy.sparse.csgraph`.

    The edges of the mesh and, so that ways may cross triangles, the straight lines between the
    far corners of every two triangles that share an edge, unfolded into a plane. By edges
    alone, ways are too long by up to a sixth.

    Parameters
    ----------
    vertices : (n_vertices, 3), mm
    faces : (n_faces, 3) int

    Returns
    -------
    (n_vertices, n_vertices), mm, upper triangle

    Raises
    ------
    InputError
        Arrays of other shapes, or faces that name vertices that do not exist.
    """
    vertices, faces = np.asarray(vertices, float), np.asarray(faces, int)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise InputError(
            f"mesh of vertices {vertices.shape} and faces {faces.shape}; give (n, 3) and (m, 3)"
        )
    if len(faces) and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise InputError(f"faces name vertex {faces.max()}, the mesh has {len(vertices)}")
    a, b, length = _ways(vertices, faces)
    # The same way may come up more than once: the matrix would add them up.
    order = np.lexsort((length, b, a))
    a, b, length = a[order], b[order], length[order]
    first = np.r_[True, (np.diff(a) != 0) | (np.diff(b) != 0)]
    return scipy.sparse.csr_matrix(
        (length[first], (a[first], b[first])), shape=(len(vertices), len(vertices))
    )


def _ways(vertices, faces):
    """Ends (a < b) and lengths of edges and of lines across two neighbouring triangles."""
    corners = np.concatenate([faces[:, [0, 1, 2]], faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]])
    edge, far = np.sort(corners[:, :2], 1), corners[:, 2]
    order = np.lexsort((edge[:, 1], edge[:, 0]))
    edge, far = edge[order], far[order]
    length = np.linalg.norm(vertices[edge[:, 0]] - vertices[edge[:, 1]], axis=1)
    shared = np.flatnonzero((edge[1:] == edge[:-1]).all(1))
    a, b = edge[shared, 0], edge[shared, 1]
    c, d = far[shared], far[shared + 1]
    along = (vertices[b] - vertices[a]) / np.maximum(length[shared], 1e-12)[:, None]
    x_c, x_d = (((vertices[v] - vertices[a]) * along).sum(1) for v in (c, d))
    h_c, h_d = (
        np.linalg.norm(vertices[v] - vertices[a] - x[:, None] * along, axis=1)
        for v, x in ((c, x_c), (d, x_d))
    )
    # The line counts where it crosses the shared edge, not beside it.
    total = h_c + h_d
    crossing = x_c + (x_d - x_c) * h_c / np.where(total > 0, total, 1)
    inside = (total > 0) & (crossing >= 0) & (crossing <= length[shared]) & (c != d)
    across = np.hypot(x_c - x_d, total)[inside]
    lines = np.sort(np.stack([c[inside], d[inside]], 1), 1)
    ends = np.concatenate([edge, lines])
    return ends[:, 0], ends[:, 1], np.concatenate([length, across])
