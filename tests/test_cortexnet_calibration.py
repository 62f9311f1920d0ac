"""Calibration, intervals over groups and comparisons of models on the same clips."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, log_loss

from cortexnet.calibration import calibration
from cortexnet.evaluation import accuracy_report, paired_difference, wilson_interval
from cortexnet.paired import group_interval
from stimuli import InputError


def draws(n, k=4, seed=0, sharpen=1.0):
    """Probabilities and classes drawn from them; `sharpen` makes the stated ones too sure."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(k), n)
    truth = (p.cumsum(1) > rng.random((n, 1))).argmax(1)
    stated = p**sharpen
    return stated / stated.sum(1, keepdims=True), truth


def test_who_is_right_as_often_as_stated_is_calibrated_and_the_overconfident_is_not():
    honest, sure = (calibration(*draws(20000, sharpen=s)) for s in (1.0, 3.0))
    assert honest["expected_calibration_error"] < 0.015
    assert sure["expected_calibration_error"] > 0.15
    for score in ("negative_log_likelihood", "brier"):
        assert honest[score] < sure[score]
    assert [row["n"] for row in honest["reliability"]] == [2000] * 10


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_calibration_equals_its_definition(n, seed):
    p, truth = draws(n, 3, seed)
    found = calibration(p, truth, 5)
    assert found["negative_log_likelihood"] == pytest.approx(
        log_loss(truth, p, labels=[0, 1, 2]), rel=1e-6
    )
    assert found["brier"] == pytest.approx(
        np.mean([sum((p[i, j] - (truth[i] == j)) ** 2 for j in range(3)) for i in range(n)])
    )
    rows = found["reliability"]
    assert sum(row["n"] for row in rows) == n
    assert max(row["n"] for row in rows) - min(row["n"] for row in rows) <= 1
    confidence = [row["confidence"] for row in rows]
    assert confidence == sorted(confidence)
    error = sum(row["n"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / n
    assert found["expected_calibration_error"] == pytest.approx(error)


def test_balanced_accuracy_and_intervals_of_classes():
    p, truth = draws(200, 4, 1)
    report = accuracy_report(p, truth, np.arange(200), list("abcd"))
    assert report["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, p.argmax(1)))
    right, n = (truth[p.argmax(1) == truth] == 2).sum(), (truth == 2).sum()
    assert report["per_class_interval"]["c"] == pytest.approx(wilson_interval(right, n))
    assert report["calibration"] == calibration(p, truth)


def test_an_interval_over_groups_is_that_of_the_groups_where_their_clips_agree():
    """Ten clips of each of forty tracks, right together: forty observations, not four hundred."""
    track = np.repeat(np.arange(40), 10)
    right = (np.random.default_rng(0).random(40) < 0.7).astype(float)
    low, high = group_interval(right[track], track)
    expected = wilson_interval(right.sum(), 40)
    assert (low, high) == pytest.approx(expected, abs=0.04)
    alone = group_interval(right[track], np.arange(400))
    assert high - low > 2.5 * (alone[1] - alone[0])
    assert group_interval(right[track], track, seed=0) == (low, high)


def predictions(right, seed=0, track=None):
    n = len(right)
    table = pd.DataFrame({"clip_id": [f"c{i}" for i in range(n)], "label": "a", "seed": seed})
    return table.assign(predicted=np.where(right, "a", "b"), unit=table.index if track is None
                        else track)  # fmt: skip


def test_mcnemar_is_exact_and_the_order_of_the_clips_does_not_matter():
    a, b = np.array([1] * 12 + [0] * 8), np.array([1] * 3 + [0] * 9 + [1] * 2 + [0] * 6)
    result = paired_difference(predictions(a), predictions(b).iloc[::-1])
    assert (result["only_first"], result["only_second"]) == (9, 2)
    assert result["p"] == pytest.approx(binomtest(2, 11).pvalue)
    assert result["difference"] == pytest.approx(7 / 20)
    assert result["interval"][0] < 7 / 20 < result["interval"][1]
    same = paired_difference(predictions(a), predictions(a))
    assert (same["difference"], same["p"], same["interval"]) == (0, 1, [0, 0])


def test_correctness_is_averaged_over_seeds():
    first = pd.concat([predictions([1, 1, 0, 0]), predictions([1, 0, 0, 0], seed=1)])
    result = paired_difference(first, predictions([0, 0, 0, 1]))
    assert result["difference"] == pytest.approx((1 + 0.5 + 0 - 1) / 4)
    assert result["seeds"] == [2, 1] and "p" not in result and result["n_clips"] == 4


def test_a_paired_interval_covers_the_true_difference_as_often_as_it_says():
    rng, covered = np.random.default_rng(0), 0
    track = np.repeat(np.arange(60), 4)
    for trial in range(100):
        skill = rng.normal(0, 1, 60)[track]
        right = [rng.random(240) < 1 / (1 + np.exp(-skill - bias)) for bias in (0.8, 0.8)]
        low, high = paired_difference(
            *(predictions(r, track=track) for r in right), n_boot=500, seed=trial
        )["interval"]
        covered += low <= 0 <= high
    assert 88 <= covered <= 100


def test_other_clips_are_not_compared():
    with pytest.raises(InputError, match="4 and 3 clips are not of the same"):
        paired_difference(predictions([1, 1, 0, 0]), predictions([1, 0, 0]))
