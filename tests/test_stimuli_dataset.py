"""Segments lie inside their clips, cover them, and depend on the seed alone."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from stimuli import InputError, load_clips, write_audio
from stimuli.augment import Augmenter
from stimuli.dataset import (
    EvalSegments,
    TrainSegments,
    label_index,
    load_waveforms,
    segment_starts,
)

# A ramp tells where a segment was cut and a constant offset which clip it came from.
WAVES = [np.arange(n, dtype=np.float32) + 10_000 * i for i, n in enumerate((50, 80, 33, 64))]
LABELS = np.array([1, 0, 1, 2])


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 200))
def test_segments_lie_inside_the_clip_and_cover_it_but_for_a_tenth(n_samples, segment, hop):
    if segment > n_samples:
        with pytest.raises(InputError, match="'x'"):
            segment_starts(n_samples, segment, hop, "x")
        return
    starts = segment_starts(n_samples, segment, hop)
    assert starts[0] == 0 and 0 <= n_samples - (starts[-1] + segment) <= segment / 10
    assert (np.diff(starts) > 0).all() and (np.diff(starts) <= hop).all()


def test_training_segments_are_real_audio_of_their_clip():
    data = TrainSegments(WAVES, LABELS, segment=33, seed=1)
    assert len(data) == 4
    for segment, label, clip in data:
        x = segment.numpy()
        assert segment.dtype == torch.float32 and len(x) == 33
        assert label == LABELS[clip]
        start = int(x[0] - WAVES[clip][0])
        np.testing.assert_array_equal(x, WAVES[clip][start : start + 33])


def _first_samples(seed, epochs, **loader):
    data = TrainSegments(WAVES, LABELS, segment=20, seed=seed)
    batches = DataLoader(data, batch_size=2, **loader)
    seen = []
    for epoch in epochs:
        data.set_epoch(epoch)
        seen.append(torch.cat([segment[:, 0] for segment, _, _ in batches]).tolist())
    return seen


def test_training_segments_depend_on_seed_and_epoch_but_not_on_workers():
    alone = _first_samples(0, range(3))
    assert alone == _first_samples(0, range(3), num_workers=2, persistent_workers=True)
    assert alone[::-1] == _first_samples(0, [2, 1, 0])
    assert alone[0] != alone[1] and alone != _first_samples(1, range(3))


SOUNDS = [np.random.default_rng(n).standard_normal(n).astype("float32") for n in (2500, 2700, 3000)]


def _augmented(seed=0, epochs=(0, 1), augmenter=Augmenter(), **loader):  # noqa: B008 (frozen)
    data = TrainSegments(SOUNDS, [0, 1, 2], 2400, seed, augment=augmenter, sample_rate=22050)
    batches = DataLoader(data, batch_size=2, **loader)
    seen = []
    for epoch in epochs:
        data.set_epoch(epoch)
        parts = list(batches)
        assert torch.cat([clip for _, _, clip in parts]).tolist() == [0, 1, 2]
        seen.append(torch.cat([x for x, _, _ in parts]))
    return torch.stack(seen)


def test_augmented_segments_depend_on_seeds_and_epoch_but_not_on_workers():
    alone = _augmented()
    assert alone.shape == (2, 3, 2400) and alone.dtype == torch.float32
    assert torch.equal(alone, _augmented(num_workers=2, persistent_workers=True))
    assert torch.equal(alone.flip(0), _augmented(epochs=(1, 0)))
    assert not torch.equal(alone[0], alone[1])
    assert not torch.equal(alone, _augmented(seed=1))
    assert not torch.equal(alone, _augmented(augmenter=Augmenter(seed=1)))


def test_the_original_is_one_of_the_copies():
    seen = _augmented(epochs=range(30), augmenter=Augmenter(("gain",)))[:, 0]
    # Gain leaves the shape: a segment is the clip's own where its level is.
    wave = torch.from_numpy(SOUNDS[0])
    windows = wave.unfold(0, 2400, 1)
    own = [bool((windows == segment).all(1).any()) for segment in seen]
    assert 5 <= sum(own) <= 25


def test_augmented_segments_need_a_rate_and_a_length():
    with pytest.raises(InputError, match="give sample_rate"):
        TrainSegments(SOUNDS, [0, 1, 2], 2400, augment=Augmenter())
    with pytest.raises(InputError, match=r"at least 0\.1 s"):
        TrainSegments(SOUNDS, [0, 1, 2], 2000, augment=Augmenter(), sample_rate=22050)


def test_training_positions_fill_the_whole_clip():
    data = TrainSegments([WAVES[0][:33]], [0], segment=31)
    starts = set()
    for epoch in range(60):
        data.set_epoch(epoch)
        starts.add(float(data[0][0][0]))
    assert starts == {0.0, 1.0, 2.0}


def test_evaluation_segments_cover_every_clip_but_for_a_rest_below_a_tenth_of_a_segment():
    data = EvalSegments(WAVES, LABELS, segment=32, hop=32)
    seen = [set() for _ in WAVES]
    for segment, label, clip in data:
        assert label == LABELS[clip]
        seen[clip].update(segment.tolist())
    # Clip 2 has 33 samples: one more segment for its last sample would be scored twice over.
    expected = [wave if len(wave) != 33 else wave[:32] for wave in WAVES]
    assert seen == [set(wave.tolist()) for wave in expected]


def test_a_clip_shorter_than_a_segment_is_named_not_padded():
    for make in (
        lambda: TrainSegments(WAVES, LABELS, 40, clip_ids=list("abcd")),
        lambda: EvalSegments(WAVES, LABELS, 40, 40, clip_ids=list("abcd")),
    ):
        with pytest.raises(InputError, match="clip 'c' has 33 samples"):
            make()


def test_labels_are_sorted_and_indexed():
    labels, index = label_index(pd.DataFrame({"label": ["rock", "blues", "rock"]}))
    assert labels == ["blues", "rock"] and index.tolist() == [1, 0, 1]


def test_waveforms_are_the_same_for_any_number_of_workers(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "a").mkdir()
    for i in range(6):
        write_audio(tmp_path / "a" / f"{i}.wav", rng.uniform(-0.5, 0.5, 500 + i), 22050)
    clips = load_clips(tmp_path)
    alone, threads = load_waveforms(clips, 22050), load_waveforms(clips, 22050, workers=3)
    assert [len(x) for x in alone] == [500 + i for i in range(6)]
    for a, b in zip(alone, threads, strict=True):
        np.testing.assert_array_equal(a, b)
