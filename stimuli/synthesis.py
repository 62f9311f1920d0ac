"""Controlled stimuli with exact parameters: tones, modulated tones and noise, complexes, ripples.

Every function returns (n_samples,) float32 at a root mean square of `stimuli.audio.RMS`, so that
stimuli differ in nothing but what was asked for. No onset ramps.
"""

import numpy as np

from stimuli.audio import RMS, SAMPLE_RATE, equalise_rms
from stimuli.errors import InputError

TONES_PER_OCTAVE = 20


def _seconds_axis(seconds, sample_rate):
    n_samples = round(seconds * sample_rate)
    if n_samples < 1:
        raise InputError(f"a stimulus of {seconds} s at {sample_rate} Hz has no samples")
    return np.arange(n_samples) / sample_rate


def _check_band(highest_hz, sample_rate):
    if not 0 < highest_hz < sample_rate / 2:
        raise InputError(
            f"highest frequency {highest_hz:g} Hz must lie between 0 and half the sample rate "
            f"({sample_rate / 2:g} Hz)"
        )


def _check_depth(depth):
    if not 0 <= depth <= 1:
        raise InputError(f"modulation depth is {depth}; it must lie between 0 and 1")


def pure_tone(seconds, hz, sample_rate=SAMPLE_RATE) -> np.ndarray:
    """Sine of frequency `hz` (Hz).

    Returns
    -------
    (n_samples,) float32

    Raises
    ------
    InputError
        If `hz` is not below half the sample rate.
    """
    return harmonic_complex(seconds, hz, 1, sample_rate)


def harmonic_complex(seconds, f0, n_harmonics, sample_rate=SAMPLE_RATE) -> np.ndarray:
    """Equal-amplitude harmonics 1 to `n_harmonics` of `f0` (Hz) in sine phase.

    Returns
    -------
    (n_samples,) float32

    Raises
    ------
    InputError
        If the highest harmonic is not below half the sample rate.
    """
    t = _seconds_axis(seconds, sample_rate)
    _check_band(f0 * n_harmonics, sample_rate)
    return equalise_rms(sum(np.sin(2 * np.pi * f0 * h * t) for h in range(1, n_harmonics + 1)), RMS)


def _am(t, rate_hz, depth, sample_rate):
    _check_depth(depth)
    _check_band(rate_hz, sample_rate)
    return 1 + depth * np.sin(2 * np.pi * rate_hz * t)


def am_tone(seconds, rate_hz, depth=1.0, carrier_hz=1000.0, sample_rate=SAMPLE_RATE) -> np.ndarray:
    """Tone times the envelope 1 + depth sin(2 pi rate t).

    Parameters
    ----------
    seconds : float
    rate_hz : float
        Modulation rate in Hz.
    depth : float
        0 to 1.
    carrier_hz : float
    sample_rate : int
        Hz.

    Returns
    -------
    (n_samples,) float32

    Raises
    ------
    InputError
        If a sideband is not below half the sample rate or the depth not in [0, 1].
    """
    t = _seconds_axis(seconds, sample_rate)
    _check_band(carrier_hz + rate_hz, sample_rate)
    envelope = _am(t, rate_hz, depth, sample_rate)
    return equalise_rms(envelope * np.sin(2 * np.pi * carrier_hz * t), RMS)


def am_noise(seconds, rate_hz, depth=1.0, sample_rate=SAMPLE_RATE, seed=0) -> np.ndarray:
    """White Gaussian noise times the envelope 1 + depth sin(2 pi rate t).

    Parameters
    ----------
    seconds : float
    rate_hz : float
        Modulation rate in Hz.
    depth : float
        0 to 1.
    sample_rate : int
        Hz.
    seed : int

    Returns
    -------
    (n_samples,) float32

    Raises
    ------
    InputError
        If the rate is not below half the sample rate or the depth not in [0, 1].
    """
    t = _seconds_axis(seconds, sample_rate)
    envelope = _am(t, rate_hz, depth, sample_rate)
    return equalise_rms(envelope * np.random.default_rng(seed).standard_normal(len(t)), RMS)


def fm_tone(
    seconds, rate_hz, excursion_hz, carrier_hz=1000.0, sample_rate=SAMPLE_RATE
) -> np.ndarray:
    """Tone of instantaneous frequency carrier + excursion sin(2 pi rate t).

    Parameters
    ----------
    seconds : float
    rate_hz : float
        Modulation rate in Hz.
    excursion_hz : float
        Largest deviation from the carrier in Hz.
    carrier_hz : float
    sample_rate : int
        Hz.

    Returns
    -------
    (n_samples,) float32

    Raises
    ------
    InputError
        If the instantaneous frequency leaves 0 to half the sample rate.
    """
    t = _seconds_axis(seconds, sample_rate)
    _check_band(carrier_hz + excursion_hz, sample_rate)
    _check_band(carrier_hz - excursion_hz, sample_rate)
    _check_band(rate_hz, sample_rate)
    index = excursion_hz / rate_hz
    phase = 2 * np.pi * carrier_hz * t + index * (1 - np.cos(2 * np.pi * rate_hz * t))
    return equalise_rms(np.sin(phase), RMS)


def ripple(
    seconds,
    rate_hz,
    scale_cyc_per_oct,
    direction=1,
    depth=0.9,
    f_low=250.0,
    octaves=5,
    sample_rate=SAMPLE_RATE,
    seed=0,
) -> np.ndarray:
    """Moving ripple: log-spaced tones of random phase under a sinusoidal spectrotemporal envelope.

    The envelope at time t and x octaves above `f_low` is
    1 + depth sin(2 pi (rate t + direction scale x)). A crest lies where rate t + direction scale x
    is constant, so `direction` +1 sweeps *downward* in frequency and -1 upward (the convention of
    Chi, Ru & Shamma 2005, J. Acoust. Soc. Am. 118, 887). Twenty tones an octave.

    Parameters
    ----------
    seconds : float
    rate_hz : float
        Temporal modulation in Hz; 0 for a stationary ripple.
    scale_cyc_per_oct : float
        Spectral modulation in cycles per octave; 0 for amplitude-modulated tones.
    direction : {+1, -1}
        +1 downward, -1 upward.
    depth : float
        0 to 1.
    f_low : float
        Lowest tone in Hz.
    octaves : float
        Width of the band.
    sample_rate : int
        Hz.
    seed : int
        Of the phases of the tones.

    Returns
    -------
    (n_samples,) float32

    Raises
    ------
    InputError
        If the band reaches half the sample rate, the scale is finer than half the tones an octave,
        or direction or depth is not one of those above.
    """
    if direction not in (1, -1):
        raise InputError(f"direction is {direction}; use +1 (downward) or -1 (upward)")
    if scale_cyc_per_oct > TONES_PER_OCTAVE / 2:
        raise InputError(
            f"scale {scale_cyc_per_oct:g} cycles per octave is finer than the tones can carry "
            f"({TONES_PER_OCTAVE / 2:g})"
        )
    _check_depth(depth)
    _check_band(f_low * 2**octaves, sample_rate)
    t = _seconds_axis(seconds, sample_rate)
    x = np.arange(round(octaves * TONES_PER_OCTAVE) + 1) / TONES_PER_OCTAVE
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(x))
    wave = np.zeros(len(t))
    sine, cosine = np.sin(2 * np.pi * rate_hz * t), np.cos(2 * np.pi * rate_hz * t)
    # Tone by tone: all at once would need seconds x tones of memory.
    for octave, phase in zip(x, phases, strict=True):
        angle = 2 * np.pi * direction * scale_cyc_per_oct * octave
        envelope = 1 + depth * (np.cos(angle) * sine + np.sin(angle) * cosine)
        wave += envelope * np.sin(2 * np.pi * f_low * 2**octave * t + phase)
    return equalise_rms(wave, RMS)
