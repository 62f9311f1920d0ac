"""Chunks of targets, in memory or through files, give the same bits; a killed run goes on."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from encoding import InputError, fit_layers
from encoding.workspace import Workspace, find_memmap, hash_array, open_memmap

pytestmark = pytest.mark.filterwarnings("ignore::encoding.RidgeEdgeWarning")

N_TARGETS = 5000  # three chunks of 2048, the last one short


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


def problem(n_targets=N_TARGETS, test=True, units=5, seed=0):
    rng = np.random.default_rng(seed)
    runs = [f"a{k}" for k in range(4) for _ in range(30)]
    samples = pd.DataFrame({"run": runs, "clip_id": [f"c{i // 10}" for i in range(120)]})
    samples["time"] = np.arange(120) % 10 * 1.5
    samples["repeat"], samples["split"] = 1, "train"
    if test:
        own = pd.DataFrame({"run": "v", "clip_id": "d", "time": np.arange(10) * 1.5})
        pair = [own.assign(repeat=k, split="test") for k in (1, 2)]
        samples = pd.concat([samples, *pair], ignore_index=True)
    features = {
        name: rng.standard_normal((len(samples), units), np.float32) for name in ("A1", "belt")
    }
    Y = rng.standard_normal((len(samples), n_targets), np.float32)
    Y += features["belt"] @ rng.standard_normal((units, n_targets), np.float32)
    return features, Y, samples


def same(a, b):
    np.testing.assert_array_equal(a.predictions, b.predictions)
    np.testing.assert_array_equal(a.responses, b.responses)
    for name in a.dataset:
        np.testing.assert_array_equal(a.dataset[name], b.dataset[name], err_msg=name)


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize("units", [5, 80])  # fewer and more than the training rows
def test_results_do_not_depend_on_chunks_or_folder(tmp_path, test, units):
    features, Y, samples = problem(2300 if not test else N_TARGETS, test, units)
    whole = fit_layers(features, Y, samples, (1, 2), chunk=10**6)
    same(fit_layers(features, Y, samples, (1, 2), chunk=1), whole)
    for _ in range(2):  # made, then read
        same(fit_layers(features, Y, samples, (1, 2), chunk=1, folder=tmp_path / "w"), whole)


def test_a_memory_map_gives_what_the_array_gives_in_either_order(tmp_path):
    features, Y, samples = problem(300)
    plain = fit_layers(features, Y, samples, (1, 2))
    np.save(tmp_path / "y.npy", Y)
    np.save(tmp_path / "t.npy", np.ascontiguousarray(Y.T))
    rows = np.load(tmp_path / "y.npy", mmap_mode="r")
    columns = np.load(tmp_path / "t.npy", mmap_mode="r").T
    for mapped in (rows, columns):
        same(fit_layers(features, mapped, samples, (1, 2), folder=tmp_path / "w"), plain)
        (tmp_path / "w").rename(tmp_path / f"w{id(mapped)}")


def test_views_of_memory_maps_are_found_again(tmp_path):
    Y = np.arange(60, dtype=np.float32).reshape(6, 10)
    np.save(tmp_path / "y.npy", Y)
    mapped = np.load(tmp_path / "y.npy", mmap_mode="r")
    for view in (mapped, mapped.T, mapped[2:, 1:7:2], np.asarray(mapped)[1:]):
        place = find_memmap(view)
        np.testing.assert_array_equal(open_memmap(place), view)
    assert find_memmap(Y) is None and find_memmap(mapped[::-1]) is None


def test_parts_that_are_there_are_not_worked_out_again(tmp_path):
    features, Y, samples = problem()
    lines = []
    options = {"chunk": 1, "folder": tmp_path / "w", "report": lines.append}
    first = fit_layers(features, Y, samples, (1, 2), **options)
    assert len(lines) == 6
    parts = sorted((tmp_path / "w").glob("part-*"))
    assert [p.name for p in parts][:2] == ["part-000-0-2048.npz", "part-000-2048-4096.npz"]
    parts[1].unlink()
    same(fit_layers(features, Y, samples, (1, 2), **options), first)
    assert len(lines) == 7 and lines[-1].startswith("A1")
    names = {p.name for p in (tmp_path / "w").iterdir()}
    assert names == {p.name for p in parts} | {"settings.json", "job.npz"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("Y", "responses"),
        ("features", "features"),
        ("alphas", "alphas"),
        ("delays", "delays"),
        ("samples", "samples"),
        ("groups", "samples"),
    ],
)
def test_a_folder_of_other_inputs_is_refused_by_name(tmp_path, change, named):
    features, Y, samples = problem(40)
    given = {"features": features, "Y": Y, "runs": samples, "delays": (1,), "alphas": [1.0, 9.0]}
    fit_layers(**given, folder=tmp_path / "w")
    if change == "Y":
        given["Y"] = Y.copy()
        given["Y"][-1, -1] += 1e-3
    elif change == "features":
        given["features"] = features | {"A1": features["A1"] * np.float32(1.0001)}
    elif change == "samples":
        given["runs"] = samples.assign(dummy=np.arange(len(samples)) == 3)
    elif change == "groups":
        given["groups"] = np.where(samples["run"] == "a1", "a0", samples["run"])
    else:
        given[change] = {"alphas": [1.0, 10.0], "delays": (2,)}[change]
    with pytest.raises(InputError, match=f"other inputs .*{named}"):
        fit_layers(**given, folder=tmp_path / "w")


def test_folders_that_are_no_workspace_and_damaged_parts_are_refused(tmp_path):
    features, Y, samples = problem(40)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="other files"):
        fit_layers(features, Y, samples, (1,), folder=tmp_path / "taken")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        fit_layers(features, Y, samples, (1,), folder=tmp_path / "file")
    fit_layers(features, Y, samples, (1,), folder=tmp_path / "w")
    part = tmp_path / "w" / "part-000-0-40.npz"
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"part-000-0-40\.npz: damaged"):
        fit_layers(features, Y, samples, (1,), folder=tmp_path / "w")
    (tmp_path / "w" / "settings.json").write_text("{")
    with pytest.raises(InputError, match=r"settings\.json"):
        fit_layers(features, Y, samples, (1,), folder=tmp_path / "w")


def test_a_hash_tells_values_shapes_and_types_apart():
    a = np.arange(12, dtype=np.float32)
    kinds = [a, a.reshape(3, 4), a.reshape(4, 3), a.reshape(3, 4).T, a.astype(float), a + 1]
    assert len({hash_array(k) for k in kinds}) == len(kinds)
    assert hash_array(a.reshape(3, 4)[:, 1:3]) != hash_array(a.reshape(3, 4)[:, :2])
    assert hash_array(a) == hash_array(a.copy())


SCRIPT = """
import sys, time
import numpy as np
from encoding import fit_layers
from test_encoding_tasks import problem
def slowly(line):
    print(line, flush=True)
    time.sleep(0.3)
features, _, samples = problem()
Y = np.load(sys.argv[1], mmap_mode="r")
fit_layers(features, Y, samples, (1, 2), chunk=1, folder=sys.argv[2], report=slowly)
"""


def test_a_run_killed_in_the_middle_goes_on_and_ends_with_identical_results(tmp_path):
    features, Y, samples = problem()
    np.save(tmp_path / "y.npy", Y)
    work = tmp_path / "w"
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.path.dirname(__file__)}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "y.npy"), str(work)]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    finished = {p: p.stat().st_mtime_ns for p in work.glob("part-*")}
    assert 1 <= len(finished) < 6
    time.sleep(0.01)
    again = fit_layers(
        features, np.load(tmp_path / "y.npy", mmap_mode="r"), samples, (1, 2), chunk=1, folder=work
    )
    same(again, fit_layers(features, Y, samples, (1, 2)))
    assert {p: p.stat().st_mtime_ns for p in finished} == finished


def test_a_job_survives_its_file(tmp_path):
    features, Y, samples = problem(10)
    fit_layers(features, Y, samples, (1, 2), folder=tmp_path / "w")
    job = Workspace(tmp_path / "w").load_job()
    assert not job.crossed and job.delays.tolist() == [1, 2]
    assert len(job.train) == 120 and len(job.held) == 20 and job.sample.max() == 9
