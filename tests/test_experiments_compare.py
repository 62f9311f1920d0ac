"""Comparisons: the same clips for all, whatever happens in between, and no claim without a test."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_experiments_cli import cortexnet, refused
from test_experiments_report import Page
from tiny_networks import RATE, TinyWave, registered

from cortexnet import registry
from cortexnet.activations import extract
from cortexnet.heldout import evaluate_run
from encoding import features_at
from encoding.design import delay
from experiments.compare import compare, load_entrants, train_entrants
from experiments.compare.brain import load_responses, predict_regions
from experiments.compare.costs import peak_memory
from experiments.compare.curves import curve_sizes, training_order
from experiments.compare.entrants import Entrant, model_settings
from experiments.compare.robustness import (
    CLEAN,
    CONDITIONS,
    Condition,
    disturb_all,
    disturbed,
    possible,
    predict,
)
from experiments.compare.similarity import alignment
from experiments.compare.summary import pairs, predictions, verdict
from experiments.encode import open_stores
from experiments.report import build_report
from stimuli import InputError, load_clips
from stimuli.dataset import decoded

SIZES, SEEDS = (6, 9), (0, 1)
BASE = [("", "epochs", 1), ("", "batch_size", 8), ("", "segment", RATE)]
MODELS = ("tiny_fixed", "tiny_level", "modulation_svm")


class TinyLevel(TinyWave):
    """Hears every sound at one level."""

    def forward(self, waveform):
        return super().forward(waveform / waveform.square().mean(1, keepdim=True).sqrt())


@pytest.fixture(scope="module")
def clips(tmp_path_factory, tiny_clips):
    """Two clips a track, four tracks a class."""
    groups = [f"{row.label}{i // 2}" for i, row in enumerate(tiny_clips.itertuples())]
    return tiny_clips.assign(group=groups)


@pytest.fixture(scope="module")
def made(tmp_path_factory, clips):
    """Folder, runs and result of an unbroken comparison; the models stay registered."""
    out = tmp_path_factory.mktemp("compare")
    with registered():
        registry.register_model("tiny_level", "a test")(TinyLevel)
        wanted = model_settings(MODELS, BASE)
        folders = train_entrants(wanted, clips, out, sample_rate=RATE)
        result = compare(load_entrants(folders), out, SIZES, SEEDS, memory=False)
        yield out, folders, result
        del registry._MODELS["tiny_level"]


def cells(out):
    """Bytes of all that was computed, without what was timed."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted((out / "parts").rglob("*"))
        if path.is_file() and path.name != "cost.json"
    }


def untimed(result):
    models = [{k: v for k, v in m.items() if k != "cost"} for m in result["models"]]
    return result | {"models": models}


def test_a_comparison_that_was_interrupted_ends_with_the_same_bytes(made, tmp_path):
    out, folders, result = made
    entrants = load_entrants(folders)
    TinyWave.fuse = 3  # training steps of the curve, in the middle of which it ends
    try:
        with pytest.raises(RuntimeError, match="plug"):
            compare(entrants, tmp_path, SIZES, SEEDS, memory=False)
    finally:
        TinyWave.fuse = None
    done = [p for p in (tmp_path / "parts").rglob("*.json") if p.name != "settings.json"]
    before = {path: path.stat().st_mtime_ns for path in done}
    assert before and not (tmp_path / "compare.json").exists()
    again = compare(entrants, tmp_path, SIZES, SEEDS, memory=False)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert cells(tmp_path) == cells(out)
    assert untimed(again) == untimed(result)
    for name in ("pairs", "learning", "robustness", "classes", "similarity", "accuracy"):
        assert (tmp_path / f"{name}.csv").read_bytes() == (out / f"{name}.csv").read_bytes()
    # Other weights under the same name are another comparison.
    other = tmp_path / "other" / "tiny_fixed"
    shutil.copytree(folders[1], other)
    with pytest.raises(InputError, match="begun with other settings"):
        compare(load_entrants([other, folders[2]]), tmp_path, SIZES, SEEDS, memory=False)


def test_every_model_learns_from_the_same_tracks_and_is_tested_on_the_same_clips(made):
    out, folders, result = made
    entrants = load_entrants(folders)
    for one in entrants:
        assert not set(one.pool["group"]) & set(one.test["group"])
        assert one.test["clip_id"].equals(entrants[0].test["clip_id"])
    for size in SIZES:
        for seed in SEEDS:
            name = f"curve/tracks-{size}-seed-{seed}.json"
            found = [json.loads((out / "parts" / one / name).read_text()) for one in MODELS]
            assert {row["clips"] for row in found} == {2 * size}
    rows = [row for row in result["learning"] if row["name"] == "tiny_fixed"]
    assert [row["tracks"] for row in rows] == list(SIZES) and len(rows[0]["seeds"]) == 2
    assert not (out / "features").exists() and not list(out.rglob("tracks-*/"))


@settings(max_examples=30)
@given(
    counts=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    clips_each=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_training_sets_are_nested_whole_and_balanced(counts, clips_each, seed):
    groups = [(f"{k}-{i}", f"label{k}") for k, n in enumerate(counts) for i in range(n)]
    pool = pd.DataFrame(groups * clips_each, columns=["group", "label"])
    order = training_order(pool, seed)
    assert sorted(order) == sorted(group for group, _ in groups)
    shuffled = pool.sample(frac=1, random_state=seed)
    assert (training_order(shuffled, seed) == order).all()
    for n in range(1, len(order) + 1):
        taken = pd.Series(order[:n]).str[0].value_counts()
        for k, there in enumerate(counts):
            # As many as any other class, or all there are.
            assert taken.get(str(k), 0) >= min(there, taken.max() - 1)


def test_sizes_grow_in_equal_ratios_and_are_refused_where_they_cannot_be(made):
    pool = pd.DataFrame({"group": range(160), "label": [f"c{i % 10}" for i in range(160)]})
    assert curve_sizes(pool) == [20, 34, 57, 95, 160]
    assert curve_sizes(pool, (30, 160)) == [30, 160]
    for wrong in (19, 161):
        with pytest.raises(InputError, match=f"--sizes {wrong}: .* from 20 .* to 160"):
            curve_sizes(pool, (wrong,))


def test_a_model_that_levels_its_input_does_not_hear_gain(made):
    out, _, result = made
    rows = {(r["name"], r["condition"]): r for r in result["robustness"]}
    for gain in ("gain=-10", "gain=10"):
        row = rows["tiny_level", gain]
        assert row["difference"] == row["low"] == row["high"] == 0 and row["p"] == 1
        files = [
            out / "parts" / "tiny_level" / "robustness" / f"{c}.json" for c in (gain, "clean=0")
        ]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert len(rows) == len(MODELS) * len(CONDITIONS)
    for name in MODELS:
        noise = [rows[name, f"noise={snr}"]["clip_accuracy"] for snr in (20, 0)]
        clean = next(m["clip_accuracy"] for m in result["models"] if m["name"] == name)
        assert rows[name, "noise=0"]["difference"] == pytest.approx(noise[1] - clean)


def test_an_undisturbed_clip_is_called_what_evaluation_calls_it(made):
    for one in load_entrants(made[1]):
        waves = decoded(one.test, RATE)
        expected = evaluate_run(one.run).clips.sort_values("clip_id")["predicted"].tolist()
        assert predict(one.run, waves) == expected


def test_a_disturbance_depends_on_clip_and_condition_alone(clips):
    waves = decoded(clips[:3], RATE)
    backwards = dict(reversed(waves.items()))
    for condition in CONDITIONS:
        made, again = (disturb_all(w, RATE, condition) for w in (waves, backwards))
        for one, wave in waves.items():
            np.testing.assert_array_equal(made[one], again[one])
            level = np.std(made[one]) / np.std(wave)
            gain = condition.size if condition.kind == "gain" else 0
            assert level == pytest.approx(10 ** (gain / 20), rel=0.02)
    first, second = (
        disturbed(waves[one], RATE, Condition("noise", 0.0, "dB SNR"), one)
        for one in list(waves)[:2]
    )
    assert np.corrcoef(first - second, second)[0, 1] < 0
    wave = next(iter(waves.values()))
    assert disturbed(wave, RATE, CLEAN, "x") is wave
    seeds = [disturbed(wave, RATE, CONDITIONS[0], "x", seed) for seed in (0, 1)]
    assert not np.array_equal(*seeds)


def test_faster_clips_that_are_shorter_than_a_segment_are_left_out():
    waves = {"a": np.zeros(1050, np.float32)}
    left = set(CONDITIONS) - set(possible(waves, [1000]))
    assert left == {Condition("speed", 1.1, "x")}
    assert set(possible(waves, [900])) == set(CONDITIONS)


def table(right):
    test = pd.DataFrame({"clip_id": [f"c{i}" for i in range(len(right))], "label": "a"})
    return predictions(test.assign(group=test["clip_id"]), np.where(right, "a", "b"))


def test_no_model_is_called_better_without_a_test_that_says_so():
    n = np.arange(60)
    same = pairs({"x": table(n < 40), "y": table((n < 38) | (n > 58))})
    assert not same[0]["clear"] and verdict(same).startswith("No model is shown to be better")
    far = pairs({"x": table(n < 50), "y": table(n < 20), "z": table(n < 22)})
    assert [row["clear"] for row in far] == [True, True, False]
    said = verdict(far)
    assert "x than y by 0.500" in said and "x is shown to be better than every other" in said
    assert "other 1 of 3 paired tests decide nothing" in said
    # Five clips of luck are no proof once there are enough pairs.
    lucky = {f"m{i}": table(n < 40) for i in range(4)} | {"best": table(n < 46)}
    rows = pairs(lucky)
    assert min(row["p"] for row in rows) < 0.05 < min(row["p_holm"] for row in rows)
    assert verdict(rows).startswith("No model")


def test_runs_that_were_given_other_clips_are_refused(made, clips, tmp_path):
    _, folders, _ = made
    with pytest.raises(InputError, match="1 run to compare"):
        load_entrants(folders[:1])
    with pytest.raises(InputError, match="tiny_fixed: named 2 x"):
        load_entrants([folders[0], folders[0]])
    table = load_clips(folders[0] / "clips.csv")
    for side, said in (("test", "tested on other clips"), ("train", "trained on other clips")):
        other = tmp_path / side
        shutil.copytree(folders[1], other)
        kept = table.drop(table.index[table["split"] == side][0])
        kept.to_csv(other / "clips.csv", index=False)
        with pytest.raises(InputError, match=said):
            load_entrants([folders[0], other])
    few = tmp_path / "few"
    shutil.copytree(folders[1], few)
    held = table["split"] == "test"
    table[~held | table["label"].eq("a")].to_csv(few / "clips.csv", index=False)
    with pytest.raises(InputError, match="2 test clips of 1 groups are too few"):
        load_entrants([few, folders[0]])
    table.assign(split="train").to_csv(tmp_path / "test" / "clips.csv", index=False)
    with pytest.raises(InputError, match="no clip was held out"):
        load_entrants([folders[0], tmp_path / "test"])


def test_a_layer_that_is_silent_is_like_no_other():
    silent, loud = np.ones((6, 3)), np.random.default_rng(0).standard_normal((6, 3))
    rows = alignment({"a": silent}, {"b": loud, "c": silent}, list("uvwxyz"))["rows"]
    assert [row["cka"] for row in rows] == [None, None]
    assert alignment({"a": loud}, {"a": loud}, list("uvwxyz"))["rows"][0]["cka"] == pytest.approx(1)


def test_settings_go_to_all_models_or_to_one(made):
    given = [("", "epochs", 9), ("tiny_fixed", "epochs", 2), ("tiny_fixed", "width", 4)]
    found = model_settings(["tiny_fixed", "tiny_wave", "modulation_svm"], given)
    assert found["tiny_fixed"] == ({"epochs": 2}, {"width": 4})
    assert found["tiny_wave"] == ({"epochs": 9}, {}) and found["modulation_svm"] == ({}, {})
    with pytest.raises(InputError, match="fitted in one step, for which epochs means nothing"):
        model_settings(["modulation_svm"], [("modulation_svm", "epochs", 2)])
    with pytest.raises(InputError, match="cnn: epochs is given, but --models are tiny_wave"):
        model_settings(["tiny_wave"], [("cnn", "epochs", 2)])
    with pytest.raises(InputError, match="no option 'widht'"):
        model_settings(["tiny_fixed"], [("", "widht", 2)])


def test_peak_memory_is_that_of_a_process_of_its_own(made):
    *_, svm = load_entrants(made[1])
    found = peak_memory(svm)
    assert 50 < found["base_megabytes"] < found["peak_megabytes"] < 8000


def test_the_section_shows_every_part(made):
    out, _, result = made
    page = Page(build_report(out).read_text(encoding="utf-8"))
    assert "Comparison" in page.headings
    spoken = [a.get("aria-label", "") for tag, a in page.tags if tag == "svg"]
    for start, times in (
        ("Clip accuracy", 1),
        ("Learning curves", 1),
        ("Change in accuracy", 1),
        ("Confusion matrix", 3),
        ("Similarity of layers", 3),
    ):
        assert sum(label.startswith(start) for label in spoken) == times
    names = ("accuracy", "pairs", "learning", "robustness", "costs", "classes", "similarity")
    tables = {name: page.tables[f"compare0-{name}.csv"] for name in names}
    assert len(tables["robustness"]) == len(result["robustness"])
    assert float(tables["pairs"][0]["p, tracks, Holm"]) == result["pairs"][0]["unit_p_holm"]
    layers = {row["layer"] for row in tables["similarity"]}
    assert {"bands", "hidden"} <= layers
    assert page.ids and len(page.ids) == len(set(page.ids))
    assert any(result["summary"][0] in sentence for sentence in page.sentences)


def test_a_damaged_result_is_refused_in_one_line(made, tmp_path):
    value = json.loads((made[0] / "compare.json").read_text())
    del value["pairs"][0]["unit_p"]
    (tmp_path / "compare.json").write_text(json.dumps(value))
    assert "the key 'unit_p' is missing" in refused("report", tmp_path)


def test_the_command_compares_runs_and_refuses_in_one_line(made, tmp_path):
    out, folders, result = made
    named = [part for folder in folders for part in ("--runs", folder)]
    again = ("compare", *named, "--out", out, "--sizes", "6,9", "--seeds", "0,1")
    done = cortexnet(*again, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((out / "compare.json").read_text())
    assert untimed(json.loads(done.stdout)) == untimed(result)
    assert json.loads((out / "provenance.json").read_text())["config"]["sizes"] == "6,9"
    said = cortexnet(*again).stdout
    assert "report.html" in said and "tiny_level" in said
    none = tmp_path / "none"
    assert "either --models" in refused("compare", "--out", none)
    assert "--stimuli" in refused("compare", "--models", "tiny_fixed", "--out", none)
    assert "runs have their own" in refused(*again, "--epochs", "3")
    assert "--sizes 'a' is not a list" in refused(*again[:-4], "--sizes", "a")
    wrong = ("compare", "--models", "tiny_fixed", "--stimuli", tmp_path, "--out", none)
    assert "neither a number nor MODEL=N" in refused(*wrong, "--epochs", "tiny_fixed=few")
    assert "no option 'depth'" in refused(*wrong, "--option", "tiny_fixed:depth=3")
    assert not none.exists()


def test_the_model_that_drives_a_region_explains_what_the_others_do_not(made, tmp_path):
    _, folders, _ = made
    entrants: list[Entrant] = load_entrants([folders[0], folders[2]])
    heard = pd.concat([entrants[0].pool, entrants[0].test])["clip_id"].to_list()
    width = 0.65
    samples = pd.DataFrame(
        [
            {"run": f"run-{i // 4}", "clip_id": clip, "time": width * k}
            for i, clip in enumerate(heard)
            for k in range(2)
        ]
    )
    samples.to_csv(tmp_path / "rows.csv", index=False)
    regions = ["driven"] * 6 + ["silent"] * 6
    pd.DataFrame({"region": regions}).to_csv(tmp_path / "columns.csv", index=False)
    source = tmp_path / "responses.npy"
    rng = np.random.default_rng(0)
    clips = load_clips(folders[0] / "clips.csv")
    store = tmp_path / "tiny_fixed.zarr"
    extract(entrants[0].run.model, clips, store, "tiny_fixed", bin_seconds=width)
    store = open_stores([store])
    X = features_at(store["tiny_fixed:hidden"], samples)
    X = delay(X - X.mean(0), samples["run"].to_numpy(), (2, 3, 4, 5))
    Y = rng.standard_normal((len(samples), 12))
    Y[:, :6] += 4 * X[:, 8:16] @ rng.standard_normal((8, 6)) / X[:, 8:16].std()
    np.save(source, Y.astype(np.float32))
    load = load_responses(source, (), tmp_path / "rows.csv", tmp_path / "columns.csv")
    (tmp_path / "out").mkdir()
    rows = predict_regions(entrants, load, tmp_path / "out")
    found = {(row["name"], row["region"]): row for row in rows}
    driven, other = found["tiny_fixed", "driven"], found["modulation_svm", "driven"]
    assert driven["unique"] > 0.1 > other["unique"]
    assert found["tiny_fixed", "silent"]["unique"] < 0.1
    assert driven["unique_low"] <= driven["unique"] <= driven["unique_high"]
    assert driven["layer"] in ("bands", "hidden") and driven["mean_r"] > 0.3
    samples.assign(clip_id="x").to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="are not in the table of the runs"):
        predict_regions(entrants, load, tmp_path / "other")
