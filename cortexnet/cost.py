"""What a model costs: parameters and multiply-adds."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cortexnet.registry import create_model, find_model


def _fft_flops(input_shape, dim, *_, out_shape=None, **__):
    """About 5/2 N log2 N real operations for N real samples, the same for complex ones twice."""
    n = math.prod(input_shape[d] for d in dim)
    return round(math.prod(input_shape) * 2.5 * math.log2(max(n, 2)))


def macs_per_second(model: nn.Module, samples: int = 2**16) -> int:
    """Multiply-adds for one second of audio.

    Convolutions and matrix products are counted exactly, Fourier transforms as
    ``1.25 N log2 N``; element-wise operations are left out.

    Parameters
    ----------
    model : nn.Module
        Maps waveforms to logits or has ``embed``.
    samples : int
        Length of the sound that is counted.
    """
    x = torch.zeros(1, samples)
    fft = dict.fromkeys(
        (torch.ops.aten._fft_r2c, torch.ops.aten._fft_c2c, torch.ops.aten._fft_c2r), _fft_flops
    )
    forward = getattr(model, "embed", model)
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=fft) as counter:
        forward(x)
    return round(counter.get_total_flops() / 2 * model.sample_rate / samples)


def list_costs(names: Iterable[str], n_classes: int = 10) -> list[dict]:
    """Parameters, multiply-adds, areas and source of models by name."""
    rows = []
    for name in names:
        entry = find_model(name)
        model = create_model(name, n_classes, **entry.countable).eval()
        rows.append(
            {
                "name": name,
                "parameters": sum(p.numel() for p in model.parameters()),
                "macs_per_second": macs_per_second(model),
                "areas": list(model.areas),
                "source": entry.source,
            }
        )
    return rows
