"""Normalisation: the kinds that can be chosen, and one whose statistics are fitted once."""

import math

import torch
from torch import Tensor, nn

from stimuli import InputError

NORMS = ("batch", "group", "layer", "instance", "none")


def make_norm(kind: str, n_channels: int, n_axes: int = 2) -> nn.Module:
    """Normalisation of ``(batch, n_channels, ...)`` with a gain and an offset a channel.

    Parameters
    ----------
    kind : {"batch", "group", "layer", "instance", "none"}
        Over the batch (Ioffe & Szegedy 2015); over each sound: up to eight groups of channels (Wu
        & He 2018), all channels, or each channel alone; not at all.
    n_channels : int
    n_axes : {1, 2}
        Axes after the channels: 1 for time, 2 for frequency and time.

    Raises
    ------
    InputError
        If the kind is none of these.
    """
    if kind == "batch":
        return (nn.BatchNorm1d if n_axes == 1 else nn.BatchNorm2d)(n_channels)
    if kind == "none":
        return nn.Identity()
    groups = {"group": math.gcd(8, n_channels), "layer": 1, "instance": n_channels}
    if kind not in groups:
        raise InputError(f"norm is '{kind}'; choose one of {', '.join(NORMS)}")
    return nn.GroupNorm(groups[kind], n_channels)


class FittedNorm(nn.Module):
    """z-score per channel and band with statistics accumulated while ``collecting`` is true.

    Unlike batch normalisation the statistics never depend on the batch at hand, so fixed stages
    stay fixed through training.

    Parameters
    ----------
    n_channels, n_bands : int
        Of inputs ``(batch, n_channels, n_bands, frame)``.
    """

    def __init__(self, n_channels: int, n_bands: int):
        super().__init__()
        shape = (n_channels, n_bands)
        self.collecting = False
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("m2", torch.ones(shape, dtype=torch.float64))

    def forward(self, x: Tensor, level: Tensor | float = 1.0, kept: Tensor | float = 1.0) -> Tensor:
        """z-scores of ``level * x``, times ``kept``; both ``(batch, channel or 1, 1, 1)``."""
        if self.collecting:
            self._update((level * x).detach())
        sd = (self.m2 / self.count.clamp_min(1)).sqrt().clamp_min(1e-3)
        # Channels next to each other, as in the inputs of networks that are fast.
        gain, offset = (
            value.to(x.dtype).T.contiguous().T[..., None] for value in (1 / sd, -self.mean / sd)
        )
        return torch.addcmul(kept * offset, x, kept * level * gain)  # x is large: one pass

    def _update(self, x: Tensor) -> None:
        """Merge the moments of a batch into the running ones (Chan, Golub & LeVeque 1983)."""
        x = x.double()
        n = x.shape[0] * x.shape[3]
        mean = x.mean((0, 3))
        m2 = (x - mean[..., None]).square().sum((0, 3))
        if self.count == 0:
            self.m2.zero_()
        total = self.count + n
        delta = mean - self.mean
        self.m2 += m2 + delta.square() * self.count * n / total
        self.mean += delta * n / total
        self.count.copy_(total)
