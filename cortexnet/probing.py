"""Probing any model: sounds with one thing changed, and the activity of its units."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from stimuli.audio import RMS, equalise_rms

BANDS_PER_OCTAVE = 6  # resolution of bandwidths
LOWEST = 50.0  # Hz
RAISE = 6.0  # dB
MAX_UNITS = 512  # of an area, drawn at random: enough for medians, and bounds the memory
BATCH = 8


def octave_noise(n: int, seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise with equal power in every octave above 50 Hz, ``(n, samples)`` float32."""
    samples = round(seconds * sample_rate)
    frequency = np.fft.rfftfreq(samples, 1 / sample_rate)
    gain = np.where(frequency >= LOWEST, 1 / np.sqrt(np.maximum(frequency, LOWEST)), 0)
    spectrum = np.fft.rfft(rng.standard_normal((n, samples)))
    return np.stack([equalise_rms(x, RMS) for x in np.fft.irfft(spectrum * gain, samples)])


def replace_moment(sound, other, start: int, length: int) -> np.ndarray:
    """`sound` cross-faded to `other` and back within `length` samples from `start`.

    Weights are cosine and sine, so that the power of independent sounds stays level.
    """
    angle = np.zeros(len(sound))
    angle[start : start + length] = np.pi / 2 * np.hanning(length + 2)[1:-1]
    return (np.cos(angle) * sound + np.sin(angle) * other).astype(np.float32)


def raise_band(sound, low_hz: float, high_hz: float, sample_rate: int) -> np.ndarray:
    """`sound` with its components between two frequencies raised by `RAISE` dB."""
    spectrum = np.fft.rfft(sound)
    frequency = np.fft.rfftfreq(len(sound), 1 / sample_rate)
    spectrum[(frequency >= low_hz) & (frequency < high_hz)] *= 10 ** (RAISE / 20)
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)


def frequency_edges(sample_rate: int) -> np.ndarray:
    """log2 of Hz, a sixth of an octave apart, from 50 Hz to .45 of the sampling rate."""
    octaves = math.log2(0.45 * sample_rate / LOWEST)
    return math.log2(LOWEST) + np.arange(int(octaves * BANDS_PER_OCTAVE) + 1) / BANDS_PER_OCTAVE


def draw_units(n_units: int, seed: int = 0) -> np.ndarray:
    """Numbers of at most `MAX_UNITS` units, ascending; the same ones for the same arguments."""
    if n_units <= MAX_UNITS:
        return np.arange(n_units)
    return np.sort(np.random.default_rng(seed).choice(n_units, MAX_UNITS, replace=False))


def areas_of(model: nn.Module, batch: Tensor, steps: bool = False):
    """``model.forward_areas``, with the earlier steps of recurrent areas where asked and there."""
    options = {"steps": True} if steps and getattr(model, "steps", None) else {}
    return model.forward_areas(batch, **options)


def responses(
    model: nn.Module, sounds: np.ndarray, steps: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Activity of the drawn units of every area.

    Parameters
    ----------
    model : nn.Module
        With ``forward_areas``, in evaluation mode.
    sounds : (n, samples) float32
    steps : bool
        Also the earlier steps of recurrent areas, as areas ``AREA@STEP``.

    Returns
    -------
    activity : dict of (n, time, n_drawn) arrays
    seconds : dict of (time,) arrays
        End of each frame.
    units : dict of (n_drawn,) int arrays
    """
    parts, units = {}, {}
    with torch.inference_mode():
        for first in range(0, len(sounds), BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(sounds[first : first + BATCH]))
            areas, seconds = areas_of(model, batch, steps)
            for name, x in areas.items():
                drawn = units.setdefault(name, draw_units(x.shape[2]))
                parts.setdefault(name, []).append(x[:, :, torch.from_numpy(drawn)].cpu().numpy())
    return {k: np.concatenate(v) for k, v in parts.items()}, seconds, units


def band_counts(model: nn.Module, sample: Tensor, steps: bool = False) -> dict[str, int]:
    """Places on the frequency axis of every area that has one.

    A model may say it by its attribute ``bands``, places by area. Else an area is known to have an
    axis if its activity equals, value for value, the flattened output ``(batch, channel, band,
    frame)`` of a module within the model.

    Parameters
    ----------
    model : nn.Module
    sample : (1, samples)
        Any sound.
    steps : bool
        Also the earlier steps of recurrent areas.

    Returns
    -------
    dict of int
        Unit ``i`` of such an area lies at place ``i % count``.
    """
    known = getattr(model, "bands", None)
    if known is not None:
        with torch.inference_mode():
            layers = areas_of(model, sample, steps)[0]
        return {x: known[x.partition("@")[0]] for x in layers if x.partition("@")[0] in known}
    outputs: list[Tensor] = []

    def keep(_module, _inputs, output):
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] > 1:
            outputs.append(output)

    hooks = [m.register_forward_hook(keep) for m in model.modules()]
    try:
        with torch.inference_mode():
            areas, _ = areas_of(model, sample, steps)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        name: output.shape[2]
        for name, x in areas.items()
        for output in outputs
        if x.shape[1] == output.shape[3]
        and x.shape[2] == output.shape[1] * output.shape[2]
        and torch.equal(x, output.flatten(1, 2).transpose(1, 2))
    }
