"""Scores on sounds x components that are simulated: stages, joint models, controls, intervals."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from encoding import best_stage_r2, draw_sounds, held_out_r2, predict_halves, split_half_r2
from experiments.models import load_source
from experiments.nh2015 import time_averages
from experiments.nh2015_scores import (
    COMPONENTS,
    as_row,
    differences,
    score_stages,
    standardised,
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Problems this small only wait for threads."""
    with threadpool_limits(1):
        yield


def simulated(noise, seed=0, n=100):
    """Two stages of which the deep one carries the components, blurred by `noise`."""
    rng = np.random.default_rng(1)
    signal = rng.standard_normal((n, 12))
    profiles = signal @ rng.standard_normal((12, 6)) / 3 + 0.3 * rng.standard_normal((n, 6))
    rng = np.random.default_rng([2, seed])
    deep = (signal + noise * rng.standard_normal((n, 12))) @ rng.standard_normal((12, 30))
    return {"A1": rng.standard_normal((n, 20)), "belt": deep}, profiles


@pytest.fixture(scope="module")
def draws():
    return draw_sounds(100, 200, 0)


@pytest.fixture(scope="module")
def trained(draws):
    return score_stages(*simulated(0.1), draws)


@pytest.fixture(scope="module")
def controls(draws):
    return [score_stages(*simulated(0.8, seed), draws) for seed in range(2)]


def test_the_row_holds_the_protocols_scores(trained):
    stages, profiles = simulated(0.1)
    row = as_row([trained])
    splits = {name: split_half_r2(x, profiles) for name, x in stages.items()}
    assert row["r2"]["pitch"] == round(float(best_stage_r2(splits)[1][3]), 4)
    belt = np.median(splits["belt"], 0)
    assert [row["by_stage"]["belt"][c] for c in COMPONENTS] == belt.round(4).tolist()
    together = np.concatenate([standardised(x) for x in stages.values()], 1)
    expected = np.median(split_half_r2(together, profiles), 0).mean()
    assert row["all_stages"]["mean"] == round(float(expected), 4)
    assert set(row["best_stage"].values()) == {"belt"} and row["stages"] == ["A1", "belt"]
    assert row["banded"]["mean"] > row["by_stage"]["belt"]["mean"] - 0.03
    for measure in ("r2", "all_stages", "banded"):
        low, high = row["intervals"][measure]
        assert low < row[measure]["mean"] < high


def test_one_stage_is_scored_on_all_splits(draws):
    stages, profiles = simulated(0.1)
    row = as_row([score_stages({"belt": stages["belt"]}, profiles, draws)])
    assert row["r2"] == row["by_stage"]["belt"] and "banded" not in row


def test_resampled_r2_is_that_of_the_repeated_sounds(draws):
    stages, profiles = simulated(0.5)
    test, predictions = predict_halves(stages["belt"], profiles)
    fast = held_out_r2(test, predictions, profiles, draws[:4])
    np.testing.assert_allclose(fast[0], held_out_r2(test, predictions, profiles))
    for draw in (1, 3):
        for split in (0, 7):
            times = draws[draw, test[split]]
            p = np.repeat(predictions[split], times, axis=0)
            y = np.repeat(profiles[test[split]], times, axis=0)
            r = [np.corrcoef(p[:, k], y[:, k])[0, 1] for k in range(6)]
            np.testing.assert_allclose(fast[draw, split], np.maximum(r, 0) ** 2, atol=1e-10)


def test_what_training_adds_is_found_and_nothing_is_found_in_nothing(trained, controls, draws):
    gain = differences(trained, controls)
    rows = as_row([trained]), as_row(controls)
    for measure in ("r2", "all_stages", "banded"):
        mean = gain[measure]["mean"]
        expected = rows[0][measure]["mean"] - rows[1][measure]["mean"]
        assert mean["difference"] == pytest.approx(expected, abs=2e-4)
        assert 0 < mean["low"] < mean["difference"] < mean["high"]
    assert gain["by_stage"]["belt"]["speech"]["low"] > 0
    twin = score_stages(*simulated(0.1, seed=9), draws)
    nothing = differences(trained, [twin])["r2"]["mean"]
    assert nothing["low"] < 0 < nothing["high"]


def test_intervals_grow_with_the_spread_over_seeds(trained, controls, draws):
    far = score_stages(*simulated(3.0, seed=5), draws)

    def width(others):
        mean = differences(trained, others)["all_stages"]["mean"]
        return mean["high"] - mean["low"]

    assert width([controls[0], far]) > 1.5 * width([controls[0], controls[0]])


def test_splits_are_the_same_whatever_is_scored(controls, draws):
    again = score_stages(*simulated(0.8, 1), draws)
    np.testing.assert_array_equal(again.joint["banded"], controls[1].joint["banded"])


def test_time_averages_of_a_network_and_of_its_control():
    rng = np.random.default_rng(0)
    waves = [0.07 * rng.standard_normal(22050).astype(np.float32) for _ in range(3)]
    model = load_source("cnn2d_4l", None, 0, sounds=lambda rate: waves).model
    means = time_averages(model, waves)
    with torch.inference_mode():
        areas, _ = model.forward_areas(torch.from_numpy(waves[1])[None])
    assert list(means) == list(model.areas)
    np.testing.assert_allclose(means["conv2"][1], areas["conv2"][0].mean(0), atol=1e-5)
