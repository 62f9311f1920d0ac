"""Networks of a few hundred weights that keep the contract of the registry, and sounds for them."""

import contextlib

import numpy as np
import pandas as pd
import torch
from torch import nn

from cortexnet import registry
from cortexnet.networks.norm import FittedNorm, make_norm
from stimuli import load_clips, write_audio

RATE = 8000


class Tiny(nn.Module):
    """Energy in bands of 125 Hz in frames of 64 ms, a hidden layer, mean over time."""

    areas = ("bands", "hidden")
    frame = 512

    def __init__(self, n_classes, sample_rate=RATE, width=8, norm="batch", dropout=0.2):
        super().__init__()
        self.sample_rate, self.fixed_rate = sample_rate, sample_rate / self.frame
        self.register_buffer("window", torch.hann_window(self.frame), persistent=False)
        self.input_norm = FittedNorm(1, 32)
        self.hidden = nn.Linear(32, width)
        self.norm, self.dropout = make_norm(norm, width, 1), nn.Dropout(dropout)
        self.readout = nn.Linear(width, n_classes)

    def fixed(self, waveform):
        n = waveform.shape[-1] // self.frame * self.frame
        frames = waveform[:, :n].unflatten(1, (-1, self.frame)) * self.window
        energy = torch.fft.rfft(frames).abs().square()[..., 1:]
        return torch.log(energy.unflatten(2, (32, -1)).mean(3) + 1e-4)

    def forward_areas(self, waveform):
        bands = self.fixed(waveform)
        hidden = torch.relu(self.hidden(bands))
        ends = np.arange(1, bands.shape[1] + 1) / self.fixed_rate
        return dict(zip(self.areas, (bands, hidden), strict=True)), dict.fromkeys(self.areas, ends)

    def from_fixed(self, features):
        x = self.input_norm(features.transpose(1, 2)[:, None])[:, 0].transpose(1, 2)
        x = self.norm(torch.relu(self.hidden(x)).transpose(1, 2))
        return self.readout(self.dropout(x.mean(2)))

    def forward(self, waveform):
        return self.from_fixed(self.fixed(waveform))


class TinyWave(nn.Module):
    """The same without the contract of fixed stages, so that it trains on waveforms.

    Its front-end fails after `fuse` training steps: as if somebody had pulled the plug.
    """

    areas = Tiny.areas
    fuse = None

    def __init__(self, n_classes, sample_rate=RATE, **options):
        super().__init__()
        self.sample_rate = sample_rate
        self.net = Tiny(n_classes, sample_rate, **options)

    def forward_areas(self, waveform):
        return self.net.forward_areas(waveform)

    def forward(self, waveform):
        if self.training and TinyWave.fuse is not None:
            TinyWave.fuse -= 1
            if TinyWave.fuse < 0:
                raise RuntimeError("the plug was pulled")
        return self.net(waveform)


@contextlib.contextmanager
def registered():
    """Both networks in the registry, as "tiny_fixed" and "tiny_wave"."""
    registry.list_models()  # the families first
    for name, build in (("tiny_fixed", Tiny), ("tiny_wave", TinyWave)):
        registry.register_model(name, "a test")(build)
    try:
        yield
    finally:
        for name in ("tiny_fixed", "tiny_wave"):
            del registry._MODELS[name]


def write_clips(root, n=8, seconds=1.3):
    """Three classes of noise in bands, `n` tracks a class of a clip each, as ``clips.csv``."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    rows = []
    for k, label in enumerate("abc"):
        for i in range(n):
            carrier = np.sin(2 * np.pi * (600 + 500 * k + 40 * i) * time + i)
            x = carrier + 1.5 * rng.standard_normal(len(time))
            write_audio(root / f"{label}{i}.wav", 0.1 * x, RATE)
            rows.append({"path": f"{label}{i}.wav", "label": label})
    pd.DataFrame(rows).to_csv(root / "clips.csv", index=False)
    return load_clips(root / "clips.csv")
