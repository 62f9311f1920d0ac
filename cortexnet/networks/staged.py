"""What the baselines share: blocks in a row as areas, their seconds axis, a read-out."""

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cortexnet.frontends.mel import LogMel

Move = tuple[int, int, int]  # kernel, stride and padding along time


class Block(NamedTuple):
    """Layers of one area.

    Attributes
    ----------
    module : nn.Module
        Maps ``(batch, channel, ..., frame)`` to the same with other channels and frames.
    moves : tuple of (kernel, stride, padding)
        Of the layers in it that change the number of frames, in their order; of parallel branches
        one, for they agree.
    """

    module: nn.Module
    moves: tuple[Move, ...] = ()


class FrameGrid(NamedTuple):
    """Which stretch of the input each frame stands for, in frames of the input.

    Frame ``k`` ends at ``end + k * step``: `step` wide, around the middle of its receptive field.
    """

    end: float = 1.0
    step: int = 1

    def after(self, moves: Iterable[Move]) -> "FrameGrid":
        """The grid behind some layers (arithmetic of Dumoulin & Visin 2016, arXiv 1603.07285)."""
        middle, step = self.end - self.step / 2, self.step
        for kernel, stride, padding in moves:
            middle += ((kernel - 1) / 2 - padding) * step
            step *= stride
        return FrameGrid(middle + step / 2, step)


def least_frames(moves: Iterable[Move]) -> int:
    """The fewest frames of which some layers make one."""
    n = 1
    for kernel, stride, padding in reversed(tuple(moves)):
        n = (n - 1) * stride + kernel - 2 * padding
    return max(n, 1)


class StagedNetwork(nn.Module):
    """Blocks in a row, each an area; what the last one puts out is pooled and classified.

    Sounds that are too short for a block are lengthened before it by copies of their last frame of
    activity, so that any duration >= 1 s is accepted.

    Parameters
    ----------
    blocks : {area: Block}
        In their order.
    pool : nn.Module
        Adaptive: brings any number of frames to what the classifier expects.
    classifier : nn.Sequential
        Ends with the linear layer whose input is the embedding.
    sample_rate : int
        Hz.
    frame_rate : float
        Of the input of the first block, Hz.

    Attributes
    ----------
    areas : tuple of str
    """

    def __init__(
        self,
        blocks: Mapping[str, Block],
        pool: nn.Module,
        classifier: nn.Sequential,
        sample_rate: int,
        frame_rate: float,
    ):
        super().__init__()
        self.areas, self.sample_rate, self.frame_rate = tuple(blocks), sample_rate, frame_rate
        self.blocks = nn.ModuleList(block.module for block in blocks.values())
        self.pool, self.classifier = pool, classifier
        self.least = [least_frames(block.moves) for block in blocks.values()]
        self.grids, grid = {}, FrameGrid()
        for area, block in blocks.items():
            grid = self.grids[area] = grid.after(block.moves)

    def frames(self, waveform: Tensor) -> Tensor:
        """Input of the first block, ``(batch, channel, ..., frame)``: the samples themselves."""
        return waveform[:, None]

    def stages(self, waveform: Tensor) -> dict[str, Tensor]:
        """Output of every block, ``(batch, channel, ..., frame)``."""
        x, stages = self.frames(waveform), {}
        for area, block, least in zip(self.areas, self.blocks, self.least, strict=True):
            missing = least - x.shape[-1]
            if missing > 0:
                x = torch.cat([x, x[..., -1:].expand(*x.shape[:-1], missing)], -1)
            x = stages[area] = block(x)
        return stages

    def embed(self, waveform: Tensor) -> Tensor:
        """Input of the last linear layer, ``(batch, unit)``."""
        return self.classifier[:-1](self.pool(self.stages(waveform)[self.areas[-1]]))

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits ``(batch, n_classes)`` of waveforms ``(batch, samples)``."""
        return self.classifier[-1](self.embed(waveform))

    def forward_areas(self, waveform: Tensor) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Activity of every area over time.

        Returns
        -------
        areas : dict of (batch, time, unit)
            A unit is a channel at a mel band.
        seconds : dict of (time,) arrays
            End of each frame, seconds from the start of the waveform.
        """
        areas, seconds = {}, {}
        for area, x in self.stages(waveform).items():
            areas[area] = x.flatten(1, -2).transpose(1, 2)
            grid = self.grids[area]
            seconds[area] = (grid.end + grid.step * np.arange(x.shape[-1])) / self.frame_rate
        return areas, seconds


class MelNetwork(StagedNetwork):
    """Blocks on a log-mel spectrogram as a picture: ``(batch, 1, mel, frame)``.

    Parameters
    ----------
    blocks, pool, classifier, sample_rate
        As of `StagedNetwork`.
    """

    def __init__(self, blocks, pool, classifier, sample_rate: int):
        frontend = LogMel(sample_rate)
        super().__init__(blocks, pool, classifier, sample_rate, frontend.frame_rate)
        self.frontend = frontend
        # One mean and SD for the whole spectrogram, followed during training.
        self.input_norm = nn.BatchNorm2d(1, affine=False)
        # Steps of most of these networks take a tenth to a fifth less time on a CPU.
        self.to(memory_format=torch.channels_last)

    def frames(self, waveform: Tensor) -> Tensor:
        """Normalised spectrogram ``(batch, 1, mel, frame)``."""
        # 65,536 samples give 129 centred frames; the last one is half outside the sound.
        n_frames = waveform.shape[-1] // self.frontend.hop
        return self.input_norm(self.frontend(waveform)[:, None, :, :n_frames])


def linear_layers(widths: Iterable[int], n_classes: int, dropout: float) -> nn.Sequential:
    """Flatten; then linear layers, each but the last followed by ReLU and dropout."""
    widths = tuple(widths)
    layers: list[nn.Module] = [nn.Flatten()]
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(inplace=True), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], n_classes))


def initialise(network: nn.Module) -> None:
    """Weights of convolutions that keep the variance through ReLUs (He et al. 2015), no offsets.

    For deep networks without normalisation, or before its statistics are known: with torch's
    default the sound fades from layer to layer and offsets remain.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)
