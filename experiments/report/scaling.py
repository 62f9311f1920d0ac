"""Clips as points in a plane, from their dissimilarities."""

import numpy as np
from scipy.spatial.distance import pdist, squareform

N_STEPS = 200


def plane(rdm: np.ndarray) -> tuple[np.ndarray, float]:
    """Metric multidimensional scaling in which missing pairs do not count.

    Parameters
    ----------
    rdm : (n_pairs,)
        Squared distances as `encoding.rdm` gives them; NaN for pairs that were left out, and below
        zero (crossnobis) taken for zero.

    Returns
    -------
    points : (n_clips, 2)
        From classical scaling (missing pairs filled in by the means of their clips), then moved by
        majorisation of the stress (SMACOF, weights 0 for missing pairs: Borg & Groenen 2005,
        section 8.6). Turned to the main axes, signs by the farthest point.
    stress : float
        Kruskal's stress-1 over the known pairs: 0 where the plane holds all distances.
    """
    distance = np.sqrt(np.clip(squareform(rdm, checks=False), 0, None))
    known = ~np.isnan(distance)
    np.fill_diagonal(known, False)
    distance = np.where(known, distance, 0)
    points = _classical(distance, known)
    laplacian = np.diag(known.sum(1)) - known
    inverse = np.linalg.pinv(laplacian.astype(float))
    for _ in range(N_STEPS):
        now = squareform(pdist(points))
        ratio = np.divide(distance, now, out=np.zeros_like(now), where=now > 0)
        points = inverse @ ((np.diag(ratio.sum(1)) - ratio) @ points)
    points = points - points.mean(0)
    points = points @ np.linalg.svd(points, full_matrices=False)[2].T
    farthest = points[np.abs(points).argmax(0), [0, 1]]
    points = points * np.where(farthest < 0, -1, 1)
    now = squareform(pdist(points))[known]
    total = (now**2).sum()
    stress = np.sqrt(((now - distance[known]) ** 2).sum() / total) if total > 0 else 0.0
    return points, float(stress)


def _classical(distance: np.ndarray, known: np.ndarray) -> np.ndarray:
    means = distance.sum(1) / np.maximum(known.sum(1), 1)
    filled = np.where(known, distance, (means[:, None] + means[None]) / 2)
    np.fill_diagonal(filled, 0)
    n = len(filled)
    centre = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centre @ filled**2 @ centre)
    return vectors[:, -2:] * np.sqrt(np.clip(values[-2:], 0, None))
