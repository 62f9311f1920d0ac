"""Sweeps: every cell trained once, whatever happens in between, and compared without illusions."""

import json
import re

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from test_experiments_cli import cortexnet, refused
from test_experiments_report import Page
from tiny_networks import RATE, TinyWave

from cortexnet.evaluation import wilson_interval
from cortexnet.paired import holm, sign_flip_p
from experiments.report import build_report
from experiments.report.collect import collect
from experiments.sweep import run_sweep, sweep_clips
from experiments.sweep_recipe import SHIPPED, make_sweep, read_recipe
from experiments.sweep_summary import least_seed_difference, summarise
from stimuli import InputError

BASE = {"epochs": 1, "batch_size": 8, "segment": RATE}


def grid(models=("tiny_fixed",), recipe=None, **value):
    return make_sweep({"models": list(models), "recipe": BASE | (recipe or {}), **value})


def stamps(out):
    return {p: p.stat().st_mtime_ns for p in out.rglob("model.safetensors")}


def test_cells_are_the_grid_with_settings_and_options_told_apart(tiny):
    sweep = grid(("tiny_fixed", "tiny_wave"), options={"width": 4, "norm": "none"},
                 grid={"optimizer": ["sgd", "lion"], "norm": ["batch", "group"]})  # fmt: skip
    assert len(sweep.cells) == 8 and sweep.axes["model"] == ["tiny_fixed", "tiny_wave"]
    cell = sweep.cells[1]
    assert cell.name == "tiny_fixed-optimizer=sgd-norm=group"
    assert cell.options == {"width": 4, "norm": "group"} and "norm" not in cell.recipe
    assert cell.training(3).optimizer == "sgd" and cell.training(3).seed == 3


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_are_whole(name):
    sweep = read_recipe(name)
    assert sweep.stimuli == "miniature" and len(sweep.cells) == 10 and len(sweep.seeds) > 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models = [", "not TOML"),
        ("model = ['tiny_fixed']", "unknown key 'model'; did you mean models?"),
        ("models = ['tiny_fixed']", "nothing to compare"),
        ("grid = {norm = ['batch']}", "no models"),
        ("models = ['tiny_fixed']\n[grid]\nnorm = []", "grid.norm is an empty list"),
        ("models = ['tiny_fixed']\n[grid]\nnorm = 'batch'", "grid.norm is 'batch'.*a list"),
        ("models = ['tiny_fixed']\n[grid]\nepochs = [1, 1]", "twice"),
        ("models = ['tiny_fixed']\n[grid]\nepochs = [2.5]", "grid.epochs is 2.5.*whole number"),
        ("models = ['tiny_fixed']\n[grid]\noptimiser = ['sgd']",
         "no option 'optimiser'; did you mean optimizer"),
        ("models = ['tiny_fixed']\n[grid]\noptimizer = ['sgdd']", "optimizer is 'sgdd'; choose"),
        ("models = ['tiny_fixed']\n[grid]\nnorm = ['bach']", "norm is 'bach'; choose one of"),
        ("models = ['tiny_fixed', 'modulation_svm']\n[grid]\nnorm = ['batch']",
         "'modulation_svm' has no option 'norm'"),
        ("models = ['tiny_fixed', 'modulation_svm']\n[grid]\nepochs = [1, 2]",
         "fitted in one step, for which epochs means nothing"),
        ("models = ['tiny_fixd']\n[grid]\nnorm = ['batch']", "did you mean tiny_fixed"),
        ("models = ['tiny_fixed']\n[recipe]\nepoch = 2\n[grid]\nnorm = ['none']",
         "'epoch' under .recipe.; did you mean epochs"),
        ("models = ['tiny_fixed']\nfolds = 1\n[grid]\nnorm = ['none']", "folds is 1; .* least 2"),
    ],
)  # fmt: skip
def test_a_wrong_recipe_is_refused_in_one_line(tiny, tmp_path, text, said):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_an_interrupted_sweep_goes_on_and_ends_as_an_unbroken_one(tiny, tiny_clips, tmp_path):
    sweep = grid(("tiny_wave",), {"epochs": 2}, grid={"norm": ["batch", "none", "layer"]},
                 seeds=[0, 1])  # fmt: skip
    whole = run_sweep(sweep, tiny_clips, tmp_path / "whole", sample_rate=RATE)

    def stop(line):
        raise KeyboardInterrupt

    out = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, tiny_clips, out, report=stop, sample_rate=RATE)
    states = [c["status"] for c in json.loads((out / "sweep.json").read_text())["cells"]]
    assert states == ["done", "pending", "pending"]
    before = stamps(out)
    assert len(before) == 2
    # The second cell breaks in its second seed.
    TinyWave.fuse = 6
    lines = []
    broken = run_sweep(sweep, tiny_clips, out, report=lines.append, sample_rate=RATE)
    assert [c["status"] for c in broken["cells"]] == ["done", "failed", "failed"]
    TinyWave.fuse = None
    resumed = run_sweep(sweep, tiny_clips, out, sample_rate=RATE)
    assert before.items() <= stamps(out).items()

    def told(result):
        return [{k: v for k, v in c.items() if k != "seconds"} for c in result["cells"]]

    assert told(resumed) == told(whole) and resumed["summary"] == whole["summary"]
    after = stamps(out)
    lines.clear()
    assert run_sweep(sweep, tiny_clips, out, report=lines.append, sample_rate=RATE) == resumed
    assert stamps(out) == after and not lines


def test_a_grid_may_grow_and_other_settings_are_refused(tiny, tiny_clips, tmp_path):
    run_sweep(grid(grid={"norm": ["batch"]}), tiny_clips, tmp_path, sample_rate=RATE)
    before = stamps(tmp_path)
    more = grid(grid={"norm": ["batch", "layer"]}, seeds=[0, 5])
    result = run_sweep(more, tiny_clips, tmp_path, sample_rate=RATE)
    assert before.items() <= stamps(tmp_path).items() and len(stamps(tmp_path)) == 4
    assert [len(cell["seeds"]) for cell in result["cells"]] == [2, 2]
    assert not (tmp_path / "features").exists()
    other = grid(recipe={"epochs": 2}, grid={"norm": ["batch", "layer"]})
    with pytest.raises(InputError, match="other settings"):
        run_sweep(other, tiny_clips, tmp_path, sample_rate=RATE)
    kept = json.loads((tmp_path / "sweep.json").read_text())
    assert all(cell["status"] == "done" for cell in kept["cells"])


def test_a_cell_that_fails_is_noted_and_shown_and_the_others_go_on(tiny, tiny_clips, tmp_path):
    sweep = grid(recipe={"optimizer": "sgd", "schedule": "constant", "epochs": 2},
                 grid={"learning_rate": [1e38, 0.01]})  # fmt: skip
    result = run_sweep(sweep, tiny_clips, tmp_path, sample_rate=RATE)
    good, bad = result["cells"]
    assert (good["status"], bad["status"]) == ("done", "failed")
    assert "loss is nan" in bad["reason"] and "\n" not in bad["reason"]
    assert any("failed" in sentence for sentence in result["summary"])
    table = pd.read_csv(tmp_path / "sweep.csv")
    assert table["status"].tolist() == ["done", "failed"]
    assert "loss is nan" in table["reason"][1]
    page = Page(build_report(tmp_path).read_text(encoding="utf-8"))
    assert "Sweeps" in page.headings and "failed" in page.drawn
    assert page.tables["sweep0.csv"][1]["state"].startswith("failed: ")
    with pytest.raises(InputError, match=r"every cell failed; .*nan"):
        worse = grid(recipe={"optimizer": "sgd", "schedule": "constant"},
                     grid={"learning_rate": [1e38]})  # fmt: skip
        run_sweep(worse, tiny_clips, tmp_path / "worse", sample_rate=RATE)


def test_all_cells_are_tested_on_the_same_clips_of_groups_not_trained_on(
    tiny, tiny_clips, tmp_path
):
    clips = tiny_clips.assign(group=[f"g{i // 2}" for i in range(len(tiny_clips))])
    result = run_sweep(
        grid(grid={"norm": ["batch", "none"]}, seeds=[0, 1]), clips, tmp_path, sample_rate=RATE
    )
    tested = set()
    for path in tmp_path.rglob("clips.csv"):
        table = pd.read_csv(path)
        sides = table.groupby("group")["split"].agg(lambda s: {x == "test" for x in s})
        assert all(len(side) == 1 for side in sides)
        tested.add(tuple(sorted(table.loc[table["split"] == "test", "clip_id"])))
    assert len(tested) == 1
    cell = result["cells"][0]
    assert cell["n_clips"] == len(tested.pop())
    seeds = [seed["clip_accuracy"] for seed in cell["seeds"]]
    assert cell["clip_accuracy"] == pytest.approx(np.mean(seeds))
    right = cell["clip_accuracy"] * cell["n_clips"]
    assert cell["clip_interval"] == pytest.approx(wilson_interval(right, cell["n_clips"]))
    losses = [c["valid_loss"] for c in result["cells"]]
    assert losses == sorted(losses)


def test_folds_are_those_of_crossval_and_readouts_are_never_ranked_first(
    tiny, tiny_clips, tmp_path
):
    sweep = make_sweep(
        {"models": ["modulation_svm", "tiny_fixed"], "recipe": BASE, "folds": 2, "seeds": [3, 4]}
    )
    result = run_sweep(sweep, tiny_clips, tmp_path, sample_rate=RATE)
    network, readout = result["cells"]
    assert network["model"] == "tiny_fixed" and readout["valid_loss"] is None
    assert network["n_clips"] == readout["n_clips"] == len(tiny_clips)
    assert len(network["seeds"]) == 2 and len(readout["seeds"]) == 1
    folds = [
        pd.read_csv(tmp_path / "cells" / "tiny_fixed" / f"seed-{k}" / "predictions.csv")
        for k in (3, 4)
    ]
    assert folds[0]["fold"].equals(folds[1]["fold"])
    assert readout["against_best"]["cell"] == "tiny_fixed"
    # The cells are not reported a second time as models of their own.
    assert not collect(tmp_path).classifiers and len(collect(tmp_path).sweeps) == 1


def predictions(right, seed=0):
    ids = [f"c{i}" for i in range(len(right))]
    labels = np.where(right, "a", "b")
    return pd.DataFrame(
        {"clip_id": ids, "label": "a", "predicted": labels, "unit": ids, "seed": seed}
    )


def made(name, right, loss, model="m", seeds=()):
    seeds = seeds or (float(np.mean(right)),)
    return {
        "name": name, "model": model, "axes": {"model": model}, "status": "done", "reason": None,
        "clip_accuracy": float(np.mean(right)), "clip_interval": [0.0, 1.0], "n_clips": len(right),
        "chance": 0.1, "valid_loss": loss, "seeds": [{"clip_accuracy": x} for x in seeds],
    }  # fmt: skip


def test_equal_cells_are_within_noise_and_a_worse_one_is_not():
    rng = np.random.default_rng(0)
    n = 100
    right = {"best": rng.random(n) < 0.7, "same": rng.random(n) < 0.7, "bad": rng.random(n) < 0.2}
    rows = [made(k, v, loss) for (k, v), loss in zip(right.items(), (0.3, 0.4, 0.9), strict=True)]
    tables = {k: predictions(v) for k, v in right.items()}
    result = summarise(rows, tables, "validation")
    verdict = {c["name"]: c["against_best"] and c["against_best"]["clear"] for c in result["cells"]}
    assert verdict == {"best": None, "same": False, "bad": True}
    assert "the other 1 are within noise" in " ".join(result["summary"])
    assert "not known" in result["summary"][-1]
    # By test the order may differ, and the words say what that means.
    rows[1]["clip_accuracy"] = 0.99
    by_test = summarise(rows, tables, "test")
    assert by_test["best"] == "same" and "too high" in by_test["summary"][1]


def test_luck_between_seeds_hides_a_difference_that_clips_would_show():
    right = {"a": np.arange(200) < 140, "b": np.arange(200) < 120}
    tables = {k: predictions(v) for k, v in right.items()}
    for spread, clear in ((0.002, True), (0.1, False)):
        rows = [
            made(k, v, loss, seeds=(v.mean() - spread, v.mean() + spread))
            for (k, v), loss in zip(right.items(), (0.3, 0.4), strict=True)
        ]
        result = summarise(rows, tables, "validation")
        assert result["cells"][1]["against_best"]["clear"] == clear
    assert least_seed_difference([made("a", [1], 0.1)], 1) is None


def test_each_model_is_compared_with_its_own_best():
    right = np.ones(10, bool)
    names = [("x1", "x", 0.1), ("x2", "x", 0.2), ("y1", "y", 0.3), ("y2", "y", 0.4)]
    rows = [made(name, right, loss, model) for name, model, loss in names]
    result = summarise(rows, {name: predictions(right) for name, _, _ in names}, "validation")
    against = {c["name"]: c["against_best"]["cell"] for c in result["cells"][1:]}
    assert against == {"x2": "x1", "y1": "x1", "y2": "y1"}


def test_sign_flips_are_exact_for_few_groups_and_keep_groups_together():
    assert sign_flip_p([1, 1, 1, 1], list("abcd")) == 2 / 2**4
    assert sign_flip_p([1, 1, 1, 1], list("aabb")) == 2 / 2**2
    assert sign_flip_p([0, 0], ["a", "b"]) == 1
    rng = np.random.default_rng(0)
    null = [sign_flip_p(rng.normal(size=30), range(30), 500, seed) for seed in range(200)]
    assert 0.01 < np.mean(np.array(null) <= 0.05) < 0.1


def test_holm_steps_down():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.5]), [0.04, 0.09, 0.09, 0.5])
    assert holm([]).size == 0


def test_the_command_writes_table_and_figure_and_says_it_as_json(tiny, tiny_clips, tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        f"title = 'Mine'\nstimuli = '{tiny_clips['path'].iloc[0].rpartition('/')[0]}/clips.csv'\n"
        "models = ['tiny_fixed']\n[recipe]\nepochs = 1\nsegment = 22050\n"
        "[grid]\noptimizer = ['sgd', 'lion']\nnorm = ['batch', 'none']\n"
    )
    out = tmp_path / "out"
    done = cortexnet("sweep", recipe, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((out / "sweep.json").read_text())
    assert done.stderr.count("/4 tiny_fixed-optimizer") == 4
    said = cortexnet("sweep", recipe, "--out", out).stdout
    assert all(word in said for word in ("Mine", "lion", "validation loss", "seed a cell"))
    drawn = re.findall(r">([^<>]+)</text>", (out / "sweep.svg").read_text())
    assert {"lion · none", "sgd · batch"} <= set(drawn)
    assert matplotlib.image.imread(out / "sweep.png").std() > 0
    assert json.loads((out / "provenance.json").read_text())["config"]["rank"] == "validation"
    assert "no such recipe" in refused("sweep", "optimizer", "--out", tmp_path / "no")
    assert "choose one of" in refused("sweep", recipe, "--out", out, "--rank", "luck")


def test_a_recipe_without_stimuli_needs_the_option(tiny, tmp_path):
    with pytest.raises(InputError, match="--stimuli"):
        sweep_clips(grid(grid={"norm": ["none"]}), tmp_path)
