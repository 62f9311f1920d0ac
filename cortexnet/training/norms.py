"""Fixed normalisations, fitted before training."""

import torch
from torch import nn

from cortexnet.networks.norm import FittedNorm


def fit_norms(model: nn.Module, batches) -> None:
    """Fit the fixed normalisations of a model (`FittedNorm`) on batches of waveforms.

    Parameters
    ----------
    model : nn.Module
        Only its `FittedNorm` layers change.
    batches : iterable of (batch, samples) tensors
        Sounds of the *training* side.
    """
    norms = [m for m in model.modules() if isinstance(m, FittedNorm)]
    if not norms:
        return
    model.eval()
    for norm in norms:
        norm.collecting = True
    with torch.inference_mode():
        for x in batches:
            model.stages(x)
    for norm in norms:
        norm.collecting = False
