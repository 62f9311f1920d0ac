"""What is wrong with a sound file, in words, and what to do about it."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np
import soundfile

from stimuli.audio import END_TOLERANCE

MIN_RATE = 16000
MIN_SECONDS = 1.0
SILENCE_DB = -70.0

_SUFFIXES = {
    "WAV": {".wav", ".wave"},
    "WAVEX": {".wav", ".wave"},
    "RF64": {".wav", ".rf64"},
    "AU": {".au", ".snd"},
    "FLAC": {".flac"},
    "OGG": {".ogg", ".oga", ".opus"},
    "MPEG": {".mp3", ".mpga", ".mp2"},
    "AIFF": {".aif", ".aiff", ".aifc"},
}
_FULL_SCALE = 0.9999
_CLIPPED_SHARE = 1e-4
_DC_OFFSET = 0.01
_EDGE_SILENCE = 0.5
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)


@dataclass(frozen=True)
class Problem:
    """One thing wrong.

    Parameters
    ----------
    path : str
        The file, or "" for the table as a whole.
    what : str
        What is wrong and what to do.
    severity : {"error", "warning", "note"}
        An error makes the file unusable as it is, a warning may be intended, a note is handled.
    """

    path: str
    what: str
    severity: str = "error"


@dataclass(frozen=True)
class Sound:
    """A file as it was found.

    Parameters
    ----------
    problems : list of Problem
    rate : int
        Hz; 0 if the file cannot be decoded.
    duration : float
        Seconds that can be decoded.
    mono : (n_samples,) float32
        Mean of the channels; empty if the file cannot be decoded.
    """

    problems: list[Problem] = field(default_factory=list)
    rate: int = 0
    duration: float = 0.0
    mono: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))


def printable(path) -> str:
    """A path for people and for JSON: bytes that are not UTF-8 are shown as \\udcXX escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def examine(path) -> Sound:
    """Decode a file and list what is wrong with it; never raises for what it holds.

    Parameters
    ----------
    path : str
    """
    name, problems = printable(path), []

    def report(what, severity="error"):
        problems.append(Problem(name, what, severity))

    if name != str(path):
        report("the path is not UTF-8; rename it")
    # Bytes, because soundfile cannot encode a path that is not UTF-8.
    raw = os.fsencode(path)
    if not os.path.isfile(raw):
        report("no such file; correct the path or leave the clip out")
        return Sound(problems)
    if os.path.getsize(raw) == 0:
        report("is empty (0 bytes); fetch it again or leave it out")
        return Sound(problems)
    try:
        with soundfile.SoundFile(raw) as sound:
            rate, frames, kind, subtype = (
                sound.samplerate, sound.frames, sound.format, sound.subtype,
            )  # fmt: skip
            x = sound.read(frames, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, ValueError, MemoryError) as error:
        reason = str(error).split(": ", 1)[-1].strip().rstrip(".")
        report(f"not readable as audio ({reason}); fetch it again, convert or leave it out")
        return Sound(problems)
    suffix = PurePath(path).suffix.lower()
    if suffix not in _SUFFIXES.get(kind, {suffix}):
        right = min(_SUFFIXES[kind], key=len)
        report(f"content is {kind} but the name ends in '{suffix}'; rename it to {right}")
    lacking = _lacking(raw) or (frames - len(x) > END_TOLERANCE * rate and "some of its samples")
    if lacking:
        report(
            f"truncated: lacks {lacking} that its header promises ({len(x) / rate:.2f} s are "
            "left); fetch it again or leave it out"
        )
    if not len(x):
        report("holds no samples; fetch it again or leave it out")
        return Sound(problems, rate)
    if rate < MIN_RATE:
        report(
            f"sample rate is {rate} Hz, so nothing above {rate / 2000:g} kHz is left; find a copy "
            f"at {MIN_RATE} Hz or more, or leave it out"
        )
    if x.shape[1] > 1:
        report(f"{x.shape[1]} channels; averaged to mono when read", "note")
    if subtype == "PCM_24":
        report("24-bit; read without loss, written as 16-bit", "note")
    bad = np.count_nonzero(~np.isfinite(x))
    if bad:
        report(f"{bad} samples are NaN or infinite; fetch it again or leave it out")
        x = np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
    for what, severity in _levels(x, rate):
        report(what, severity)
    return Sound(problems, rate, len(x) / rate, np.ascontiguousarray(x.mean(axis=1)))


def _lacking(path):
    """What a file's header promises and the file lacks, or ""; for wav, au, aiff and ogg."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(12)
        promised = None
        if head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
            promised = _riff_end(file, "little" if head[:4] == b"RIFF" else "big")
        elif head[:4] == b".snd":
            length = int.from_bytes(head[8:], "big")
            if length not in _UNKNOWN_SIZES:
                promised = int.from_bytes(head[4:8], "big") + length
        elif head[:4] == b"FORM":
            promised = 8 + int.from_bytes(head[4:8], "big")
        elif head[:4] == b"OggS":
            file.seek(max(0, size - 65536 - 282))
            tail = file.read()
            page = tail.rfind(b"OggS")
            # The last page of a stream carries the flag 4.
            return (
                "" if page >= 0 and tail[page + 5 : page + 6] and tail[page + 5] & 4 else "the end"
            )
    if promised is None or promised - size <= 1:  # an odd chunk may lack its padding byte
        return ""
    return f"{promised - size} bytes"


def _riff_end(file, order):
    """Where the samples of a wav file end according to its header, or None."""
    while len(header := file.read(8)) == 8:
        length = int.from_bytes(header[4:], order)
        if header[:4] == b"data":
            return None if length in _UNKNOWN_SIZES else file.tell() + length
        file.seek(length + length % 2, os.SEEK_CUR)
    return None


def _levels(x, rate):
    """(what, severity) of what the samples of all channels, (n_samples, n_channels), show."""
    rms = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
    if rms < 10 ** (SILENCE_DB / 20):
        level = f"{20 * np.log10(rms):.0f} dB" if rms > 0 else "all zero"
        yield f"silent ({level}); fetch it again or leave it out", "error"
        return
    full = np.abs(x) >= _FULL_SCALE
    # A normalised recording touches full scale, a clipped one stays there.
    stays = np.count_nonzero(full[1:] & full[:-1]) / x.size
    if stays > _CLIPPED_SHARE:
        share = np.count_nonzero(full) / x.size
        yield f"clipped: {100 * share:.2g} % of samples at full scale; use a softer copy", "warning"
    offset = float(np.abs(x.mean(axis=0)).max())
    if offset > _DC_OFFSET:
        yield f"constant offset of {offset:.3f} of full scale; subtract the mean", "warning"
    loud = np.flatnonzero(np.any(np.abs(x) > 1 / 32768, axis=1))
    for seconds, where in (
        (loud[0] / rate, "beginning"),
        ((len(x) - 1 - loud[-1]) / rate, "end"),
    ):
        if seconds > _EDGE_SILENCE:
            yield f"{seconds:.2f} s of digital silence at its {where}; cut it off", "warning"


def excerpt(sound, path, start, end) -> tuple[np.ndarray, list[Problem]]:
    """The part of a decoded file that a clip names, and what is wrong with it.

    Parameters
    ----------
    sound : Sound
        With samples.
    path : str
        Named in the problems.
    start, end : float
        Seconds; NaN is the file's own.

    Returns
    -------
    x : (n_samples,) float32
        At the file's rate; empty if the part does not lie inside it.
    problems : list of Problem
    """
    name = printable(path)
    whole = np.isnan(start) and np.isnan(end)
    first = 0.0 if np.isnan(start) else start
    last = sound.duration if np.isnan(end) else end
    where = f"excerpt {first:g}-{last:g} s"
    if last > sound.duration + END_TOLERANCE or first < 0 or first >= sound.duration:
        what = f"{where} does not lie in the file ({sound.duration:.2f} s); correct start and end"
        return np.zeros(0, np.float32), [Problem(name, what)]
    x = sound.mono[round(first * sound.rate) : round(last * sound.rate)]
    seconds = len(x) / sound.rate
    if seconds < MIN_SECONDS:
        what = (
            f"{'the file' if whole else where} lasts {seconds:.3g} s, less than 1 s; leave it out"
        )
        return x, [Problem(name, what)]
    if not whole and is_silent(x) and not is_silent(sound.mono):
        return x, [Problem(name, f"{where} is silent; choose another or leave it out")]
    return x, []


def is_silent(x) -> bool:
    """Whether a sound is empty or below -70 dB of full scale."""
    return not len(x) or np.mean(np.square(x, dtype=np.float64)) < 10 ** (SILENCE_DB / 10)


def digest(x, rate) -> str:
    """Hash of samples and rate: equal for exact copies, however short."""
    return hashlib.blake2b(
        np.ascontiguousarray(x).tobytes() + str(rate).encode(), digest_size=16
    ).hexdigest()
