"""Receptive fields of any model, measured by perturbing its sounds.

What a unit of a network integrates is not what its kernels could reach: a filter of half a second
with a decaying envelope weighs the last hundred milliseconds most. Therefore moments of a sound are
replaced by another sound, or bands of it raised, and the change of every unit's response is
measured. The widths reported are the shortest that hold 75 % (or 95 %) of the change, the
definition under which integration windows of human auditory cortex were published.

References
----------
Norman-Haignere et al. (2022), Nat. Hum. Behav. 6, 455-469 (temporal context invariance; window =
shortest interval with 75 % of the mass).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from cortexnet.probing import (
    frequency_edges,
    octave_noise,
    raise_band,
    replace_moment,
    responses,
)
from stimuli import InputError

STEP = 0.01  # seconds: resolution of time windows
TOLERANCE = 1e-4  # of a unit's SD: a smaller change is rounding


@dataclass(frozen=True)
class Effect:
    """How far a perturbation at each place moves each unit.

    Attributes
    ----------
    edges : (n_places + 1,)
        Borders of the places: seconds before the response, or log2 of Hz.
    weights : (n_places, n_units)
        Mean absolute change; every column sums to one, or is zero where nothing moves the unit.
    units : (n_units,) int
        Numbers of the units within the area.
    """

    edges: np.ndarray
    weights: np.ndarray
    units: np.ndarray

    @property
    def silent(self) -> np.ndarray:
        """(n_units,) bool: units that no perturbation moves."""
        return ~self.weights.any(0)

    def width(self, fraction: float) -> np.ndarray:
        """Shortest interval that holds a fraction of each unit's change, NaN for silent units."""
        return shortest_interval(self.weights, self.edges, fraction)

    def median(self) -> np.ndarray:
        """(n_units,) place that halves each unit's change, NaN for silent units."""
        halves = [
            np.interp(0.5, np.r_[0, np.cumsum(w)], self.edges) if w.any() else np.nan
            for w in self.weights.T
        ]
        return np.array(halves)


@dataclass(frozen=True)
class TimeWindow(Effect):
    """`Effect` of replacing a moment of the sound, by its age at the time of the response.

    Attributes
    ----------
    reach : float
        Seconds between the end of the oldest moment that matters at all and the response: the hard
        limit, to the resolution of the measurement.
    contained : bool
        False if the response still changed when the sounds ended: `reach` and the widths are then
        lower bounds.
    lead : float
        Seconds by which a response precedes the sound that moved it; 0 for a causal model.
    """

    reach: float
    contained: bool
    lead: float


def shortest_interval(weights: np.ndarray, edges: np.ndarray, fraction: float) -> np.ndarray:
    """Width of the shortest interval that holds a fraction of a density.

    Parameters
    ----------
    weights : (n_places, n_units)
        Mass of every place, spread evenly within it.
    edges : (n_places + 1,)
        Borders of the places.
    fraction : float

    Returns
    -------
    (n_units,) in the units of `edges`; NaN where there is no mass.
    """
    widths = np.full(weights.shape[1], np.nan)
    for unit, mass in enumerate(weights.T):
        held = np.r_[0, np.cumsum(mass)]
        if held[-1] <= 0:
            continue
        held /= held[-1]
        # The shortest interval of a piecewise constant density starts or ends on a border.
        starts, ends = held <= 1 - fraction + 1e-12, held >= fraction - 1e-12
        until = np.interp(held[starts] + fraction, held, edges)
        since = np.interp(held[ends] - fraction, held, edges)
        widths[unit] = min((until - edges[starts]).min(), (edges[ends] - since).min())
    return widths


def time_windows(
    model: nn.Module,
    sounds: np.ndarray | None = None,
    before: float = 1.0,
    after: float = 4.0,
    n_sounds: int = 6,
    steps: bool = False,
    seed: int = 0,
) -> dict[str, TimeWindow]:
    """Integration window of every area: replace 20 ms of sound and watch the response.

    One replaced moment shows the whole window, since every later frame sees it at another age.
    Moments 10 ms apart resolve ages finer than the frames of an area.

    Parameters
    ----------
    model : nn.Module
        With ``forward_areas`` and ``sample_rate``, in evaluation mode.
    sounds : (n >= 2, samples) float32, optional
        Every sound is disturbed by the next; default: noise with equal power in every octave, whose
        statistics no perturbation changes.
    before, after : float
        Seconds of sound before the first and after the last replaced moment.
    n_sounds : int
        Of the default sounds.
    steps : bool
        Also the earlier steps of recurrent areas.
    seed : int

    Returns
    -------
    dict of TimeWindow

    Raises
    ------
    InputError
        If the sounds are too few or too short.
    """
    rate, length = model.sample_rate, round(2 * STEP * model.sample_rate)
    if sounds is None:
        # The longest frame of any model here is covered by 40 moments of 10 ms.
        seconds = before + 64 * STEP + after
        sounds = octave_noise(n_sounds, seconds, rate, np.random.default_rng(seed))
    rest = sounds.shape[1] / rate - before - after
    if len(sounds) < 2 or rest < STEP:
        raise InputError(
            f"receptive fields need two sounds or more, longer than {before + after:g} s; "
            f"there are {len(sounds)} of {sounds.shape[1] / rate:.2f} s"
        )
    plain, ends, units = responses(model, sounds, steps)
    slowest = max(s[0] for s in ends.values())
    n_moments = int(min(max(16, math.ceil(slowest / STEP)), rest / STEP))
    onsets = before + STEP * np.arange(n_moments)
    bins = np.arange(-round(before / STEP), round(after / STEP) + 1)
    edges = STEP * bins
    total = {k: np.zeros((len(bins) - 1, len(u))) for k, u in units.items()}
    count = {k: np.zeros(len(bins) - 1) for k in units}
    reach, lead = dict.fromkeys(units, 0.0), dict.fromkeys(units, 0.0)
    tolerance = {k: TOLERANCE * x.std((0, 1)) + 1e-12 for k, x in plain.items()}
    for i, sound in enumerate(sounds):
        other = sounds[(i + 1) % len(sounds)]
        disturbed = [replace_moment(sound, other, round(t * rate), length) for t in onsets]
        for k, x in responses(model, np.stack(disturbed), steps)[0].items():
            change = np.abs(x - plain[k][i])  # (moment, time, unit)
            age = ends[k] - onsets[:, None]  # of the moment's beginning
            moved = (change > tolerance[k]).any(2)
            reach[k] = max(reach[k], (age - 2 * STEP)[moved].max(initial=0))
            lead[k] = max(lead[k], -age[moved].min(initial=0))
            place = np.floor((age - STEP - edges[0]) / STEP).astype(int)
            inside = (place >= 0) & (place < len(count[k]))
            np.add.at(total[k], place[inside], change[inside])
            count[k] += np.bincount(place[inside], minlength=len(count[k]))
    windows = {}
    for k in units:
        contained = reach[k] < after - 2 * ends[k][0]
        windows[k] = TimeWindow(
            edges, _density(total[k], count[k]), units[k], reach[k], contained, lead[k]
        )
    return windows


def _density(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Mean change by place, interpolated where no frame fell, columns summing to one."""
    seen = np.flatnonzero(count)
    mean = total[seen] / count[seen, None]
    if len(seen) < len(count):
        places = np.arange(len(count))
        mean = np.stack([np.interp(places, seen, column) for column in mean.T], 1)
    return mean / np.maximum(mean.sum(0), 1e-30)


def frequency_tuning(
    model: nn.Module,
    seconds: float = 2.0,
    n_sounds: int = 4,
    steps: bool = False,
    seed: int = 0,
) -> dict[str, Effect]:
    """Bandwidth of every area: raise a sixth of an octave of noise and watch the response.

    A rise is the same at all frequencies. To replace a band by other noise is not: narrow bands at
    low frequencies fluctuate more, and would seem to matter more.

    Parameters
    ----------
    model : nn.Module
        With ``forward_areas`` and ``sample_rate``, in evaluation mode.
    seconds : float
        Duration of the noises, which have equal power in every octave.
    n_sounds : int
    steps : bool
        Also the earlier steps of recurrent areas.
    seed : int

    Returns
    -------
    dict of Effect
        ``edges`` are log2 of Hz: widths are octaves.
    """
    rate = model.sample_rate
    sounds = octave_noise(n_sounds, seconds, rate, np.random.default_rng(seed))
    edges = frequency_edges(rate)
    plain, _, units = responses(model, sounds, steps)
    total = {k: np.zeros((len(edges) - 1, len(u))) for k, u in units.items()}
    for i, sound in enumerate(sounds):
        disturbed = [
            raise_band(sound, 2**low, 2**high, rate) for low, high in itertools.pairwise(edges)
        ]
        for k, x in responses(model, np.stack(disturbed), steps)[0].items():
            change = np.abs(x - plain[k][i])
            change[change <= TOLERANCE * plain[k].std((0, 1))] = 0
            total[k] += change.mean(1)
    return {k: Effect(edges, _density(x, np.ones(len(x))), units[k]) for k, x in total.items()}


def median_and_quartiles(values: Sequence[float]) -> list[float] | None:
    """``[median, lower quartile, upper quartile]``, or None without a finite value."""
    finite = np.asarray(values)[np.isfinite(values)]
    if not len(finite):
        return None
    return [float(q) for q in np.quantile(finite, (0.5, 0.25, 0.75))]
