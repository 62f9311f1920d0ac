"""Cached features are those of the sound and settings at hand, whatever happened before."""

import os
import pickle
import signal
import subprocess
import sys
import time
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch

from stimuli import InputError, load_clips, write_audio
from stimuli.augment import Augmenter
from stimuli.cache import FeatureCache
from stimuli.clips import waveform
from stimuli.dataset import segment_starts
from stimuli.feature_segments import FeatureSegments

RATE = 8000
AUGMENTER = Augmenter(kinds=("gain", "noise"), seed=1, copies=2)


class Frames:
    """Energy and peak of frames of 10 ms; counts its calls."""

    def __init__(self, scale=1.0):
        self.scale, self.calls = scale, 0

    def __call__(self, wave, sample_rate):
        self.calls += 1
        n = sample_rate // 100
        x = wave[: len(wave) // n * n].reshape(-1, n)
        return self.scale * np.stack([np.abs(x).mean(1), np.abs(x).max(1)], 1)


@pytest.fixture
def clips(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(6):
        write_audio(tmp_path / f"{i}.wav", rng.uniform(-0.5, 0.5, RATE + 800 * i), RATE)
        rows.append((f"{i}.wav", "ab"[i % 2], "train" if i < 4 else "test"))
    table = pd.DataFrame(rows, columns=["path", "label", "split"])
    table.to_csv(tmp_path / "clips.csv", index=False)
    return load_clips(tmp_path / "clips.csv")


def _cache(tmp_path, settings=None, **options):
    return FeatureCache(
        tmp_path / "cache", "frames", settings or {"n": 10}, **{"sample_rate": RATE} | options
    )


def _build(cache, clips, **options):
    """Number of feature matrices that a build makes."""
    transform = Frames()
    assert cache.build(clips, transform, **options) == []
    return transform.calls


def test_features_are_those_of_the_transform(clips, tmp_path):
    cache = _cache(tmp_path)
    assert _build(cache, clips, augmenter=AUGMENTER) == 6 + 4 * 2
    for row in clips.to_dict("records"):
        wave = waveform(row, RATE)
        for copy in range(3 if row["split"] == "train" else 1):
            x = cache.load(row, copy, AUGMENTER)
            assert isinstance(x, np.memmap) and x.dtype == np.float32
            expected = Frames()(AUGMENTER(wave, RATE, row["clip_id"], copy), RATE)
            np.testing.assert_array_equal(x, expected.astype(np.float32))


def test_only_training_clips_have_copies(clips, tmp_path):
    cache = _cache(tmp_path)
    _build(cache, clips, augmenter=AUGMENTER)
    assert [len(paths) for paths in cache.paths(clips, AUGMENTER)] == [3] * 4 + [1] * 2
    with pytest.raises(InputError, match="of copy 1"):
        cache.load(clips.iloc[5], 1, AUGMENTER)


def test_a_second_build_makes_nothing_and_more_copies_only_themselves(clips, tmp_path):
    cache = _cache(tmp_path)
    _build(cache, clips)
    assert _build(cache, clips) == 0
    assert _build(_cache(tmp_path), clips, augmenter=AUGMENTER) == 8
    more = Augmenter(kinds=("gain", "noise"), seed=1, copies=3)
    assert _build(cache, clips, augmenter=more) == 4
    assert _build(cache, clips, augmenter=Augmenter(kinds=("gain",), seed=2, copies=1)) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"n": 20}},
        {"settings": {"n": 10, "version": 2}},
        {"rms": 0.04},
        {"sample_rate": 4000},
    ],
)
def test_a_changed_setting_never_finds_old_features(clips, tmp_path, change):
    old = _cache(tmp_path)
    _build(old, clips)
    new = _cache(tmp_path, **change)
    with pytest.raises(InputError, match="build the cache"):
        new.paths(clips)
    assert _build(new, clips) == 6
    files = [set(chain(*cache.paths(clips))) for cache in (new, old)]
    assert not files[0] & files[1]
    assert _build(old, clips) == 0


@pytest.mark.parametrize("seconds", [0, 10])
def test_a_changed_file_never_finds_old_features(clips, tmp_path, seconds):
    cache = _cache(tmp_path)
    path = clips["path"][0]
    # Of any age: a young file is hashed anew, because its time of modification may not change.
    os.utime(path, ns=(0, time.time_ns() - seconds * 10**9))
    _build(cache, clips)
    before = cache.load(clips.iloc[0]).copy()
    write_audio(path, np.random.default_rng(9).uniform(-0.5, 0.5, RATE), RATE)
    with pytest.raises(InputError, match="clip '0' has no frames features"):
        cache.load(clips.iloc[0])
    assert _build(cache, clips) == 1
    assert (cache.load(clips.iloc[0]) != before).any()


@pytest.mark.parametrize(("column", "value"), [("start", 0.2), ("end", 0.9), ("fade", 0.1)])
def test_another_excerpt_or_fade_has_its_own_features(clips, tmp_path, column, value):
    cache = _cache(tmp_path)
    _build(cache, clips)
    other = clips.copy()
    if column not in other:
        other[column] = np.nan
    other.loc[2, column] = value
    assert _build(cache, other) == 1
    expected = Frames()(waveform(other.iloc[2], RATE), RATE).astype(np.float32)
    np.testing.assert_array_equal(cache.load(other.iloc[2]), expected)


def test_a_moved_file_keeps_its_features(clips, tmp_path):
    cache = _cache(tmp_path)
    _build(cache, clips)
    os.rename(clips["path"][0], tmp_path / "moved.wav")
    moved = clips.assign(path=clips["path"].replace(clips["path"][0], str(tmp_path / "moved.wav")))
    assert _build(cache, moved) == 0


@pytest.mark.parametrize("damage", ["truncated", "empty", "header", "pickle", "longer"])
def test_damaged_entries_are_made_again(clips, tmp_path, damage):
    cache = _cache(tmp_path)
    _build(cache, clips)
    path = cache.paths(clips)[1][0]
    whole = path.read_bytes()
    if damage == "pickle":
        np.save(path, np.array([[{}]], object), allow_pickle=True)
    else:
        damaged = {
            "truncated": whole[:-4],
            "empty": b"",
            "header": whole[:40],
            "longer": whole + b"\0" * 4,
        }
        path.write_bytes(damaged[damage])
    with pytest.raises(InputError):
        FeatureSegments([[path]], [0], 5)
    with pytest.raises(InputError):
        cache.load(clips.iloc[1])
    assert _build(cache, clips) == 1
    assert path.read_bytes() == whole


def test_entries_are_the_same_for_any_number_of_workers(clips, tmp_path):
    contents, seen = [], []
    for workers in (1, 2):
        cache = FeatureCache(tmp_path / str(workers), "frames", {}, RATE)
        cache.build(clips, Frames(), AUGMENTER, workers, lambda *at: seen.append(at))
        contents.append({p.name: p.read_bytes() for p in cache.folder.iterdir()})
    assert contents[0] == contents[1]
    assert seen == [(i, 6) for i in range(7)] * 2


BUILDER = """
import sys, time
import numpy as np
from stimuli import load_clips
from stimuli.cache import FeatureCache

def transform(wave, sample_rate):
    time.sleep(0.1)
    return wave[: len(wave) // 80 * 80].reshape(-1, 80)

cache = FeatureCache(sys.argv[2], "frames", {"of": "subprocess"}, 8000)
cache.build(load_clips(sys.argv[1]), transform, workers=1,
            progress=lambda done, total: print(done, flush=True))
"""


def _columns(counter):
    def transform(wave, sample_rate):
        counter.calls += 1
        return wave[: len(wave) // 80 * 80].reshape(-1, 80)

    return transform


def test_a_killed_build_goes_on_and_builders_side_by_side_do_no_harm(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "clips" / "a").mkdir(parents=True)
    for i in range(40):
        write_audio(tmp_path / "clips" / "a" / f"{i}.wav", rng.uniform(-0.5, 0.5, 800), RATE)
    command = [sys.executable, "-c", BUILDER, str(tmp_path / "clips"), str(tmp_path / "cache")]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    clips = load_clips(tmp_path / "clips")
    cache = FeatureCache(tmp_path / "cache", "frames", {"of": "subprocess"}, RATE)
    done = next(int(line) for line in child.stdout if int(line) >= 3)
    # Both go on in the same files, until the other is killed.
    first = cache.build(clips.tail(8), _columns(Frames()))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    transform = Frames()
    assert not first and not cache.build(clips, _columns(transform))
    assert 0 < transform.calls <= 40 - 8 - done
    for row in clips.to_dict("records"):
        np.testing.assert_array_equal(cache.load(row).ravel(), waveform(row, RATE))


def test_bad_clips_and_features_are_named_and_the_others_built(clips, tmp_path):
    (tmp_path / "0.wav").write_bytes(b"RIFF")
    (tmp_path / "1.wav").unlink()

    def transform(wave, sample_rate):
        x = Frames()(wave, sample_rate)
        return {100 + 20: x * np.nan, 100 + 40: x[:, 0]}.get(len(x), x)

    cache = _cache(tmp_path)
    problems = cache.build(clips, transform)
    assert [p["path"] for p in problems] == [clips["path"][i] for i in (0, 1, 2, 4)]
    expected = ("not readable", "cannot be read", "not finite", "shape (140,)")
    for problem, what in zip(problems, expected, strict=True):
        assert what in problem["what"]
    assert [cache.load(clips.iloc[i]).shape for i in (3, 5)] == [(130, 2), (150, 2)]


def test_names_cannot_lead_out_of_the_folder(tmp_path):
    for name in ("../x", "a/b", "", ".hidden"):
        with pytest.raises(InputError, match="cannot name a feature cache"):
            FeatureCache(tmp_path, name, {})


def test_stale_sets_are_listed_and_cleared_and_nothing_else(clips, tmp_path):
    caches = [_cache(tmp_path, {"n": n}) for n in range(3)]
    other = FeatureCache(tmp_path / "cache", "frames-b", {}, RATE)
    for cache in (*caches, other):
        cache.build(clips, Frames())
    (tmp_path / "cache" / "notes").mkdir()
    sizes = caches[0].sizes()
    assert len(sizes) == 4 and sizes["files"].eq(6).all() and sizes["current"].sum() == 1
    assert sorted(caches[0].clear_stale()) == sorted(c.folder.name for c in caches[1:])
    assert {p.name for p in (tmp_path / "cache").iterdir() if p.is_dir()} == {
        caches[0].folder.name,
        other.folder.name,
        "notes",
    }
    assert _build(caches[0], clips) == 0


def _ramps(tmp_path, lengths):
    """Feature files whose values tell clip, copy and frame."""
    paths = []
    for clip, copies in enumerate(lengths):
        paths.append([])
        for copy, n in enumerate(copies):
            path = tmp_path / f"{clip}-{copy}.npy"
            x = np.stack([np.full(n, clip), np.full(n, copy), np.arange(n)], 1)
            np.save(path, x.astype(np.float32))
            paths[-1].append(path)
    return paths


def test_covering_segments_are_those_of_originals_by_the_rules_of_waveforms(tmp_path):
    paths = _ramps(tmp_path, [(50, 50), (33, 40), (96,)])
    data = FeatureSegments(paths, [2, 0, 1], 16, hop=16)
    seen = [(int(x[0, 0]), int(x[0, 1]), int(x[0, 2]), label, clip) for x, label, clip in data]
    expected = [
        (clip, 0, int(start), [2, 0, 1][clip], clip)
        for clip, n in enumerate((50, 33, 96))
        for start in segment_starts(n, 16, 16)
    ]
    assert seen == expected
    assert all(x.shape == (16, 3) and x.dtype == torch.float32 for x, _, _ in data)
    assert all((x[:, 2].diff() == 1).all() for x, _, _ in data)


def test_random_segments_are_of_all_copies_and_places_and_of_the_seed_alone(tmp_path):
    paths = _ramps(tmp_path, [(20, 22, 18), (17,)])

    def draws(seed):
        data = FeatureSegments(paths, [0, 1], 16, seed=seed)
        out = []
        for epoch in range(80):
            data.set_epoch(epoch)
            out += [tuple(x[0].int().tolist()) for x, _, clip in (data[0], data[1])]
        return out

    seen = draws(0)
    assert seen == draws(0) and seen != draws(1)
    starts = {(0, 0): 5, (0, 1): 7, (0, 2): 3, (1, 0): 2}
    assert set(seen) == {(*key, start) for key, n in starts.items() for start in range(n)}


def test_clips_shorter_than_a_segment_are_named(tmp_path):
    paths = _ramps(tmp_path, [(20,), (15,)])
    for hop in (None, 16):
        with pytest.raises(InputError, match="clip 'b' has 15 frames, fewer than a segment"):
            FeatureSegments(paths, [0, 1], 16, hop, clip_ids=["a", "b"])


def test_a_file_cut_short_after_opening_is_noticed(tmp_path):
    paths = _ramps(tmp_path, [(20,)])
    data = FeatureSegments(paths, [0], 16, hop=4)
    paths[0][0].write_bytes(paths[0][0].read_bytes()[:-8])
    with pytest.raises(InputError, match="cut short"):
        data[1]


def test_a_data_set_sent_to_a_worker_holds_no_features(tmp_path):
    data = FeatureSegments(_ramps(tmp_path, [(100_000,)]), [0], 16)
    assert len(pickle.dumps(data._files)) < 1000


@pytest.mark.data
def test_real_music_is_found_again_in_a_moment(data_dir, tmp_path):
    clips = load_clips(data_dir / "soundtracks" / "manifest.csv").head(24)
    cache = FeatureCache(tmp_path, "frames", {}, RATE)
    assert _build(cache, clips) == 24
    started = time.perf_counter()
    assert _build(cache, clips) == 0
    # 540 clips a second, with room for a busy machine.
    assert time.perf_counter() - started < 3 * 24 / 540 + 0.2
    for row in clips.to_dict("records")[::8]:
        expected = Frames()(waveform(row, RATE), RATE).astype(np.float32)
        np.testing.assert_array_equal(cache.load(row), expected)
