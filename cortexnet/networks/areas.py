"""The areas: fixed spectrotemporal fields of A1 and belt, and areas that learn and recur."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cortexnet.frontends.strf import STRFs
from cortexnet.networks.norm import make_norm

SCALES = (0.25, 0.5, 1, 2, 4)
FAST_RATES = (16, 32, 64)
FLOOR = 1e-4  # added to energies, whose typical value is about one, before they are compressed
EXPONENT = 0.2  # of the compressed energy of the belt
BLOCK = 8  # sources of the belt's fields at a time: what is between stays in the processor's cache


@dataclass(frozen=True)
class Windows:
    """Rates in Hz and supports in seconds of the fields, and frames of the learned kernels."""

    slow_rates: tuple[float, ...]
    slow_seconds: float
    belt_rates: tuple[float, ...]
    belt_seconds: float
    parabelt_frames: int  # of 80 ms
    t23_frames: int  # of 160 ms
    t23_context: int  # of 160 ms


WINDOWS = {
    "wide": Windows((2, 4, 8), 0.5, (1.5, 3, 6), 0.8, 5, 3, 9),
    "strict": Windows((4, 8), 0.1, (3, 6), 0.2, 4, 3, 13),
}


def mean_of_pairs(x: Tensor, axis: int) -> Tensor:
    """Means of neighbours along an axis; of an odd number the last stands alone."""
    axis %= x.ndim
    n = x.shape[axis]
    first, second = x.narrow(axis, 0, n // 2 * 2).unflatten(axis, (-1, 2)).unbind(axis + 1)
    means = 0.5 * (first + second)
    return torch.cat([means, x.narrow(axis, n - 1, 1)], axis) if n % 2 else means


class A1(nn.Module):
    """Core: STRFs in a fast and a slow group, log energy at 25 Hz, tonotopic.

    ``(batch, band, frame)`` at 200 Hz to ``(batch, unit, band / 3, frame / 8)``. No unit spans more
    than 1.1 octaves. The units are 30 fast fields (16-64 Hz, 100 ms), the slow ones and a level
    channel.

    Parameters
    ----------
    frame_rate : float
        Of the cochleagram, Hz.
    bands_per_octave : float
        Of the cochleagram.
    windows : Windows
    plastic : bool
        The fields are parameters.

    Attributes
    ----------
    tuning : list of (rate, scale, direction)
        Of the fast, then of the slow fields; the level channel comes after them.
    """

    def __init__(self, frame_rate: float, bands_per_octave: float, windows: Windows, plastic=False):
        super().__init__()
        self.fast = STRFs(
            FAST_RATES, SCALES, 0.1, 1.1, frame_rate, bands_per_octave, (3, 4), plastic
        )
        self.slow = STRFs(
            windows.slow_rates, SCALES, windows.slow_seconds, 1.1, frame_rate / 4, bands_per_octave,
            (3, 2), plastic,
        )  # fmt: skip
        self.tuning = [*self.fast.tuning, *self.slow.tuning]
        self.n_units = len(self.tuning) + 1

    def forward(self, x: Tensor) -> Tensor:
        x = x[..., : x.shape[-1] // 8 * 8]
        quarter = mean_of_pairs(mean_of_pairs(x, 2), 2)
        fast, slow = mean_of_pairs(self.fast(x), 3), self.slow(quarter)
        level = F.pad(mean_of_pairs(quarter, 2)[:, None], (0, 0, 1, 1), mode="replicate")
        level = F.avg_pool2d(level, (3, 1))
        return torch.log(torch.cat([fast, slow, level.square()], 1) + FLOOR)


class BeltFields(nn.Module):
    """Fields of the belt: a second STRF bank over compressed energy of A1 units, at 12.5 Hz.

    ``(batch, unit, band, frame)`` of A1 to ``(batch, field, band / 4, frame / 2)``: which unit of
    A1 is active together with how its activity is modulated, over 2.1 octaves. The fields are
    ordered by stream: first the caudal ones, which hear the half of A1 that prefers faster sweeps
    (rate / scale, octaves/s), then the rostral ones, which hear the slower half. What lies between
    halves, and the level channel, is heard by both. Energies are compressed by a power, as at
    the ear.

    Parameters
    ----------
    tuning : list of (rate, scale, direction)
        Of A1.
    bands_per_octave : float
        Of A1.
    windows : Windows
    plastic : bool
        The fields are parameters.

    Attributes
    ----------
    tuning : list of (rate, scale, direction)
        Of the bank, which is applied to every source.
    caudal, rostral : list of int
        Units of A1 that each stream hears, beside the level channel.
    n_units : int
    """

    def __init__(self, tuning, bands_per_octave: float, windows: Windows, plastic=False):
        super().__init__()
        self.bank = STRFs(
            windows.belt_rates, (0.25, 0.5, 1), windows.belt_seconds, 2.1, 25, bands_per_octave,
            (2, 2), plastic,
        )  # fmt: skip
        self.tuning = self.bank.tuning
        self.caudal, self.rostral = _by_sweep(tuning)
        self.n_sources = len(tuning) + 1
        self.n_units = (len(self.caudal) + len(self.rostral) + 2) * len(self.tuning)

    def forward(self, a1: Tensor) -> Tensor:
        level = self.n_sources - 1
        heard = torch.tensor([*self.caudal, level, *self.rostral, level], device=a1.device)
        a1 = a1.index_select(1, heard)
        y = torch.cat([self._compressed(x) for x in a1.flatten(0, 1).split(BLOCK)])
        # Frames by bands by units in memory, the order in which all that follows reads them.
        return y.unflatten(0, a1.shape[:2]).permute(0, 3, 2, 1, 4).flatten(3).permute(0, 3, 2, 1)

    def _compressed(self, sources: Tensor) -> Tensor:
        """Of some sources, ``(source, band, frame, field)``, which is their order in memory."""
        energy = self.bank(torch.exp(0.5 * sources))  # of the square root of the energy
        return (mean_of_pairs(energy, 2) + FLOOR).pow(EXPONENT).permute(0, 2, 3, 1)


def _by_sweep(tuning) -> tuple[list[int], list[int]]:
    """Units of the faster and of the slower half of sweeps; both directions go together."""
    both = {}
    for unit, (rate, scale, _) in enumerate(tuning):
        both.setdefault((rate / scale, rate), []).append(unit)
    pairs = [both[key] for key in sorted(both)]
    half = -(-len(pairs) // 2)
    return sorted(chain(*pairs[-half:])), sorted(chain(*pairs[:half]))


class Area(nn.Module):
    """A population that learns: feed-forward drive, lateral recurrence, normalisation a step.

    At each step the area's activity is a rectified, normalised sum of its drive and of what its
    own activity of the step before sends laterally: over three bands and three frames within a
    unit's map, then between units. Weights are shared by the steps, normalisation is each step's
    own (Kubilius et al. 2018; Liao & Poggio 2016). Causal in time, centred in frequency.

    Parameters
    ----------
    n_in, n_out : int
    kernel : (int, int)
        Bands and frames of the drive.
    steps : int
    norm : str
        Of `make_norm`.
    groups : int
        Streams that do not see each other.
    all_bands : bool
        The kernel covers all bands of the input; one is left.
    """

    def __init__(self, n_in, n_out, kernel, steps=1, norm="batch", groups=1, all_bands=False):
        super().__init__()
        self.n_steps, self.groups, self.all_bands = steps, groups, all_bands
        half = 0 if all_bands else kernel[0] // 2
        self.padding = (kernel[1] - 1, 0, half, half)
        self.drive = nn.Conv2d(n_in, n_out, kernel, groups=groups, bias=norm == "none")
        nn.init.kaiming_normal_(self.drive.weight, nonlinearity="relu")
        self.norms = nn.ModuleList(make_norm(norm, n_out) for _ in range(steps))
        if steps > 1:
            self.reach = nn.Conv2d(
                n_out, n_out, (1 if all_bands else 3, 3), groups=n_out, bias=False
            )
            self.lateral = nn.Conv2d(n_out, n_out, 1, groups=groups, bias=False)

    def step(self, drive: Tensor, before: Tensor | None, number: int) -> Tensor:
        """Activity at a step, from the drive and the activity of the step before."""
        if before is not None:
            bands = 0 if self.all_bands else 1
            drive = drive + self.lateral(self.reach(F.pad(before, (2, 0, bands, bands))))
        return F.relu(self.norms[number](drive))

    def driven(self, x: Tensor) -> Tensor:
        """Feed-forward drive of an input."""
        return self.drive(F.pad(x, self.padding) if any(self.padding) else x)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Activity at every step, on one input."""
        return self.unrolled(self.driven(x))

    def unrolled(self, drive: Tensor) -> list[Tensor]:
        """Activity at every step, on one drive."""
        states = []
        for number in range(self.n_steps):
            states.append(self.step(drive, states[-1] if states else None, number))
        return states
