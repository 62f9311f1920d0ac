"""Untrained counterparts of a network: new random weights, or the trained ones shuffled.

Depth, filters, pooling and normalisation alone already predict cortex, so what training adds is
seen only beside a network of the same architecture that was not trained (Tuckute, Feather,
Boebinger & McDermott 2023, PLOS Biology 21: e3002366).
"""

import copy
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cortexnet.fixed import trained_input
from cortexnet.networks.norm import FittedNorm
from cortexnet.training import fit_norms
from stimuli import InputError

KINDS = ("random", "permuted", "permuted-all")
FIT_SOUNDS = 32
FIT_SECONDS = 3.0


@dataclass(frozen=True)
class Control:
    """A kind of control and its seed.

    ``random``: weights drawn anew, as at the start of training; fixed stages stay.
    ``permuted``: the values of each trained weight tensor permuted within it; fixed stages stay.
    ``permuted-all``: those of fixed filter banks after the front-end too, or of their factors.
    """

    kind: str
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.seed}"


def parse_control(text: str) -> Control:
    """``"random"`` or ``"permuted:3"``.

    Raises
    ------
    InputError
        If it is something else.
    """
    kind, _, seed = text.partition(":")
    if kind not in KINDS or not (seed or "0").isdecimal():
        raise InputError(
            f"control is '{text}'; give {', '.join(KINDS[:-1])} or {KINDS[-1]}, with a seed as in "
            "random:3"
        )
    return Control(kind, int(seed or 0))


def is_trainable(model: nn.Module) -> bool:
    """Whether a model has weights that training changes; one of fixed features has no control."""
    return any(True for _ in model.parameters())


def random_weights(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A model as `build` makes it under a seed; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().eval()


def permute_weights(model: nn.Module, seed: int, fixed: bool = False) -> nn.Module:
    """A copy whose weights are permuted, each tensor within itself.

    Permuted are parameters of two and more axes: kernels of convolutions, matrices of linear and
    recurrent layers, filter banks that are learnt. Every tensor keeps its values, and so its mean
    and its spread, and loses its order. Biases, gains and offsets (one axis) stay with their
    units: permuting them as well would only rename units. Statistics of normalisations belong to
    the unpermuted activity and are to be fitted again (`fit_statistics`).

    Parameters
    ----------
    model : nn.Module
        Left as it is.
    seed : int
        Each tensor has a generator of its own, from the seed and its name.
    fixed : bool
        Permute fixed filter banks, too: buffers of two and more axes, but not those of
        ``model.frontend``, the ear, nor the statistics of normalisations.

    Returns
    -------
    nn.Module
        In evaluation mode.
    """
    model = copy.deepcopy(model).eval()
    tensors = list(model.named_parameters())
    if fixed:
        norms = tuple(name for name, m in model.named_modules() if _is_norm(m))
        tensors += [
            (name, buffer)
            for name, buffer in model.named_buffers()
            if "frontend" not in name.split(".")
            and buffer.is_floating_point()
            and name.rpartition(".")[0] not in norms
        ]
    with torch.no_grad():
        for name, tensor in tensors:
            if tensor.ndim > 1:
                rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
                order = torch.from_numpy(rng.permutation(tensor.numel()))
                tensor.copy_(tensor.flatten()[order].view_as(tensor))
    return model


def fit_statistics(
    model: nn.Module, waveforms: Sequence[np.ndarray], fixed: bool = True
) -> nn.Module:
    """Fit the statistics of a model's normalisations on sounds, in place; labels are not seen.

    Those of fixed stages (`FittedNorm`) come from all sounds; running means and variances of
    batch normalisation from one batch: the middle `FIT_SECONDS` of `FIT_SOUNDS` sounds evenly
    spaced in the list. Within one batch each layer sees the activity that the layers before it,
    already normalised, hand on.

    Parameters
    ----------
    model : nn.Module
    waveforms : sequence of (samples,)
    fixed : bool
        Whether to fit those of fixed stages.
    """
    if fixed:
        for module in model.modules():
            if isinstance(module, FittedNorm):
                module.count.zero_()  # begins anew
        fit_fixed_norms(model, waveforms)
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    norms = [norm for norm in norms if norm.track_running_stats]
    if norms:
        kept = [norm.momentum for norm in norms]
        for norm in norms:
            norm.train()
            norm.momentum = 1.0  # the statistics of this batch alone
        with torch.no_grad():
            model(middle_batch(waveforms, round(FIT_SECONDS * model.sample_rate)))
        for norm, momentum in zip(norms, kept, strict=True):
            norm.eval()
            norm.momentum = momentum
    return model


def fit_fixed_norms(model: nn.Module, waveforms: Iterable[np.ndarray]) -> None:
    """Add sounds ``(samples,)`` to the statistics of fixed stages (`FittedNorm`), one by one."""
    with torch.inference_mode():
        fit_norms(model, (trained_input(model, torch.from_numpy(wave)[None]) for wave in waveforms))


def middle_batch(waveforms: Sequence[np.ndarray], n_samples: int) -> Tensor:
    """Middles of up to `FIT_SOUNDS` sounds, ``(batch, samples)``, no longer than the shortest."""
    chosen = np.linspace(0, len(waveforms) - 1, min(FIT_SOUNDS, len(waveforms))).round().astype(int)
    sounds = [waveforms[i] for i in chosen]
    n = min(n_samples, *map(len, sounds))
    starts = [(len(x) - n) // 2 for x in sounds]
    return torch.from_numpy(np.stack([x[s : s + n] for x, s in zip(sounds, starts, strict=True)]))


def apply_control(
    control: Control,
    model: nn.Module,
    build: Callable[[], nn.Module],
    waveforms: Sequence[np.ndarray],
) -> nn.Module:
    """The untrained counterpart of a model.

    Parameters
    ----------
    control : Control
    model : nn.Module
        The trained one; left as it is.
    build : callable
        Makes a model of the same architecture with new weights.
    waveforms : sequence of (samples,)
        Sounds on which normalisations are fitted: those the control is to be run on.

    Raises
    ------
    InputError
        If the model has nothing that training changes.
    """
    if not is_trainable(model):
        raise InputError(f"control {control}: the model has fixed features only, nothing to change")
    if control.kind == "random":
        return fit_statistics(random_weights(build, control.seed), waveforms)
    everything = control.kind == "permuted-all"
    return fit_statistics(
        permute_weights(model, control.seed, fixed=everything), waveforms, fixed=everything
    )


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, FittedNorm | nn.modules.batchnorm._NormBase)
