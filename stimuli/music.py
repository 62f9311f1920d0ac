"""Generated music: tracks of ten genres that differ as genres do, and overlap as genres do.

A track draws its key, tempo, instruments, patterns, mix and noise from the style of its genre, and
now and then takes an ingredient from a neighbouring genre. It starts anywhere in its progression.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, oaconvolve, sosfilt

from stimuli.audio import SAMPLE_RATE
from stimuli.errors import InputError
from stimuli.genres import BASS, CHORD_PATTERNS, CHORDS, DRUMS, GENRES, SCALES, STYLES
from stimuli.instruments import KITS, TIMBRES, drum, note

STEPS = 16
# Chance that one ingredient (rhythm section, chords, lead, harmony, mix) comes from a neighbour.
# Set so that a support vector machine on mean and SD of the log-mel spectrum, trained on 8 tracks
# a genre, labels about two thirds of other tracks correctly.
BORROWING = 0.08
PEAK = 0.97
LEVEL = 0.12

_LOUDNESS = {"X": 1.0, "x": 0.7, "o": 0.4}
_DRUM_GAIN = {
    "kick": 0.9,
    "snare": 0.6,
    "clap": 0.5,
    "rim": 0.45,
    "hat": 0.22,
    "open": 0.22,
    "ride": 0.25,
    "crash": 0.3,
    "tom": 0.7,
    "shaker": 0.25,
}


@dataclass(frozen=True)
class _Grid:
    """When the steps of the bars fall, in seconds."""

    step: float
    swing: float
    swung_steps: int
    first_step: int
    n_steps: int

    def time(self, step):
        """Seconds from the beginning of the track to a step, which may be fractional."""
        unit = self.swung_steps
        pair, inside = divmod(step, 2 * unit)
        first = 2 * unit * self.swing
        if inside < unit:
            shifted = inside / unit * first
        else:
            shifted = first + (inside - unit) / unit * (2 * unit - first)
        return (pair * 2 * unit + shifted - self.first_step) * self.step


class _Part:
    """One instrument's line: notes are rendered once and laid where they sound."""

    def __init__(self, timbre, n_samples, sample_rate, rng):
        self.timbre, self.sample_rate, self.rng = timbre, sample_rate, rng
        self.wave = np.zeros(n_samples, np.float32)
        self._notes = {}

    def play(self, midi, at, seconds, gain):
        key = (midi, round(seconds / 0.03))
        if key not in self._notes:
            hz = 440 * 2 ** ((midi - 69) / 12)
            self._notes[key] = note(hz, seconds, self.timbre, self.sample_rate, self.rng)
        _lay(self.wave, self._notes[key], round(at * self.sample_rate), gain)


def _lay(wave, sound, first, gain):
    skip = max(0, -first)
    room = len(wave) - first
    if skip < len(sound) and room > 0:
        piece = sound[skip:room]
        wave[first + skip : first + skip + len(piece)] += np.float32(gain) * piece


def _held(pattern, start):
    """Steps from a stroke to the end of its hold."""
    end = start + 1
    while end < len(pattern) and pattern[end] == "-":
        end += 1
    return end - start


def _pick(rng, options):
    return options[rng.integers(len(options))]


def _drums(pattern, kit, grid, jitter, n_samples, sample_rate, rng):
    wave = np.zeros(n_samples, np.float32)
    sounds = {name: drum(name, kit, sample_rate, rng) for name in pattern}
    for name, strokes in pattern.items():
        # A track leaves out or adds a few strokes of its own, always the same ones.
        keep = rng.random(STEPS) < 0.93
        for step in range(grid.first_step - STEPS, grid.first_step + grid.n_steps):
            stroke = strokes[step % STEPS]
            if stroke in _LOUDNESS and keep[step % STEPS]:
                at = grid.time(step) + jitter * rng.standard_normal()
                gain = _DRUM_GAIN[name] * _LOUDNESS[stroke] * (1 + 0.12 * rng.standard_normal())
                _lay(wave, sounds[name], round(at * sample_rate), gain)
    return wave


def _bass(part, pattern, harmony, key, grid, jitter, rng):
    scale, progression = harmony
    root = 28 + (key - 28) % 12
    for step in range(grid.first_step - STEPS, grid.first_step + grid.n_steps):
        sign = pattern[step % STEPS]
        if sign in ".-":
            continue
        offset, quality = progression[step // STEPS % len(progression)]
        third = CHORDS[quality][1] if quality != "5" else 3
        interval = {"r": 0, "3": third, "5": 7, "6": 9, "8": 12}.get(sign)
        if interval is None:
            first_of_bar = step % STEPS == 0
            interval = 0 if first_of_bar else int(_pick(rng, SCALES[scale] + CHORDS[quality]))
        length = grid.step * _held(pattern, step % STEPS)
        at = grid.time(step) + jitter * rng.standard_normal()
        part.play(root + offset % 12 + interval, at, length * 0.92, 1 + 0.1 * rng.standard_normal())


def _chords(part, pattern, harmony, key, grid, jitter, rng):
    _, progression = harmony
    base = 48 + (key - 48) % 12
    arpeggio = rng.permutation(8)
    played = 0
    for step in range(grid.first_step - STEPS, grid.first_step + grid.n_steps):
        sign = pattern[step % STEPS]
        if sign in ".-":
            continue
        offset, quality = progression[step // STEPS % len(progression)]
        # Close voicing: every tone moves to the octave that starts at `base`.
        tones = [base + (key + offset + tone - base) % 12 for tone in CHORDS[quality]]
        if quality == "5":
            tones = [base - 12 + (key + offset - base) % 12 + tone for tone in CHORDS["5"]]
        length = grid.step * _held(pattern, step % STEPS) * 0.9
        at = grid.time(step) + jitter * rng.standard_normal()
        gain = (1 + 0.15 * rng.standard_normal()) / np.sqrt(len(tones))
        if sign == "a":
            tone = arpeggio[played % 8]
            played += 1
            midi = sorted(tones)[tone % len(tones)] + 12 * (tone // len(tones) % 2)
            part.play(midi, at, length * 1.6, gain)
        else:
            for midi in tones:
                part.play(midi, at, length, gain)


def _melody(density, spoken, rng):
    """Two bars of a tune: (step, length in steps, scale degree), its rests and leaps its own."""
    unit = 1 if spoken else 2
    onsets = [s for s in range(0, 2 * STEPS, unit) if rng.random() < density] or [0]
    degree, tune = int(rng.integers(-2, 5)), []
    for i, step in enumerate(onsets):
        gap = (onsets[i + 1] if i + 1 < len(onsets) else 2 * STEPS) - step
        degree += int(np.clip(np.round(rng.normal(0, 1.0 if spoken else 1.6)), -4, 4))
        degree = int(np.clip(degree, -4, 9)) if not spoken else int(np.clip(degree, 0, 2))
        tune.append((step, min(gap, unit * int(rng.integers(1, 5))), degree))
    return tune


def _lead(part, density, spoken, harmony, key, grid, jitter, rng):
    scale = SCALES[harmony[0]]
    base = (45 if spoken else 57) + (key - 57) % 12
    tunes = [_melody(density, spoken, rng) for _ in range(2)]
    phrase = 2 * STEPS
    for number in range(
        grid.first_step // phrase - 1, (grid.first_step + grid.n_steps) // phrase + 1
    ):
        for step, steps, degree in tunes[number // 2 % 2]:
            octave, tone = divmod(degree, len(scale))
            at = grid.time(number * phrase + step) + jitter * rng.standard_normal()
            gain = 1 + 0.15 * rng.standard_normal()
            part.play(base + 12 * octave + scale[tone], at, 0.93 * steps * grid.step, gain)


def _drive(wave, amount):
    """Overdriven amplifier with its loudspeaker: soft clipping, then a dull top."""
    level = np.sqrt(np.mean(np.square(wave))) + 1e-9
    return np.tanh(amount * wave / (3 * level)) * level * 2


def _level(wave, db):
    level = np.sqrt(np.mean(np.square(wave)))
    return wave * np.float32(10 ** (db / 20) / level) if level > 0 else wave


def _mix(wave, style, sample_rate, rng):
    """Reverberation, tone, bandwidth, hiss and slow changes of loudness of one recording."""
    n = len(wave)
    wet = rng.uniform(*style.reverb)
    if wet > 0.02:
        t = np.arange(int(0.9 * sample_rate)) / sample_rate
        tail = rng.standard_normal(len(t), dtype=np.float32) * np.exp(-t * rng.uniform(4, 10))
        tail /= np.sqrt(np.sum(np.square(tail)))
        wave = wave + wet * oaconvolve(wave, tail.astype(np.float32))[:n]
    nyquist = sample_rate / 2
    top = sosfilt(butter(1, min(1500, 0.5 * nyquist), "high", fs=sample_rate, output="sos"), wave)
    wave = wave + (10 ** (rng.uniform(*style.treble_db) / 20) - 1) * top
    bandwidth = min(rng.uniform(*style.bandwidth_hz), 0.95 * nyquist)
    wave = sosfilt(butter(2, bandwidth, fs=sample_rate, output="sos"), wave)
    swell = rng.uniform(*style.swell_db)
    knots = rng.uniform(-swell, swell / 2, int(n / sample_rate / 2.5) + 3)
    db = np.interp(np.arange(n) / sample_rate / 2.5, np.arange(len(knots)), knots)
    wave = _level(wave * 10 ** (db / 20), 0)
    return wave + 10 ** (rng.uniform(*style.hiss_db) / 20) * rng.standard_normal(n)


def render_track(genre, seed, seconds, sample_rate=SAMPLE_RATE) -> np.ndarray:
    """Render one track.

    Parameters
    ----------
    genre : str
        One of `stimuli.genres.GENRES`.
    seed : int or sequence of int
        The same seed gives the same samples.
    seconds : float
    sample_rate : int
        Hz, at least 16000.

    Returns
    -------
    (n_samples,) float32, peak below 1

    Raises
    ------
    InputError
        If the genre is unknown or the sample rate too low.
    """
    if genre not in STYLES:
        raise InputError(f"no genre '{genre}'; choose from {', '.join(GENRES)}")
    if sample_rate < 16000:
        raise InputError(
            f"sample rate {sample_rate} Hz is too low for this music; use 16000 or more"
        )
    rng = np.random.default_rng([*np.atleast_1d(seed), GENRES.index(genre)])
    own = STYLES[genre]

    def source():
        return STYLES[_pick(rng, own.neighbours)] if rng.random() < BORROWING else own

    rhythm, comping, singing, tonal, mixing = (source() for _ in range(5))
    tempo = rng.uniform(*rhythm.tempo)
    grid = _Grid(
        step=60 / tempo / 4,
        swing=rng.uniform(*rhythm.swing),
        swung_steps=rhythm.swung_steps,
        first_step=int(rng.integers(STEPS, 12 * STEPS)),
        n_steps=int(np.ceil(seconds * tempo / 15)) + 1,
    )
    n_samples = round(seconds * sample_rate)
    key = int(rng.integers(12))
    harmony = _pick(rng, tonal.harmony)
    jitter = rng.uniform(0.001, 0.009)

    def part(timbre):
        return _Part(TIMBRES[timbre], n_samples, sample_rate, rng)

    def level(wave, number):
        return _level(wave, mixing.levels_db[number] + rng.uniform(-2, 2))

    mixed = np.zeros(n_samples, np.float32)
    pattern, kit = _pick(rng, rhythm.drums)
    drums = _drums(DRUMS[pattern], KITS[kit], grid, jitter, n_samples, sample_rate, rng)
    mixed += level(drums, 0)

    timbre, pattern = _pick(rng, rhythm.bass)
    bass = part(timbre)
    _bass(bass, BASS[pattern], harmony, key, grid, jitter, rng)
    mixed += level(bass.wave, 1)

    for options, quieter in ((comping.chords, 1.0), (comping.second, 0.6)):
        timbre, pattern = _pick(rng, options)
        chords = part(timbre)
        _chords(chords, CHORD_PATTERNS[pattern], harmony, key, grid, jitter, rng)
        amount = rng.uniform(*comping.drive)
        if "guitar" in timbre and amount > 0.5:
            chords.wave = _drive(chords.wave, amount)
        mixed += quieter * level(chords.wave, 2)

    timbre, density = _pick(rng, singing.lead)
    if rng.random() < own.lead_presence:
        lead = part(timbre)
        _lead(lead, density, timbre == "rap", harmony, key, grid, jitter, rng)
        if "guitar" in timbre:
            lead.wave = _drive(lead.wave, 1 + rng.uniform(*singing.drive))
        mixed += level(lead.wave, 3)

    wave = _mix(mixed, mixing, sample_rate, rng)
    wave = _level(wave, 20 * np.log10(LEVEL) + rng.uniform(-5, 0))
    wave *= min(1.0, PEAK / np.abs(wave).max())
    return wave.astype(np.float32)
