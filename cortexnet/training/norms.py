"""Fixed normalisations, fitted before training."""

import torch
from torch import nn

from cortexnet.fixed import trained_part
from cortexnet.networks.norm import FittedNorm


def fit_norms(model: nn.Module, batches) -> None:
    """Fit the fixed normalisations of a model (`FittedNorm`).

    Parameters
    ----------
    model : nn.Module
        Only its `FittedNorm` layers change.
    batches : iterable of tensors
        What its trained part is given (`cortexnet.fixed.trained_input`), of the *training* side.
    """
    norms = [m for m in model.modules() if isinstance(m, FittedNorm)]
    if not norms:
        return
    model.eval()
    forward = trained_part(model)
    for norm in norms:
        norm.collecting = True
    with torch.inference_mode():
        for x in batches:
            forward(x)
    for norm in norms:
        norm.collecting = False
