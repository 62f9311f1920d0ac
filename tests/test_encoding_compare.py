"""Paired comparison: shared resamples, honest intervals, all subjects shown."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from encoding import InputError, Scores
from encoding.compare import paired_difference

RUNS = np.repeat(np.arange(6), 50)
BLOCKS = np.repeat(np.arange(30), 10)


def scored(a, b, noise=1.0, n_targets=40, seed=0, scheme="test runs", regions=None):
    """Predictions of two layers with weights a and b on a common signal."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((300, n_targets))
    responses = signal + noise * rng.standard_normal((300, n_targets))
    predictions = np.stack([w * signal + rng.standard_normal((300, n_targets)) for w in (a, b)])
    regions = ["core"] * n_targets if regions is None else regions
    dataset = xr.Dataset(
        coords={"layer": ["A1", "belt"], "region": ("target", regions)}, attrs={"scheme": scheme}
    )
    samples = pd.DataFrame({"run": RUNS, "block": BLOCKS})
    return Scores(dataset, predictions.astype(np.float32), responses.astype(np.float32), samples)


def test_differences_equal_a_plain_loop_over_shared_resamples():
    regions = np.array(["core", "belt"] * 5)
    scores = scored(1.0, 0.5, n_targets=10, regions=regions)
    out = paired_difference(scores, "A1", "belt", 30, seed=4).set_index(["region", "measure"])

    def both(rows):
        y = scores.responses[rows].astype(float)
        r, r2 = [], []
        for p in scores.predictions[:, rows].astype(float):
            r.append([np.corrcoef(p[:, t], y[:, t])[0, 1] for t in range(10)])
            r2.append(1 - ((y - p) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0))
        return {"r": np.subtract(*r), "r2": np.subtract(*r2)}

    observed, draws = both(np.arange(300)), {"r": [], "r2": []}
    for i in range(30):
        rng = np.random.default_rng(np.random.SeedSequence(4, spawn_key=(i,)))
        chosen = np.concatenate([5 * r + rng.integers(5, size=5) for r in range(6)])
        for name, value in both((chosen[:, None] * 10 + np.arange(10)).ravel()).items():
            draws[name].append(value)
    for name in ("r", "r2"):
        for region in ("core", "belt"):
            inside = regions == region
            row = out.loc[region, name]
            means = np.array(draws[name])[:, inside].mean(1)
            point = observed[name][inside].mean()
            means = point + np.sqrt(5 / 4) * (means - point)  # five clips a run
            assert row["difference"] == pytest.approx(point, abs=1e-6)
            assert row["a"] - row["b"] == pytest.approx(row["difference"])
            interval = np.percentile(means, [2.5, 97.5])
            np.testing.assert_allclose(row[["low", "high"]].astype(float), interval, atol=1e-6)
            beyond = min((means <= 0).sum(), (means >= 0).sum())
            assert row["p"] == min(2 * (beyond + 1) / 31, 1)


def test_equal_layers_differ_in_one_experiment_of_twenty():
    # 100 experiments: standard error of the rate 2.2 %.
    p = [
        paired_difference(scored(0.5, 0.5, n_targets=2, seed=s), "A1", "belt", 99, n_jobs=1)["p"][0]
        for s in range(100)
    ]
    assert np.mean(np.array(p) <= 0.05) < 0.12


def test_a_layer_does_not_differ_from_itself_and_a_better_one_does():
    scores = scored(1.0, 0.6)
    same = paired_difference(scores, "A1", "A1", 50)
    assert (same["difference"] == 0).all() and (same["p"] == 1).all()
    one = paired_difference(scores, "A1", "belt", 199).query("measure == 'r'").iloc[0]
    assert one["low"] > 0 and one["p"] == pytest.approx(2 / 200) and one["n_targets"] == 40
    other = paired_difference(scores, "belt", "A1", 199).query("measure == 'r'").iloc[0]
    assert other["difference"] == pytest.approx(-one["difference"])
    assert (other["low"], other["high"]) == pytest.approx((-one["high"], -one["low"]))


def test_runs_left_out_in_turn_widen_the_interval_and_leave_r2_out():
    a, b = (
        paired_difference(scored(1.0, 0.6, scheme=s), "A1", "belt", 99).set_index("measure")
        for s in ("test runs", "leave-one-group-out")
    )
    assert b.index.tolist() == ["r"]
    width = [t.loc["r", "high"] - t.loc["r", "low"] for t in (a, b)]
    assert width[1] == pytest.approx(np.sqrt(2) * width[0])


def test_all_subjects_are_shown_and_their_spread_enters_the_mean():
    strengths = {"s1": 1.6, "s2": 1.4, "s3": 0.8, "s4": 0.5, "s5": 0.3}
    subjects = {n: scored(w, 0.5, seed=i) for i, (n, w) in enumerate(strengths.items())}
    table = paired_difference(subjects, "A1", "belt", 400).query("measure == 'r'")
    assert table["subject"].tolist() == [*strengths, "all"]
    each, mean = table.iloc[:-1], table.iloc[-1]
    assert mean["difference"] == pytest.approx(each["difference"].mean())
    assert mean["n_targets"] == 200
    # With clips alone the mean of five would be firmer than one subject; subjects differ.
    assert mean["high"] - mean["low"] > 2 * (each["high"] - each["low"]).max()
    alike = {n: scored(1.0, 0.5, seed=i) for i, n in enumerate(strengths)}
    firm = paired_difference(alike, "A1", "belt", 400).query("measure == 'r'").iloc[-1]
    assert firm["high"] - firm["low"] < 0.5 * (mean["high"] - mean["low"])


def test_regions_that_a_subject_lacks_are_left_out_of_the_mean():
    a = scored(1.0, 0.5, n_targets=4, regions=["core", "core", "belt", "belt"])
    b = scored(1.0, 0.5, n_targets=4, regions=["core"] * 4)
    table = paired_difference({"a": a, "b": b}, "A1", "belt", 20)
    assert set(table.query("subject == 'all'")["region"]) == {"core"}
    with pytest.raises(InputError, match="parabelt"):
        paired_difference(a, "A1", "parabelt", 20)
