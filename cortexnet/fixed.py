"""Networks whose first stages never learn: those stages are computed once a clip and kept.

Such a network has ``fixed(waveform) -> (batch, frame, unit)`` at ``fixed_rate`` frames a second and
``from_fixed(features) -> logits``. What the trained part is given are segments of the features of
whole clips, so that the filters of the fixed part see the sound before a segment, in training,
validation and test alike.
"""

import hashlib
import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from stimuli import InputError
from stimuli.augment import Augmenter
from stimuli.cache import FeatureCache
from stimuli.datamodule import ClipsModule


def has_fixed(model: nn.Module) -> bool:
    """Whether the first stages of a network never learn."""
    return hasattr(model, "from_fixed")


def trained_part(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """What maps a segment that `clips_module` loads to logits."""
    return model.from_fixed if has_fixed(model) else model


def trained_input(model: nn.Module, waveform: Tensor) -> Tensor:
    """What `trained_part` is given: the fixed features of waveforms, or the waveforms."""
    return model.fixed(waveform) if has_fixed(model) else waveform


def trained_length(model: nn.Module, segment: int) -> int:
    """Frames of `trained_input` in a segment of so many samples; the samples without such."""
    if not has_fixed(model):
        return segment
    # The small number keeps a whole count of frames whole in spite of rounding.
    return int(segment * model.fixed_rate / model.sample_rate + 1e-6)


class _Uses(TorchFunctionMode):
    """Which of the given tensors take part in any operation of torch."""

    def __init__(self, tensors):
        super().__init__()
        self.tensors, self.used = {id(t): name for name, t in tensors}, set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        for leaf in tree_leaves((args, kwargs or {})):
            if id(leaf) in self.tensors:
                self.used.add(self.tensors[id(leaf)])
        return func(*args, **kwargs or {})


def fixed_hash(model: nn.Module) -> str:
    """SHA-256 over the tensors that the fixed part uses, filter banks that are not saved included.

    Parameters
    ----------
    model : nn.Module
        With ``fixed``; which tensors it uses is seen on a second of silence.
    """
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    with torch.inference_mode(), _Uses(tensors.items()) as uses:
        model.fixed(torch.zeros(1, model.sample_rate))
    digest = hashlib.sha256()
    for name in sorted(uses.used):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def fixed_cache(model: nn.Module, name: str, options: dict, folder: Path) -> FeatureCache:
    """Cache of the fixed features of a network.

    It is found again for the same name, options, sample rate, tensors of the fixed part and version
    of this package, whatever the weights above.
    """
    settings = {
        "options": options,
        "tensors_sha256": fixed_hash(model),
        "version": importlib.metadata.version("auditory-cortexnet"),
    }
    return FeatureCache(folder, name, settings, model.sample_rate)


def _transform(model):
    def transform(wave: np.ndarray, sample_rate: int) -> np.ndarray:
        if len(wave) < sample_rate:
            raise InputError(f"{len(wave)} samples are less than a second; leave the clip out")
        # Modes of torch are of a thread, and the cache calls from several.
        with torch.inference_mode():
            return model.fixed(torch.from_numpy(wave)[None])[0].numpy()

    return transform


def clips_module(
    model: nn.Module,
    clips,
    segment: int,
    cache: tuple[str, dict, Path] | None = None,
    augmenter: Augmenter | None = None,
    waveforms: dict[str, np.ndarray] | None = None,
    **loading,
) -> ClipsModule:
    """Loaders of what the trained part of a network is given (`trained_part`).

    Parameters
    ----------
    model : nn.Module
    clips : DataFrame
        With the splits of `ClipsModule`.
    segment : int
        Samples, also of a network whose segments are of features.
    cache : (name, options, folder)
        Of `fixed_cache`; needed for a network with fixed stages, whose features stay on disk.
    augmenter : Augmenter, optional
    waveforms : dict of clip_id to (n_samples,) array, optional
        Sound that is decoded already; not looked at where features are kept, because those are
        found by the content of the sound files.
    **loading
        Passed to `ClipsModule`.
    """
    rate = model.sample_rate
    if not has_fixed(model):
        return ClipsModule(
            clips, segment, sample_rate=rate, augmenter=augmenter, waveforms=waveforms, **loading
        )
    model.eval()
    return ClipsModule(
        clips,
        trained_length(model, segment),
        sample_rate=rate,
        cache=fixed_cache(model, *cache),
        transform=_transform(model),
        augmenter=augmenter,
        **loading,
    )
