"""Classic classifiers as modules: fixed features of a sound, then a support vector machine."""

import numpy as np
import torch
from sklearn.svm import SVC
from torch import Tensor, nn

from cortexnet.frontends.modulation import ModulationEnergy
from cortexnet.frontends.scattering import LogScattering
from cortexnet.registry import register_model


class RBFReadout(nn.Module):
    """One-versus-rest support vector machine with a Gaussian kernel on standardised features.

    Fitted by scikit-learn, kept as plain tensors: saved as safetensors, evaluated anywhere.

    Parameters
    ----------
    n_classes : int
    C : float
        Penalty of the support vector machine.
    seed : int
    """

    def __init__(self, n_classes: int, C: float = 10.0):
        super().__init__()
        self.n_classes, self.C = n_classes, C
        self.register_buffer("mean", torch.zeros(0))
        self.register_buffer("scale", torch.ones(0))
        self.register_buffer("vectors", torch.zeros(0, 0))
        self.register_buffer("weights", torch.zeros(0, n_classes))
        self.register_buffer("bias", torch.zeros(n_classes))

    def fit(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Fit on ``features (n, p)`` and class numbers ``labels (n,)``."""
        mean, scale = features.mean(0), features.std(0) + 1e-8
        z = (features - mean) / scale
        # 'auto' = 1 / p: standardised features have unit variance.
        classes = np.unique(labels)
        machines = [SVC(C=self.C, gamma="auto").fit(z, labels == k) for k in classes]
        weights = np.zeros((len(z), self.n_classes))
        bias = np.full(self.n_classes, -1.0)  # a class never seen is never chosen
        for k, one in zip(classes, machines, strict=True):
            weights[one.support_, k] = one.dual_coef_[0]
            bias[k] = one.intercept_[0]
        used = np.flatnonzero(weights.any(1))
        for name, value in (
            ("mean", mean), ("scale", scale), ("vectors", z[used]),
            ("weights", weights[used]), ("bias", bias),
        ):  # fmt: skip
            setattr(self, name, torch.as_tensor(value, dtype=torch.float32))

    def forward(self, features: Tensor) -> Tensor:
        """Decision values ``(n, n_classes)`` of ``features (n, p)``."""
        if not len(self.vectors):
            raise RuntimeError("the classifier is not fitted; train it first")
        z = (features - self.mean) / self.scale
        kernel = torch.exp(-torch.cdist(z, self.vectors).square() / z.shape[1])
        return kernel @ self.weights + self.bias

    def _load_from_state_dict(self, state_dict, prefix, *args):
        # The number of support vectors is known only from the file.
        for name in ("mean", "scale", "vectors", "weights"):
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *args)


class FeatureSVM(nn.Module):
    """A fixed transform, its mean over the segment, and an `RBFReadout`.

    Parameters
    ----------
    features : nn.Module
        Maps ``(batch, samples)`` to ``{area: (batch, unit, frame)}``.
    areas : tuple of str
        The keys of that mapping in order.
    n_classes : int
    """

    def __init__(self, features: nn.Module, areas: tuple[str, ...], n_classes: int):
        super().__init__()
        self.features, self.areas = features, areas
        self.sample_rate = features.sample_rate
        self.readout = RBFReadout(n_classes)

    def embed(self, waveform: Tensor) -> Tensor:
        """Mean over time of every feature, ``(batch, n_units)``."""
        return torch.cat([x.mean(2) for x in self.features(waveform).values()], 1)

    def fit_readout(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Fit the classifier on embedded segments ``(n, n_units)``."""
        self.readout.fit(features, labels)

    def forward(self, waveform: Tensor) -> Tensor:
        """Decision values ``(batch, n_classes)`` of waveforms ``(batch, samples)``."""
        return self.readout(self.embed(waveform))

    def forward_areas(self, waveform: Tensor) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Features by area over time, and the end of each frame in seconds."""
        areas = {k: v.transpose(1, 2) for k, v in self.features(waveform).items()}
        return areas, {
            k: np.arange(1, v.shape[1] + 1) / self.features.frame_rate for k, v in areas.items()
        }


class LogModulation(nn.Module):
    """`ModulationEnergy` with its logarithm, as ``{"modulation": (batch, unit, frame)}``."""

    def __init__(self, sample_rate: int = 22050):
        super().__init__()
        self.energy = ModulationEnergy(sample_rate)
        self.sample_rate, self.frame_rate = sample_rate, self.energy.frame_rate

    def forward(self, waveform: Tensor) -> dict[str, Tensor]:
        # 1e-8 is about 1/400 of the mean energy of natural sounds at an RMS of .05.
        return {"modulation": torch.log(self.energy(waveform).flatten(1, 2) + 1e-8)}


@register_model(
    "scattering_svm",
    "Anden & Mallat 2014, kymatio's 1-D transform",
    countable={"preset": "kymatio"},
)
def scattering_svm(n_classes: int, sample_rate: int = 22050, **options) -> FeatureSVM:
    """Scattering coefficients of both orders and a support vector machine."""
    return FeatureSVM(LogScattering(sample_rate, **options), ("S1", "S2"), n_classes)


@register_model("modulation_svm", "modulation energy (Chi, Ru & Shamma 2005)")
def modulation_svm(n_classes: int, sample_rate: int = 22050) -> FeatureSVM:
    """Log modulation energy and a support vector machine."""
    return FeatureSVM(LogModulation(sample_rate), ("modulation",), n_classes)
