"""Networks shaped after auditory cortex: A1 -> belt -> parabelt -> T2/T3."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cortexnet.classifiers.svm import RBFReadout
from cortexnet.frontends.cochleagram import Cochleagram
from cortexnet.networks.areas import A1, EXPONENT, WINDOWS, Area, BeltFields, mean_of_pairs
from cortexnet.networks.jitter import random_gain, random_masks
from cortexnet.networks.norm import FittedNorm
from cortexnet.registry import register_model
from stimuli import InputError

AREAS = ("A1", "belt", "parabelt", "T2/T3")
UNROLLINGS = ("area", "time")
TYPICAL_SD = 0.07  # of the cochleagram of music; brings its energies to about one
A1_HOP, BELT_HOP, T23_HOP = 8, 16, 32  # frames of the cochleagram
LATE_BANDS = 12  # bands of the cochleagram in a band of belt and parabelt (1.2 octaves)


class CortexNet(nn.Module):
    """Network A1 -> belt -> parabelt -> T2/T3, causal in time, for sounds of any length >= 1 s.

    A1 and the fields of the belt are spectrotemporal filters that do not learn unless `plastic`;
    the combination units of the belt, parabelt and T2/T3 do. Belt and parabelt have a caudal
    stream, which hears fast sweeps and coarse spectra, and a rostral one, which hears slow sweeps
    and fine spectra; they meet in T2/T3, which starts out listening twice as much to the rostral
    one. There is no path from A1 to the parabelt but through the belt.

    It learns by the error of a linear read-out of mean and SD over time of the units that learn.
    What then answers is `decoder`, a kernel machine that compares sounds by A1, by the fields of
    the belt and by the units that learn, each with a third of the say, fitted to all segments of
    training and validation clips (Kang et al. 2020, ICLR, part learning to represent from learning
    to classify in the same way).

    Parameters
    ----------
    n_classes : int
    sample_rate : int
        Of the waveforms, Hz.
    steps : (int, int, int)
        Recurrent steps of belt, parabelt and T2/T3; an area's weights are the same at every step,
        its normalisation is not.
    unroll : {"area", "time"}
        "area": an area takes all its steps on the final activity of the area before it. "time":
        areas step together, each on what the area before it gave one step earlier; the steps of an
        area count from the first at which sound has reached it.
    recurrence : bool
        Without it every area takes one step.
    streams : bool
        Without them belt and parabelt are one population.
    bypass : bool
        A thalamic path to the belt: its combination units hear the cochleagram too, past A1.
    norm : {"batch", "group", "layer", "instance", "none"}
        In the areas that learn. "group", "layer" and "instance" look at the whole sound, so areas
        are causal with "batch" and "none" only.
    windows : {"wide", "strict"}
        "wide" has fields of 500 ms in A1 and 800 ms in the belt for slow modulations; "strict"
        keeps every area within the integration windows measured in human auditory cortex
        (Norman-Haignere et al. 2022).
    plastic : bool
        A1 and the fields of the belt are where learning starts, not fixed.
    width : int
        Units a band of belt and parabelt, over both streams; T2/T3 has twice as many.
    dropout : float
        Before the read-out.
    jitter : float
        Strength of level changes and masks of features in training; 0 is none.

    Attributes
    ----------
    areas : tuple of str
        In anatomical order.
    steps : dict of str to int
        Recurrent steps of each.
    bands : dict of str to int
        Places on the frequency axis of the areas that have one; unit i lies at place i % bands.
    fixed_rate : float
        Frames a second of `fixed`, Hz.

    Raises
    ------
    InputError
        If `unroll`, `norm` or `windows` is none of those above, or the width is odd with streams.

    References
    ----------
    Chi, Ru & Shamma (2005), J. Acoust. Soc. Am. 118, 887-906. Kubilius et al. (2018), bioRxiv
    408385. Rauschecker & Scott (2009), Nat. Neurosci. 12, 718-724.
    """

    areas = AREAS

    def __init__(
        self,
        n_classes: int,
        sample_rate: int = 22050,
        steps: tuple[int, int, int] = (1, 1, 1),
        unroll: str = "area",
        recurrence: bool = True,
        streams: bool = True,
        bypass: bool = False,
        norm: str = "batch",
        windows: str = "wide",
        plastic: bool = False,
        width: int = 112,
        dropout: float = 0.4,
        jitter: float = 1.0,
    ):
        super().__init__()
        for name, value, known in (("windows", windows, WINDOWS), ("unroll", unroll, UNROLLINGS)):
            if value not in known:
                raise InputError(f"{name} is '{value}'; choose one of {', '.join(known)}")
        if width % 2 and streams:
            raise InputError(f"width is {width}; two streams need an even number")
        kernels, groups = WINDOWS[windows], 2 if streams else 1
        counts = tuple(steps) if recurrence else (1, 1, 1)
        self.steps = dict(zip(AREAS, (1, *counts), strict=True))
        self.sample_rate, self.unroll, self.jitter = sample_rate, unroll, jitter
        self.bypass, self.plastic = bypass, plastic

        self.frontend = Cochleagram(sample_rate)
        rate, density = self.frontend.frame_rate, self.frontend.bands_per_octave
        self.fixed_rate = rate if plastic else rate / BELT_HOP
        self.a1 = A1(rate, density, kernels, plastic)
        self.fields = BeltFields(self.a1.tuning, density / 3, kernels, plastic)
        self.n_bands = -(-self.frontend.n_bands // LATE_BANDS)
        n_in = self.fields.n_units + (groups * LATE_BANDS if bypass else 0)
        self.bands = {
            "A1": -(-self.frontend.n_bands // 3), "belt": self.n_bands, "parabelt": self.n_bands
        }  # fmt: skip
        self.belt_norm = FittedNorm(n_in, self.n_bands)
        self.belt = Area(n_in, width, (1, 1), counts[0], norm, groups)
        # 3 bands of 1.2 octaves, beside the 2.1 octaves that a unit of the belt hears.
        drive = (3, kernels.parabelt_frames)
        self.parabelt = Area(width, width, drive, counts[1], norm, groups)
        drive = (self.n_bands, kernels.t23_frames)
        self.t23 = Area(width, 2 * width, drive, counts[2], norm, all_bands=True)
        if streams:
            with torch.no_grad():
                self.t23.drive.weight[:, : width // 2] *= 0.5
        context = (1, kernels.t23_context)
        self.context = Area(2 * width, 2 * width, context, 1, norm, 2 * width, all_bands=True)
        self.readout = nn.Sequential(
            nn.BatchNorm1d(8 * width), nn.Dropout(dropout), nn.Linear(8 * width, n_classes)
        )
        # Not chosen by inner folds: to units that have learned from them, all folds look easy.
        blocks = self.a1.n_units * self.bands["A1"], n_in * self.n_bands, 8 * width
        self.decoder = RBFReadout(n_classes, blocks=blocks, **RBFReadout.default)

    def fixed(self, waveform: Tensor) -> Tensor:
        """What comes before learning: belt input and A1, or a plastic network's cochleagram.

        ``(batch, samples)`` to ``(batch, frame, unit)`` at `fixed_rate`.
        """
        x = self.frontend(waveform) / TYPICAL_SD
        return x.mT if self.plastic else self._before_learning(x)

    def _before_learning(self, x: Tensor) -> Tensor:
        """Belt's input (band by unit), then A1 (unit by band), at the rate of the belt."""
        a1 = self.a1(x)
        belt = self._belt_input(x, a1).permute(0, 3, 2, 1).flatten(2)
        # A frame of the belt ends with the first of the two frames of A1 that it spans.
        n = (a1.shape[-1] + 1) // 2 * 2
        slow = mean_of_pairs(F.pad(a1.exp(), (1, 0, 0, 0), mode="replicate")[..., :n], 3).log()
        return torch.cat([belt, slow.flatten(1, 2).mT], 2)

    def _belt_input(self, x: Tensor, a1: Tensor) -> Tensor:
        """Energy of the fields, and the bypass, ``(batch, unit, band, frame)``."""
        fields = self.fields(a1)
        if not self.bypass:
            return fields
        n_frames = fields.shape[-1]
        x = F.avg_pool1d(x, BELT_HOP, ceil_mode=True)[..., :n_frames]
        x = F.pad(x, (0, 0, 0, self.n_bands * LATE_BANDS - x.shape[1]))
        past_a1 = x.unflatten(1, (self.n_bands, LATE_BANDS)).permute(0, 3, 1, 2)
        fields = fields.permute(0, 3, 2, 1)
        caudal, rostral = fields.chunk(2, 3)  # each stream has the bypass at its end
        parts = (caudal, past_a1, rostral, past_a1) if self.belt.groups == 2 else (fields, past_a1)
        return torch.cat(parts, 3).permute(0, 3, 2, 1)  # in the fields' order in memory

    def _inputs(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The belt's input ``(batch, unit, band, frame)`` and A1 ``(batch, unit, frame)``."""
        units = self._before_learning(features.mT) if self.plastic else features
        belt, a1 = units.tensor_split([self.decoder.blocks[1]], 2)
        return belt.unflatten(2, (self.n_bands, -1)).permute(0, 3, 2, 1), a1.mT

    def _states(self, x: Tensor) -> dict[str, list[Tensor]]:
        """Activity of every area that learns at every step, from the belt's input."""
        # Units next to each other in memory: convolutions are faster so.
        x = x.contiguous(memory_format=torch.channels_last)
        if not (self.training and self.jitter > 0):
            return self._learned(self.belt_norm(x))
        level = random_gain(len(x), 0.15 * EXPONENT * self.jitter).to(x)
        mask = random_masks(len(x), x.shape[2], x.shape[3], self.jitter).to(x)
        kept = F.dropout2d(x.new_ones(*x.shape[:2], 1, 1), 0.1 * min(self.jitter, 1))
        return self._learned(self.belt_norm(x, level, kept), mask)

    def _learned(self, x: Tensor, mask: Tensor | None = None) -> dict[str, list[Tensor]]:
        """Areas that learn, from the belt's input; masked bands and times do not drive it."""
        drive = self.belt.driven(x)
        if mask is not None:  # of what is much smaller than the input; the belt sees single places
            drive = drive * mask
        return (self._step_together if self.unroll == "time" else self._step_in_turn)(drive)

    def _to_t23(self, parabelt: Tensor) -> Tensor:
        return mean_of_pairs(parabelt, 3)

    def _with_context(self, states: list[Tensor]) -> list[Tensor]:
        return [x + self.context(x)[0] for x in states]

    def _step_in_turn(self, belt_drive: Tensor) -> dict[str, list[Tensor]]:
        belt = self.belt.unrolled(belt_drive)
        parabelt = self.parabelt(belt[-1])
        t23 = self.t23(self._to_t23(parabelt[-1]))
        return {"belt": belt, "parabelt": parabelt, "T2/T3": self._with_context(t23)}

    def _step_together(self, belt_drive: Tensor) -> dict[str, list[Tensor]]:
        chain = (("belt", self.belt), ("parabelt", self.parabelt), ("T2/T3", self.t23))
        states = {name: [] for name, _ in chain}
        while any(len(states[name]) < area.n_steps for name, area in chain):
            before = {name: found[-1] if found else None for name, found in states.items()}
            for (name, area), source in zip(chain, (None, "belt", "parabelt"), strict=True):
                # An area that the sound has not reached has no activity, rather than activity
                # that says nothing about the sound.
                if len(states[name]) == area.n_steps or (source and before[source] is None):
                    continue
                drive = belt_drive
                if source:
                    given = before[source]
                    drive = area.driven(self._to_t23(given) if name == "T2/T3" else given)
                states[name].append(area.step(drive, before[name], len(states[name])))
        return states | {"T2/T3": self._with_context(states["T2/T3"])}

    def stages(self, waveform: Tensor) -> dict[str, list[Tensor]]:
        """Every area and the belt's fields at every step, ``(batch, unit, band, frame)``."""
        x = self.frontend(waveform) / TYPICAL_SD
        a1 = self.a1(x)
        fields = self.belt_norm(self._belt_input(x, a1))
        return {"A1": [a1], "fields": [fields], **self._learned(fields)}

    def _moments(self, states: dict[str, list[Tensor]]) -> Tensor:
        moments = []
        for name in AREAS[1:]:
            x = states[name][-1].mean(2)
            moments += [x.mean(2), x.std(2, unbiased=False)]
        return torch.cat(moments, 1)

    def _statistics(self, features: Tensor) -> Tensor:
        """What the decoder sees: means of A1 and the belt's input, moments of what has learned."""
        belt, a1 = self._inputs(features)
        means = a1.mean(2), belt.mean(3).flatten(1)
        return torch.cat([*means, self._moments(self._states(belt))], 1)

    def fit_decoder(self, batches, labels: np.ndarray, groups=None, clips=None) -> dict:
        """Fit the decoder to segments; see `cortexnet.classifiers.readout.Readout.fit`.

        Parameters
        ----------
        batches : iterable of (batch, frame, unit) tensors
            Segments of `fixed`, of training and validation clips.
        labels : (n,) int
        groups, clips : (n,), optional
        """
        self.eval()
        with torch.inference_mode():
            statistics = np.concatenate([self._statistics(x).numpy() for x in batches])
        return self.decoder.fit(statistics, labels, groups, clips)

    def from_fixed(self, features: Tensor) -> Tensor:
        """Logits ``(batch, n_classes)`` of features ``(batch, frame, unit)``."""
        if self.training or not self.decoder.is_fitted:
            return self.readout(self._moments(self._states(self._inputs(features)[0])))
        return self.decoder(self._statistics(features))

    def embed(self, waveform: Tensor) -> Tensor:
        """Mean and SD over time of the units that learn, ``(batch, 8 * width)``."""
        return self._moments(self._states(self._inputs(self.fixed(waveform))[0]))

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits ``(batch, n_classes)`` of waveforms ``(batch, samples)``."""
        return self.from_fixed(self.fixed(waveform))

    def forward_areas(
        self, waveform: Tensor, steps: bool = False
    ) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
        """Activity of every area over time.

        Parameters
        ----------
        waveform : (batch, samples)
        steps : bool
            Earlier recurrent steps too, as "AREA@STEP" from 0.

        Returns
        -------
        areas : dict of (batch, time, unit)
            The belt has its fields and its combination units.
        seconds : dict of (time,) arrays
            End of each frame, seconds from the start of the waveform.
        """
        states = self.stages(waveform)
        (fields,) = states.pop("fields")
        states["belt"] = [torch.cat([fields, x], 1) for x in states["belt"]]
        layers = {}
        for name in AREAS:
            if steps:
                earlier = states[name][:-1]
                layers |= {f"{name}@{i}": (name, x) for i, x in enumerate(earlier)}
            layers[name] = name, states[name][-1]
        hops = dict(zip(AREAS, (A1_HOP, BELT_HOP, BELT_HOP, T23_HOP), strict=True))
        rate = self.frontend.frame_rate
        areas = {layer: x.flatten(1, 2).mT for layer, (_, x) in layers.items()}
        return areas, {
            layer: np.arange(1, x.shape[1] + 1) * hops[layers[layer][0]] / rate
            for layer, x in areas.items()
        }


@register_model(
    "cortexnet_z", "feed-forward: STRFs (Chi, Ru & Shamma 2005), areas after Kubilius et al. 2018"
)
def cortexnet_z(n_classes: int, sample_rate: int = 22050, **options) -> CortexNet:
    """`CortexNet` without recurrence."""
    return CortexNet(n_classes, sample_rate, **{"recurrence": False} | options)


@register_model("cortexnet_rt", "recurrent, areas step together in time (CORnet-RT)")
def cortexnet_rt(n_classes: int, sample_rate: int = 22050, **options) -> CortexNet:
    """`CortexNet` whose areas step together, each one step behind the area before it."""
    # It steps more, so it is narrower: no more work a second than `cortexnet_s`.
    defaults = {"steps": (4, 3, 2), "unroll": "time", "width": 64}
    return CortexNet(n_classes, sample_rate, **defaults | options)


@register_model("cortexnet_s", "recurrent within areas, steps 1/2/4/2 (CORnet-S)")
def cortexnet_s(n_classes: int, sample_rate: int = 22050, **options) -> CortexNet:
    """`CortexNet` with recurrence within its areas."""
    return CortexNet(n_classes, sample_rate, **{"steps": (2, 4, 2)} | options)
