"""`cortexnet run`: a recipe from sounds to a verdict, resumed and refused."""

import json
import shutil

import pandas as pd
import pytest
from test_experiments_cli import refused

from cortexnet.controls import KINDS
from cortexnet.registry import list_models
from encoding.stages.verdict import control_kind
from experiments.baselines import BASELINES
from experiments.experiment import SHIPPED, make_experiment, read_experiment
from experiments.miniature import write_miniature
from experiments.run import compared, find_data, run_experiment
from experiments.run_clips import audit_experiment
from stimuli import InputError
from stimuli.miniature import Layout

LAYOUT = Layout(
    subjects=2, training_runs=3, training_blocks=1, test_runs=1,
    clip_seconds=6, track_seconds=6, tracks_per_genre=8,
)  # fmt: skip
SMALL = {
    "models": ["modulation_svm"],
    "reference": True,
    "baselines": ["cochleagram", "random_projection"],
    "controls": {"random": 1, "permuted": 1},
    "tests": {"permutations": 100, "resamples": 100, "shuffles": 2},
}
STEPS = ["prepare", "audit", "clips", "train", "extract", "encode", "rsa", "stages"]


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "mini"
    write_miniature(folder, LAYOUT)
    return folder


@pytest.fixture(scope="module")
def finished(miniature, tmp_path_factory):
    """The whole recipe in small form, once."""
    out = tmp_path_factory.mktemp("whole") / "out"
    recipe = make_experiment(SMALL)
    data = find_data(recipe, miniature / "genres", miniature / "bids")
    said = []
    result = run_experiment(recipe, data, out, report=said.append)
    return recipe, data, out, said, result


@pytest.mark.slow
def test_the_steps_are_done_in_order_and_leave_their_results(finished):
    _, data, out, said, result = finished
    done = [row["step"].split(":")[0] for row in json.loads((out / "timings.json").read_text())]
    assert list(dict.fromkeys(done)) == STEPS
    assert said[-1].endswith("] report")
    assert sorted(path.stem for path in (out / "features").glob("*.zarr")) == [
        "cochleagram", "modulation_svm", "random_projection", "reference", "reference-permuted-0",
        "reference-random-0",
    ]  # fmt: skip
    for subject in data.subjects:
        found = json.loads((out / "encode" / subject / "results.json").read_text())
        assert found["best_stage_by_model"]["reference"]["core"]["layer"] == "reference:A1"
        # A projection has the dimensions of the stages that it is beside.
        assert "random_projection:A1" in found["layers"]
    rsa = json.loads((out / "rsa" / "results.json").read_text())
    assert rsa["subjects"] == list(data.subjects)
    stages = json.loads((out / "stages" / "stages.json").read_text())
    assert stages["model"] == "reference" and stages["verdict"] == result["verdict"]
    assert set(stages["controls"].values()) == {
        "random", "permuted", "cochleagram", "log modulation", "random projection"
    }  # fmt: skip
    page = (out / "report.html").read_text(encoding="utf-8")
    assert result["verdict"]["sentence"][1:] in page


@pytest.mark.slow
def test_no_hierarchy_is_read_into_regions_that_share_one_stage(tmp_path):
    same = {"core": "belt", "belt": "belt", "parabelt": "belt", "T2T3": "belt", "control": None}
    write_miniature(tmp_path / "mini", LAYOUT, seed=1, planted=same)
    recipe = make_experiment(SMALL)
    data = find_data(recipe, tmp_path / "mini" / "genres", tmp_path / "mini" / "bids")
    result = run_experiment(recipe, data, tmp_path / "out")
    assert not result["verdict"]["supported"]
    stages = json.loads((tmp_path / "out" / "stages" / "stages.json").read_text())
    assert "no evidence" in stages["verdict"]["sentence"].lower()
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert stages["verdict"]["sentence"][1:] in page


@pytest.mark.slow
def test_nothing_heard_is_trained_on(finished):
    _, _, out, _, _ = finished
    table = pd.read_csv(out / "clips.csv", keep_default_na=False)
    heard = table[table["split"] == "test"]
    assert len(heard) == 40 and heard["path"].str.contains("prepared").all()
    outside = table[table["split"] == ""]
    assert len(outside) == 40
    assert not set(outside["track"]) & set(heard["track"])
    assert not set(outside["group"]) & set(heard["group"])


@pytest.mark.slow
def test_what_was_interrupted_goes_on_to_the_same_results(finished, tmp_path):
    recipe, data, whole, _, result = finished
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    for name in ("rsa", "stages", "encode/sub-002"):
        shutil.rmtree(out / name)
    shutil.rmtree(out / "features" / "random_projection.zarr")
    kept = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    said = []
    again = run_experiment(recipe, data, out, report=said.append)
    steps = [line.partition("] ")[2] for line in said if line.startswith("[")]
    assert steps == ["extract: random_projection", "encode: sub-002", "rsa", "stages", "report"]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert again["verdict"] == result["verdict"]
    for name in ("rsa/results.json", "stages/stages.json"):
        first, second = (json.loads((folder / name).read_text()) for folder in (whole, out))
        assert {**first, "seconds": 0} == {**second, "seconds": 0}
    other = make_experiment({**SMALL, "controls": {"random": 2}})
    with pytest.raises(InputError, match="other settings"):
        run_experiment(other, data, out)


def test_shipped_recipes_name_what_there_is_and_the_whole_ladder():
    assert set(SHIPPED) == {"ds003720", "miniature"}
    found = read_experiment("ds003720")
    assert set(found.models) <= set(list_models())
    assert set(found.baselines) <= {*list_models(), *BASELINES}
    assert found.controls == {"random": 10, "permuted": 10} and set(found.controls) <= set(KINDS)
    kinds = {control_kind(name) for name in found.baselines}
    assert kinds == {"cochleagram", "log modulation", "scattering", "random projection"}
    assert found.stages_of == "cortexnet_z" and not found.reference
    assert compared(found)[-2:] == ["cortexnet_z-random-0", "cortexnet_z-permuted-0"]
    assert read_experiment("miniature").stages_of == "reference"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models = [", "not TOML"),
        ("title = 'x'", "no models"),
        ("model = ['cortexnet_z']", "unknown key 'model'; did you mean models?"),
        ("models = ['cortexnet_q']", "cortexnet_q"),
        ("models = ['cortexnet_z']\n[controls]\nrandoms = 3", "controls.randoms.*random"),
        ("models = ['cortexnet_z']\n[controls]\nrandom = 'many'", "controls.random is 'many'"),
        ("models = ['cortexnet_z']\n[controls]\nrandom = -1", "at least 0"),
        ("models = ['modulation_svm']\n[controls]\nrandom = 3", "fixed features"),
        ("models = ['cortexnet_z']\nbaselines = ['cnn2d_4l']", "cnn2d_4l is trained"),
        ("models = ['cortexnet_z']\nbaselines = ['random_projection']", "modulation_svm"),
        ("models = ['cortexnet_z']\nstages_of = 'reference'", "stages_of is 'reference'"),
        ("models = ['cortexnet_z']\n[training.cortexnet_z]\nepoch = 3", "did you mean epochs"),
        ("models = ['cortexnet_z']\n[training.cortexnet_z]\nepochs = 0", "at least 1"),
        ("models = ['cortexnet_z']\n[training.cnn2d_4l]\nepochs = 3", "training.cnn2d_4l"),
        ("models = ['cortexnet_z']\n[responses]\nkind = 'mesh'", "volume, surface, cifti"),
        ("models = ['cortexnet_z']\n[regions]\natlas = ['no.nii']", "no file .*no.nii"),
        ("models = ['cortexnet_z']\n[tests]\nresamples = 10", "at least 100"),
    ],
)
def test_a_bad_recipe_is_refused_before_any_work(text, said, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_experiment(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_missing_data_are_refused_in_one_line(tmp_path):
    def asked(recipe):
        return refused("run", recipe, "--gtzan", tmp_path, "--bids", tmp_path, "--out", out)

    out = tmp_path / "out"
    assert "no such recipe" in asked("ds00372")
    assert "dataset_description.json" in asked("ds003720")
    (tmp_path / "dataset_description.json").write_text("{}")
    assert "no tracks of GTZAN" in asked("ds003720")
    assert not out.exists()


def test_the_recipe_of_preprocessed_responses_asks_for_them_and_knows_the_subjects(miniature):
    where = miniature / "genres", miniature / "bids"
    with pytest.raises(InputError, match="--derivatives"):
        find_data(read_experiment("ds003720"), *where)
    with pytest.raises(InputError, match=r"sub-9.*sub-001, sub-002"):
        find_data(make_experiment(SMALL), *where, subjects=["sub-9"])


def test_a_leak_stops_the_run_unless_it_is_marked_and_music_outside_that_leaks_is_left_out(
    miniature, tmp_path
):
    tracks = sorted((miniature / "genres" / "blues").glob("*.wav"))
    heard = pd.DataFrame({
        "clip_id": ["a", "b"], "path": [str(tracks[0])] * 2, "label": ["blues"] * 2,
        "group": ["a", "b"], "track": ["a", "b"], "split": ["train", "test"],
        "leak": [True, False], "artist": "", "recording": ["a", "b"],
    })  # fmt: skip
    outside = heard.assign(clip_id=["c", "d"], path=[str(tracks[0]), str(tracks[1])],
                           group=["c", "d"], track=["c", "d"], recording=["c", "d"],
                           leak=False)  # fmt: skip
    table, left_out = audit_experiment(heard, outside, tmp_path)
    assert left_out == ["c"]
    assert table["clip_id"].tolist() == ["d", "a", "b"]
    assert table["split"].tolist() == ["", "test", "test"]
    with pytest.raises(InputError, match="two sides of the split"):
        audit_experiment(heard.assign(leak=False), outside, tmp_path)
