"""The command line: what it prints, what it refuses, what it leaves behind."""

import contextlib
import dataclasses
import io
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import xarray as xr

from experiments.cli import main
from experiments.demo import run_demo
from experiments.experiment import read_experiment
from stimuli import load_clips
from stimuli.miniature import Layout


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def cortexnet(*arguments) -> Done:
    """The entry point with these arguments, in this process."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["cortexnet", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = before
    return Done(code, out.getvalue(), err.getvalue())


def refused(*arguments) -> str:
    """One line on the error stream, exit code 2; the line."""
    done = cortexnet(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "Traceback" not in done.stderr
    return lines[0]


@pytest.fixture
def sounds(tmp_path):
    """Two labels, four tracks each, 3 s of noise."""
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "sounds" / label).mkdir(parents=True)
        for k in range(4):
            x = 0.05 * rng.standard_normal(3 * 22050)
            soundfile.write(tmp_path / "sounds" / label / f"{label}{k}.wav", x, 22050)
    return tmp_path / "sounds"


def test_help_names_every_command_and_gives_an_example():
    top = cortexnet("--help")
    assert top.returncode == 0
    for name in ("demo", "run", "models", "stimuli", "train", "evaluate", "crossval", "extract",
                 "encode", "nh2015", "search", "recommend", "sweep", "report"):  # fmt: skip
        assert name in top.stdout
        if name != "stimuli":
            assert "Example: cortexnet" in cortexnet(name, "--help").stdout


def test_the_installed_command_refuses_in_one_line_and_shows_the_traceback_on_request(tmp_path):
    command = shutil.which("cortexnet", path=str(Path(sys.executable).parent))
    for debug in ((), ("--debug",)):
        done = subprocess.run(
            [command, *debug, "evaluate", tmp_path], capture_output=True, text=True, timeout=120
        )
        assert ("Traceback" in done.stderr) == bool(debug)
        assert done.returncode == (1 if debug else 2) and "not a finished run" in done.stderr


def test_models_as_json():
    rows = json.loads(cortexnet("models", "--json").stdout)
    assert {"name", "parameters", "macs_per_second", "areas"} <= set(rows[0])
    areas = {row["name"]: row["areas"] for row in rows}
    assert areas["cortexnet_z"] == ["A1", "belt", "parabelt", "T2/T3"]


def test_manifest_of_a_folder_can_be_loaded(sounds, tmp_path):
    done = cortexnet("stimuli", "manifest", sounds, "--out", tmp_path / "m.csv")
    assert done.returncode == 0 and "8 clips, 2 labels" in done.stdout
    assert load_clips(tmp_path / "m.csv")["label"].tolist() == ["a"] * 4 + ["b"] * 4


@pytest.mark.parametrize("damage", ["text", "empty", "no frames"])
def test_an_unreadable_sound_is_named_and_nothing_looks_finished(sounds, tmp_path, damage):
    path = sounds / "a" / "a0.wav"
    if damage == "no frames":
        soundfile.write(path, np.zeros(0), 22050)
    else:
        path.write_bytes(b"" if damage == "empty" else b"not a sound")
    out = tmp_path / "run"
    line = refused("train", "--model", "modulation_svm", "--stimuli", sounds, "--out", out)
    assert "a0.wav" in line
    assert not (out / "card.json").exists() and not (out / "model.safetensors").exists()


def test_bad_tables_are_refused_by_row_and_column(sounds, tmp_path):
    table = tmp_path / "m.csv"
    arguments = ("crossval", "--model", "modulation_svm", "--folds", 2, "--out", tmp_path / "cv",
                 "--stimuli", table)  # fmt: skip
    pd.DataFrame({"path": ["sounds/a/a0.wav"]}).to_csv(table, index=False)
    assert "label" in refused(*arguments)
    rows = [{"path": f"sounds/{k}/{k}{i}.wav", "label": k} for k in "ab" for i in range(4)]
    rows[2]["path"] = "sounds/a/missing.wav"
    pd.DataFrame(rows).to_csv(table, index=False)
    line = refused(*arguments)
    assert "line 4" in line and "missing.wav" in line
    rows[2] = {"path": "sounds/a/a2.wav", "label": "alone"}
    pd.DataFrame(rows).to_csv(table, index=False)
    assert "alone" in refused(*arguments)
    assert not (tmp_path / "cv" / "crossval.json").exists()


def test_empty_and_missing_folders_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for target in ("empty", "nowhere"):
        line = refused("stimuli", "manifest", tmp_path / target, "--out", tmp_path / "m.csv")
        assert target in line
    assert not (tmp_path / "m.csv").exists()
    assert "empty" in refused("report", tmp_path / "empty")
    assert "empty" in refused("nh2015", "--data", tmp_path / "empty")


def test_a_response_array_of_another_length_is_refused(sounds, tmp_path):
    store = tmp_path / "f.zarr"
    done = cortexnet("extract", "modulation_svm", "--stimuli", sounds, "--out", store)
    assert done.returncode == 0, done.stderr
    clip = load_clips(sounds)["clip_id"].iloc[0]
    rows = pd.DataFrame({"run": ["1", "1"], "clip_id": [clip] * 2, "time": [0.0, 1.5]})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    np.save(tmp_path / "y.npy", np.zeros((7, 3), np.float32))
    arguments = ("encode", "--features", store, "--responses", tmp_path / "y.npy",
                 "--out", tmp_path / "enc")  # fmt: skip
    assert "--samples" in refused(*arguments)
    line = refused(*arguments, "--samples", tmp_path / "rows.csv")
    assert "y.npy" in line and "7" in line and "2 rows" in line
    assert not (tmp_path / "enc").exists()


TINY = Layout(
    subjects=1, training_runs=3, training_blocks=1, test_runs=1,
    clip_seconds=6, track_seconds=6, tracks_per_genre=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny_demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    shipped = read_experiment("miniature")
    quick = dataclasses.replace(
        shipped,
        training={name: {"epochs": 1, "batch_size": 8} for name in shipped.training},
        controls=dict.fromkeys(shipped.controls, 1),
        tests={"permutations": 100, "resamples": 100, "shuffles": 2},
    )
    return out, run_demo(out, TINY, experiment=quick, report=lambda line: None)


@pytest.mark.slow
def test_demo_runs_end_to_end_and_recovers_the_planted_core(tiny_demo):
    out, result = tiny_demo
    page = Path(result["report"])
    html = page.read_text(encoding="utf-8")
    assert page.name == "report.html" and "<svg" in html and "http-equiv" in html
    for model in ("cortexnet_z", "cnn2d_4l", "scattering_svm"):
        report = json.loads((out / "runs" / model / "evaluation.json").read_text())
        assert report["n_clips"] == 40 and report["side"] == "test"
    results = json.loads((out / "encode" / "sub-001" / "results.json").read_text())
    assert results["kind"] == "encode"
    best = results["best_stage_by_model"]["reference"]
    assert best["core"]["layer"] == "reference:A1"
    control = [layers["control"]["mean_r"] for layers in results["layers"].values()]
    assert max(control) < 0.15


@pytest.mark.slow
def test_no_track_of_the_scanner_is_trained_on(tiny_demo):
    out, _ = tiny_demo
    table = load_clips(out / "clips.csv")
    sides = table.groupby("group")["split"].agg(set)
    assert all(len(side) == 1 for side in sides)
    for model in ("cortexnet_z", "scattering_svm"):
        used = pd.read_csv(out / "runs" / model / "clips.csv", keep_default_na=False)
        heard = set(used.loc[used["split"] == "test", "track"])
        assert not heard & set(used.loc[used["split"].isin(["train", "valid"]), "track"])


@pytest.mark.data
def test_nh2015_modulation_baseline_and_gaussian_null(data_dir):
    done = cortexnet("nh2015", "--data", data_dir / "nh2015", "--models", "modulation", "--json")
    result = json.loads(done.stdout)
    assert result["models"]["modulation"]["r2"]["mean"] >= 0.62
    assert result["models"]["gaussian"]["r2"]["mean"] <= 0.03
    published = result["published"]["CochResNet50-MultiTask"]
    assert published["speech"] == pytest.approx(0.874)


def test_layers_of_an_untrained_counterpart_are_extracted_by_one_flag(sounds, tmp_path):
    store = tmp_path / "f.zarr"
    done = cortexnet(
        "extract", "cortexnet_z", "--stimuli", sounds, "--out", store, "--bin-seconds", "clip",
        "--layers", "T2/T3,belt.drive", "--control", "random:1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    data = xr.open_zarr(store)
    assert data.attrs["control"] == "random" and data.attrs["control_seed"] == 1
    assert data.attrs["model"] == "cortexnet_z-random-1" and not data.attrs["trained"]
    assert data["T2_T3"].shape == (8, 1, 224) and data["belt.drive"].shape == (8, 1, 112 * 6)
    rows = pd.DataFrame({"run": ["1"], "clip_id": [str(data["clip"].values[0])], "time": [0]})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    np.save(tmp_path / "y.npy", np.zeros((1, 3), np.float32))
    arguments = ("--responses", tmp_path / "y.npy", "--samples", tmp_path / "rows.csv",
                 "--out", tmp_path / "enc")  # fmt: skip
    assert "not time bins" in refused("encode", "--features", store, *arguments)


def test_what_cannot_be_extracted_is_refused_in_one_line(sounds, tmp_path):
    store = tmp_path / "f.zarr"
    arguments = ("extract", "cnn2d_4l", "--stimuli", sounds, "--out", store)
    assert "no layer 'conv9'" in refused(*arguments, "--layers", "conv9")
    assert "'frames' or 'clip'" in refused(*arguments, "--bin-seconds", "volumes")
    assert "LAYER=AXIS" in refused(*arguments, "--time-axis", "conv1")
    assert "random:3" in refused(*arguments, "--control", "shuffled")
    assert "needs a trained run" in refused(*arguments, "--control", "permuted")
    fixed = ("extract", "modulation_svm", "--stimuli", sounds, "--out", store)
    assert "fixed features" in refused(*fixed, "--control", "random")
    assert not store.exists()
    assert "control is" in refused("nh2015", "--data", sounds, "--controls", "none")


@pytest.mark.data
def test_nh2015_with_random_controls(data_dir):
    done = cortexnet("nh2015", "--data", data_dir / "nh2015", "--models", "cortexnet_z",
                     "--controls", "random", "--control-seeds", 1, "--json")  # fmt: skip
    rows = json.loads(done.stdout)["models"]
    row, control = rows["cortexnet_z"], rows["cortexnet_z, random"]
    assert control["control"] == {"of": "cortexnet_z", "kind": "random", "seeds": [0]}
    # A1 is fixed and the seed changes nothing in it.
    a1 = control["by_stage"]["A1"]["mean"]
    assert a1 == pytest.approx(row["by_stage"]["A1"]["mean"], abs=1e-3)
    assert row["banded"]["mean"] > row["all_stages"]["mean"] - 0.03
    low, high = row["intervals"]["banded"]
    assert 0.03 < high - low < 0.15
