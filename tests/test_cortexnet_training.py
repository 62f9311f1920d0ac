"""The course of training: it ends early, keeps the best epoch, and goes on where it stopped."""

import numpy as np
import pandas as pd
import pytest
from tiny_networks import RATE, TinyWave

from cortexnet.recipe import Recipe
from cortexnet.runs import load_run, train_run


def train(clips, folder, name="tiny_wave", options=None, **recipe):
    recipe = Recipe(**{"epochs": 4, "batch_size": 8, "segment": RATE} | recipe)
    return train_run(name, clips, folder, recipe, 0.25, RATE, options)


def log(run, column="valid_loss"):
    return pd.read_csv(run.folder / "log" / "metrics.csv", index_col="epoch")[column]


def test_early_stop_fires_before_the_last_epoch_and_the_best_weights_are_kept(
    tiny, tiny_clips, tmp_path
):
    # A rate at which nothing improves for long.
    run = train(tiny_clips, tmp_path, epochs=50, patience=2, learning_rate=0.3, optimizer="sgd")
    losses = log(run)
    assert run.card["epochs"] == len(losses) < 50
    assert run.card["epochs"] == run.card["best_epoch"] + 3
    assert run.card["best_epoch"] == losses.idxmin()
    assert run.card["valid_loss"] == pytest.approx(losses.min())


def test_plateau_ends_training_once_the_rate_is_below_a_hundred_thousandth(
    tiny, tiny_clips, tmp_path
):
    # Steps so small that no epoch is better by the schedule's threshold: after the first and six
    # more 1.2e-5 is divided by five.
    run = train(
        tiny_clips, tmp_path, epochs=40, patience=40, learning_rate=1.2e-5, schedule="plateau",
        optimizer="sgd", options={"norm": "none"},
    )  # fmt: skip
    assert run.card["epochs"] == 7
    np.testing.assert_allclose(log(run, "learning_rate"), 1.2e-5)


def test_a_norm_reaches_the_network_and_the_card(tiny, tiny_clips, tmp_path):
    run = train(tiny_clips, tmp_path, options={"norm": "group", "width": 16}, epochs=1)
    assert run.card["options"] == {"norm": "group", "width": 16}
    assert type(load_run(tmp_path).model.net.norm).__name__ == "GroupNorm"


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [("adamw", "one_cycle"), ("sgd", "plateau"), ("adam", "cosine"), ("rmsprop", "constant"),
     ("lion", "plateau")],
)  # fmt: skip
def test_a_run_that_stopped_goes_on_exactly_for_every_optimiser_and_schedule(
    tiny, tiny_clips, tmp_path, optimizer, schedule
):
    recipe = {"optimizer": optimizer, "schedule": schedule, "balanced": True, "mixup": 0.2}
    recipe |= {"epochs": 9, "patience": 3, "min_delta": 0.05}
    whole = train(tiny_clips, tmp_path / "whole", **recipe)
    # 18 training clips in batches of 8: the plug is pulled in the second epoch, and in the last.
    for steps in (4, 3 * (whole.card["epochs"] - 2)):
        TinyWave.fuse = steps
        with pytest.raises(RuntimeError, match="the plug"):
            train(tiny_clips, tmp_path / "broken", **recipe)
    TinyWave.fuse = None
    broken = train(tiny_clips, tmp_path / "broken", **recipe)
    for key in ("weights_sha256", "epochs", "best_epoch", "valid_loss", "valid_accuracy"):
        assert broken.card[key] == whole.card[key]
    logs = [(run.folder / "log" / "metrics.csv").read_text() for run in (whole, broken)]
    assert logs[0] == logs[1] and len(logs[0].splitlines()) == whole.card["epochs"] + 1


def test_a_run_that_was_cut_off_after_its_last_epoch_is_not_trained_further(
    tiny, tiny_clips, tmp_path
):
    run = train(tiny_clips, tmp_path, epochs=30, patience=1, learning_rate=0.3, optimizer="sgd")
    (tmp_path / "card.json").unlink()
    TinyWave.fuse = 0
    again = train(tiny_clips, tmp_path, epochs=30, patience=1, learning_rate=0.3, optimizer="sgd")
    assert again.card["weights_sha256"] == run.card["weights_sha256"]
    assert again.card["epochs"] == run.card["epochs"] < 30
