"""Mixup and SpecAugment: variation of whole training batches, drawn from a given generator.

Both belong to training alone. `SpecAugment` as a forward hook of a front-end sees to that itself.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def mixup(
    x: Tensor, labels: Tensor, n_classes: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Convex mixtures of each item with another of the batch (Zhang et al. 2018, ICLR, eq. 1).

    Parameters
    ----------
    x : (batch, ...) float
    labels : (batch,) int
        Class numbers.
    n_classes : int
    alpha : float
        Of the Beta(alpha, alpha) distribution of the weights, one weight an item; small values mix
        little, 0 not at all.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    mixed : (batch, ...), as `x`
    targets : (batch, n_classes)
        Rows sum to 1; for a cross-entropy that accepts class probabilities.
    """
    targets = functional.one_hot(labels, n_classes).to(x.dtype)
    if alpha <= 0:
        return x, targets
    partner = torch.randperm(len(x), generator=generator).to(x.device)
    # torch's own Beta distribution takes no generator.
    seed = int(torch.randint(2**62, (), generator=generator))
    weight = np.random.default_rng(seed).beta(alpha, alpha, len(x))
    weight = torch.from_numpy(weight).to(x)
    wide = weight.reshape(-1, *[1] * (x.ndim - 1))
    mixed = wide * x + (1 - wide) * x[partner]
    return mixed, weight[:, None] * targets + (1 - weight[:, None]) * targets[partner]


def _bands(batch, n_masks, width, size, generator):
    # Park et al.: a width from 0 to `width`, then a place where it fits; both ends included.
    drawn = torch.rand(2, batch, n_masks, 1, generator=generator)
    extent = (drawn[0] * (min(width, size) + 1)).floor()
    first = (drawn[1] * (size - extent + 1)).floor()
    place = torch.arange(size)
    return ((place >= first) & (place < first + extent)).any(1)


def spec_augment(
    S: Tensor,
    generator: torch.Generator,
    n_freq_masks: int = 2,
    freq_width: int = 16,
    n_time_masks: int = 2,
    time_width: int = 16,
    fill: float | None = None,
) -> Tensor:
    """Mask bands of frequency and stretches of time (Park et al. 2019, Interspeech, section 2).

    Parameters
    ----------
    S : (batch, ..., n_frequencies, n_frames)
        Not changed. Every item has masks of its own.
    generator : torch.Generator
        On the CPU.
    n_freq_masks, n_time_masks : int
    freq_width, time_width : int
        Greatest width of a mask, bands and frames; widths are uniform from 0.
    fill : float, optional
        Value under the masks; default the mean of each item.

    Returns
    -------
    as `S`
    """
    batch, n_frequencies, n_frames = S.shape[0], *S.shape[-2:]
    rows = _bands(batch, n_freq_masks, freq_width, n_frequencies, generator)
    columns = _bands(batch, n_time_masks, time_width, n_frames, generator)
    between = [1] * (S.ndim - 3)
    masked = (rows[:, :, None] | columns[:, None, :]).to(S.device)
    masked = masked.reshape(batch, *between, n_frequencies, n_frames)
    if fill is not None:
        return S.masked_fill(masked, fill)
    return torch.where(masked, S.mean(tuple(range(1, S.ndim)), keepdim=True), S)


class SpecAugment:
    """`spec_augment` as a forward hook, silent unless the hooked module is in training mode.

    Parameters
    ----------
    generator : torch.Generator
    **masks
        Of `spec_augment`.

    Examples
    --------
    >>> hook = model.frontend.register_forward_hook(SpecAugment(generator))  # doctest: +SKIP
    >>> hook.remove()  # doctest: +SKIP
    """

    def __init__(self, generator: torch.Generator, **masks):
        self.generator, self.masks = generator, masks

    def __call__(self, module, _, output: Tensor) -> Tensor:
        """Masked output of a front-end in training, the output as it is otherwise."""
        return spec_augment(output, self.generator, **self.masks) if module.training else output
