"""`cortexnet search` and `recommend`: what they find, mark and refuse."""

import json

import numpy as np
import pandas as pd
import pytest
from test_experiments_cli import cortexnet, refused

import cortexnet as package
from cortexnet.recipe import Recipe
from stimuli import load_clips, write_audio

SEGMENT = 22050


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Two labels, four tracks each, two clips of 1.2 s a track."""
    root = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    rows = []
    for label, power in (("brown", 1), ("white", 0)):
        for k in range(8):
            x = rng.standard_normal(int(1.2 * 22050))
            x = np.cumsum(x - x.mean()) if power else x
            write_audio(root / f"{label}{k}.wav", (0.3 * x / np.abs(x).max()).astype("f4"), 22050)
            rows.append({"path": f"{label}{k}.wav", "label": label, "group": f"{label}-{k // 2}"})
    table = pd.DataFrame(rows)
    table.to_csv(root / "manifest.csv", index=False)
    write_audio(root / "short.wav", np.full(11025, 0.1, np.float32), 22050)
    return root


@pytest.fixture(scope="module")
def run(sounds, tmp_path_factory):
    """A support vector machine: its embedding is not learned."""
    folder = tmp_path_factory.mktemp("runs") / "modulation"
    recipe = Recipe(segment=SEGMENT)
    package.train_run("modulation_svm", load_clips(sounds / "manifest.csv"), folder, recipe)
    return folder


@pytest.fixture(scope="module")
def learned(sounds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "z"
    clips = load_clips(sounds / "manifest.csv")
    clips["split"] = np.where(clips["group"].str.endswith("-3"), "test", "")
    package.train_run("cortexnet_z", clips, folder, Recipe(epochs=1, batch_size=8, segment=SEGMENT))
    return folder


@pytest.mark.parametrize("command", ["search", "recommend"])
def test_help_gives_an_example(command):
    assert f"Example: cortexnet {command}" in cortexnet(command, "--help").stdout


def test_search_by_clip_finds_its_label_and_not_its_track(run):
    found = json.loads(cortexnet("search", run, "brown2", "--n", 6, "--json").stdout)
    assert found["kind"] == "search" and found["n_clips"] == 16
    rows = found["results"]
    assert [r["rank"] for r in rows] == [1, 2, 3, 4, 5, 6]
    assert all(r["label"] == "brown" and r["same_label"] and r["side"] is None for r in rows)
    assert "brown-1" not in {r["group"] for r in rows}
    similarity = [r["similarity"] for r in rows]
    assert similarity == sorted(similarity, reverse=True)
    with_track = cortexnet("search", run, "brown2", "--n", 15, "--same-group", "--json").stdout
    ids = {r["clip_id"] for r in json.loads(with_track)["results"]}
    assert "brown3" in ids and "brown2" not in ids


def test_a_file_is_found_as_the_clip_it_is(run, sounds, tmp_path):
    """The same answer by file and by clip_id; a copy elsewhere finds the original first."""
    by_id = json.loads(cortexnet("search", run, "white5", "--json").stdout)["results"]
    by_file = cortexnet("search", run, sounds / "white5.wav", "--json").stdout
    for a, b in zip(by_id, json.loads(by_file)["results"], strict=True):
        assert a["clip_id"] == b["clip_id"]
        assert a["similarity"] == pytest.approx(b["similarity"], abs=1e-5)
    copy = tmp_path / "copy.wav"
    copy.write_bytes((sounds / "white5.wav").read_bytes())
    first = json.loads(cortexnet("search", run, copy, "--n", 1, "--json").stdout)["results"][0]
    assert first["clip_id"] == "white5" and first["similarity"] == pytest.approx(1, abs=1e-4)
    assert first["same_label"] is None


def test_labels_filter_and_people_get_a_table(run):
    done = cortexnet("search", run, "brown2", "--label", "white", "--n", 3)
    lines = done.stdout.splitlines()
    assert len(lines) == 4 and all("white" in line and " no" in line for line in lines[1:])


def test_recommendations_leave_out_what_was_named_and_its_tracks(run, tmp_path):
    done = cortexnet("recommend", run, "--liked", "brown0", "brown2", "--n", 4, "--json",
                     "--out", tmp_path)  # fmt: skip
    found = json.loads(done.stdout)
    assert [(r["clip_id"], r["role"]) for r in found["asked"]] == [
        ("brown0", "liked"), ("brown2", "liked"),
    ]  # fmt: skip
    assert {r["clip_id"] for r in found["results"]} == {f"brown{k}" for k in range(4, 8)}
    assert json.loads((tmp_path / "recommend.json").read_text()) == found
    assert json.loads((tmp_path / "provenance.json").read_text())["config"]["kind"] == "recommend"
    away = cortexnet("recommend", run, "--liked", "brown0", "--liked", "white0",
                     "--disliked", "white4", "--n", 3, "--json")  # fmt: skip
    assert {r["label"] for r in json.loads(away.stdout)["results"]} == {"brown"}


def test_fixed_features_are_evaluated_on_all_clips(run, tmp_path):
    done = cortexnet("search", run, "--evaluate", "--json", "--out", tmp_path)
    scores = json.loads(done.stdout)
    assert scores["n_queries"] == 16 and scores["queries"] == "all clips"
    assert scores["mean_average_precision"] == pytest.approx(1)
    assert scores["hit_rate"]["1"] == {
        "rate": 1.0, "interval": [1.0, 1.0], "chance": pytest.approx(6 / 14),
    }  # fmt: skip
    assert json.loads((tmp_path / "retrieval.json").read_text()) == scores
    assert "mAP" in cortexnet("search", run, "--evaluate").stdout


def test_clips_that_a_network_was_trained_on_are_marked_and_do_not_ask(learned):
    known = load_clips(learned / "clips.csv").set_index("clip_id")["split"]
    found = json.loads(cortexnet("search", learned, "white7", "--n", 20, "--json").stdout)
    sides = {r["clip_id"]: r["side"] for r in found["results"]}
    assert len(sides) == 14 and set(sides.values()) == {"train", "valid", None}
    for clip_id, side in sides.items():
        assert side == (None if known[clip_id] == "test" else known[clip_id])
    scores = json.loads(cortexnet("search", learned, "--evaluate", "--json").stdout)
    assert scores["n_queries"] == (known == "test").sum() == 4
    assert scores["queries"] == "clips not trained on"


def test_a_model_without_a_run_searches_the_clips_it_is_given(sounds, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.retrieval.Recipe.of", lambda name: Recipe(segment=SEGMENT))
    done = cortexnet("search", "modulation_svm", "white5", "--stimuli", sounds / "manifest.csv",
                     "--index", tmp_path / "index", "--n", 2, "--json")  # fmt: skip
    assert {r["label"] for r in json.loads(done.stdout)["results"]} == {"white"}
    assert (tmp_path / "index" / "index.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("white55",), "did you mean 'white5'?"),
        (("nowhere.wav",), "no such sound file"),
        (("brown1", "--label", "pink"), "no clip has label 'pink'; there are brown, white"),
        ((), "name a QUERY"),
        (("brown1", "--evaluate"), "name a QUERY"),
    ],
)
def test_bad_searches_are_refused_in_one_line(run, arguments, message):
    assert message in refused("search", run, *arguments)


def test_other_bad_input_is_refused_in_one_line(run, sounds, tmp_path):
    assert "short.wav: 0.50 s of sound" in refused("search", run, sounds / "short.wav")
    line = refused("search", "modulation_svm", "white5", "--stimuli", sounds / "manifest.csv",
                   "--index", tmp_path / "index")  # fmt: skip
    assert "clip 'brown0': 1.20 s of sound are less than the segment of 2.97 s" in line
    assert "not readable" in refused("search", run, sounds / "manifest.csv")
    assert "--stimuli" in refused("search", "modulation_svm", "white5")
    assert "neither a finished run nor a model" in refused("search", tmp_path, "white5")
    assert "no clip 'x'" in refused("recommend", run, "--liked", "x")
    assert "both liked and disliked" in refused(
        "recommend", run, "--liked", "brown1", "--disliked", "brown1"
    )
    assert "repeat --liked" in refused(
        "recommend", run, "--liked", "brown1", "--disliked", "white1", "white2"
    )
    both = [x for k in range(8) for x in ("--liked", f"brown{k}")]
    assert "no clip is left" in refused("recommend", run, *both, "--label", "brown")
