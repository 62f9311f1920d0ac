"""Ridge regression on class indicators, with probabilities calibrated on held-out groups."""

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from cortexnet.classifiers.readout import Readout, held_out_logits, inner_folds


class RidgeReadout(Readout):
    """Linear read-out in closed form: ridge regression of +1 / -1 class indicators.

    Blocks of features have the same total variance, so that many units of one area do not drown
    few of another, and the whole has a variance of one, so that `alpha` does not depend on their
    number. The scores are multiplied by the factor that makes the probabilities of inner held-out
    groups most likely (Guo et al. 2017: temperature scaling).

    Parameters
    ----------
    n_classes : int
    blocks : sequence of int, optional
        Numbers of features, block by block. Default: one block.
    **fixed
        ``alpha``, if it is not to be chosen.

    See Also
    --------
    Readout : how `alpha` is chosen.

    References
    ----------
    Hoerl & Kennard (1970), Technometrics 12, 55-67; Guo, Pleiss, Sun & Weinberger (2017), ICML,
    section 4.2.
    """

    grid = tuple({"alpha": alpha} for alpha in (3.0, 1.0, 0.3, 0.1, 0.03, 0.01))
    default = {"alpha": 0.3}  # noqa: RUF012
    buffer_names = "weights", "bias"

    def __init__(self, n_classes: int, blocks=None, **fixed):
        super().__init__(n_classes, **fixed)
        self.blocks = blocks

    def fit(self, features: np.ndarray, labels: np.ndarray, groups=None, clips=None) -> dict:
        """As `Readout.fit`; the setting holds the factor of the scores as ``sharpness``."""
        setting = super().fit(features, labels, groups, clips)
        folds = inner_folds(labels, groups, clips)
        if not folds:
            return setting
        logits = held_out_logits(self, features, labels, folds, **setting)

        def surprise(log_factor):
            logs = torch.from_numpy(logits * np.exp(log_factor)).log_softmax(1).numpy()
            return -logs[np.arange(len(labels)), labels].mean()

        factor = float(np.exp(minimize_scalar(surprise, bounds=(-2, 5), method="bounded").x))
        self.fit_with(features, labels, **setting)
        self.weights *= factor
        self.bias *= factor
        return setting | {"sharpness": round(factor, 4)}

    def solve(self, z, labels, alpha):
        """Weights ``(p, n_classes)`` and biases, from the smaller of the two normal equations."""
        blocks = self.blocks or (z.shape[1],)
        share = np.repeat([1 / np.sqrt(size * len(blocks)) for size in blocks], blocks)
        x = z * share
        targets = np.where(labels[:, None] == np.arange(self.n_classes), 1.0, -1.0)
        bias = targets.mean(0)
        targets -= bias
        if x.shape[1] < len(x):
            gram = x.T @ x
            gram[np.diag_indices_from(gram)] += alpha
            weights = np.linalg.solve(gram, x.T @ targets)
        else:
            kernel = x @ x.T
            kernel[np.diag_indices_from(kernel)] += alpha
            weights = x.T @ np.linalg.solve(kernel, targets)
        return {"weights": share[:, None] * weights, "bias": bias}

    def decide(self, z: Tensor) -> Tensor:
        """Scores, as logits."""
        return z @ self.weights + self.bias
