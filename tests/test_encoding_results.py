"""Results on disk are complete, plain and whole."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from encoding import (
    InputError,
    best_stages,
    block_bootstrap,
    delay,
    fit_layers,
    infer,
    load_scores,
    save_scores,
    summarise,
)


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    runs = np.repeat(["a", "b", "c", "d"], 60)
    X = {name: rng.standard_normal((240, 4)) for name in ("A1", "belt")}
    signal = delay(X["belt"], runs, (2,)) @ rng.standard_normal((4, 9))
    Y = signal + rng.standard_normal((240, 9))
    targets = pd.DataFrame({"region": ["core"] * 5 + [""] * 4, "x": 1.0, "y": 2.0, "z": 3.0})
    return fit_layers(X, Y, runs, (2,), [0.1, 1.0, 10.0, 1e4], targets=targets)


@pytest.fixture(scope="module")
def inference(scores):
    return infer(scores, n_permutations=99, n_resamples=50)


def test_summary_has_every_layer_and_region_with_interval_n_and_p(scores, inference):
    summary = summarise(scores, inference)
    assert list(summary["layers"]) == ["A1", "belt"]
    assert list(summary["layers"]["belt"]) == ["core", "unlabelled"]
    entry = summary["layers"]["belt"]["core"]
    low, high = entry["interval"]
    assert low < entry["mean_r"] < high
    assert (entry["n_targets"], entry["p"]) == (5, 0.01)
    assert entry["ceiling"] is None and entry["r_normalised"] is None  # no repeats
    assert entry["n_normalised"] == 0
    best = summary["best_stage"]["core"]
    assert best["layer"] == "belt" and best["share"] == 1
    assert sum(best["shares"].values()) == pytest.approx(1)


def test_the_best_stage_can_be_asked_of_some_layers_only(scores, inference):
    assert best_stages(scores, inference)["core"]["layer"] == "belt"
    only = best_stages(scores, inference, ["A1"])["core"]
    assert only == {"layer": "A1", "share": 1.0, "shares": {"A1": 1.0}}


def test_files_agree_and_hold_no_nan(scores, inference, tmp_path):
    summary = summarise(scores, inference)
    for _ in range(2):  # a second run replaces the first
        save_scores(tmp_path / "out", scores, summary, inference)
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["results.json", "scores.csv", "scores.zarr"]
    text = (tmp_path / "out" / "results.json").read_text()
    assert "NaN" not in text and json.loads(text) == summary
    opened = xr.open_zarr(tmp_path / "out" / "scores.zarr")
    xr.testing.assert_allclose(opened["r"].load(), scores.dataset["r"])
    assert opened["region"].to_numpy().astype(str).tolist() == ["core"] * 5 + [""] * 4
    table = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert len(table) == 18
    assert {"layer", "region", "target", "r", "r2", "best_alpha", "p", "q", "p_max"} <= set(table)
    row = table[(table["layer"] == "belt") & (table["target"] == 3)].iloc[0]
    assert row["r"] == pytest.approx(float(scores.dataset["r"].sel(layer="belt", target=3)))
    assert row["r_low"] < row["r"] < row["r_high"]


def test_ceilings_below_the_floor_are_not_used_for_normalising(scores, inference):
    dataset = scores.dataset.copy()
    dataset["explainable_variance"] = ("target", [0.2, 0.04, -0.1, 0.3, np.nan] + [0.5] * 4)
    dataset["cc_max_mean"] = ("target", [0.5, 0.4, np.nan, 0.8, np.nan] + [0.9] * 4)
    changed = type(scores)(dataset, scores.predictions, scores.responses, scores.samples)
    entry = summarise(changed, inference)["layers"]["belt"]["core"]
    r = dataset["r"].sel(layer="belt").to_numpy()
    assert entry["n_normalised"] == 2
    assert entry["r_normalised"] == pytest.approx((r[0] / 0.5 + r[3] / 0.8) / 2)
    assert entry["ceiling"] == pytest.approx((0.5 + 0.4 + 0.8) / 3)


def test_saved_scores_can_be_resampled_again(scores, inference, tmp_path):
    save_scores(tmp_path, scores, summarise(scores, inference), inference)
    loaded = load_scores(tmp_path)
    np.testing.assert_array_equal(loaded.predictions, scores.predictions)
    np.testing.assert_array_equal(loaded.responses, scores.responses)
    pd.testing.assert_frame_equal(loaded.samples, scores.samples, check_dtype=False)
    assert loaded.dataset.attrs == scores.dataset.attrs
    again = infer(loaded, n_permutations=99, n_resamples=50)
    for layer, test in inference.permutations.items():
        np.testing.assert_array_equal(again.permutations[layer].p, test.p)
        interval = inference.bootstraps[layer].interval
        np.testing.assert_array_equal(again.bootstraps[layer].interval, interval)
    assert summarise(loaded, again) == summarise(scores, inference)


def test_labels_of_any_kind_survive_and_folders_without_scores_are_refused(scores, tmp_path):
    clips = pd.DataFrame({"run": [1, 2], "clip_id": ["é-1", np.nan], "time": 0.5, "block": [0, 1]})
    some = clips.iloc[np.arange(len(scores.samples)) % 2].reset_index(drop=True)
    changed = type(scores)(scores.dataset, scores.predictions, scores.responses, some)
    save_scores(tmp_path, changed, {})
    pd.testing.assert_frame_equal(load_scores(tmp_path).samples, some.fillna(""), check_dtype=False)
    with pytest.raises(InputError, match="nowhere"):
        load_scores(tmp_path / "nowhere")
    scores.dataset.to_zarr(tmp_path / "old" / "scores.zarr", zarr_format=2)
    with pytest.raises(InputError, match="no predictions"):
        load_scores(tmp_path / "old")


def test_intervals_of_runs_left_out_in_turn_are_widened(scores, inference):
    labels = scores.samples["run"], scores.samples["block"]
    for crossed, wide in ((True, True), (False, False)):
        plain = block_bootstrap(
            scores.predictions[0],
            scores.responses,
            *labels,
            regions=scores.dataset["region"].to_numpy(),
            n_resamples=50,
            crossed=crossed,
        )
        same = np.array_equal(plain.interval, inference.bootstraps["A1"].interval)
        assert same == wide
