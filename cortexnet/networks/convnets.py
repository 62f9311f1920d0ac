"""Convolutional baselines on log-mel spectrograms."""

import numpy as np
from torch import Tensor, nn

from cortexnet.frontends.mel import LogMel
from cortexnet.registry import register_model


@register_model(
    "cnn2d_4l",
    "four-layer 2-D CNN on log-mel, as used with GTZAN",
    # Thirteen times the parameters of cortexnet_z: more and smaller steps.
    recipe={"batch_size": 16, "learning_rate": 1e-3},
)
class CNN2D4L(nn.Module):
    """Four 3x3 convolutions over 128 mel x 128 frames (2.97 s), then three linear layers.

    Longer or shorter sounds are pooled adaptively to the 2 x 2 map that the classifier expects, so
    any duration >= 1 s is accepted; at 2.97 s the pooling is the plain one.

    Parameters
    ----------
    n_classes : int
    sample_rate : int
        Hz.
    dropout : float
        Between the linear layers.
    """

    areas = ("conv1", "conv2", "conv3", "conv4")
    channels = (64, 128, 256, 512)
    pools = (2, 2, 4, 4)

    def __init__(self, n_classes: int, sample_rate: int = 22050, dropout: float = 0.5):
        super().__init__()
        self.sample_rate = sample_rate
        self.frontend = LogMel(sample_rate)
        # One mean and SD for the whole spectrogram, followed during training.
        self.input_norm = nn.BatchNorm2d(1, affine=False)
        blocks, n_in = [], 1
        for n_out, pool in zip(self.channels, self.pools, strict=True):
            blocks.append(
                nn.Sequential(
                    nn.Conv2d(n_in, n_out, 3, padding=1),
                    nn.BatchNorm2d(n_out),
                    nn.ReLU(inplace=True),
                    nn.MaxPool2d(pool, ceil_mode=True),  # ceil: a second of sound is enough
                )
            )
            n_in = n_out
        self.blocks = nn.ModuleList(blocks)
        self.pool = nn.AdaptiveMaxPool2d(2)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(2048, 1024),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(1024, 256),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(256, n_classes),
        )

    def stages(self, waveform: Tensor) -> dict[str, Tensor]:
        """Output of every block, ``(batch, channel, mel, frame)``."""
        # 65,536 samples give 129 centred frames; the last one is half outside the sound.
        mel = self.frontend(waveform)[:, None, :, : waveform.shape[-1] // self.frontend.hop]
        x, stages = self.input_norm(mel), {}
        for name, block in zip(self.areas, self.blocks, strict=True):
            x = stages[name] = block(x)
        return stages

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits ``(batch, n_classes)`` of waveforms ``(batch, samples)``."""
        return self.classifier(self.pool(self.stages(waveform)["conv4"]))

    def forward_areas(self, waveform: Tensor) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Activity of every block over time, and the end of each of its frames in seconds."""
        stages = self.stages(waveform)
        steps = dict(zip(self.areas, np.cumprod(self.pools), strict=True))
        areas = {k: v.flatten(1, 2).transpose(1, 2) for k, v in stages.items()}
        seconds = {
            k: np.arange(1, v.shape[1] + 1) * steps[k] / self.frontend.frame_rate
            for k, v in areas.items()
        }
        return areas, seconds
