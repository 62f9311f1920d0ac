"""Copies of a recording in two runs do not teach each other, on every path."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from encoding import InputError, RidgeCV, delay, fit_layers, nested_cv
from encoding.heldout import leave_one_out, plan_folds
from encoding.recordings import companions, heard, keep_apart
from encoding.ridge.kfold import cv_scores

pytestmark = pytest.mark.filterwarnings("ignore::encoding.RidgeEdgeWarning")
ALPHAS = np.logspace(-2, 4, 7)
CLIP = 10  # volumes
N_RUNS, CLIPS = 4, 6


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


def leak(units=200, v=40, seed=0, drive=1.0):
    """Runs 0 and 1, and 2 and 3, have clips of the same two recordings.

    Responses follow the recording, but in a way that features do not tell: nothing learnt
    carries over to another one.
    """
    rng = np.random.default_rng(seed)
    n = N_RUNS * CLIPS * CLIP
    samples = pd.DataFrame({"run": np.repeat([f"r{k}" for k in range(N_RUNS)], CLIPS * CLIP)})
    clip = np.arange(n) // CLIP
    samples["clip_id"] = [f"c{i}" for i in clip]
    samples["time"] = np.arange(n) % CLIP * 1.5
    position, run = clip % CLIPS, clip // CLIPS
    names = np.array([f"s{i}" for i in run // 2 * 2 + position])
    samples["recording"] = np.where(position < 2, names, "")
    content = samples["recording"].where(samples["recording"] != "", samples["clip_id"])
    same = (content + samples["time"].astype(str)).factorize()[0]
    X = rng.standard_normal((n, units))[same] + 0.1 * rng.standard_normal((n, units))
    Y = drive * rng.standard_normal((n, v))[same] + rng.standard_normal((n, v))
    return X, Y, samples


def test_a_planted_leak_inflates_scores_unless_recordings_are_kept_together():
    X, Y, samples = leak()
    runs = samples["run"].to_numpy()
    copies = (samples["recording"] != "").to_numpy()

    def r2(predictions, rows):
        return 1 - ((Y - predictions)[rows] ** 2).sum() / (Y[rows] ** 2).sum()

    without = nested_cv(X, Y, runs, ALPHAS).predictions
    kept = nested_cv(X, Y, runs, ALPHAS, recordings=samples["recording"]).predictions
    assert r2(without, copies) > 0.06
    assert abs(r2(kept, copies)) < 0.03 and abs(r2(kept, ~copies)) < 0.03


@pytest.mark.parametrize("delays", [(0,), (1, 2)])
def test_layers_with_recordings_score_no_leak(delays):
    X, Y, samples = leak()
    Y = np.roll(Y, max(delays), 0)  # responses come late
    features = {"layer": X}
    leaking = fit_layers(features, Y, samples.drop(columns="recording"), delays, ALPHAS)
    kept = fit_layers(features, Y, samples, delays, ALPHAS)
    assert leaking.dataset["r"].mean() > 0.1
    assert abs(kept.dataset["r"].mean()) < 0.03
    split = samples.assign(split=np.where(samples["run"] == "r3", "test", "train"), repeat=1)
    leaking = fit_layers(features, Y, split.drop(columns="recording"), delays, ALPHAS)
    kept = fit_layers(features, Y, split, delays, ALPHAS)
    assert leaking.dataset["r"].mean() > 0.1
    assert abs(kept.dataset["r"].mean()) < 0.03


@pytest.mark.parametrize("units", [4, 200])
def test_alphas_are_chosen_without_the_copies(units):
    X, Y, samples = leak(units)
    runs, sounds = samples["run"].to_numpy(), samples["recording"]
    kept = keep_apart(leave_one_out(runs), heard(sounds, runs))
    assert all(len(train) == 180 - 20 for train, _ in kept)
    model = RidgeCV(ALPHAS, standardize=False).fit(X, Y, groups=runs, recordings=sounds)
    exact = cv_scores(X, Y, ALPHAS, kept, method="folds")
    np.testing.assert_allclose(model.cv_scores_, exact, atol=1e-9)
    if units > 100:
        memorised = RidgeCV(ALPHAS, standardize=False).fit(X, Y, groups=runs)
        assert np.median(memorised.best_alphas_) < np.median(model.best_alphas_)


@pytest.mark.parametrize("units", [4, 60, 300])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-8), (np.float32, 1e-4)])
def test_nested_equals_the_double_loop_without_the_copies(units, dtype, tolerance):
    X, Y, samples = leak(units, v=7)
    runs, sounds = samples["run"].to_numpy(), heard(samples["recording"], samples["run"])
    predictions, best = np.empty_like(Y), []
    for train, test in keep_apart(leave_one_out(runs), sounds):
        inner = keep_apart(leave_one_out(runs[train]), sounds[train])
        scores = cv_scores(X[train], Y[train], ALPHAS, inner, method="folds")
        best.append(ALPHAS[scores.argmax(0)])
        predictions[test] = Ridge(alpha=best[-1]).fit(X[train], Y[train]).predict(X[test])
    X, Y = X.astype(dtype), Y.astype(dtype)
    found = nested_cv(X, Y, runs, ALPHAS, recordings=samples["recording"])
    np.testing.assert_array_equal(found.best_alphas, best)
    np.testing.assert_allclose(found.predictions, predictions, atol=tolerance)


def test_a_delayed_row_belongs_to_the_recordings_its_features_come_from():
    runs = np.array(["a"] * 4 + ["b"] * 3)
    sounds = np.array(["x", "x", "", "y", "y", "z", None], object)
    found = heard(sounds, runs, (1, 2))
    names = np.array(["x", "y", "z", "-"])
    expected = [["-", "-"], ["x", "-"], ["x", "x"], ["-", "x"]]
    expected += [["-", "-"], ["y", "-"], ["z", "y"]]
    np.testing.assert_array_equal(names[found], expected)
    # As the design does.
    design = delay(np.arange(1, 8)[:, None], runs, (1, 2))
    np.testing.assert_array_equal(found >= 0, (design > 0) & ~np.isin(design, [3, 7]))
    everything = np.arange(7)
    assert companions(found, everything, np.array([5])).tolist() == [False] * 5 + [True] * 2
    assert not companions(heard(None, runs), everything, everything).any()


def test_runs_that_share_everything_and_odd_labels_are_refused():
    X, Y, samples = leak(5, v=3)
    runs = samples["run"].to_numpy()
    same = np.full(len(runs), "one song")
    with pytest.raises(InputError, match="share recordings"):
        RidgeCV(ALPHAS).fit(X, Y, groups=runs, recordings=same)
    with pytest.raises(InputError, match="share so many recordings"):
        nested_cv(X, Y, runs, ALPHAS, recordings=same)
    with pytest.raises(InputError, match="share recordings"):
        plan_folds(samples.assign(recording=same))
    with pytest.raises(InputError, match="recordings have shape"):
        nested_cv(X, Y, runs, ALPHAS, recordings=same[1:])
