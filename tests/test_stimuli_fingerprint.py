"""Replicas are found from the sound alone, and nothing else is."""

import io

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from stimuli.audio import SAMPLE_RATE, fade
from stimuli.fingerprint import (
    RATE,
    candidates,
    compare,
    find_replicas,
    judged_band,
    landmarks,
)
from stimuli.genres import GENRES
from stimuli.music import render_track

SECONDS, SR = 12, SAMPLE_RATE


def low(x, rate=SAMPLE_RATE):
    return soxr.resample(np.asarray(x, np.float32), rate, RATE)


def recoded(x, container, subtype):
    buffer = io.BytesIO()
    soundfile.write(buffer, x, SAMPLE_RATE, format=container, subtype=subtype)
    buffer.seek(0)
    return soundfile.read(buffer, dtype="float32")[0]


def search(sounds):
    return find_replicas([landmarks(x) for x in sounds], lambda i: sounds[i])


@pytest.fixture(scope="module")
def tracks():
    """Two tracks of five genres: the same instruments, patterns and tempi."""
    return [render_track(genre, seed, SECONDS) for genre in GENRES[::2] for seed in (0, 1)]


@pytest.fixture(scope="module")
def originals(tracks):
    return [low(x) for x in tracks]


DISGUISES = {
    # name: (from track and another to a replica, its lag in seconds, seconds in common)
    "a second later, 6 dB softer": (lambda x, _: 0.5 * x[SR:], -1.0, SECONDS - 1),
    "ogg": (lambda x, _: recoded(x, "OGG", "VORBIS"), 0.0, SECONDS),
    "mp3": (lambda x, _: recoded(x[4321:], "MP3", "MPEG_LAYER_III"), -4321 / SR, SECONDS - 0.2),
    "noise at 20 dB": (
        lambda x, _: x + 0.1 * x.std() * np.random.default_rng(0).standard_normal(len(x)),
        0.0,
        SECONDS,
    ),
    "resampled": (
        lambda x, _: soxr.resample(soxr.resample(x, SR, 16000), 16000, SR),
        0.0,
        SECONDS,
    ),
    "4 s cut out, faded": (lambda x, _: fade(x[5 * SR : 9 * SR], SR, 1.0), -5.0, 4.0),
    "5 s after other music": (
        lambda x, other: np.concatenate([other[: 7 * SR], x[: 5 * SR]]),
        7.0,
        5.0,
    ),
    "inverted": (lambda x, _: -x, 0.0, SECONDS),
}


@pytest.fixture(scope="module")
def planted(tracks, originals):
    """Disguised replicas of two tracks, searched among all: ({(name, i): position}, found)."""
    sounds, position = list(originals), {}
    for name, (disguise, _, _) in DISGUISES.items():
        for i in (0, 6):
            position[name, i] = len(sounds)
            sounds.append(low(disguise(tracks[i], tracks[i + 1])))
    return position, {(r.a, r.b): r for r in search(sounds)}


@pytest.mark.parametrize("name", DISGUISES)
def test_finds_every_replica_with_its_lag(planted, name):
    position, found = planted
    _, lag, seconds = DISGUISES[name]
    for i in (0, 6):
        replica = found[i, position[name, i]]
        assert abs(replica.lag - lag) < 0.05
        assert abs(replica.overlap - seconds) < 0.6
        assert replica.similarity > 0.6


def test_no_track_is_taken_for_another(planted, originals):
    position, found = planted
    source = {number: i for (_, i), number in position.items()}
    other = position["5 s after other music", 0], position["5 s after other music", 6]
    for a, b in found:
        if a < len(originals):
            assert a == source[b] or (b in other and a == source[b] + 1)


def test_other_tracks_of_the_same_genre_are_no_replicas(originals):
    assert search(originals) == []


def test_one_drum_loop_under_two_melodies_is_no_replica(originals):
    rng = np.random.default_rng(1)
    beat = np.tile(rng.standard_normal(RATE // 2) * np.exp(-np.arange(RATE // 2) / 300), 24)
    sounds = [x / x.std() + 0.3 * beat[: len(x)] / beat.std() for x in originals[:6]]
    assert search(sounds) == []


def test_landmarks_ignore_gain(originals):
    for x in originals[:4]:
        np.testing.assert_array_equal(landmarks(x), landmarks(0.5 * x))


def test_silence_noise_and_clicks_break_nothing():
    rng = np.random.default_rng(0)
    click = np.zeros(4 * RATE)
    click[9] = 1
    tone = np.sin(np.arange(4 * RATE) * 0.3)
    sounds = [
        np.zeros(4 * RATE),
        click,
        tone,
        rng.standard_normal(4 * RATE),
        np.zeros(0),
        np.ones(5),
    ]
    assert search(sounds) == []
    assert search([]) == [] and search(sounds[:1]) == []


def test_replicas_do_not_depend_on_workers(originals):
    sounds = [*originals[:5], *(0.5 * x[RATE:] for x in originals[:5])]
    prints = [landmarks(x) for x in sounds]
    one, four = (find_replicas(prints, lambda i: sounds[i], workers) for workers in (1, 4))
    assert len(one) == 5 and one == four


def votes_by_hand(a, b):
    """{lag: codes in common} of two clips, each row compared with each."""
    lags = {}
    for code, time in a:
        for other, at in b:
            if code == other:
                lags.setdefault(at - time, []).append(time)
    return {lag: len(times) for lag, times in lags.items()}


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-150, 150))
def test_votes_are_those_counted_by_hand(seed, lag):
    rng = np.random.default_rng(seed)
    # Codes that occur once a clip, so that no cap is met.
    code = rng.permutation(4000)[:100]
    time = np.sort(rng.integers(200, 400, 100))
    a = np.stack([code, time], axis=1)
    b = np.stack([np.where(rng.random(100) < 0.5, code, code + 5000), time + lag], axis=1)
    a, b = (x[np.lexsort((x[:, 1], x[:, 0]))].astype(np.int32) for x in (a, b))
    exact = votes_by_hand(a, b)
    best = candidates([a, b])[0]
    assert tuple(best[:2]) == (0, 1) and abs(best[2] - lag) <= 1
    assert best[3] == exact[lag]


def test_compare_measures_the_stretch_not_the_alignment():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 10 * RATE))
    b[2 * RATE : 6 * RATE] = a[3 * RATE : 7 * RATE]
    lag, overlap, similarity = compare(judged_band(a), judged_band(b), [-1.0], [1000])
    assert abs(lag + 1) < 0.001 and abs(overlap - 4) < 0.6 and similarity > 0.9
    assert compare(judged_band(a), judged_band(b), [-2.0], [1000]) is None
    assert compare(judged_band(a), judged_band(b), [-1.0], [5]) is None
