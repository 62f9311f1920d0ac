"""Sound files come in as mono float32 at the asked-for rate, or are refused by name."""

import numpy as np
import pytest
import soundfile

from stimuli import InputError, read_audio, write_audio
from stimuli.audio import audio_duration, equalise_rms, fade


def _tone(seconds, rate, hz=440.0):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("suffix", [".wav", ".au", ".flac"])
def test_sixteen_bit_files_return_what_was_written(tmp_path, suffix):
    x = _tone(0.5, 22050)
    write_audio(tmp_path / f"x{suffix}", x, 22050)
    y = read_audio(tmp_path / f"x{suffix}")
    assert y.dtype == np.float32
    assert np.abs(y - x).max() <= 0.5 / 32768 + 1e-9
    assert soundfile.info(tmp_path / f"x{suffix}").subtype == "PCM_16"
    assert [p.name for p in tmp_path.iterdir()] == [f"x{suffix}"]


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_compressed_files_are_read_even_under_another_suffix(tmp_path, suffix):
    soundfile.write(tmp_path / f"x{suffix}", _tone(1.0, 22050), 22050)
    (tmp_path / f"x{suffix}").rename(tmp_path / "x.au")
    y = read_audio(tmp_path / "x.au")
    assert np.argmax(np.abs(np.fft.rfft(y[:22050]))) == pytest.approx(440, abs=1)


def test_resampling_keeps_the_pitch_duration_and_level(tmp_path):
    soundfile.write(tmp_path / "x.wav", _tone(1.0, 44100), 44100)
    y = read_audio(tmp_path / "x.wav", sample_rate=16000)
    assert len(y) == 16000
    assert np.abs(y[800:-800] - _tone(1.0, 16000)[800:-800]).max() < 1e-3


def test_resampling_removes_what_the_new_rate_cannot_hold(tmp_path):
    soundfile.write(tmp_path / "x.wav", _tone(1.0, 44100, hz=15000), 44100)
    y = read_audio(tmp_path / "x.wav", sample_rate=22050)
    assert np.abs(y[1000:-1000]).max() < 1e-3


def test_channels_are_averaged(tmp_path):
    left = _tone(0.1, 22050)
    soundfile.write(tmp_path / "x.wav", np.stack([left, -left / 2], axis=1), 22050)
    assert np.abs(read_audio(tmp_path / "x.wav") - left / 4).max() < 1e-4


def test_a_part_is_the_same_as_the_slice_of_the_whole(tmp_path):
    write_audio(tmp_path / "x.wav", _tone(2.0, 22050), 22050)
    whole = read_audio(tmp_path / "x.wav")
    part = read_audio(tmp_path / "x.wav", start=0.5, end=1.25)
    np.testing.assert_array_equal(part, whole[11025 : round(1.25 * 22050)])


def test_duration_is_in_seconds(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(12000), 8000)
    assert audio_duration(tmp_path / "x.wav") == 1.5


def test_an_end_just_after_the_file_is_its_end(tmp_path):
    write_audio(tmp_path / "x.wav", _tone(1.0, 22050), 22050)
    assert len(read_audio(tmp_path / "x.wav", start=0.5, end=1.05)) == 11025


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [(1.0, None, "start"), (-0.1, None, "start"), (0.0, 1.2, "end"), (0.5, 0.5, "not after")],
)
def test_a_part_outside_the_file_is_refused(tmp_path, start, end, message):
    write_audio(tmp_path / "x.wav", _tone(1.0, 22050), 22050)
    with pytest.raises(InputError, match=rf"x\.wav.*{message}"):
        read_audio(tmp_path / "x.wav", start=start, end=end)


def test_missing_damaged_and_empty_files_are_named(tmp_path):
    (tmp_path / "text.wav").write_text("not audio at all")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 22050)
    for name in ("missing.wav", "text.wav", "empty.wav"):
        for read in (read_audio, audio_duration):
            with pytest.raises(InputError, match=name) as caught:
                read(tmp_path / name)
            assert "\n" not in str(caught.value)


def test_a_truncated_file_is_not_read_as_a_short_one(tmp_path):
    write_audio(
        tmp_path / "x.flac", _tone(4.0, 22050) * np.random.default_rng(0).random(88200), 22050
    )
    whole = (tmp_path / "x.flac").read_bytes()
    (tmp_path / "x.flac").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"x\.flac"):
        read_audio(tmp_path / "x.flac")


@pytest.mark.parametrize("x", [np.array([0.0, 1.5]), np.array([np.nan]), np.zeros((2, 2))])
def test_samples_that_cannot_be_stored_are_refused(tmp_path, x):
    with pytest.raises(InputError, match=r"x\.wav"):
        write_audio(tmp_path / "x.wav", x, 22050)
    assert not list(tmp_path.iterdir())


def test_full_scale_does_not_wrap_round(tmp_path):
    write_audio(tmp_path / "x.wav", np.array([1.0, -1.0]), 22050)
    y = read_audio(tmp_path / "x.wav")
    assert y[0] > 0.999 and y[1] == -1.0


def test_equal_rms_and_silence_stays_silence():
    x = _tone(1.0, 22050) * 7
    assert np.sqrt(np.mean(equalise_rms(x, 0.05) ** 2)) == pytest.approx(0.05, rel=1e-5)
    assert not equalise_rms(np.zeros(10)).any()


def test_fade_ramps_both_ends_and_leaves_the_middle():
    y = fade(np.ones(1000, np.float32), sample_rate=100, seconds=2)
    np.testing.assert_array_equal(y[200:800], 1)
    np.testing.assert_allclose(y, y[::-1])
    assert y[0] < 0.001 and np.all(np.diff(y[:200]) > 0)
    # The two halves of a raised cosine add up to one: energy is at half height in the middle.
    np.testing.assert_allclose(y[:200] + y[:200][::-1], 1, atol=1e-6)
