"""Fixed features of a sound with a read-out on their mean over time."""

import numpy as np
import torch
from torch import Tensor, nn

from cortexnet.classifiers.readout import Readout
from cortexnet.frontends.modulation import ModulationEnergy
from stimuli import InputError

TIE = 1e-3  # share of the mean probability in a vote: less than a vote of a thousand segments


class FeatureClassifier(nn.Module):
    """A fixed transform, its mean over the segment, and a read-out of it.

    Parameters
    ----------
    features : nn.Module
        Maps ``(batch, samples)`` to ``{area: (batch, unit, frame)}``.
    areas : tuple of str
        The keys of that mapping in order.
    readout : Readout
    vote : {"mean", "majority"}
        How the segments of a clip decide on its class: by the mean of their probabilities, in
        which a segment that tells nothing weighs nothing, or by one vote each. With "majority" the
        probabilities of a segment are its vote (and a thousandth of themselves, which breaks ties),
        so that their mean is the share of the votes.

    Raises
    ------
    InputError
        If `vote` is neither.
    """

    def __init__(
        self, features: nn.Module, areas: tuple[str, ...], readout: Readout, vote: str = "mean"
    ):
        super().__init__()
        if vote not in ("mean", "majority"):
            raise InputError(f"vote = {vote!r}: use 'mean' or 'majority'")
        self.features, self.areas, self.readout, self.vote = features, areas, readout, vote
        self.sample_rate = features.sample_rate

    def embed(self, waveform: Tensor) -> Tensor:
        """Mean over time of every feature, ``(batch, n_units)``."""
        return torch.cat([x.mean(2) for x in self.features(waveform).values()], 1)

    def fit_readout(
        self, features: np.ndarray, labels: np.ndarray, groups=None, clips=None
    ) -> dict:
        """Fit the read-out on embedded segments ``(n, n_units)``; see `Readout.fit`."""
        return self.readout.fit(features, labels, groups, clips)

    def classify(self, embedded: Tensor) -> Tensor:
        """Logits ``(n, n_classes)`` of embedded segments ``(n, n_units)``."""
        logits = self.readout(embedded)
        if self.vote == "mean":
            return logits
        probabilities = logits.double().softmax(1)
        votes = nn.functional.one_hot(logits.argmax(1), logits.shape[1])
        return ((1 - TIE) * votes + TIE * probabilities).log()

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits ``(batch, n_classes)`` of waveforms ``(batch, samples)``."""
        return self.classify(self.embed(waveform))

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
