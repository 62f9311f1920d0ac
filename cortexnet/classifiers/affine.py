"""Affine classifier: each class a mean and a few directions, a sound goes to the nearest."""

import numpy as np
import torch
from torch import Tensor

from cortexnet.classifiers.readout import Readout


class AffineReadout(Readout):
    """Affine spaces of principal components, one a class; the smallest residual wins.

    A class is its mean and the `dimension` directions in which its features vary most. A sound's
    residual is its squared distance from that affine space, so that what varies within a class is
    not held against it. One less than the class has segments is the most a class can have.

    Logits are ``-residual / (2 c)`` with ``c = var(residual) / (2 mean(residual))`` over the
    training rows in their own class: the residuals of a Gaussian class are close to c times a
    chi-square variable (Satterthwaite 1946), whatever the correlations of its features.

    See Also
    --------
    Readout : parameters, and how `dimension` is chosen.

    References
    ----------
    Bruna & Mallat (2013), IEEE Trans. Pattern Anal. Mach. Intell. 35, 1872-1886, section 4.1;
    Satterthwaite (1946), Biometrics Bull. 2, 110-114.
    """

    grid = tuple({"dimension": d} for d in (2, 5, 10, 20, 40, 80))
    default = {"dimension": 20}  # noqa: RUF012
    buffer_names = "centres", "directions", "temperature"

    def solve(self, z, labels, dimension):
        """Means ``(n_classes, p)``, directions ``(n_classes, dimension, p)`` and ``c``."""
        centres = np.full((self.n_classes, z.shape[1]), 1e4)  # a class never seen is far away
        directions = np.zeros((self.n_classes, int(dimension), z.shape[1]))
        residuals = []
        for k in np.unique(labels):
            own = z[labels == k]
            centres[k] = own.mean(0)
            left, size, right = np.linalg.svd(own - centres[k], full_matrices=False)
            kept = min(int(dimension), len(own) - 1, len(right))
            directions[k, :kept] = right[:kept]
            residuals.append(((left[:, kept:] * size[kept:]) ** 2).sum(1))
        residuals = np.concatenate(residuals)
        temperature = residuals.var() / (2 * residuals.mean() + 1e-12) + 1e-12
        return {"centres": centres, "directions": directions, "temperature": temperature}

    def decide(self, z: Tensor) -> Tensor:
        """Residuals by class, as logits."""
        away = z[:, None] - self.centres  # (n, n_classes, p)
        within = torch.einsum("nkp,kdp->nkd", away, self.directions)
        residual = away.square().sum(2) - within.square().sum(2)
        return -residual / (2 * self.temperature)
