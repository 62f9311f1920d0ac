"""What units of any model prefer: frequency from tones, modulation from ripples."""

import math
from dataclasses import dataclass

import numpy as np
from torch import nn

from cortexnet.probing import frequency_edges, responses
from stimuli.synthesis import am_tone, ripple

PIPS = 8.0  # Hz: tones are modulated, since many units ignore a steady sound
LOWEST_RIPPLE = 125.0  # Hz: tones of a ripple lie 4 Hz apart there and beat as fast


@dataclass(frozen=True)
class Tuning:
    """Mean response of every unit to every stimulus of a set.

    Attributes
    ----------
    stimuli : tuple
        Frequencies in Hz, or (rate in Hz, scale in cycles/octave, direction) of ripples.
    means : (n_stimuli, n_units)
        Over time, the onset left out.
    units : (n_units,) int
        Numbers of the units within the area.
    """

    stimuli: tuple
    means: np.ndarray
    units: np.ndarray

    @property
    def silent(self) -> np.ndarray:
        """(n_units,) bool: units that answer all stimuli alike."""
        return np.ptp(self.means, axis=0) <= 1e-6 * np.abs(self.means).max(initial=1e-30)

    def best(self) -> list:
        """Stimulus with the largest response of every unit that is not silent."""
        return [self.stimuli[i] for i in self.means[:, ~self.silent].argmax(0)]

    def characteristic(self) -> list:
        """Stimulus at the peak of every unit's tuning curve, or the trough of a suppressed one.

        It is the trough where that is further from the median than the peak, unless the trough lies
        at an end of the range and the peak does not: then it is mere absence of drive.
        """
        means = self.means[:, ~self.silent]
        peak, trough, middle = means.argmax(0), means.argmin(0), np.median(means, 0)
        deeper = middle - means.min(0) > means.max(0) - middle
        ends = (0, len(means) - 1)
        undriven = np.isin(trough, ends) & ~np.isin(peak, ends)
        return [self.stimuli[i] for i in np.where(deeper & ~undriven, trough, peak)]


def _means(model, stimuli, waves, onset, steps) -> dict[str, Tuning]:
    activity, ends, units = responses(model, np.stack(waves), steps)
    return {
        k: Tuning(tuple(stimuli), x[:, ends[k] > min(onset, ends[k][-1] / 2)].mean(1), units[k])
        for k, x in activity.items()
    }


def tone_tuning(model: nn.Module, seconds: float = 1.0, steps: bool = False) -> dict[str, Tuning]:
    """Responses to tones a sixth of an octave apart, fully modulated at 8 Hz.

    Parameters
    ----------
    model : nn.Module
        With ``forward_areas`` and ``sample_rate``, in evaluation mode.
    seconds : float
        Duration of a tone; the first third is the onset.
    steps : bool
        Also the earlier steps of recurrent areas.

    Returns
    -------
    dict of Tuning
    """
    rate = model.sample_rate
    edges = frequency_edges(rate)
    frequencies = [float(2**f) for f in (edges[:-1] + edges[1:]) / 2]
    waves = [am_tone(seconds, PIPS, 1.0, hz, rate) for hz in frequencies]
    return _means(model, frequencies, waves, seconds / 3, steps)


def ripple_tuning(
    model: nn.Module,
    rates=(2, 4, 8, 16, 32, 64),
    scales=(0.25, 0.5, 1, 2, 4),
    seconds: float = 2.0,
    steps: bool = False,
) -> dict[str, Tuning]:
    """Responses to moving ripples of every rate, scale and direction.

    Parameters
    ----------
    model : nn.Module
        With ``forward_areas`` and ``sample_rate``, in evaluation mode.
    rates, scales : sequence of float
        Hz and cycles/octave.
    seconds : float
        Duration of a ripple; the first third is the onset.
    steps : bool
        Also the earlier steps of recurrent areas.

    Returns
    -------
    dict of Tuning
    """
    rate = model.sample_rate
    octaves = min(6, math.log2(0.45 * rate / LOWEST_RIPPLE))
    grid = [(r, s, d) for r in rates for s in scales for d in (1, -1)]
    waves = [ripple(seconds, r, s, d, 0.9, LOWEST_RIPPLE, octaves, rate) for r, s, d in grid]
    return _means(model, grid, waves, seconds / 3, steps)
