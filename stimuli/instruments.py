"""Single notes and drum strokes for generated music.

A pitched note is a wavetable that changes as it sounds: harmonic h starts at an amplitude that the
timbre gives it and decays at a rate that grows with h, as in a plucked string (Karplus & Strong
1983, Computer Music Journal 7, 43), where every period is the former one low-passed.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

_TABLE = 512
_FRAME_SECONDS = 0.02


@dataclass(frozen=True)
class Timbre:
    """How the notes of an instrument sound.

    Parameters
    ----------
    slope : float
        Amplitude of harmonic h falls as h ** -slope.
    even : float
        Amplitude of even harmonics relative to odd ones (0: clarinet, square wave).
    formants : tuple of (hz, gain)
        Resonances about half an octave wide, on top of the slope.
    decay, damping : float
        Harmonic h decays at decay + damping * h, per second.
    attack, release : float
        Seconds.
    vibrato_cents, vibrato_hz : float
        Depth and rate of the vibrato, which sets in after 0.15 s.
    breath : float
        Level of noise relative to the tone.
    """

    slope: float = 1.0
    even: float = 1.0
    formants: tuple[tuple[float, float], ...] = ()
    decay: float = 0.0
    damping: float = 0.0
    attack: float = 0.005
    release: float = 0.03
    vibrato_cents: float = 0.0
    vibrato_hz: float = 5.5
    breath: float = 0.0


TIMBRES = {
    "piano": Timbre(slope=1.3, decay=1.2, damping=0.35, attack=0.003, release=0.08),
    "epiano": Timbre(slope=2.2, decay=1.0, damping=1.2, formants=((2400, 2.0),), release=0.1),
    "harpsichord": Timbre(slope=0.5, decay=1.6, damping=0.15, attack=0.002),
    "guitar": Timbre(slope=1.0, decay=1.5, damping=0.5, attack=0.002, release=0.06),
    "banjo": Timbre(slope=0.5, decay=4.0, damping=0.5, formants=((900, 2.0),), attack=0.001),
    "electric_guitar": Timbre(slope=0.9, decay=0.8, damping=0.2, formants=((1800, 1.5),)),
    "power_guitar": Timbre(slope=0.8, decay=0.3, damping=0.02, attack=0.004),
    "muted_guitar": Timbre(slope=0.9, decay=9.0, damping=0.8, attack=0.002),
    "organ": Timbre(slope=0.7, even=0.8, attack=0.01, release=0.03),
    "strings": Timbre(slope=1.0, attack=0.12, release=0.15, vibrato_cents=14, breath=0.02),
    "violin": Timbre(
        slope=0.9, attack=0.06, release=0.08, vibrato_cents=28, formants=((2800, 1.5),), breath=0.02
    ),
    "flute": Timbre(slope=2.2, attack=0.06, release=0.06, vibrato_cents=14, breath=0.08),
    "clarinet": Timbre(slope=1.0, even=0.1, attack=0.04, release=0.05, breath=0.03),
    "brass": Timbre(slope=0.7, attack=0.05, release=0.06, vibrato_cents=8, formants=((1200, 2.0),)),
    "sax": Timbre(
        slope=0.9, attack=0.03, release=0.05, vibrato_cents=22, formants=((700, 2.0),), breath=0.06
    ),
    "harmonica": Timbre(slope=0.6, attack=0.03, vibrato_cents=20, formants=((2000, 2.0),)),
    "voice": Timbre(
        slope=1.3,
        attack=0.05,
        release=0.06,
        vibrato_cents=26,
        formants=((600, 3.0), (1300, 2.0), (2700, 1.5)),
        breath=0.03,
    ),
    "rap": Timbre(
        slope=1.1,
        attack=0.015,
        release=0.03,
        decay=4.0,
        formants=((550, 3.0), (1600, 2.5), (2600, 2.0)),
        breath=0.12,
    ),
    "synth": Timbre(slope=0.9, attack=0.008, release=0.04),
    "square": Timbre(slope=1.0, even=0.05, attack=0.005),
    "pad": Timbre(slope=1.4, attack=0.15, release=0.2, vibrato_cents=6),
    "bass": Timbre(slope=1.5, decay=1.5, damping=1.0, attack=0.005),
    "picked_bass": Timbre(slope=0.9, decay=1.5, damping=0.6, attack=0.003),
    "upright_bass": Timbre(slope=1.8, decay=3.0, damping=1.5, attack=0.008),
    "synth_bass": Timbre(slope=1.0, decay=1.0, damping=1.0),
    "sub_bass": Timbre(slope=3.5, decay=0.8, attack=0.008),
    "cello": Timbre(slope=1.1, attack=0.08, release=0.12, vibrato_cents=16, breath=0.02),
}


def note(hz, seconds, timbre, sample_rate, rng) -> np.ndarray:
    """One note of about unit root mean square at its start.

    Parameters
    ----------
    hz : float
        Fundamental frequency.
    seconds : float
        Duration without the release.
    timbre : Timbre
    sample_rate : int
        Hz.
    rng : numpy.random.Generator
        For the phases of the harmonics and the breath noise.

    Returns
    -------
    (n_samples,) float32
    """
    n = int((seconds + timbre.release) * sample_rate)
    t = np.arange(n) / sample_rate
    h = np.arange(1, max(2, min(_TABLE // 2, int(0.45 * sample_rate / hz))))
    amplitude = h**-timbre.slope * np.where(h % 2, 1.0, timbre.even)
    for formant_hz, gain in timbre.formants:
        amplitude *= 1 + gain * np.exp(-((np.log2(h * hz / formant_hz) / 0.5) ** 2))
    amplitude *= np.sqrt(2 / np.sum(amplitude**2))
    frames = np.arange(int(n / sample_rate / _FRAME_SECONDS) + 2) * _FRAME_SECONDS
    fading = np.exp(-frames[:, None] * (timbre.decay + timbre.damping * h))
    spectrum = np.zeros((len(frames), _TABLE // 2 + 1), complex)
    spectrum[:, h] = fading * amplitude * np.exp(2j * np.pi * rng.random(len(h)))
    tables = np.fft.irfft(spectrum, _TABLE).astype(np.float32).ravel() * (_TABLE / 2)

    cycles = hz * t
    if timbre.vibrato_cents:
        swing = 2 ** (timbre.vibrato_cents / 1200) - 1
        onset = np.minimum(np.maximum(t - 0.15, 0) / 0.15, 1)
        rate = 2 * np.pi * timbre.vibrato_hz
        cycles = cycles - onset * hz * swing / rate * np.cos(rate * t)
    column = (cycles * _TABLE).astype(np.int64) % _TABLE
    position = t / _FRAME_SECONDS
    frame = position.astype(np.int64)
    weight = (position - frame).astype(np.float32)
    index = frame * _TABLE + column
    wave = tables[index] * (1 - weight) + tables[index + _TABLE] * weight
    if timbre.breath:
        wave += timbre.breath * rng.standard_normal(n, dtype=np.float32)
    return wave * _envelope(n, timbre.attack, timbre.release, sample_rate)


def _envelope(n, attack, release, sample_rate):
    envelope = np.ones(n, np.float32)
    rise = min(n, max(1, int(attack * sample_rate)))
    fall = min(n, max(1, int(release * sample_rate)))
    envelope[:rise] = np.linspace(0, 1, rise, dtype=np.float32)
    envelope[-fall:] *= np.linspace(1, 0, fall, dtype=np.float32)
    return envelope


def _burst(seconds, decay, sample_rate, rng, low=None, high=None):
    """Noise between two frequencies (Hz) that decays at `decay` per second."""
    n = int(seconds * sample_rate)
    x = rng.standard_normal(n)
    top = 0.45 * sample_rate
    if low and high:
        band = [low, min(high, top)]
        x = sosfilt(butter(2, band, "bandpass", fs=sample_rate, output="sos"), x)
    elif low:
        x = sosfilt(butter(2, min(low, 0.9 * top), "highpass", fs=sample_rate, output="sos"), x)
    x *= np.exp(-decay * np.arange(n) / sample_rate)
    return x / np.abs(x).max()


def _thump(seconds, start_hz, end_hz, sweep, decay, sample_rate):
    """Sine that falls from one frequency (Hz) to another at `sweep` per second."""
    t = np.arange(int(seconds * sample_rate)) / sample_rate
    phase = end_hz * t + (start_hz - end_hz) * (1 - np.exp(-sweep * t)) / sweep
    return np.sin(2 * np.pi * phase) * np.exp(-decay * t)


# kick: start Hz, end Hz, decay; snare: tone Hz, noise band, decay; hat: high-pass Hz, decay
KITS = {
    "rock": {"kick": (150, 55, 14), "snare": (190, 1200, 7000, 16), "hat": (6500, 45)},
    "electronic": {"kick": (220, 45, 9), "snare": (230, 900, 9500, 22), "hat": (8000, 70)},
    "brushes": {"kick": (90, 60, 20), "snare": (170, 2500, 6000, 25), "hat": (5000, 35)},
    "vintage": {"kick": (120, 65, 18), "snare": (210, 800, 5000, 18), "hat": (5500, 50)},
}


def drum(name, kit, sample_rate, rng) -> np.ndarray:
    """One stroke of a drum, peak about 1.

    Parameters
    ----------
    name : {"kick", "snare", "clap", "rim", "hat", "open", "ride", "crash", "tom", "shaker"}
    kit : dict
        One of KITS.
    sample_rate : int
        Hz.
    rng : numpy.random.Generator

    Returns
    -------
    (n_samples,) float32
    """
    kick, snare, hat = kit["kick"], kit["snare"], kit["hat"]

    def burst(seconds, decay, low, high=None):
        return _burst(seconds, decay, sample_rate, rng, low, high)

    if name == "kick":
        wave = _thump(0.35, kick[0], kick[1], 40, kick[2], sample_rate)
    elif name == "snare":
        wave = 0.7 * burst(0.25, snare[3], snare[1], snare[2])
        wave += 0.5 * _thump(0.25, snare[0] * 1.4, snare[0], 60, 22, sample_rate)
    elif name == "clap":
        wave = burst(0.25, 18, 900, 3500)
    elif name == "rim":
        wave = burst(0.06, 70, 1500, 4000)
    elif name == "hat":
        wave = burst(0.12, hat[1], hat[0])
    elif name == "open":
        wave = burst(0.35, hat[1] / 5, hat[0])
    elif name == "ride":
        wave = 0.8 * burst(0.6, 6, hat[0]) + 0.2 * _thump(0.6, 3300, 3300, 1, 8, sample_rate)
    elif name == "crash":
        wave = burst(1.2, 2.5, 3500)
    elif name == "tom":
        wave = _thump(0.5, 140, 85, 20, 7, sample_rate)
    elif name == "shaker":
        wave = burst(0.08, 40, 4000, 9000)
    else:
        raise ValueError(f"no drum called '{name}'")
    return wave.astype(np.float32)
