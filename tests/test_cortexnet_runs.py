"""Training runs: the best epoch is kept, an interrupted run ends as an unbroken one, no leak."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

import cortexnet
from cortexnet.crossval import crossval
from cortexnet.fixed import clips_module
from cortexnet.recipe import Recipe
from cortexnet.registry import create_model
from cortexnet.runs import split_clips, weights_hash
from cortexnet.training import fit_norms
from stimuli import InputError, grouped_folds, load_clips, write_audio
from stimuli.synthesis import am_noise, harmonic_complex, ripple

RECIPE = Recipe(epochs=3, batch_size=8, segment=22050, seed=1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three easy classes, eight tracks of 1.5 s each, two clips a track."""
    root = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    makers = {
        "flat": lambda k: harmonic_complex(1.5, 150 + 20 * k, 8),
        "slow": lambda k: am_noise(1.5, 3 + 0.2 * k, seed=k),
        "swept": lambda k: ripple(1.5, 10 + k, 1.0, seed=k),
    }
    rows = []
    for label, make in makers.items():
        for k in range(16):
            path = root / f"{label}-{k}.wav"
            x = make(k) + 0.002 * rng.standard_normal(int(1.5 * 22050)).astype(np.float32)
            write_audio(path, x, 22050)
            rows.append({"path": path.name, "label": label, "group": f"{label}-{k // 2}"})
    pd.DataFrame(rows).to_csv(root / "manifest.csv", index=False)
    return load_clips(root / "manifest.csv")


def with_test(clips):
    test = grouped_folds(clips, 4, 0)[0][1]
    return clips.assign(split=np.where(np.isin(np.arange(len(clips)), test), "test", ""))


def test_split_keeps_groups_whole_and_the_tables_own_sides(clips):
    table = split_clips(with_test(clips), 0.25, seed=3)
    assert set(table["split"]) == {"train", "valid", "test"}
    assert table.groupby("group")["split"].nunique().max() == 1
    given = table.assign(split=np.where(table["split"] == "test", "test", "train"))
    given.loc[given.index[:1], "split"] = "valid"
    assert (split_clips(given, 0.25, seed=3)["split"] == given["split"]).all()
    with pytest.raises(InputError, match="'dev'"):
        split_clips(given.assign(split="dev"), 0.25, seed=3)


def test_a_network_learns_and_its_run_can_be_loaded(clips, tmp_path):
    run = cortexnet.train_run("cortexnet_z", with_test(clips), tmp_path / "run", RECIPE)
    loaded = cortexnet.load_run(tmp_path / "run")
    assert weights_hash(loaded.model) == run.card["weights_sha256"]
    evaluation = cortexnet.evaluate_run(loaded)
    assert evaluation.report["side"] == "test" and evaluation.report["n_clips"] == 12
    assert evaluation.report["clip_accuracy"] > 0.8
    # The kept weights are those of the epoch with the lowest validation loss.
    log = pd.read_csv(tmp_path / "run" / "log" / "metrics.csv")
    log = log.set_index("epoch")
    assert run.card["best_epoch"] == log["valid_loss"].idxmin()
    assert run.card["valid_loss"] == pytest.approx(log["valid_loss"].min())


@pytest.fixture(scope="module")
def classic(clips, tmp_path_factory):
    """A finished run of a classic classifier; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("classic") / "run"
    return cortexnet.train_run("modulation_svm", with_test(clips), folder, RECIPE)


def test_clips_of_training_groups_are_refused_in_evaluation(clips, classic):
    table, run = with_test(clips), classic
    with pytest.raises(InputError, match="share a group"):
        cortexnet.evaluate_run(run, clips)
    held_out = clips[(table["split"] == "test").to_numpy()]
    assert cortexnet.evaluate_run(run, held_out).report["side"] == "given"


def test_a_finished_run_is_not_trained_again_and_other_settings_are_refused(clips, classic):
    stamp = (classic.folder / "model.safetensors").stat().st_mtime_ns
    cortexnet.train_run("modulation_svm", with_test(clips), classic.folder, RECIPE)
    assert (classic.folder / "model.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="other settings"):
        cortexnet.train_run("cortexnet_z", with_test(clips), classic.folder, RECIPE)


@pytest.mark.parametrize("damage", ["card", "weights", "missing"])
def test_damaged_runs_are_refused_in_one_line(classic, tmp_path, damage):
    folder = shutil.copytree(classic.folder, tmp_path / "run")
    if damage == "card":
        (folder / "card.json").write_text("{")
    elif damage == "weights":
        (folder / "model.safetensors").write_bytes(b"\x80\x04pickle")
    else:
        (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=str(folder)) as caught:
        cortexnet.load_run(folder)
    assert "\n" not in str(caught.value)


_TRAIN = """
import sys
from cortexnet import Recipe, train_run
from stimuli import load_clips
recipe = Recipe(epochs=6, batch_size=8, segment=22050, seed=1)
train_run("cortexnet_z", load_clips(sys.argv[1]), sys.argv[2], recipe)
"""


def test_a_killed_run_goes_on_and_ends_with_the_weights_of_an_unbroken_one(clips, tmp_path):
    manifest = os.path.join(os.path.dirname(clips["path"].iloc[0]), "manifest.csv")

    def start(folder):
        return subprocess.Popen(
            [sys.executable, "-c", _TRAIN, manifest, str(folder)], stderr=subprocess.DEVNULL
        )

    assert start(tmp_path / "whole").wait() == 0
    broken = start(tmp_path / "broken")
    checkpoint = tmp_path / "broken" / "checkpoints" / "last.ckpt"
    while not checkpoint.exists():
        assert broken.poll() is None
        time.sleep(0.02)
    broken.send_signal(signal.SIGKILL)
    broken.wait()
    assert not (tmp_path / "broken" / "card.json").exists()
    assert start(tmp_path / "broken").wait() == 0
    hashes = [
        json.loads((tmp_path / name / "card.json").read_text())["weights_sha256"]
        for name in ("whole", "broken")
    ]
    assert hashes[0] == hashes[1]


def test_fixed_normalisation_sees_training_clips_only(clips, tmp_path):
    table = split_clips(with_test(clips), 0.15, RECIPE.seed)
    run = cortexnet.train_run("cortexnet_z", table, tmp_path / "run", RECIPE)
    torch.manual_seed(RECIPE.seed)
    model = create_model("cortexnet_z", 3)
    train = table[table["split"] == "train"]
    where = "cortexnet_z", {}, tmp_path / "features"
    data = clips_module(model, train, RECIPE.segment, where, seed=RECIPE.seed)
    fit_norms(model, (x[None] for x, _, _ in data.segments("train")))
    torch.testing.assert_close(model.belt_norm.mean, run.model.belt_norm.mean)


@pytest.mark.parametrize("name", ["modulation_svm", "cortexnet_z"])
def test_crossval_tests_every_clip_once_and_repeats_itself(clips, tmp_path, name):
    recipe = Recipe(epochs=1, batch_size=8, segment=22050)
    first = crossval(name, clips, 2, tmp_path / "cv", recipe)
    assert first["n_clips"] == len(clips) and len(first["folds"]) == 2
    predictions = pd.read_csv(tmp_path / "cv" / "predictions.csv")
    assert sorted(predictions["clip_id"]) == sorted(clips["clip_id"])
    groups = predictions.merge(clips[["clip_id", "group"]]).groupby("group")["fold"].nunique()
    assert groups.max() == 1
    again = crossval(name, clips, 2, tmp_path / "cv", recipe)
    for key in ("clip_accuracy", "segment_accuracy", "confusion"):
        assert first[key] == again[key]


def test_folds_keep_artists_whole_where_asked(tmp_path, clips):
    """Artists over several tracks: with `by`, none is on both sides of a fold."""
    clips = clips.assign(artist=[f"artist {i // 4}" for i in range(len(clips))])
    crossval("modulation_svm", clips, 2, tmp_path, RECIPE, by=("artist",))
    table = pd.read_csv(tmp_path / "predictions.csv").merge(clips[["clip_id", "artist"]])
    assert table.groupby("artist")["fold"].nunique().max() == 1


def test_varied_training_repeats_itself_and_is_refused_for_readouts(tmp_path, clips):
    recipe = Recipe(
        epochs=1, batch_size=16, segment=22050, augment=True, mixup=0.2, spec_augment=True
    )
    few = clips.groupby("label").head(6)
    hashes = [
        cortexnet.train_run("cnn2d_4l", few, tmp_path / str(i), r).card["weights_sha256"]
        for i, r in enumerate((recipe, recipe, Recipe(epochs=1, batch_size=16, segment=22050)))
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    with pytest.raises(InputError, match="are for networks"):
        cortexnet.train_run("modulation_svm", few, tmp_path / "svm", recipe)


def test_clips_that_a_decoder_was_fitted_to_are_no_test(clips, tmp_path):
    recipe = cortexnet.Recipe(epochs=1, batch_size=8, segment=22050)
    run = cortexnet.train_run("cortexnet_z", clips, tmp_path / "run", recipe)
    assert {"train", "valid"} == set(pd.read_csv(run.folder / "clips.csv")["split"])
    with pytest.raises(InputError, match="no clip was held out"):
        cortexnet.evaluate_run(run)
