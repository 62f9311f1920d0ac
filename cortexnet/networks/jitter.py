"""Variation of features in training: level, masked time, masked bands."""

import torch
from torch import Tensor


def random_gain(batch: int, sd: float) -> Tensor:
    """Gains ``(batch, 1, 1, 1)``, log-normal, from torch's global generator."""
    return torch.exp(sd * torch.randn(batch, 1, 1, 1))


def random_masks(batch: int, n_bands: int, n_frames: int, strength: float) -> Tensor:
    """One stretch of time and, in half of the items, one band that is heard at its mean level.

    Drawn from torch's global generator, which training seeds at every step.

    Parameters
    ----------
    batch, n_bands, n_frames : int
    strength : float
        Scales the longest stretch, a quarter of the frames, and the share of masked bands.

    Returns
    -------
    (batch, 1, n_bands, n_frames)
        0 where z-scored features are masked, 1 elsewhere.
    """
    drawn = torch.rand(4, batch, 1)
    width = (drawn[0] * strength * n_frames / 4).floor()
    start = (drawn[1] * (n_frames - width + 1)).floor()
    frame = torch.arange(n_frames)
    time = (frame >= start) & (frame < start + width)
    band = (torch.arange(n_bands) == (drawn[2] * n_bands).floor()) & (drawn[3] < strength / 2)
    return 1 - (time[:, None, :] | band[:, :, None]).float()[:, None]
