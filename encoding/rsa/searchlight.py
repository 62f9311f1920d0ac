"""RSA around every voxel or vertex."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from ..errors import InputError
from .comparison import check_method, compare_rdms
from .dissimilarity import rdm, without_direction
from .noise import noise_precision, repeat_residuals
from .pairs import between_runs, stack

LEAST = 2  # channels of a pattern
_BATCH = 2**20  # distances at a time


def searchlight(
    patterns,
    neighbours: scipy.sparse.csr_matrix,
    models,
    distance: str = "correlation",
    method: str = "rho-a",
    *,
    shrink_to: str | None = None,
    runs=None,
    within_runs: str = "drop",
) -> np.ndarray:
    """Similarity of models to the RDM of the channels around every centre.

    Parameters
    ----------
    patterns : (n_clips, n_targets), or (n_repeats, n_clips, n_targets)
    neighbours : (n_centres, n_targets) bool, sparse
        See `volume_neighbours` and `surface_neighbours`.
    models : (n_models, n_pairs) or (n_pairs,)
    distance : see `rdm`
    method : see `compare_rdms`
    shrink_to : see `noise_precision`, optional
        Precision of the noise in each searchlight, from the repeats; for crossnobis and
        mahalanobis. Default: none.
    runs, within_runs : see `between_runs`

    Returns
    -------
    (n_models, n_centres) float64
        NaN for centres with fewer than two channels, or where a clip's pattern is constant (zero
        for cosine). Working memory does not grow with the number of centres.

    Raises
    ------
    InputError
        Neighbourhoods, models or runs do not fit the patterns, or repeats are missing.
    """
    check_method(method)
    X, neighbours = np.asarray(patterns), scipy.sparse.csr_matrix(neighbours)
    models = stack(models, "models")
    if X.ndim not in (2, 3) or X.shape[-1] != neighbours.shape[1]:
        raise InputError(
            f"patterns have shape {X.shape}, neighbourhoods are over {neighbours.shape[1]} targets"
        )
    if shrink_to is not None and X.ndim == 2:
        raise InputError("noise is estimated from repeats; give patterns with an axis of repeats")
    if runs is not None:
        models = between_runs(models, runs, within_runs)
    n_centres = neighbours.shape[0]
    scores = np.full((len(models), n_centres), np.nan)
    step = max(1, _BATCH // models.shape[1])
    start_of = neighbours.indptr
    for start in range(0, n_centres, step):
        centres, rdms = [], []
        for centre in range(start, min(start + step, n_centres)):
            local = X[..., neighbours.indices[start_of[centre] : start_of[centre + 1]]]
            if local.shape[-1] < LEAST or len(without_direction(local, distance)):
                continue
            noise = None if shrink_to is None else _noise(local, shrink_to)
            rdms.append(rdm(local, distance, noise=noise))
            centres.append(centre)
        if rdms:
            found = np.stack(rdms)
            if runs is not None:
                found = between_runs(found, runs, within_runs)
            scores[:, centres] = compare_rdms(models, found, method)
    return scores


def _noise(local, shrink_to):
    residuals, dof = repeat_residuals(local)
    return noise_precision(residuals, shrink_to, dof=dof)
