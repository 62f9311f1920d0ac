"""Normalisation whose statistics are fitted once, on training clips."""

import torch
from torch import Tensor, nn


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

    def forward(self, x: Tensor) -> Tensor:
        if self.collecting:
            self._update(x.detach())
        sd = (self.m2 / self.count.clamp_min(1)).sqrt().clamp_min(1e-3)
        return (x - self.mean.to(x.dtype)[..., None]) / sd.to(x.dtype)[..., None]

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
