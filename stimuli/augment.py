"""Seven ways to vary a training sound without changing its label.

========== =====================================================================================
noise      white Gaussian noise at 10 to 30 dB below the sound
shift      up to 0.5 s earlier or later; what is missing at the end is the sound mirrored there
speed      tempo changed by up to a tenth either way, pitch kept
pitch      transposed by up to 4 semitones either way, tempo kept
pitch_speed  tempo and pitch changed together by up to a tenth, as a tape run faster or slower
gain       up to 6 dB softer or louder
percussive the percussive part (`stimuli.percussive`)
========== =====================================================================================

Sizes are drawn from the outer three quarters of these ranges, so that no copy is next to the
original. Faster copies are shorter and slower ones longer: a copy has ``round(n / rate)`` samples,
all of them sound, never a tail of zeros. Every copy but that of `gain` has the root mean square of
its original, and none exceeds `PEAK`.
"""

import dataclasses
import hashlib
import math
from importlib.metadata import version

import numpy as np
import soxr
from python_stretch.Signalsmith import Stretch

from stimuli.errors import InputError
from stimuli.percussive import percussive_part

KINDS = ("noise", "shift", "speed", "pitch", "pitch_speed", "gain", "percussive")
PEAK = 0.99
MIN_SECONDS = 0.1
SNR = (10.0, 30.0)  # dB
SHIFT = 0.5  # s
RATE = 1.1
SEMITONES = 4.0
GAIN = 6.0  # dB
_LEAST = 0.25  # of a symmetric range


def _rms(x):
    return math.sqrt(np.mean(np.square(x, dtype=np.float64)))


def _levelled(y, rms):
    level, peak = _rms(y), float(np.abs(y).max())
    if level == 0:
        return y.astype(np.float32)
    return (y * np.float32(min(rms / level, PEAK / peak))).astype(np.float32)


def add_noise(x, snr, rng) -> np.ndarray:
    """Add white Gaussian noise of exactly `snr` dB below the sound; silence stays silence."""
    noise = rng.standard_normal(len(x), dtype=np.float32)
    return x + noise * np.float32(_rms(x) / _rms(noise) * 10 ** (-snr / 20))


def shift_time(x, n_samples) -> np.ndarray:
    """Delay a sound (negative: advance it) within its length; the rest is the sound mirrored."""
    if n_samples >= 0:
        return np.pad(x, (n_samples, 0), "reflect")[: len(x)]
    return np.pad(x, (0, -n_samples), "reflect")[-n_samples:]


def _between_mirrors(x, lead, rate, process):
    # Both ends are processed as if the sound went on, so they neither fade nor click.
    y = process(np.pad(x, lead, "reflect"))
    first = round(lead / rate)
    return y[first : first + round(len(x) / rate)]


def stretch(x, sample_rate, rate=1.0, semitones=0.0) -> np.ndarray:
    """Change tempo and pitch, each without the other, in a phase vocoder with spectral peaks.

    Parameters
    ----------
    x : (n_samples,) float32
    sample_rate : int
        Hz.
    rate : float
        2 is twice as fast.
    semitones : float

    Returns
    -------
    (round(n_samples / rate),) float32; onsets stay in place
    """
    processor = Stretch(0)
    # About 0.14 s, in lengths that have a fast Fourier transform.
    block = 256 * max(1, round(sample_rate * 0.14 / 256))
    processor.configure(1, block, block // 4)
    processor.setTimeFactor(rate)
    processor.setTransposeSemitones(semitones)
    return _between_mirrors(x, block // 2, rate, lambda padded: processor.process(padded[None])[0])


def tape_speed(x, rate) -> np.ndarray:
    """Change tempo and pitch together by resampling, to ``round(n_samples / rate)`` samples."""
    return _between_mirrors(x, 128, rate, lambda padded: soxr.resample(padded, rate, 1.0, "HQ"))


def draw(kind, rng) -> float:
    """Size of one augmentation: dB, s, rate or semitones; 0 for `percussive`."""
    if kind == "noise":
        return rng.uniform(*SNR)
    part = rng.choice((-1, 1)) * rng.uniform(_LEAST, 1)
    sizes = {"shift": SHIFT, "pitch": SEMITONES, "gain": GAIN, "percussive": 0.0}
    return float(RATE**part if kind in ("speed", "pitch_speed") else sizes[kind] * part)


def apply(x, sample_rate, kind, size, rng) -> np.ndarray:
    """One augmentation of a given size; `rng` draws the noise. Else as `augment`."""
    x = np.ascontiguousarray(x, np.float32)
    if kind not in KINDS:
        raise InputError(f"no augmentation '{kind}'; there are {', '.join(KINDS)}")
    if x.ndim != 1 or len(x) < MIN_SECONDS * sample_rate:
        raise InputError(
            f"a sound of shape {x.shape} cannot be augmented; give one channel of at least "
            f"{MIN_SECONDS} s ({math.ceil(MIN_SECONDS * sample_rate)} samples)"
        )
    rms = _rms(x)
    if not math.isfinite(rms):
        raise InputError("a sound with samples that are not finite cannot be augmented; replace it")
    if kind == "noise":
        y = add_noise(x, size, rng)
    elif kind == "shift":
        y = shift_time(x, round(size * sample_rate))
    elif kind == "speed":
        y = stretch(x, sample_rate, rate=size)
    elif kind == "pitch":
        y = stretch(x, sample_rate, semitones=size)
    elif kind == "pitch_speed":
        y = tape_speed(x, size)
    elif kind == "gain":
        y, rms = x, rms * 10 ** (size / 20)
    else:
        y = percussive_part(x, sample_rate)
    return _levelled(y, rms)


def augment(x, sample_rate, kind, rng) -> np.ndarray:
    """One augmented copy of a sound.

    Parameters
    ----------
    x : (n_samples,) float
        At least `MIN_SECONDS`.
    sample_rate : int
        Hz.
    kind : str
        One of `KINDS`.
    rng : numpy Generator

    Returns
    -------
    (n_out,) float32
        As many samples as `x`, or ``round(n_samples / rate)`` for `speed` and `pitch_speed`.

    Raises
    ------
    InputError
        If there is no such kind, or the sound is too short, not finite or not one channel.
    """
    return apply(x, sample_rate, kind, draw(kind, rng) if kind in KINDS else 0.0, rng)


def augment_segment(wave, sample_rate, kind, length, rng) -> np.ndarray:
    """A random segment of an augmented sound, at the cost of the segment alone.

    Only the stretch that the segment needs is processed: for a faster copy that is longer than the
    segment, so the segment is full. A rate that would need more sound than there is, is lowered to
    what there is. A segment has a random place already, so `shift` needs no mirrored sound: it is
    the sound itself.

    Parameters
    ----------
    wave : (n_samples,) float32
    sample_rate : int
        Hz.
    kind : str
        One of `KINDS`, or "" for the original.
    length : int
        Samples, at most `n_samples`.
    rng : numpy Generator

    Returns
    -------
    (length,) float32
    """
    needed, size = length, 0.0
    if kind not in ("", "shift"):
        size = draw(kind, rng)
    if kind in ("speed", "pitch_speed"):
        size = min(size, len(wave) / length)
        least = math.ceil(MIN_SECONDS * sample_rate)
        needed = min(max(math.ceil(length * size), least), len(wave))
    start = int(rng.integers(len(wave) - needed + 1))
    sound = wave[start : start + needed]
    if kind in ("", "shift"):
        return sound
    return apply(sound, sample_rate, kind, size, rng)[:length]


@dataclasses.dataclass(frozen=True)
class Augmenter:
    """Numbered copies of clips, each the same whenever and wherever it is made.

    Attributes
    ----------
    kinds : tuple of str
        Of `KINDS`; copy 1 is of the first, and so on in turn. Copy 0 is the original.
    seed : int
    copies : int
        Copies besides the original; default one of each kind.

    Raises
    ------
    InputError
        If a kind is unknown, none is given, or `copies` or `seed` is negative.
    """

    kinds: tuple[str, ...] = KINDS
    seed: int = 0
    copies: int | None = None

    def __post_init__(self):
        object.__setattr__(self, "kinds", tuple(self.kinds))
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            found = f"'{unknown[0]}'" if unknown else "none"
            raise InputError(f"augmentation: found {found}; choose from {', '.join(KINDS)}")
        if self.copies is None:
            object.__setattr__(self, "copies", len(self.kinds))
        if self.copies < 0 or self.seed < 0:
            raise InputError(
                f"augmentation: {self.copies} copies with seed {self.seed}; neither may be negative"
            )

    def kind(self, copy) -> str:
        """Kind of a copy; "" for the original."""
        return self.kinds[(copy - 1) % len(self.kinds)] if copy else ""

    @property
    def names(self) -> list[str]:
        """Names of copies 1 to `copies`: their kind, numbered from its second one on."""
        kinds = [self.kind(copy) for copy in range(1, self.copies + 1)]
        turns = [kinds[:i].count(kind) + 1 for i, kind in enumerate(kinds)]
        return [f"{kind}{n}" if n > 1 else kind for kind, n in zip(kinds, turns, strict=True)]

    def __call__(self, wave, sample_rate, clip_id, copy) -> np.ndarray:
        """Copy number `copy` of a clip; it depends on seed, `clip_id` and `copy` alone.

        Parameters
        ----------
        wave : (n_samples,) float32
        sample_rate : int
            Hz.
        clip_id : str
        copy : int
            0 is the sound itself.

        Returns
        -------
        (n_out,) float32, see `augment`

        Raises
        ------
        InputError
            As `augment`, with the clip's name.
        """
        if not copy:
            return wave
        digest = hashlib.sha256(str(clip_id).encode("utf-8", "surrogateescape")).digest()
        rng = np.random.default_rng([self.seed, int.from_bytes(digest[:8], "big"), copy])
        try:
            return augment(wave, sample_rate, self.kind(copy), rng)
        except InputError as error:
            raise InputError(f"clip '{clip_id}': {error}") from error

    def segment(self, wave, sample_rate, length, rng) -> np.ndarray:
        """A random segment of a random copy, the original among them (`augment_segment`)."""
        kind = self.kind(int(rng.integers(self.copies + 1)))
        return augment_segment(wave, sample_rate, kind, length, rng)

    def settings(self) -> dict:
        """Everything that a copy depends on besides the sound, for the key of a cache."""
        return {
            "versions": {name: version(name) for name in ("python-stretch", "soxr")},
            "kinds": list(self.kinds),
            "seed": self.seed,
            "copies": self.copies,
            "ranges": {
                "snr_db": list(SNR),
                "shift_seconds": SHIFT,
                "rate": RATE,
                "semitones": SEMITONES,
                "gain_db": GAIN,
                "least": _LEAST,
                "peak": PEAK,
            },
        }
