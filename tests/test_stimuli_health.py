"""Every kind of bad file is named, with what to do about it."""

import os
import sys

import numpy as np
import pytest
import soundfile

from stimuli.health import digest, examine, excerpt, printable

RATE = 22050
RNG = np.random.default_rng(0)
GOOD = 0.1 * RNG.standard_normal(2 * RATE)


def write(path, x=GOOD, rate=RATE, **settings):
    soundfile.write(path, x, rate, **settings)
    return str(path)


def found(path):
    return [(p.severity, p.what) for p in examine(path).problems]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_a_good_file_has_no_problem(tmp_path, suffix):
    assert found(write(tmp_path / f"good.{suffix}")) == []


def test_a_good_au_file_has_no_problem(tmp_path):
    assert found(write(tmp_path / "good.au", subtype="PCM_16")) == []


def truncated(folder, suffix, share=0.6):
    path = folder / f"cut.{suffix}"
    write(path, np.tile(GOOD, 3), **({"subtype": "PCM_16"} if suffix == "au" else {}))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return str(path)


@pytest.mark.parametrize("suffix", ["wav", "au", "aiff", "ogg", "flac"])
def test_truncated_files_are_found(tmp_path, suffix):
    ((severity, what),) = found(truncated(tmp_path, suffix))
    assert severity == "error"
    assert "truncated" in what or "not readable" in what
    assert "leave it out" in what


def test_a_wav_of_unknown_length_is_not_truncated(tmp_path):
    # Written to a pipe: the header could not be corrected afterwards.
    path = tmp_path / "piped.wav"
    write(path)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert not any("truncated" in what for _, what in found(str(path)))


def with_nan():
    x = GOOD.copy()
    x[::1000] = np.nan
    return x


BAD = {
    # name: (make the file, severity, part of the message)
    "missing": (lambda p: str(p), "error", "no such file"),
    "zero length": (lambda p: (p.write_bytes(b""), str(p))[1], "error", "0 bytes"),
    "no samples": (lambda p: write(p, np.zeros(0)), "error", "no samples"),
    "text": (lambda p: (p.write_text("not audio" * 99), str(p))[1], "error", "not readable"),
    "NaN": (lambda p: write(p, with_nan(), subtype="FLOAT"), "error", "45 samples are NaN"),
    "8 kHz": (lambda p: write(p, rate=8000), "error", "8000 Hz"),
    "wrong extension": (lambda p: write(p, format="FLAC"), "error", "rename it to .flac"),
    "silent": (lambda p: write(p, 0 * GOOD), "error", "silent (all zero)"),
    "nearly silent": (lambda p: write(p, 1e-3 * GOOD, subtype="FLOAT"), "error", "silent (-80 dB)"),
    "clipped": (lambda p: write(p, np.clip(30 * GOOD, -1, 1)), "warning", "at full scale"),
    "offset": (lambda p: write(p, GOOD + 0.2), "warning", "constant offset of 0.2"),
    "silent head": (
        lambda p: write(p, np.r_[np.zeros(RATE), GOOD]),
        "warning",
        "1.00 s of digital silence at its beginning",
    ),
    "silent tail": (
        lambda p: write(p, np.r_[GOOD, np.zeros(RATE)]),
        "warning",
        "1.00 s of digital silence at its end",
    ),
    "stereo": (lambda p: write(p, np.stack([GOOD, GOOD], 1)), "note", "2 channels"),
    "24-bit": (lambda p: write(p, subtype="PCM_24"), "note", "24-bit"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_named_once_with_its_severity(tmp_path, name):
    make, severity, message = BAD[name]
    ((got, what),) = found(make(tmp_path / "clip.wav"))
    assert got == severity and message in what
    assert severity == "note" or ";" in what  # the remedy follows


def test_a_normalised_recording_is_not_clipped(tmp_path):
    assert found(write(tmp_path / "a.wav", GOOD / np.abs(GOOD).max())) == []


@pytest.mark.skipif(sys.platform != "linux", reason="paths are bytes on Linux only")
def test_a_path_that_is_not_utf8_is_named_and_still_decoded(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    write(tmp_path / "plain.wav")
    os.rename(tmp_path / "plain.wav", path)
    sound = examine(path)
    assert len(sound.mono) == len(GOOD)
    (problem,) = sound.problems
    assert "not UTF-8; rename it" in problem.what
    assert problem.path == printable(path) == str(tmp_path) + "/caf\\udce9.wav"


def test_excerpts_must_lie_in_the_file_and_last_a_second(tmp_path):
    x = np.r_[GOOD, np.zeros(2 * RATE), GOOD]
    path = write(tmp_path / "a.wav", x)
    sound = examine(path)

    def wrong(start, end):
        return [p.what for p in excerpt(sound, path, start, end)[1]]

    assert wrong(0.5, 2.0) == wrong(np.nan, np.nan) == wrong(1.0, 6.05) == []
    assert "does not lie in the file (6.00 s)" in wrong(4.0, 6.5)[0]
    assert "does not lie" in wrong(7.0, np.nan)[0]
    assert "lasts 0.5 s" in wrong(1.0, 1.5)[0]
    assert "is silent" in wrong(2.2, 3.8)[0]
    part, _ = excerpt(sound, path, 0.5, 1.5)
    np.testing.assert_array_equal(part, sound.mono[RATE // 2 : RATE // 2 + RATE])


def test_digests_are_equal_for_copies_only():
    assert digest(GOOD, RATE) == digest(GOOD.copy(), RATE)
    assert len({digest(GOOD, RATE), digest(GOOD, 8000), digest(0.5 * GOOD, RATE)}) == 3
