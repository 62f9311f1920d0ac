"""Stages that never learn are computed once a clip, found again, and the same for all sides."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_networks import RATE, Tiny

from cortexnet.crossval import crossval
from cortexnet.evaluation import (
    balanced_log_loss,
    clip_means,
    first_of_clips,
    predict_segments,
)
from cortexnet.fixed import clips_module, fixed_cache, fixed_hash, trained_input
from cortexnet.heldout import evaluate_run
from cortexnet.recipe import Recipe
from cortexnet.runs import load_run, train_run
from cortexnet.training import fit_norms
from stimuli import InputError, write_audio
from stimuli.clips import waveform

RECIPE = Recipe(epochs=2, batch_size=8, segment=RATE)
FRAMES = RATE // 512


@pytest.fixture
def computed(monkeypatch):
    """Durations of the sounds whose features were computed, in samples."""
    lengths, fixed = [], Tiny.fixed

    def counted(self, wave):
        if wave.any():  # not the silence that `fixed_hash` looks at
            lengths.append(wave.shape[-1])
        return fixed(self, wave)

    monkeypatch.setattr(Tiny, "fixed", counted)
    return lengths


def with_test(clips):
    return clips.assign(split=np.where(np.arange(len(clips)) % 4 == 0, "test", ""))


def test_the_key_follows_what_the_fixed_part_uses_and_nothing_else(tmp_path):
    torch.manual_seed(0)
    a = Tiny(3)
    torch.manual_seed(1)
    b = Tiny(5)  # other weights, and more of them
    assert fixed_hash(a) == fixed_hash(b)
    b.window[3] += 1e-6  # a filter bank that is not saved
    assert fixed_hash(a) != fixed_hash(b)
    folders = {
        fixed_cache(Tiny(3, rate), "tiny", options, tmp_path).folder
        for rate in (8000, 16000)
        for options in ({}, {"width": 4})
    }
    assert len(folders) == 4
    assert fixed_cache(a, "tiny", {}, tmp_path).folder in folders


def test_segments_are_cut_from_the_features_of_whole_clips(tiny, tiny_clips, tmp_path):
    model = Tiny(3)
    clips = tiny_clips.assign(split="test")
    data = clips_module(model, clips, RATE, ("tiny_fixed", {}, tmp_path))
    assert data.segment == FRAMES
    for features, _, clip in data.segments("test"):
        wave = waveform(clips.iloc[clip], RATE)
        whole = model.fixed(torch.from_numpy(wave)[None])[0]
        starts = [s for s in range(len(whole)) if torch.equal(whole[s : s + FRAMES], features)]
        assert starts and len(whole) == len(wave) // 512


def test_a_whole_run_computes_every_clip_once_and_leaves_no_features(
    tiny, tiny_clips, tmp_path, computed
):
    train_run("tiny_fixed", with_test(tiny_clips), tmp_path, RECIPE, 0.25, RATE)
    assert len(computed) == 18 and not (tmp_path / "features").exists()
    assert evaluate_run(load_run(tmp_path)).report["n_clips"] == 6
    assert len(computed) == 24 and not list(tmp_path.glob(".features*"))


def test_validation_in_training_and_evaluation_afterwards_are_the_same(tiny, tiny_clips, tmp_path):
    run = train_run("tiny_fixed", tiny_clips, tmp_path, RECIPE, 0.25, RATE)
    evaluation = evaluate_run(run)  # nothing is held out as a test: of the validation clips
    assert evaluation.report["side"] == "valid"
    assert evaluation.report["clip_accuracy"] == pytest.approx(run.card["valid_accuracy"])
    probabilities, labels, clips = evaluation.segments
    means, truth = clip_means(probabilities, clips)[0], first_of_clips(labels, clips)
    assert balanced_log_loss(means, truth) == pytest.approx(run.card["valid_loss"], rel=1e-5)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_predictions_do_not_depend_on_the_batch(tiny, tiny_clips, tmp_path, batch_size):
    torch.manual_seed(0)
    model = Tiny(3)
    data = clips_module(model, tiny_clips.assign(split="test"), RATE, ("t", {}, tmp_path))
    reference = predict_segments(model, data.segments("test"), 7)[0]
    found = predict_segments(model, data.segments("test"), batch_size)[0]
    np.testing.assert_allclose(found, reference, atol=1e-6)


def test_folds_share_features_and_a_named_cache_is_kept_for_the_next_call(
    tiny, tiny_clips, tmp_path, computed
):
    first = crossval("tiny_fixed", tiny_clips, 2, tmp_path / "a", RECIPE, RATE)
    assert len(computed) == len(tiny_clips) and not (tmp_path / "a" / "features").exists()
    cache = tmp_path / "cache"
    again = crossval("tiny_fixed", tiny_clips, 2, tmp_path / "b", RECIPE, RATE, cache=cache)
    assert again["confusion"] == first["confusion"] and len(computed) == 2 * len(tiny_clips)
    other = Recipe(epochs=1, batch_size=8, segment=RATE, seed=3)
    crossval("tiny_fixed", tiny_clips, 2, tmp_path / "c", other, RATE, cache=cache)
    assert len(computed) == 2 * len(tiny_clips)


def test_augmented_copies_are_features_of_training_clips_alone(
    tiny, tiny_clips, tmp_path, computed
):
    recipe = Recipe(epochs=2, batch_size=8, segment=RATE, augment=True)
    plain = Recipe(epochs=2, batch_size=8, segment=RATE)
    clips = with_test(tiny_clips)
    runs = [
        train_run("tiny_fixed", clips, tmp_path / name, r, 0.25, RATE)
        for name, r in (("a", recipe), ("b", recipe), ("plain", plain))
    ]
    train = runs[0].card["train_clips"]
    assert len(computed) == 2 * (18 + 7 * train) + 18
    hashes = [run.card["weights_sha256"] for run in runs]
    assert hashes[0] == hashes[1] != hashes[2]


def test_fixed_normalisation_is_fitted_on_training_features_alone(tiny, tiny_clips, tmp_path):
    run = train_run("tiny_fixed", with_test(tiny_clips), tmp_path / "run", RECIPE, 0.25, RATE)
    sides = pd.read_csv(run.folder / "clips.csv").set_index("clip_id")["split"]
    sides = tiny_clips.assign(split=tiny_clips["clip_id"].map(sides))
    model = Tiny(3)
    data = clips_module(model, sides, RATE, ("tiny_fixed", {}, tmp_path / "cache"))
    fit_norms(model, (x[None] for x, _, _ in data.segments("train")))
    torch.testing.assert_close(run.model.input_norm.mean, model.input_norm.mean)
    torch.testing.assert_close(run.model.input_norm.m2, model.input_norm.m2)
    # Of waveforms, for a network that is never trained.
    wave = torch.randn(2, RATE)
    fit_norms(model, [trained_input(model, wave)])
    assert model.input_norm.count == len(data.segments("train")) * FRAMES + 2 * 15


def test_an_interrupted_run_finds_its_features_again(tiny, tiny_clips, tmp_path, computed):
    whole = train_run("tiny_fixed", with_test(tiny_clips), tmp_path / "whole", RECIPE, 0.25, RATE)
    model = Tiny(3)
    kept = pd.read_csv(tmp_path / "whole" / "clips.csv").set_index("clip_id")["split"]
    clips = tiny_clips.assign(split=tiny_clips["clip_id"].map(kept)).dropna(subset="split")
    data = clips_module(model, clips, RATE, ("tiny_fixed", {}, tmp_path / "cut" / "features"))
    data.segments("train")
    before = len(computed)
    cut = train_run("tiny_fixed", with_test(tiny_clips), tmp_path / "cut", RECIPE, 0.25, RATE)
    assert len(computed) == before + cut.card["valid_clips"]
    assert cut.card["weights_sha256"] == whole.card["weights_sha256"]


def test_masks_and_short_clips_are_refused_in_one_line(tiny, tiny_clips, tmp_path):
    masked = Recipe(epochs=1, batch_size=8, segment=RATE, spec_augment=True)
    with pytest.raises(InputError, match="masks it itself: leave the option out"):
        train_run("tiny_fixed", tiny_clips, tmp_path / "a", masked, 0.25, RATE)
    with pytest.raises(InputError, match=r"segments of 0\.50 s are too short"):
        train_run("tiny_fixed", tiny_clips, tmp_path / "b", Recipe(segment=4000), 0.25, RATE)
    write_audio(tmp_path / "short.wav", np.sin(np.arange(6000.0)), RATE)
    clips = tiny_clips.copy()
    clips.loc[clips["clip_id"] == "a3", "path"] = str(tmp_path / "short.wav")
    for name in ("tiny_fixed", "tiny_wave"):
        with pytest.raises(InputError, match=r"clip 'a3'.* 6000 samples") as caught:
            train_run(name, clips, tmp_path / name, RECIPE, 0.25, RATE)
        assert "\n" not in str(caught.value)
    long = Recipe(epochs=1, batch_size=8, segment=2 * RATE)
    with pytest.raises(InputError, match=r"clip '\w+' has 20 frames, fewer than a segment \(31\)"):
        train_run("tiny_fixed", tiny_clips, tmp_path / "d", long, 0.25, RATE)
    assert not (tmp_path / "d" / "card.json").exists()


def test_the_card_says_nothing_of_the_cache(tiny, tiny_clips, tmp_path):
    run = train_run("tiny_fixed", tiny_clips, tmp_path / "a", RECIPE, 0.25, RATE)
    kept = train_run(
        "tiny_fixed", tiny_clips, tmp_path / "b", RECIPE, 0.25, RATE, cache=tmp_path / "c"
    )
    cards = [json.loads((r.folder / "card.json").read_text()) for r in (run, kept)]
    assert {k: v for k, v in cards[0].items() if k != "seconds"} == {
        k: v for k, v in cards[1].items() if k != "seconds"
    }
