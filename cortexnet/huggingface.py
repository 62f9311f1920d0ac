"""Audio models of Hugging Face: their hidden states as areas (extra ``hf``)."""

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from cortexnet.networks.staged import FrameGrid
from stimuli import InputError

PREFIX = "hf:"


class HuggingFaceModel(nn.Module):
    """Hidden states ``layer0`` (the input of the first layer), ``layer1``... over time.

    The model's own feature extractor prepares the sound. Models of windows of one length (AST,
    Whisper) are given one window after the other; frames past the sound's end are left out.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        An encoder.
    extractor : transformers feature extractor
        Its sampling rate is that of the waveforms.
    """

    def __init__(self, model: nn.Module, extractor):
        super().__init__()
        self.model, self._extractor = model, extractor
        self.sample_rate = extractor.sampling_rate
        self.areas = tuple(f"layer{i}" for i in range(model.config.num_hidden_layers + 1))

    def forward(self, waveform: Tensor) -> Tensor:
        """The embedding: there is no classifier."""
        return self.embed(waveform)

    def embed(self, waveform: Tensor) -> Tensor:
        """Mean over time of the last hidden state, ``(batch, unit)``."""
        return self.forward_areas(waveform)[0][self.areas[-1]].mean(1)

    def forward_areas(self, waveform: Tensor) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Hidden states ``{area: (batch, time, unit)}`` and the end of each frame, seconds."""
        parts, ends, start = [], [], 0
        for window in waveform.split(self.window or waveform.shape[-1], dim=-1):
            if start and window.shape[-1] < self.sample_rate / 10:
                break  # a rest too short for a spectrum
            hidden, seconds = self._hidden(window)
            n_frames = max(1, int((seconds <= window.shape[-1] / self.sample_rate + 1e-6).sum()))
            parts.append([x[:, :n_frames] for x in hidden])
            ends.append(start / self.sample_rate + seconds[:n_frames])
            start += window.shape[-1]
        states = (torch.cat(part, 1) for part in zip(*parts, strict=True))
        areas = dict(zip(self.areas, states, strict=True))
        return areas, dict.fromkeys(self.areas, np.concatenate(ends))

    @property
    def window(self) -> int | None:
        """Samples that the model hears at once; None: any number."""
        if hasattr(self._extractor, "n_samples"):  # Whisper
            return self._extractor.n_samples
        if hasattr(self.model.config, "patch_size"):  # AST: frames of 10 ms
            return self.model.config.max_length * self.sample_rate // 100
        return None

    def _hidden(self, waveform: Tensor) -> tuple[list[Tensor], np.ndarray]:
        """Hidden states ``(batch, time, unit)`` of one window and the ends of its frames."""
        sounds = list(waveform.detach().cpu().numpy())
        inputs = self._extractor(sounds, sampling_rate=self.sample_rate, return_tensors="pt")
        inputs = {k: v.to(waveform.device) for k, v in inputs.items() if k != "attention_mask"}
        hidden = list(self.model(**inputs, output_hidden_states=True).hidden_states)
        config = self.model.config
        if hasattr(config, "patch_size"):
            return self._patches(hidden)
        if hasattr(config, "conv_stride"):  # convolutions on samples, as in wav2vec 2.0
            moves = zip(config.conv_kernel, config.conv_stride, itertools.repeat(0))
            grid = FrameGrid().after(moves)
            ends = grid.end + grid.step * np.arange(hidden[0].shape[1])
            return hidden, ends / self.sample_rate
        seconds = (self.window or waveform.shape[-1]) / self.sample_rate
        return hidden, seconds * np.arange(1, hidden[0].shape[1] + 1) / hidden[0].shape[1]

    def _patches(self, hidden: list[Tensor]) -> tuple[list[Tensor], np.ndarray]:
        """Patches of mel x time to frames of (mel, unit), without the two tokens before them."""
        config = self.model.config
        n_frames = (config.max_length - config.patch_size) // config.time_stride + 1
        grid = FrameGrid().after([(config.patch_size, config.time_stride, 0)])
        ends = (grid.end + grid.step * np.arange(n_frames)) / 100
        frames = [x[:, 2:].unflatten(1, (-1, n_frames)).transpose(1, 2).flatten(2) for x in hidden]
        return frames, ends


def load_huggingface(name: str) -> HuggingFaceModel:
    """Load a model by its name or from a folder: safetensors only, none of its own code is run.

    Parameters
    ----------
    name : str
        Of a repository (downloaded to Hugging Face's cache) or a folder that holds
        ``config.json``, ``preprocessor_config.json`` and ``model.safetensors``.

    Raises
    ------
    InputError
        If transformers is not installed, or what is named is no audio model of this kind.
    """
    try:
        from transformers import AutoFeatureExtractor, AutoModel
    except ImportError as error:
        raise InputError(
            f"{PREFIX}{name} needs transformers; pip install 'auditory-cortexnet[hf]'"
        ) from error
    try:
        extractor = AutoFeatureExtractor.from_pretrained(name)
        model = AutoModel.from_pretrained(name, use_safetensors=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(f"{PREFIX}{name}: cannot be loaded ({_first_line(error)})") from error
    if not hasattr(extractor, "sampling_rate"):
        raise InputError(f"{PREFIX}{name}: not a model of sounds ({type(model).__name__})")
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    return HuggingFaceModel(model, extractor).eval()


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line), type(error).__name__)
