"""Support vector machine with a Gaussian kernel."""

import numpy as np
import torch
from sklearn.svm import SVC
from torch import Tensor

from cortexnet.classifiers.readout import Readout


class RBFReadout(Readout):
    """One-versus-rest support vector machine with the kernel ``exp(-gamma |x - y|^2 / p)``.

    Standardised features have unit variance, so that a `gamma` of 1 suits any number p of them
    (the setting 'auto' of libsvm). `C` is the penalty of margin errors. Fitted by scikit-learn.

    See Also
    --------
    Readout : parameters, and how `C` and `gamma` are chosen.

    References
    ----------
    Chang & Lin (2011), ACM Trans. Intell. Syst. Technol. 2, 27.
    """

    grid = tuple({"C": C, "gamma": gamma} for C in (1.0, 10.0) for gamma in (0.3, 1.0, 3.0))
    default = {"C": 10.0, "gamma": 1.0}  # noqa: RUF012
    buffer_names = "vectors", "weights", "bias", "gamma"

    def solve(self, z, labels, C, gamma):
        """Support vectors, their weights by class, and biases."""
        squares = np.einsum("ij,ij->i", z, z)
        distance = np.maximum(squares[:, None] + squares - 2 * z @ z.T, 0)
        kernel = np.exp(distance * (-gamma / z.shape[1]))
        weights = np.zeros((len(z), self.n_classes))
        bias = np.full(self.n_classes, -1.0)  # a class never seen is never chosen
        for k in np.unique(labels):
            one = SVC(C=C, kernel="precomputed").fit(kernel, labels == k)
            weights[one.support_, k] = one.dual_coef_[0]
            bias[k] = one.intercept_[0]
        used = np.flatnonzero(weights.any(1))
        return {"vectors": z[used], "weights": weights[used], "bias": bias, "gamma": gamma}

    def decide(self, z: Tensor) -> Tensor:
        """Decision values."""
        distance = torch.cdist(z, self.vectors).square()
        return torch.exp(-self.gamma * distance / z.shape[1]) @ self.weights + self.bias
