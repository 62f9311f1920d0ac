"""Few alphas that speak for a whole grid.

A ridge prediction depends on alpha through l / (l + alpha) only, l running over the eigenvalues
of the kernel. As functions of l these curves are far from independent: a column-pivoted QR picks
the few from which the others follow linearly (interpolative decomposition; Cheng, Gimbutas,
Martinsson & Rokhlin 2005, SIAM J Sci Comput 26:1389), to a tolerance one can choose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

_POINTS = 32  # values of l at which curves over part of the spectrum are compared
_CUTS = 16
_SMALL = 512  # eigenvalues: shorter spectra are not cut


def interpolate(curves: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows from which all rows follow.

    Parameters
    ----------
    curves : (n_curves, n_points)
    tolerance : float
        Largest error (2-norm) of any row.

    Returns
    -------
    nodes : (n_nodes,) int, ascending
    mixing : (n_curves, n_nodes)
        curves = mixing @ curves[nodes] to the tolerance; rows of nodes are exact unit vectors.
    """
    R, pivots = scipy.linalg.qr(curves.T, mode="r", pivoting=True, check_finite=False)
    R = R[: len(curves)]
    # Errors of keeping the first r pivots: norms of what is left of every other column below r.
    left = np.sqrt(np.cumsum((R**2)[::-1], 0)[::-1].max(1))
    count = max(int(np.sum(left > tolerance)), 1)
    rest = scipy.linalg.solve_triangular(R[:count, :count], R[:count, count:])
    mixing = np.zeros((len(curves), count))
    mixing[pivots[:count]] = np.eye(count)
    mixing[pivots[count:]] = rest.T
    order = np.argsort(pivots[:count])
    return pivots[:count][order], mixing[:, order]


def nodes_of_grid(
    alphas: np.ndarray, largest: float, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Alphas whose predictions span those of all others, for any eigenvalues up to `largest`.

    Errors are relative to the least shrunk prediction at each l. The limit of infinite alpha,
    the mean, is not among the curves: it costs nothing and is added by the caller.

    Returns
    -------
    nodes, mixing : see `interpolate`
    """
    low = alphas.min()
    values = np.r_[0, np.geomspace(1e-3 * low, max(largest, low), 200)]
    curves = (values + low) / (values + alphas[:, None])
    return interpolate(curves, tolerance)


@dataclass(frozen=True)
class Segment:
    """A run of eigenvalues over which few weights alpha / (l + alpha) stand for all alphas.

    Parameters
    ----------
    span : slice of the eigenvalues
    weights : (n_nodes, length of span)
    mixing : (n_alphas, n_nodes)
    """

    span: slice
    weights: np.ndarray
    mixing: np.ndarray


def segments(
    values: np.ndarray, alphas: np.ndarray, tolerance: float, overhead: float = 60.0
) -> list[Segment]:
    """Cut the spectrum where it makes the sum over segments of nodes x length smallest.

    Over a narrow range of l most alphas are much larger, or much smaller, than every l, and
    their curves are nearly proportional; over all of the spectrum few are.

    Parameters
    ----------
    values : (rank,) descending, positive
    alphas : (n_alphas,)
    tolerance : float
        Largest relative error of a weight.
    overhead : float
        Cost of one node, in eigenvalues, whatever the length.
    """
    if not len(values):
        return []
    rank = len(values)
    edges = np.array([0, rank])
    if rank > _SMALL:
        cuts = np.geomspace(values[0], values[-1], _CUTS)
        edges = np.unique(np.r_[0, np.searchsorted(-values, -cuts), rank])
    best = [(0.0, None, None)]  # (cost up to this edge, previous edge, interpolation)
    for end in range(1, len(edges)):
        options = []
        for start in range(end):
            high, low = values[edges[start]], values[edges[end] - 1]
            points = np.geomspace(high, low, _POINTS)
            # Curves of at least 1, so that the tolerance bounds the relative error.
            found = interpolate((high + alphas[:, None]) / (points + alphas[:, None]), tolerance)
            cost = len(found[0]) * (edges[end] - edges[start] + overhead)
            options.append((best[start][0] + cost, start, found))
        best.append(min(options, key=lambda option: option[0]))
    out = []
    end = len(edges) - 1
    while end:
        _, start, (nodes, mixing) = best[end]
        span = slice(int(edges[start]), int(edges[end]))
        high = values[edges[start]]
        weights = alphas[nodes, None] / (values[span] + alphas[nodes, None])
        # Undo the scaling of the curves by (high + alpha) / alpha.
        scale = (high + alphas) / alphas
        out.append(Segment(span, weights, mixing * scale[nodes] / scale[:, None]))
        end = start
    return out[::-1]
