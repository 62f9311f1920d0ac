"""One scale for every feature space, so that one grid of alphas serves all."""

from __future__ import annotations

import numpy as np


def unit_trace(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale that standardise columns and bring the kernel's mean diagonal to 1.

    With Z = (X - mean) / scale every column that varies has the same variance and
    trace(Z Z') = n_samples, whatever the number of features: an alpha then means the same
    amount of shrinkage for a space of 10 units and one of 10,000. Pass training rows only.

    Parameters
    ----------
    X : (n_samples, n_features)

    Returns
    -------
    mean, scale : (n_features,) of X's dtype
        The scale of a constant column is infinite: it is switched off.
    """
    # In float64: the rounding noise of a constant float32 column must not look like a signal.
    mean = X.mean(0, dtype=np.float64)
    sd = X.std(0, dtype=np.float64)
    varies = sd > 1e-6 * np.abs(mean)
    scale = np.where(varies, sd, np.inf) * np.sqrt(max(varies.sum(), 1))
    return mean.astype(X.dtype), scale.astype(X.dtype)
