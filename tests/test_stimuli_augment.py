"""Augmented copies keep length, level and label, repeat for a seed, and do what they are named."""

import json
import pickle

import librosa
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from stimuli import InputError, load_clips, write_audio
from stimuli.audio import equalise_rms
from stimuli.augment import (
    GAIN,
    KINDS,
    MIN_SECONDS,
    PEAK,
    RATE,
    SEMITONES,
    SHIFT,
    SNR,
    Augmenter,
    add_noise,
    augment,
    augment_segment,
    draw,
    shift_time,
    stretch,
    tape_speed,
)
from stimuli.augmented import augment_batch, augmented_clips
from stimuli.clips import waveform
from stimuli.percussive import percussive_part, percussive_share, running_median

RATE_HZ = 22050


def tone(frequency, seconds=3.0, sample_rate=RATE_HZ, amplitude=0.1):
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def clicks(times, seconds, sample_rate=RATE_HZ):
    x = np.zeros(round(seconds * sample_rate), np.float32)
    for time in times:
        x[round(time * sample_rate) + np.arange(-16, 17)] = np.hanning(33)
    return x


def rms(x):
    return np.sqrt(np.mean(np.square(x, dtype=float)))


def frequency_of(x, sample_rate=RATE_HZ):
    n = 2**19
    level = np.log(np.abs(np.fft.rfft(x * np.hanning(len(x)), n)) + 1e-12)
    k = level[1:-1].argmax() + 1
    a, b, c = level[k - 1 : k + 2]
    return (k + (a - c) / (2 * (a - 2 * b + c))) * sample_rate / n


def cents(x, expected):
    return abs(1200 * np.log2(frequency_of(x) / expected))


@st.composite
def sounds(draw):
    sample_rate = draw(st.sampled_from([8000, 16000, 22050, 24001]))
    n = draw(st.integers(int(np.ceil(MIN_SECONDS * sample_rate)), sample_rate))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = {
        "noise": rng.standard_normal(n),
        "tone": np.sin(2 * np.pi * 0.02 * np.arange(n)),
        "clicks": (np.arange(n) % 997 == 5) + 1e-3 * rng.standard_normal(n),
        "silence": np.zeros(n),
    }[draw(st.sampled_from(["noise", "tone", "clicks", "silence"]))]
    return equalise_rms(x, draw(st.sampled_from([1e-4, 0.05, 0.3]))), sample_rate


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, deadline=None)
@given(sounds(), st.integers(0, 1000))
def test_copies_keep_length_and_level_and_never_clip(kind, sound, seed):
    x, sample_rate = sound
    before = x.copy()
    y = augment(x, sample_rate, kind, np.random.default_rng(seed))
    np.testing.assert_array_equal(x, before)
    size = draw(kind, np.random.default_rng(seed))
    changes_speed = kind in ("speed", "pitch_speed")
    assert len(y) == (round(len(x) / size) if changes_speed else len(x))
    assert y.dtype == np.float32 and np.isfinite(y).all()
    assert np.abs(y).max() <= PEAK * (1 + 1e-6)
    expected = rms(x) * (10 ** (size / 20) if kind == "gain" else 1)
    assert rms(y) <= expected * (1 + 1e-4)
    # The level is missed only where it would take a peak beyond full scale.
    assert rms(y) > expected * (1 - 1e-4) or np.abs(y).max() > PEAK * (1 - 1e-6) or not x.any()
    np.testing.assert_array_equal(y, augment(x, sample_rate, kind, np.random.default_rng(seed)))


@pytest.mark.parametrize("kind", KINDS)
def test_no_copy_has_a_silent_end(kind):
    x = equalise_rms(np.random.default_rng(0).standard_normal(2 * RATE_HZ))
    for seed in range(4):
        y = augment(x, RATE_HZ, kind, np.random.default_rng(seed))
        for end in (y[:300], y[-300:]):
            assert rms(end) > 0.5 * rms(x)


def test_sizes_are_symmetric_and_never_next_to_nothing():
    rng = np.random.default_rng(0)
    drawn = {kind: np.array([draw(kind, rng) for _ in range(400)]) for kind in KINDS}
    parts = {
        "shift": drawn["shift"] / SHIFT,
        "speed": np.log(drawn["speed"]) / np.log(RATE),
        "pitch": drawn["pitch"] / SEMITONES,
        "pitch_speed": np.log(drawn["pitch_speed"]) / np.log(RATE),
        "gain": drawn["gain"] / GAIN,
    }
    for part in parts.values():
        assert 0.25 <= np.abs(part).min() < 0.28 and 0.97 < np.abs(part).max() <= 1 + 1e-12
        assert 0.4 < (part > 0).mean() < 0.6
    assert SNR[0] <= drawn["noise"].min() and drawn["noise"].max() <= SNR[1]


@pytest.mark.parametrize("snr", [10, 20, 30])
def test_noise_has_its_signal_to_noise_ratio_and_a_flat_spectrum(snr):
    x, rng = tone(440), np.random.default_rng(0)
    noise = add_noise(x, snr, rng) - x
    assert 20 * np.log10(rms(x) / rms(noise)) == pytest.approx(snr, abs=0.01)
    power = np.abs(np.fft.rfft(noise)) ** 2
    thirds = [part.mean() for part in np.array_split(power, 3)]
    assert max(thirds) < 1.1 * min(thirds)
    # Also after the level is set again.
    y = augment(x, RATE_HZ, "noise", np.random.default_rng(3))
    r2 = np.corrcoef(x, y)[0, 1] ** 2
    assert 10 * np.log10(r2 / (1 - r2)) == pytest.approx(
        draw("noise", np.random.default_rng(3)), abs=0.5
    )


def test_a_shift_moves_the_sound_and_mirrors_what_is_missing():
    x = np.arange(6.0)
    assert shift_time(x, 2).tolist() == [2, 1, 0, 1, 2, 3]
    assert shift_time(x, -2).tolist() == [2, 3, 4, 5, 4, 3]
    assert shift_time(x, 0).tolist() == x.tolist()


@pytest.mark.parametrize("semitones", [4, 1.3, -4])
def test_pitch_changes_the_tone_and_leaves_the_tempo(semitones):
    x = tone(440)
    y = stretch(x, RATE_HZ, semitones=semitones)
    assert len(y) == len(x)
    assert cents(y, 440 * 2 ** (semitones / 12)) < 6
    times = np.arange(0.3, 2.8, 0.5)
    z = stretch(clicks(times, 3), RATE_HZ, semitones=semitones)
    for time in times:
        around = z[round((time - 0.2) * RATE_HZ) : round((time + 0.2) * RATE_HZ)]
        assert abs(np.abs(around).argmax() / RATE_HZ - 0.2) < 2e-3


@pytest.mark.parametrize("rate", [0.9, 1.1])
def test_speed_changes_the_tempo_and_leaves_the_tone(rate):
    x = tone(440)
    y = stretch(x, RATE_HZ, rate)
    assert len(y) == round(len(x) / rate)
    assert cents(y, 440) < 1
    times = np.arange(0.3, 2.8, 0.5)
    z = stretch(clicks(times, 3), RATE_HZ, rate)
    for time in times / rate:
        around = z[round((time - 0.2) * RATE_HZ) : round((time + 0.2) * RATE_HZ)]
        assert abs(np.abs(around).argmax() / RATE_HZ - 0.2) < 2e-3


def test_without_a_change_the_vocoder_returns_the_sound():
    x = np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    np.testing.assert_allclose(stretch(x, RATE_HZ), x, atol=1e-5)


@pytest.mark.parametrize("rate", [0.93, 1.07])
def test_tape_speed_changes_tempo_and_tone_together(rate):
    y = tape_speed(tone(440), rate)
    assert len(y) == round(3 * RATE_HZ / rate)
    assert cents(y, 440 * rate) < 0.1
    z = tape_speed(clicks([2.0], 3), rate)
    assert abs(z.argmax() / RATE_HZ - 2 / rate) < 1e-4


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 70), st.sampled_from([3, 5, 31]), st.integers(0, 99))
def test_the_running_median_is_scipys(n_rows, n_columns, size, seed):
    rng = np.random.default_rng(seed)
    S = rng.integers(0, 6, (n_rows, n_columns)).astype(np.float32)  # many ties
    expected = ndimage.median_filter(S, (1, size), mode="reflect")
    np.testing.assert_array_equal(running_median(S, size), expected)
    np.testing.assert_array_equal(
        running_median(S.T, size), ndimage.median_filter(S.T, (1, size), mode="reflect")
    )


def _mixture():
    rng = np.random.default_rng(0)
    strokes = np.repeat(rng.exponential(size=30), RATE_HZ // 10) * np.tile(
        np.exp(-np.arange(RATE_HZ // 10) / 200), 30
    )
    noise = rng.standard_normal(len(strokes))
    return (0.1 * strokes * noise).astype(np.float32), tone(440, len(strokes) / RATE_HZ)


def test_the_percussive_part_is_librosas():
    x = sum(_mixture())
    spectrum = librosa.stft(x)
    expected = librosa.decompose.hpss(spectrum)[1]
    ours = spectrum * percussive_share(np.abs(spectrum).T ** 2).T
    assert np.abs(ours - expected).max() < 1e-5 * np.abs(expected).max()
    # The sounds differ within the reach of the median at the ends alone.
    inside = slice(20 * 512, -20 * 512)
    ours, expected = percussive_part(x, RATE_HZ)[inside], librosa.effects.percussive(x)[inside]
    assert np.abs(ours - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_percussive_part_keeps_strokes_and_drops_tones():
    strokes, sustained = _mixture()
    part = percussive_part(strokes + sustained, RATE_HZ)
    assert np.corrcoef(part, strokes)[0, 1] > 0.85 > 0.3 > abs(np.corrcoef(part, sustained)[0, 1])


@pytest.mark.parametrize("sample_rate", [8000, 44100])
def test_nothing_is_lost_between_spectrum_and_sound(sample_rate, monkeypatch):
    monkeypatch.setattr("stimuli.percussive.percussive_share", np.ones_like)
    x = np.random.default_rng(0).standard_normal(sample_rate // 3).astype(np.float32)
    np.testing.assert_allclose(percussive_part(x, sample_rate), x, atol=1e-5)


@pytest.mark.parametrize("x", [np.zeros(2204), np.zeros(0), np.zeros((2, 9000))])
def test_what_is_too_short_or_not_one_channel_is_refused(x):
    for kind in KINDS:
        with pytest.raises(InputError, match=r"clip 'a': .* at least 0\.1 s \(2205 samples\)"):
            Augmenter((kind,))(x, RATE_HZ, "a", 1)


def test_what_cannot_be_used_is_named():
    x = tone(440)
    x[7] = np.nan
    with pytest.raises(InputError, match="not finite"):
        augment(x, RATE_HZ, "gain", np.random.default_rng(0))
    with pytest.raises(InputError, match="no augmentation 'echo'; there are noise, shift"):
        augment(tone(440), RATE_HZ, "echo", np.random.default_rng(0))
    for wrong in ({"kinds": ("echo",)}, {"kinds": ()}, {"copies": -1}, {"seed": -1}):
        with pytest.raises(InputError, match="augmentation: "):
            Augmenter(**wrong)


def test_a_copy_depends_on_seed_clip_and_number_alone():
    x = equalise_rms(np.random.default_rng(0).standard_normal(RATE_HZ // 2))
    first = Augmenter(("noise", "gain"), copies=4)
    made = {(clip, copy): first(x, RATE_HZ, clip, copy) for clip in "ab" for copy in range(1, 5)}
    again = Augmenter(("noise", "gain"), copies=4)
    for (clip, copy), y in reversed(made.items()):
        np.testing.assert_array_equal(again(x, RATE_HZ, clip, copy), y)
    made["other seed", 1] = Augmenter(("noise", "gain"), seed=1)(x, RATE_HZ, "a", 1)
    sounds = {y.tobytes() for y in made.values()}
    assert len(sounds) == len(made) == 9
    assert first(x, RATE_HZ, "a", 0) is x
    # The number does not change from one Python to the next, as `hash` would.
    assert first(np.full(2205, 0.1), RATE_HZ, "é", 2)[0] == pytest.approx(0.192727, abs=1e-5)


def test_copies_take_the_kinds_in_turn_and_the_settings_say_all():
    augmenter = Augmenter(("noise", "gain"), copies=3)
    assert [augmenter.kind(copy) for copy in range(4)] == ["", "noise", "gain", "noise"]
    assert augmenter.names == ["noise", "gain", "noise2"]
    assert Augmenter().copies == 7 and Augmenter().names == list(KINDS)
    said = json.dumps(augmenter.settings(), sort_keys=True)
    assert said != json.dumps(Augmenter(("noise",), copies=3).settings(), sort_keys=True)
    assert pickle.loads(pickle.dumps(augmenter)) == augmenter


@pytest.mark.parametrize("kind", ["", *KINDS])
@settings(max_examples=8, deadline=None)
@given(st.integers(2205, 6000), st.integers(0, 700), st.integers(0, 99))
def test_a_segment_of_a_copy_is_full_and_holds_sound_to_its_ends(kind, length, more, seed):
    rng = np.random.default_rng(seed)
    wave = equalise_rms(rng.standard_normal(length + more))
    segment = augment_segment(wave, RATE_HZ, kind, length, rng)
    assert segment.shape == (length,) and segment.dtype == np.float32
    if kind != "percussive":  # the strokes of noise come where they come
        assert min(rms(segment[:200]), rms(segment[-200:])) > 0.4 * rms(segment) > 0


def _clips(folder, n=3):
    rng = np.random.default_rng(0)
    (folder / "a").mkdir()
    for i in range(n):
        write_audio(folder / "a" / f"{i}.wav", 0.1 * rng.standard_normal(5000 + i), RATE_HZ)
    return load_clips(folder)


def test_copies_belong_to_the_group_and_label_of_their_original(tmp_path):
    clips = _clips(tmp_path).assign(split=["train", "", "train"])
    table = augmented_clips(clips, Augmenter())
    assert len(table) == 24 and table["clip_id"].is_unique
    assert table["augmentation"].tolist() == ["", *KINDS] * 3
    originals = table[table["copy"] == 0]
    pd.testing.assert_frame_equal(originals[clips.columns].reset_index(drop=True), clips)
    for column in ("label", "track", "group", "path", "split"):
        assert table[column].tolist() == clips[column].repeat(8).tolist()
    assert table["clip_id"][2] == f"{clips['clip_id'][0]}+shift"
    with pytest.raises(InputError, match="is a copy already"):
        augmented_clips(table, Augmenter())


@pytest.mark.parametrize("split", ["test", "valid", "Test"])
def test_a_clip_that_is_not_for_training_is_never_augmented(tmp_path, split):
    clips = _clips(tmp_path).assign(split=["train", split, split])
    with pytest.raises(InputError, match=rf"of split '{split}' \(2 such\)"):
        augmented_clips(clips, Augmenter())


def test_a_batch_is_the_copies_one_by_one_for_any_number_of_processes(tmp_path):
    augmenter = Augmenter(seed=4)
    clips = _clips(tmp_path)
    table = augmented_clips(clips, augmenter)
    alone, parallel = (augment_batch(table, augmenter, workers=n) for n in (0, 2))
    expected = [
        augmenter(waveform(row, RATE_HZ), RATE_HZ, row["clip_id"], copy)
        for row in clips.to_dict("records")
        for copy in range(8)
    ]
    for a, b, c in zip(alone, parallel, expected, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, c)
    assert augment_batch(table, augmenter, feature=len, workers=2) == [len(x) for x in expected]
    with pytest.raises(InputError, match="where the augmenter makes 'gain'"):
        augment_batch(table, Augmenter(("gain",)))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_clip_that_cannot_be_read_is_named_in_one_line(tmp_path, workers):
    clips = _clips(tmp_path)
    (tmp_path / "a" / "1.wav").write_bytes(b"nothing")
    table = augmented_clips(clips, Augmenter(("gain",)))
    with pytest.raises(InputError, match=r"1\.wav: not readable as audio") as caught:
        augment_batch(table, Augmenter(("gain",)), workers=workers)
    assert "\n" not in str(caught.value)
