"""Multinomial logistic regression."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from cortexnet.classifiers.readout import Readout


class LogisticReadout(Readout):
    """Multinomial logistic regression with a quadratic penalty, fitted by scikit-learn.

    `C` is the weight of the data against the penalty ``|w|^2 / 2``.

    See Also
    --------
    Readout : parameters, and how `C` is chosen.
    """

    grid = tuple({"C": C} for C in (1e-3, 1e-2, 1e-1, 1.0))
    default = {"C": 1e-1}  # noqa: RUF012
    buffer_names = "weights", "bias"

    def solve(self, z, labels, C):
        """Weights ``(p, n_classes)`` and biases."""
        machine = LogisticRegression(C=C, max_iter=1000).fit(z, labels)
        weights = np.zeros((z.shape[1], self.n_classes))
        bias = np.full(self.n_classes, -1e4)  # a class never seen is never chosen
        if len(machine.classes_) == 2:  # one set of weights, for the second class
            weights[:, machine.classes_] = np.stack([-machine.coef_[0], machine.coef_[0]], 1) / 2
            bias[machine.classes_] = np.array([-0.5, 0.5]) * machine.intercept_
        else:
            weights[:, machine.classes_] = machine.coef_.T
            bias[machine.classes_] = machine.intercept_
        return {"weights": weights, "bias": bias}

    def decide(self, z: Tensor) -> Tensor:
        """Log odds up to a constant."""
        return z @ self.weights + self.bias
