"""A recurrent network on scattering coefficients."""

import numpy as np
import torch
from torch import Tensor, nn

from cortexnet.frontends.scattering import LogScattering
from cortexnet.networks.norm import make_norm
from cortexnet.registry import register_model

WINDOW = 0.093  # s, 2**11 samples at 22,050 Hz; slower modulation is left to the recurrence


class ScatteringLSTM(nn.Module):
    """Log scattering of both orders, a long short-term memory over its frames, their mean.

    Parameters
    ----------
    n_classes : int
    sample_rate : int
        Hz.
    hidden : int
        Units of the projection and of the memory.
    dropout : float
        Before the memory and before the logits.
    norm : str
        Of the coefficients (`cortexnet.networks.norm.make_norm`); "batch" standardises each with
        the moments of the training segments.
    **options
        Of `cortexnet.frontends.scattering.LogScattering`; T is 93 ms.

    Attributes
    ----------
    areas : tuple of str
        "S1", "S2", "lstm".
    fixed_rate : float
        Frames a second of `fixed`.

    References
    ----------
    Hochreiter & Schmidhuber (1997), Neural Comput. 9, 1735-1780.
    """

    areas = "S1", "S2", "lstm"

    def __init__(
        self,
        n_classes: int,
        sample_rate: int = 22050,
        hidden: int = 128,
        dropout: float = 0.3,
        norm: str = "batch",
        **options,
    ):
        super().__init__()
        self.frontend = LogScattering(sample_rate, **{"T": WINDOW} | options)
        self.sample_rate, self.fixed_rate = sample_rate, self.frontend.frame_rate
        n_units = sum(x.shape[1] for x in self.frontend(torch.zeros(1, sample_rate)).values())
        self.norm = make_norm(norm, n_units, 1)
        self.project = nn.Linear(n_units, hidden)
        self.memory = nn.LSTM(hidden, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(hidden, n_classes)

    def fixed(self, waveform: Tensor) -> Tensor:
        """Log coefficients ``(batch, frame, unit)``, first order then second."""
        return torch.cat(list(self.frontend(waveform).values()), 1).transpose(1, 2)

    def states(self, features: Tensor) -> Tensor:
        """Output of the memory after every frame, ``(batch, frame, hidden)``."""
        standard = self.norm(features.transpose(1, 2)).transpose(1, 2)
        return self.memory(self.dropout(torch.relu(self.project(standard))))[0]

    def from_fixed(self, features: Tensor) -> Tensor:
        """Logits ``(batch, n_classes)`` of ``(batch, frame, unit)``."""
        return self.readout(self.dropout(self.states(features).mean(1)))

    def embed(self, waveform: Tensor) -> Tensor:
        """Mean of the memory over time, ``(batch, hidden)``."""
        return self.states(self.fixed(waveform)).mean(1)

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits ``(batch, n_classes)`` of waveforms ``(batch, samples)``."""
        return self.from_fixed(self.fixed(waveform))

    def forward_areas(self, waveform: Tensor) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Activity by area over time, and the end of each frame in seconds."""
        orders = self.frontend(waveform)
        areas = {name: x.transpose(1, 2) for name, x in orders.items()}
        areas["lstm"] = self.states(torch.cat(list(orders.values()), 1).transpose(1, 2))
        seconds = np.arange(1, areas["S1"].shape[1] + 1) / self.fixed_rate
        return areas, dict.fromkeys(self.areas, seconds)


@register_model(
    "scattering_lstm",
    "Hochreiter & Schmidhuber 1997 on scattering (Anden & Mallat 2014)",
    recipe={"epochs": 30},
    countable={"preset": "kymatio"},
)
def scattering_lstm(n_classes: int, sample_rate: int = 22050, **options) -> ScatteringLSTM:
    """Scattering coefficients of both orders and a recurrent network trained on them."""
    return ScatteringLSTM(n_classes, sample_rate, **options)
