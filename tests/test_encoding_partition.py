"""Unique and shared variance: exact arithmetic, planted facts, paired intervals."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from encoding import InputError, fit_layers
from encoding.commonality import partition, variance_partition
from encoding.heldout import compact, fold_designs, plan_folds, predict_jointly

pytestmark = pytest.mark.filterwarnings("ignore::encoding.RidgeEdgeWarning")
ALPHAS = np.logspace(-2, 4, 5)
QUICK = {"alphas": ALPHAS, "n_candidates": 4, "n_resamples": 60, "n_jobs": 1}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Problems this small only wait for threads."""
    with threadpool_limits(1):
        yield


def test_two_spaces_give_the_textbook_parts():
    parts = partition({"a": 0.3, "b": 0.2, ("a", "b"): 0.4})
    assert parts.sel(part="a").item() == pytest.approx(0.4 - 0.2)
    assert parts.sel(part="b").item() == pytest.approx(0.4 - 0.3)
    assert parts.sel(part="a & b").item() == pytest.approx(0.3 + 0.2 - 0.4)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_overlapping_areas_are_measured_exactly(n, seed):
    # The R2 of a set of spaces is the union of its areas: the parts are those areas.
    rng = np.random.default_rng(seed)
    names = list("abcd"[:n])
    subsets = [s for k in range(1, n + 1) for s in combinations(names, k)]
    area = {s: rng.random(3) for s in subsets}
    r2 = {s: sum(a for other, a in area.items() if set(other) & set(s)) for s in subsets}
    parts = partition(r2)
    for s in subsets:
        np.testing.assert_allclose(parts.sel(part=" & ".join(s)), area[s], atol=1e-12)
    np.testing.assert_allclose(parts.sum("part"), r2[tuple(names)], atol=1e-12)


def test_many_spaces_give_unique_parts_and_the_rest():
    names = tuple("abcdef")
    r2 = {names: 0.5} | {tuple(n for n in names if n != m): 0.5 - 0.01 for m in names}
    parts = partition(r2)
    assert parts.sel(part="shared").item() == pytest.approx(0.44)
    assert parts.sum().item() == pytest.approx(0.5)
    with pytest.raises(InputError, match="missing"):
        partition({k: v for k, v in r2.items() if "a" in k})


def problem(seed=0, n_runs=5, length=80):
    """Three spaces that are exactly orthogonal in every run."""
    rng = np.random.default_rng(seed)
    n = n_runs * length
    runs = np.repeat([f"r{i}" for i in range(n_runs)], length)
    columns = rng.standard_normal((n_runs, length, 24))
    columns = np.linalg.qr(columns - columns.mean(1, keepdims=True))[0].reshape(n, 24)
    X = dict(zip(("base", "a", "b"), np.split(columns * np.sqrt(length), 3, axis=1), strict=True))

    def targets(*names, k=6):
        parts = [X[s] @ rng.standard_normal((8, k)) / np.sqrt(8) for s in names]
        return sum(parts) + 0.5 * rng.standard_normal((n, k))

    return X, runs, targets


def test_orthogonal_spaces_explain_their_own_part_beyond_the_baseline():
    X, runs, targets = problem()
    Y = np.concatenate([targets("base", "a"), targets("base"), targets("a", "b")], 1)
    regions = np.repeat(["base+a", "base", "a+b"], 6)
    out = variance_partition(X, Y, runs, (0,), ("base",), regions=regions, **QUICK)
    alone = variance_partition({"a": X["a"]}, Y, runs, (0,), (), regions=regions, **QUICK)
    unique = out["unique"].sel(space="a")
    np.testing.assert_allclose(unique, alone["r2"].isel(model=0), atol=0.03)
    np.testing.assert_allclose(unique, out["beyond"].sel(space="a"), atol=0.03)
    by_region = out["region_unique"]
    assert by_region.sel(space="a", region="base+a") > 0.3
    assert abs(by_region.sel(space="a", region="base")) < 0.02
    assert abs(by_region.sel(space="b", region="base+a")) < 0.02
    assert abs(out["region_part"].sel(part_name="a & b")).max() < 0.03
    # Intervals tell what is there from what is not, and hold the estimate.
    low, high = (out["region_unique_interval"].sel(end=e) for e in ("low", "high"))
    assert low.sel(space="a", region="a+b") > 0.2
    assert np.all((low <= by_region) & (by_region <= high))


def test_wide_spaces_are_fitted_by_their_inner_products(monkeypatch):
    X, runs, targets = problem(3, n_runs=4, length=25)
    mix = np.random.default_rng(5).standard_normal((8, 240))
    wide = [X["base"] @ mix + 0.1 * np.random.default_rng(6).standard_normal((100, 240)),
            X["a"] @ mix[::-1]]  # fmt: skip
    assert compact(wide[0]).shape == (100, 100) and compact(X["a"]) is X["a"]
    Y, plan = targets("base", "a"), plan_folds(runs, delays=(0, 1))
    fast = [fold_designs(x, plan, (0, 1)) for x in wide]
    assert {(one.design.shape, one.n_features) for folds in fast for one in folds} == {
        ((100, 100), 480)
    }
    monkeypatch.setattr("encoding.heldout.compact", lambda design: design)
    slow = [fold_designs(x, plan, (0, 1)) for x in wide]
    predicted = [predict_jointly(x, Y, plan, n_candidates=4, seed=0) for x in (fast, slow)]
    np.testing.assert_allclose(*predicted, rtol=1e-3, atol=1e-4)


def test_only_what_is_unique_can_be_asked_for():
    X, runs, targets = problem(2, n_runs=3, length=30)
    for name in ("c", "d"):
        X[name] = np.random.default_rng(ord(name)).standard_normal(X["a"].shape)
    Y = targets("a", "b", k=2)
    full = variance_partition(X, Y, runs, (0, 1), ("base",), **QUICK)
    few = variance_partition(X, Y, runs, (0, 1), ("base",), shared=False, **QUICK)
    assert (full.sizes["model"], few.sizes["model"]) == (16, 10)
    assert set(few["part_name"].values) == {"a", "b", "c", "d", "shared"}
    np.testing.assert_array_equal(few["unique"], full["unique"])


def test_a_space_given_twice_is_shared_and_unique_to_none():
    X, runs, targets = problem(1)
    X["copy"] = X["a"].copy()
    del X["b"]
    Y = targets("base", "a")
    out = variance_partition(X, Y, runs, (0,), ("base",), **QUICK)
    assert abs(out["unique"]).max() < 0.01
    shared = out["part"].sel(part_name="a & copy")
    assert shared.min() > 0.2
    np.testing.assert_allclose(shared, out["beyond"].sel(space="a"), atol=0.01)


def test_parts_sum_to_the_joint_r2_less_the_baseline():
    X, runs, targets = problem(2, n_runs=4, length=40)
    X["c"] = np.random.default_rng(9).standard_normal(X["a"].shape)
    out = variance_partition(X, targets("a", "b", k=4), runs, (0, 1), ("base",), **QUICK)
    assert out.sizes["model"] == 8 and out.sizes["part_name"] == 7
    gain = out["r2"].sel(model="baseline + a + b + c") - out["r2"].sel(model="baseline")
    np.testing.assert_allclose(out["part"].sum("part_name"), gain, atol=1e-12)


def test_a_small_baseline_is_not_drowned_by_a_space_of_many_units():
    # Loudness drives the response; the wide space only contains a noisy copy of it.
    rng = np.random.default_rng(3)
    n, runs = 480, np.repeat(np.arange(6), 80)
    loudness = rng.standard_normal((n, 1))
    wide = rng.standard_normal((n, 200))
    wide[:, :5] += loudness
    Y = loudness + 0.7 * rng.standard_normal((n, 10))
    features = {"loudness": loudness, "wide": wide}
    out = variance_partition(features, Y, runs, (0,), ("loudness",), **QUICK)
    assert abs(out["region_unique"].item()) < 0.02
    joint = fit_layers({"both": np.hstack([loudness, wide])}, Y, runs, (0,), ALPHAS)
    assert joint.dataset["r2"].mean() < out["r2"].isel(model=-1).mean() - 0.02


def test_rows_are_split_averaged_and_scored_as_in_fit_layers():
    rng = np.random.default_rng(4)
    rows = [(f"T{k}", f"c{k}-{i}", t, 1, "train", i == 0 and t < 2, k == 1 and i == 3)
            for k in range(4) for i in range(6) for t in range(10)]  # fmt: skip
    rows += [("V", f"v{i}", t, r, "test", False, False)
             for r in range(3) for i in range(4) for t in range(10)]  # fmt: skip
    names = ["run", "clip_id", "time", "repeat", "split", "dummy", "leak"]
    samples = pd.DataFrame(rows, columns=names)
    X = {"a": rng.standard_normal((len(samples), 5))}
    Y = X["a"] @ rng.standard_normal((5, 3)) + rng.standard_normal((len(samples), 3))
    for table in (samples, samples.drop(columns="split")):
        whole = fit_layers(X, Y, table, (0, 1), ALPHAS)
        plan = plan_folds(table)
        np.testing.assert_allclose(plan.average(Y[plan.rows]), whole.responses, atol=1e-5)
        assert (plan.samples["block"].to_numpy() == whole.samples["block"].to_numpy()).all()
        out = variance_partition(X, Y, table, (0, 1), (), **QUICK)
        np.testing.assert_allclose(out["r2"][0], whole.dataset["r2"][0], atol=1e-4)


def test_intervals_come_from_the_same_clips_for_all_models():
    X, runs, targets = problem(5, n_runs=4, length=40)
    del X["b"]
    Y = targets("base", "a", k=3)
    out = variance_partition(X, Y, runs, (0,), ("base",), **QUICK)
    plan = plan_folds(runs)
    y = plan.average(Y[plan.rows]).astype(float)
    p = [
        predict_jointly(
            [fold_designs(X[n], plan, (0,)) for n in names], Y, plan, ALPHAS, n_candidates=4
        )
        for names in (("base",), ("base", "a"))
    ]

    def gain(rows):
        sst = ((y[rows] - y[rows].mean(0)) ** 2).sum(0)
        return (((y - p[0])[rows] ** 2).sum(0) - ((y - p[1])[rows] ** 2).sum(0)) / sst

    observed, draws = gain(np.arange(160)), []
    for i in range(60):
        rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(i,)))
        chosen = np.concatenate([4 * r + rng.integers(4, size=4) for r in range(4)])
        draws.append(gain((chosen[:, None] * 10 + np.arange(10)).ravel()))
    wide = observed + np.sqrt(2 * 4 / 3) * (np.array(draws) - observed)
    expected = np.percentile(wide, [2.5, 97.5], axis=0).T
    np.testing.assert_allclose(out["unique"].sel(space="a"), observed, atol=1e-6)
    np.testing.assert_allclose(out["unique_interval"].sel(space="a"), expected, atol=1e-6)


def test_what_does_not_fit_is_refused():
    X, runs, targets = problem(n_runs=3, length=30)
    Y = targets("a", k=2)
    with pytest.raises(InputError, match="cochleagram"):
        variance_partition(X, Y, runs)
    with pytest.raises(InputError, match="baseline alone"):
        variance_partition(X, Y, runs, baseline=("base", "a", "b"))
    with pytest.raises(InputError, match="features a"):
        variance_partition({"a": X["a"][:-1]}, Y, runs, baseline=())
    with pytest.raises(InputError, match="fewer than two runs"):
        variance_partition(X, Y, np.repeat([0, 1], 45), baseline=("base",))
