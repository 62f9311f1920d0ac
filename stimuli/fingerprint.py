"""Replicas found from the sound itself, among any number of clips.

Three steps, from cheap to sure. Each clip becomes landmarks: pairs of spectral peaks, each pair one
integer (Wang 2003, An industrial-strength audio search algorithm, ISMIR). Two clips with many
landmarks in common at one lag are candidates. Candidates are judged by their waveforms: a replica
has a high normalised cross-correlation, window after window, at one lag for seconds. A change of
gain, a fade, lossy coding, light noise and resampling leave it high; other music with the same
instruments, tempo and chords does not reach it. Changed speed or pitch is not found.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

RATE = 8000
MIN_OVERLAP = 3.0

_WINDOW = 1024
_HOP = 128
_TIME_REACH, _BIN_REACH = 6, 9
_PEAKS_PER_SECOND = 24
_FLOOR_DB = 60
_FAN_OUT = 12
_NEAREST, _FARTHEST, _BIN_SPAN = 3, 63, 127
# A loop repeats its landmarks: so many of one kind a clip are enough to find it.
_SAME_IN_CLIP = 4
# A landmark is compared with so many of its kind in other clips: the cost stays linear in their
# number however common it is, and every pair among up to 24 / 4 looping replicas is still seen.
_NEIGHBOURS = 24
# Slots of 1/4 s with a vote, among the 12 of 3 s, that make a candidate.
_SLOT, _DENSE_SLOTS, _MIN_SLOTS = 16, 12, 5
# Replicas in the lowest quality of mp3 keep 7 landmarks a second; other music that happens to agree
# in its waveform (two tracks on one drum machine) has about 1.
_VOTES_PER_SECOND = 2
_LAGS_TRIED = 3

_JUDGE_EVERY = 2
_JUDGE_RATE = RATE // _JUDGE_EVERY
_FRAME, _STEP = 0.5, 0.25
_DRIFT = 0.002
_ALIKE = 0.5
_SIMILAR = 0.6
# Tenth percentile of the windows: two tunes with some notes in common fall below between those.
_EVEN_IN_GAPS = 0.35
_GAP = 1.0


@dataclass(frozen=True)
class Replica:
    """Two clips that hold the same sound.

    Parameters
    ----------
    a, b : int
        Positions of the clips, a < b.
    lag : float
        Seconds: what sounds at t in `a` sounds at t + lag in `b`.
    overlap : float
        Seconds of sound that they have in common at that lag.
    similarity : float
        Median normalised cross-correlation over that sound, at most 1.
    """

    a: int
    b: int
    lag: float
    overlap: float
    similarity: float


def landmarks(x) -> np.ndarray:
    """Pairs of spectral peaks.

    Peaks are the largest values of the log spectrogram (128 ms windows, every 16 ms, first
    difference of the signal) among their neighbours, at most 60 dB below the loudest, the 24
    strongest a second. Each is paired with some of those that follow within a second. Pairs at one
    frequency are left out: any steady tone has them.

    Parameters
    ----------
    x : (n_samples,) float
        At `RATE`.

    Returns
    -------
    (n_landmarks, 2) int32
        Code (two bins and the frames between them) and time of the first peak in frames of 16 ms;
        sorted by code, then time.
    """
    x = np.diff(np.asarray(x, np.float32))
    if len(x) < _WINDOW or not np.any(x):
        return np.empty((0, 2), np.int32)
    window = np.hanning(_WINDOW).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(x, _WINDOW)[::_HOP]
    power = np.square(np.abs(rfft(frames * window))[:, : _WINDOW // 2])
    loudest = _running_max(_running_max(power, _TIME_REACH).T, _BIN_REACH).T
    peak = (power == loudest) & (power > loudest.max() * np.float32(10 ** (-_FLOOR_DB / 10)))
    time, bin_ = np.nonzero(peak)
    time, bin_ = _strongest(time, bin_, power[time, bin_])
    codes, times = [], []
    for k in range(1, _FAN_OUT + 1):
        between = time[k:] - time[:-k]
        step = bin_[k:] - bin_[:-k]
        good = (between >= _NEAREST) & (between <= _FARTHEST)
        good &= (np.abs(step) >= 2) & (np.abs(step) <= _BIN_SPAN)
        code = (bin_[:-k] << 14) | ((step + 128) << 6) | between
        codes.append(code[good])
        times.append(time[:-k][good])
    code, time = np.concatenate(codes), np.concatenate(times)
    order = np.lexsort((time, code))
    code, time = code[order], time[order]
    seen_before = np.zeros(len(code), bool)
    seen_before[_SAME_IN_CLIP:] = code[_SAME_IN_CLIP:] == code[:-_SAME_IN_CLIP]
    return np.stack([code, time], axis=1)[~seen_before].astype(np.int32)


def _running_max(x, reach):
    """Maximum within `reach` rows on either side; by doubling, faster than scipy's for few rows."""
    x = np.pad(x, ((reach, reach), (0, 0)))
    width, wanted = 1, 2 * reach + 1
    while width < wanted:
        step = min(width, wanted - width)
        x = np.maximum(x[step:], x[:-step])
        width += step
    return x


def _strongest(time, bin_, power):
    """The strongest peaks of each second, in order of time."""
    second = time * _HOP // RATE
    order = np.lexsort((-power, second))
    first = np.searchsorted(second[order], second[order])
    kept = np.sort(order[np.arange(len(order)) - first < _PEAKS_PER_SECOND])
    return time[kept], bin_[kept]


def candidates(fingerprints) -> np.ndarray:
    """Pairs of clips with landmarks in common at one lag.

    Parameters
    ----------
    fingerprints : sequence of (n_landmarks, 2) int arrays
        From `landmarks`.

    Returns
    -------
    (n, 4) int64
        a, b (a < b), lag in frames (time in b less time in a) and the votes for it; a pair has up
        to three rows, most votes first. Sorted by pair.
    """
    sizes = [len(f) for f in fingerprints]
    if sum(sizes) < 2:
        return np.empty((0, 4), np.int64)
    clip = np.repeat(np.arange(len(sizes)), sizes)
    code, time = np.concatenate(fingerprints).astype(np.int64).T
    order = np.lexsort((time, clip, code))
    code, time, clip = code[order], time[order], clip[order]
    frames = int(time.max()) + 1
    found = [np.empty((4, 0), np.int64)]
    # Clip by clip in blocks, so that the votes of one block fit in memory.
    block = max(1, 2_000_000 // max(1, max(sizes)))
    for low in range(0, len(sizes), block):
        inside = (clip >= low) & (clip < low + block)
        pairs, lags, times = [], [], []
        for k in range(1, _NEIGHBOURS + 1):
            left = np.flatnonzero(inside[:-k] & (code[:-k] == code[k:]) & (clip[:-k] != clip[k:]))
            pairs.append(clip[left] * len(sizes) + clip[left + k])
            lags.append(time[left + k] - time[left] + frames)
            times.append(time[left])
        pair, lag, at = np.concatenate(pairs), np.concatenate(lags), np.concatenate(times)
        # Bins of two frames, at both phases: a lag between two frames divides the votes.
        for phase in (0, 1):
            found.append(_vote(pair, (lag + phase) // 2, at, frames, phase))
    a_b, lag, votes, _ = np.concatenate(found, axis=1)
    order = np.lexsort((lag, -votes, a_b))
    a_b, lag, votes = a_b[order], lag[order], votes[order]
    rank = np.arange(len(a_b)) - np.searchsorted(a_b, a_b)
    keep = rank < _LAGS_TRIED
    a, b = np.divmod(a_b[keep], len(sizes))
    return np.stack([a, b, lag[keep], votes[keep]], axis=1)


def _vote(pair, bin_, time, frames, phase):
    """(pair, lag, votes, most slots in 3 s) of the lags with votes in enough slots of 1/4 s."""
    n_slots = frames // _SLOT + 1
    votes, count = np.unique(
        (pair * (frames + 1) + bin_) * n_slots + time // _SLOT, return_counts=True
    )
    key = votes // n_slots
    # A replica agrees all the time; two tracks that agree by chance do in a chord here and there.
    reach = np.searchsorted(votes, np.minimum(votes + _DENSE_SLOTS, (key + 1) * n_slots))
    keys, first = np.unique(key, return_index=True)
    if not len(keys):
        return np.empty((4, 0), np.int64)
    most = np.maximum.reduceat(reach - np.arange(len(votes)), first)
    enough = most >= _MIN_SLOTS
    pair, bin_ = np.divmod(keys[enough], frames + 1)
    votes = np.add.reduceat(count, first)[enough]
    return np.stack([pair, 2 * bin_ - phase - frames, votes, most[enough]])


def judged_band(x) -> np.ndarray:
    """The part of a sound that is compared: 100-1800 Hz, first difference, at 4 kHz.

    The difference lifts the melody over the bass, whose few periods fit anything.

    Parameters
    ----------
    x : (n_samples,) float
        At `RATE`.

    Returns
    -------
    (n_samples / 2,) float32
    """
    # Imported here: it takes longer to import than most uses of this package take to run.
    from scipy.signal import butter, sosfiltfilt

    if len(x) < 64:
        return np.zeros(0, np.float32)
    sos = butter(4, [100, 1800], "band", fs=RATE, output="sos")
    y = sosfiltfilt(sos, np.asarray(x, np.float64))[::_JUDGE_EVERY]
    return np.diff(y, prepend=y[:1]).astype(np.float32)


def compare(a, b, lags, votes) -> tuple[float, float, float] | None:
    """Judge whether two sounds hold the same stretch of sound.

    Parameters
    ----------
    a, b : (n_samples,) float
        From `judged_band`.
    lags : sequence of float
        Seconds; lags to try, each within 32 ms.
    votes : sequence of int
        Landmarks that agree on each lag; at least two a second of common sound are asked for.

    Returns
    -------
    (lag, overlap, similarity) as in `Replica`, of the longest and most similar stretch, or None
    """
    if min(len(a), len(b)) < _FRAME * _JUDGE_RATE:
        return None
    # Zeros between the signals, so that no lag wraps around.
    n = next_fast_len(len(a) + len(b), real=True)
    cross = np.conj(rfft(a, n)) * rfft(b, n)
    # Phase alone (Knapp & Carter 1976): a peak at the lag, not one at every period of a tone.
    correlation = np.abs(irfft(cross / np.maximum(np.abs(cross), 1e-12 * np.abs(cross).max()), n))
    near = np.arange(-2 * _HOP, 2 * _HOP + 1) // _JUDGE_EVERY
    verdicts = []
    for lag, count in zip(lags, votes, strict=True):
        tried = round(lag * _JUDGE_RATE) + near
        verdict = _judge(a, b, int(tried[np.argmax(correlation[tried % n])]))
        if verdict is not None and count >= _VOTES_PER_SECOND * verdict[1]:
            verdicts.append(verdict)
    return max(verdicts, key=lambda v: v[1] * v[2], default=None)


def _judge(a, b, lag):
    """Longest stretch of alike windows at one lag in samples, as (lag, overlap, similarity)."""
    first, last = max(0, -lag), min(len(a), len(b) - lag)
    frame, step = int(_FRAME * _JUDGE_RATE), int(_STEP * _JUDGE_RATE)
    drift = int(_DRIFT * _JUDGE_RATE)
    if last - first < frame:
        return None
    starts = np.arange(first, last - frame + 1, step)
    windows = np.lib.stride_tricks.sliding_window_view
    x = windows(a, frame)[starts]
    y = windows(np.pad(b, drift), frame + 2 * drift)[starts + lag]
    n = next_fast_len(frame + 2 * drift, real=True)
    products = np.abs(irfft(np.conj(rfft(x, n)) * rfft(y, n), n)[:, : 2 * drift + 1])
    power_x = np.sum(np.square(x), axis=1)
    power_y = np.sum(windows(np.square(y), frame, axis=1), axis=2)
    norm = np.sqrt(power_x[:, None] * power_y)
    alike = np.max(products / np.maximum(norm, np.finfo(np.float32).tiny), axis=1)
    floor = 10 ** (-_FLOOR_DB / 10)
    loud_y = power_y[:, drift]
    loud = (power_x > floor * power_x.max()) & (loud_y > floor * loud_y.max())
    # Windows end before the signals do, and the shortest clips cannot hold the least overlap.
    needed = min(MIN_OVERLAP * _JUDGE_RATE, 0.9 * min(len(a), len(b)))
    verdicts = []
    for begin, end, similarity in _runs(alike, loud, starts, frame):
        begin = first if begin - first < step else begin
        end = last if last - end < frame else end
        if end - begin >= needed:
            verdicts.append((lag / _JUDGE_RATE, float(end - begin) / _JUDGE_RATE, similarity))
    return max(verdicts, key=lambda verdict: verdict[1], default=None)


def _runs(alike, loud, starts, frame):
    """Stretches (begin, end, similarity) of alike windows, with few and short gaps."""
    good = np.flatnonzero((alike >= _ALIKE) & loud)
    cut = np.flatnonzero(np.diff(starts[good]) > _GAP * _JUDGE_RATE + frame) + 1
    for part in np.split(good, cut) if good.size else ():
        inside = np.arange(part[0], part[-1] + 1)
        lowest, median = np.quantile(alike[inside[loud[inside]]], [0.1, 0.5])
        if median >= _SIMILAR and lowest >= _EVEN_IN_GAPS:
            yield starts[part[0]], starts[part[-1]] + frame, float(median)


def find_replicas(fingerprints, read, workers=1) -> list[Replica]:
    """Replicas among clips.

    Parameters
    ----------
    fingerprints : sequence of (n_landmarks, 2) int arrays
        From `landmarks`, one a clip; empty for a clip that takes no part.
    read : callable
        Sound of a clip from its position: (n_samples,) at `RATE`. Called for candidates only.
    workers : int
        Threads. The result does not depend on it.

    Returns
    -------
    list of Replica, sorted by a and b; a pair occurs once
    """
    rows = candidates(fingerprints)
    starts = np.flatnonzero(np.any(np.diff(rows[:, :2], axis=0, prepend=-1), axis=1))

    # Candidates are sorted, so that a clip's partners follow each other: it is read about once.
    @lru_cache(maxsize=256)
    def band(position):
        return judged_band(read(position))

    def judge(part):
        a, b = (int(position) for position in part[0, :2])
        verdict = compare(band(a), band(b), part[:, 2] * _HOP / RATE, part[:, 3])
        return None if verdict is None else Replica(a, b, *verdict)

    with ThreadPoolExecutor(workers) as pool:
        verdicts = pool.map(judge, np.split(rows, starts[1:]) if len(rows) else [])
        return [verdict for verdict in verdicts if verdict is not None]
