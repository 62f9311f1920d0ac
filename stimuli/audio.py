"""Reading, writing and levelling of single sound files."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from stimuli.errors import InputError
from stimuli.provenance import whole_file

SAMPLE_RATE = 22050
RMS = 0.05
# Copies of GTZAN call every track 30 s long although some are a few hundredths shorter, and
# ds003720 has excerpts that end "at 30 s". Less than this much missing is not an error.
END_TOLERANCE = 0.1

_CONTAINERS = {".wav": "WAV", ".au": "AU", ".flac": "FLAC"}


def _open(path):
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        sound = soundfile.SoundFile(path)
    except UnicodeError as error:
        raise InputError(f"{str(path)!a}: the name is not UTF-8; rename the file") from error
    except (soundfile.SoundFileError, OSError) as error:
        message = f"{path}: not readable as audio ({error}); replace or leave it out"
        raise InputError(message) from error
    if sound.frames <= 0:
        sound.close()
        raise InputError(f"{path}: holds no samples; replace or leave it out")
    return sound


def audio_duration(path) -> float:
    """Duration of a sound file in seconds, from its header.

    Raises
    ------
    InputError
        If the file is missing, unreadable or empty.
    """
    with _open(path) as sound:
        return sound.frames / sound.samplerate


def read_audio(path, sample_rate=SAMPLE_RATE, start=None, end=None) -> np.ndarray:
    """Read a file, or a part of it, as mono at one sample rate.

    Channels are averaged; another sample rate is converted with soxr at high quality. Only the
    asked-for part is decoded.

    Parameters
    ----------
    path : path
        Any format that libsndfile knows by content: wav, flac, ogg, mp3, au.
    sample_rate : int
        Hz.
    start, end : float, optional
        Seconds in the file; None is its beginning or end. An `end` up to 0.1 s after the end of
        the file is taken as the end.

    Returns
    -------
    (n_samples,) float32, full scale at 1

    Raises
    ------
    InputError
        If the file is missing, unreadable or empty, or the part does not lie inside it.
    """
    with _open(path) as sound:
        rate = sound.samplerate
        duration = sound.frames / rate
        first = 0 if start is None else round(start * rate)
        last = sound.frames if end is None else round(end * rate)
        if first < 0 or first >= sound.frames:
            raise InputError(
                f"{path}: start {start:g} s lies outside the file (0 to {duration:g} s)"
            )
        if last > sound.frames + END_TOLERANCE * rate:
            raise InputError(
                f"{path}: end {end:g} s lies after the end of the file ({duration:g} s)"
            )
        last = min(last, sound.frames)
        if last <= first:
            raise InputError(f"{path}: end {end:g} s is not after start {start or 0:g} s")
        try:
            sound.seek(first)
            x = sound.read(last - first, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise InputError(f"{path}: damaged audio ({error}); replace or leave it out") from error
    if len(x) < last - first - END_TOLERANCE * rate:
        raise InputError(
            f"{path}: ends after {(first + len(x)) / rate:.2f} s although its header says "
            f"{duration:.2f} s; replace or leave it out"
        )
    mono = x.mean(axis=1)
    if rate != sample_rate:
        mono = soxr.resample(mono, rate, sample_rate, quality="HQ")
    if not np.isfinite(mono).all():
        raise InputError(f"{path}: holds samples that are not finite; replace or leave it out")
    return np.ascontiguousarray(mono, dtype=np.float32)


def write_audio(path, x, sample_rate) -> None:
    """Write mono audio as 16-bit PCM, whole or not at all.

    Parameters
    ----------
    path : path
        The suffix chooses the container: .wav, .au or .flac. The folder must exist.
    x : (n_samples,) float
        Full scale at 1.
    sample_rate : int
        Hz.

    Raises
    ------
    InputError
        If the suffix is another one, `x` is empty or not one-dimensional, or a sample is not finite
        or beyond full scale (it would be clipped: scale the signal down first).
    """
    path = Path(path)
    container = _CONTAINERS.get(path.suffix.lower())
    if container is None:
        raise InputError(f"{path}: cannot write '{path.suffix}' files; use .wav, .au or .flac")
    x = np.asarray(x)
    if x.ndim != 1 or x.size == 0:
        raise InputError(f"{path}: expected samples in one dimension, got shape {x.shape}")
    peak = np.abs(x).max()
    if not peak <= 1:
        raise InputError(
            f"{path}: peak {peak:.3g} exceeds full scale (1) and would be clipped; scale it down"
        )
    pcm = np.minimum(np.round(x * 32768.0), 32767).astype(np.int16)
    with whole_file(path) as partial:
        soundfile.write(partial, pcm, sample_rate, format=container, subtype="PCM_16")


def equalise_rms(x, rms=RMS) -> np.ndarray:
    """Scale a signal to a root mean square; silence stays silence.

    Parameters
    ----------
    x : (n_samples,) float
    rms : float
        Full scale at 1.

    Returns
    -------
    (n_samples,) float32
    """
    level = np.sqrt(np.mean(np.square(x, dtype=np.float64)))
    gain = rms / level if level > 0 else 0.0
    return (np.asarray(x) * gain).astype(np.float32)


def fade(x, sample_rate, seconds) -> np.ndarray:
    """Fade a signal in and out with raised-cosine ramps.

    Parameters
    ----------
    x : (n_samples,) float
    sample_rate : int
        Hz.
    seconds : float
        Length of each ramp; at most half the signal is used.

    Returns
    -------
    (n_samples,) float32
    """
    n = min(round(seconds * sample_rate), len(x) // 2)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / max(n, 1))
    gain = np.ones(len(x), np.float32)
    gain[:n], gain[len(x) - n :] = ramp, ramp[::-1]
    return np.asarray(x, np.float32) * gain
