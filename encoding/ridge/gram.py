"""Eigendecomposition of Gram matrices."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from .arrays import NUMPY

# Below this size LAPACK threads cost more than they bring.
_SINGLE_THREAD_BELOW = 2000


def eigh(gram: np.ndarray, on=NUMPY) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of a positive semi-definite matrix, its null space left out.

    The null space carries neither predictions nor weights (G u = 0 means X u = 0), so leaving
    it out is exact and keeps 1 / (eigenvalue + alpha) from magnifying rounding errors.

    Parameters
    ----------
    gram : (n, n)
    on : where to work, see `arrays`

    Returns
    -------
    values : (rank,) float64
    vectors : (n, rank) float64
    """
    gram = np.asarray(gram, np.float64)
    limit = 1 if len(gram) < _SINGLE_THREAD_BELOW else None
    with threadpool_limits(limits=limit, user_api="blas"):
        values, vectors = on.eigh(gram)
    keep = values > len(gram) * np.finfo(np.float64).eps * max(values[-1], 0)
    return values[keep], vectors[:, keep]
