"""Networks shaped after auditory cortex: A1 -> belt -> parabelt -> T2/T3."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cortexnet.frontends.cochleagram import Cochleagram
from cortexnet.frontends.modulation import kernels_from, strf_bank, strf_energy
from cortexnet.networks.norm import FittedNorm
from cortexnet.registry import register_model


class A1(nn.Module):
    """Core: fixed STRFs in a fast and a slow group, log energy at 25 Hz, tonotopic.

    ``(batch, band, frame)`` at 200 Hz to ``(batch, 71, band / 3, frame / 8)``: 40 fast fields
    (8-64 Hz, 100 ms), 30 slow ones (2-8 Hz, 500 ms) and one level channel.
    """

    scales = (0.25, 0.5, 1, 2, 4)

    def __init__(self, frame_rate: float, bands_per_octave: int):
        super().__init__()
        fast, f_tuning = strf_bank(
            (8, 16, 32, 64), self.scales, 0.1, 1.1, frame_rate, bands_per_octave
        )
        slow, s_tuning = strf_bank(
            (2, 4, 8), self.scales, 0.5, 1.1, frame_rate / 4, bands_per_octave
        )
        self.tuning = [*f_tuning, *s_tuning]
        self.n_fast, self.n_channels = len(f_tuning), len(self.tuning) + 1
        self.register_buffer("fast", kernels_from(fast), persistent=False)
        self.register_buffer("slow", kernels_from(slow), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, None, :, : x.shape[-1] // 8 * 8]
        fast = F.avg_pool2d(strf_energy(x, self.fast, (3, 4)), (1, 2))
        slow = strf_energy(F.avg_pool2d(x, (1, 4)), self.slow, (3, 2))
        level = F.avg_pool2d(F.pad(x, (0, 0, 1, 1), mode="replicate"), (3, 8), stride=(3, 8))
        return torch.log(torch.cat([fast, slow, level.square()], 1) + 1e-4)


class Belt(nn.Module):
    """Belt: a second STRF bank over compressed fast A1 energy, 800 ms x 2 octaves, at 12.5 Hz.

    ``(batch, 71, band, frame)`` to ``(batch, 41 * 18, band', frame / 2)``: combinations of what a
    unit of A1 prefers with how its activity is modulated at 1.5, 3 and 6 Hz.
    """

    def __init__(self, n_fast: int, bands_per_octave: float):
        super().__init__()
        bank, self.tuning = strf_bank(
            (1.5, 3, 6), (0.25, 0.5, 1), 0.8, 2.1, frame_rate=25, bands_per_octave=bands_per_octave
        )
        self.n_fast, self.n_channels = n_fast, (n_fast + 1) * len(self.tuning)
        self.register_buffer("bank", kernels_from(bank), persistent=False)

    def forward(self, a1: Tensor) -> Tensor:
        fast_and_level = torch.cat([a1[:, : self.n_fast], a1[:, -1:]], 1)
        x = torch.exp(0.5 * fast_and_level)  # the square root of the energy
        energy = strf_energy(x.flatten(0, 1)[:, None], self.bank, (2, 2))
        return torch.log(energy.unflatten(0, x.shape[:2]).flatten(1, 2) + 1e-4)


@register_model(
    "cortexnet_z", "fixed STRFs (Chi, Ru & Shamma 2005), CORnet-style areas (Kubilius et al. 2018)"
)
class CortexNetZ(nn.Module):
    """Feed-forward network A1 -> belt -> parabelt -> T2/T3, causal, for clips of any length >= 1 s.

    A1 and belt are fixed spectrotemporal filters; parabelt and T2/T3 are trained. There is no path
    from A1 to the parabelt but through the belt. The read-out sees mean and SD over time of every
    trained stage.

    Parameters
    ----------
    n_classes : int
    sample_rate : int
        Sampling rate of the waveforms, Hz.
    width : int
        Channels of the belt projection and the parabelt; T2/T3 has twice as many.
    dropout : float
        Before the read-out.

    Attributes
    ----------
    areas : tuple of str
        Names of the stages in anatomical order.
    """

    areas = ("A1", "belt", "parabelt", "T2/T3")

    def __init__(self, n_classes: int, sample_rate: int = 22050, width=64, dropout=0.4):
        super().__init__()
        self.sample_rate = sample_rate
        self.frontend = Cochleagram(sample_rate)
        self.a1 = A1(self.frontend.frame_rate, self.frontend.bands_per_octave)
        self.belt = Belt(self.a1.n_fast, self.frontend.bands_per_octave / 3)
        n_bands = -(-self.frontend.n_bands // 3)
        self.a1_norm = FittedNorm(self.a1.n_channels, n_bands)
        self.belt_norm = FittedNorm(self.belt.n_channels, -(-n_bands // 2))
        self.combine = ConvNormReLU(self.belt.n_channels, width, (1, 1))
        # 5 bands of 0.6 octaves x 5 frames of 80 ms.
        self.parabelt = ConvNormReLU(width, width, (5, 5))
        # All frequencies that are left: the kernel spans the pooled axis.
        self.t23 = ConvNormReLU(width, 2 * width, (-(-n_bands // 4), 3), pad_bands=False)
        self.t23_context = ConvNormReLU(2 * width, 2 * width, (1, 7), groups=2 * width)
        self.readout = nn.Sequential(
            nn.BatchNorm1d(8 * width), nn.Dropout(dropout), nn.Linear(8 * width, n_classes)
        )

    def stages(self, waveform: Tensor) -> dict[str, Tensor]:
        """Every stage as ``(batch, channel, band, frame)``, the projection of the belt included."""
        # Level differences move log energy by a constant; 0.07 is music's typical SD of x.
        a1 = self.a1(self.frontend(waveform) / 0.07)
        belt = self.belt_norm(self.belt(a1))
        combined = self.combine(F.dropout2d(belt, 0.1, self.training))
        parabelt = self.parabelt(combined)
        pooled = F.avg_pool2d(parabelt, 2, ceil_mode=True)
        t23 = self.t23(pooled)
        t23 = t23 + self.t23_context(t23)
        return {
            "A1": self.a1_norm(a1), "belt": belt, "combined": combined,
            "parabelt": parabelt, "T2/T3": t23,
        }  # fmt: skip

    def embed(self, waveform: Tensor) -> Tensor:
        """Mean and SD over time of the trained stages, ``(batch, 8 * width)``."""
        stages = self.stages(waveform)
        moments = []
        for name in ("combined", "parabelt", "T2/T3"):
            x = stages[name].mean(2)
            moments += [x.mean(2), x.std(2, unbiased=False)]
        return torch.cat(moments, 1)

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits ``(batch, n_classes)`` of waveforms ``(batch, samples)``."""
        return self.readout(self.embed(waveform))

    def forward_areas(self, waveform: Tensor) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Activity of every area over time.

        Returns
        -------
        areas : dict of (batch, time, unit)
        seconds : dict of (time,) arrays
            End of each frame, seconds from the start of the waveform.
        """
        stages = self.stages(waveform)
        areas = {name: stages[name].flatten(1, 2).transpose(1, 2) for name in self.areas}
        step = {"A1": 8, "belt": 16, "parabelt": 16, "T2/T3": 32}
        rate = self.frontend.frame_rate
        return areas, {k: np.arange(1, v.shape[1] + 1) * step[k] / rate for k, v in areas.items()}


class ConvNormReLU(nn.Module):
    """Convolution causal in time and centred in frequency, batch normalisation, ReLU."""

    def __init__(self, n_in, n_out, kernel, groups=1, pad_bands=True):
        super().__init__()
        half = kernel[0] // 2 if pad_bands else 0
        self.padding = (kernel[1] - 1, 0, half, half)
        self.conv = nn.Conv2d(n_in, n_out, kernel, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(n_out)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(F.pad(x, self.padding))))
