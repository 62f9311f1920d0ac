"""`cortexnet encode`: arrays in parts, maps, memory, and going on after a kill."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from threadpoolctl import threadpool_limits

from encoding import Responses, load_scores
from experiments.cli import main
from experiments.encode import parse_bytes, plan_memory
from stimuli import InputError

N_TARGETS = 5000  # two chunks


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Four training runs and a test run heard twice; targets follow layer "belt"."""
    folder = tmp_path_factory.mktemp("encode")
    rng = np.random.default_rng(0)
    clips = [f"c{i}" for i in range(14)]
    layers = {name: rng.standard_normal((14, 6, 5)) for name in ("A1", "belt")}
    store = xr.Dataset(
        {k: (("clip", "time", f"unit_{k}"), v, {"layer": k}) for k, v in layers.items()},
        coords={"clip": clips, "time": 0.75 + 1.5 * np.arange(6)},
        attrs={"model": "net", "complete": True},
    )
    store.to_zarr(folder / "net.zarr", zarr_format=2)
    rows = [(f"a{k}", f"c{3 * k + i}", t, 1, "train") for k in range(4) for i in range(3)
            for t in range(6)]  # fmt: skip
    rows += [("v", f"c{12 + i}", t, k, "test") for k in (1, 2) for i in range(2) for t in range(6)]
    samples = pd.DataFrame(rows, columns=["run", "clip_id", "time", "repeat", "split"])
    samples["time"] *= 1.5
    samples.to_csv(folder / "rows.csv", index=False)
    clip = samples["clip_id"].str[1:].astype(int)
    heard = layers["belt"][clip, (samples["time"] / 1.5).astype(int)]
    weights = rng.standard_normal((5, N_TARGETS))
    Y = np.roll(heard, 1, 0) @ weights + rng.standard_normal((len(samples), N_TARGETS))
    np.save(folder / "y.npy", Y.astype(np.float32))
    place = np.stack(np.unravel_index(np.arange(N_TARGETS), (30, 30, 10)), 1)
    columns = pd.DataFrame(place, columns=list("ijk"))
    columns.insert(0, "region", "core")
    columns.to_csv(folder / "columns.csv", index=False)
    image = nib.Nifti1Image(np.ones((30, 30, 10), np.uint8), np.diag([2.0, 2, 2, 1]))
    nib.save(image, folder / "mask.nii.gz")
    return folder


def command(folder, out, *responses, **options):
    given = ["encode", "--features", folder / "net.zarr", "--samples", folder / "rows.csv"]
    for path in responses:
        given += ["--responses", path]
    given += ["--out", out, "--delays", "1,2", "--permutations", 100, "--json"]
    for key, value in options.items():
        given += [f"--{key}"] + ([] if value is True else [value])
    return [str(part) for part in given]


def run(*arguments):
    out, err, code = io.StringIO(), io.StringIO(), 0
    before, sys.argv = sys.argv, ["cortexnet", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = before
    return code, out.getvalue(), err.getvalue()


def test_an_array_in_parts_gives_what_the_whole_gives_and_maps_where_the_grid_is_known(
    experiment, tmp_path
):
    Y = np.load(experiment / "y.npy")[:, :200]
    np.savez(tmp_path / "all.npz", other=Y[:3], whole=Y.T)
    test = (pd.read_csv(experiment / "rows.csv")["split"] == "test").to_numpy()
    np.save(tmp_path / "Resp_Training.npy", Y[~test])
    np.save(tmp_path / "Resp_Test.npy", Y[test])
    columns = pd.read_csv(experiment / "columns.csv").head(200)
    columns.to_csv(tmp_path / "columns.csv", index=False)
    place = {"targets": tmp_path / "columns.csv", "mask": experiment / "mask.nii.gz"}
    whole = command(
        experiment, tmp_path / "a", tmp_path / "all.npz", name="whole", transposed=True, **place
    )
    code, out, err = run(*whole)
    assert code == 0, err
    parts = (tmp_path / "Resp_Training.npy", tmp_path / "Resp_Test.npy")
    code, _, err = run(*command(experiment, tmp_path / "b", *parts))
    assert code == 0, err
    (summary,) = json.loads(out)
    assert summary["best_stage"]["core"]["layer"] == "net:belt"
    assert summary["n_targets"] == 200 and summary["dropped"] == {"nan": 0, "constant": 0}
    a, b = (load_scores(tmp_path / k / "subject") for k in "ab")
    np.testing.assert_array_equal(a.predictions, b.predictions)
    image = nib.load(tmp_path / "a" / "subject" / "maps" / "r_net-belt.nii.gz")
    place = tuple(columns[list("ijk")].to_numpy().T)
    np.testing.assert_allclose(image.get_fdata()[place], a.dataset["r"][1], rtol=1e-6)
    names = {p.name for p in (tmp_path / "b" / "subject").iterdir()}
    assert names == {"scores.zarr", "scores.csv", "results.json"}


def test_sessions_are_left_out_whole_and_copies_of_a_recording_with_them(experiment, tmp_path):
    np.save(tmp_path / "y.npy", np.load(experiment / "y.npy")[:, :50])
    rows = pd.read_csv(experiment / "rows.csv")
    rows["recording"] = rows["clip_id"].where(rows["clip_id"] != "c0", "c12")  # of the test run
    rows.to_csv(tmp_path / "rows.csv", index=False)
    given = command(experiment, tmp_path / "out", tmp_path / "y.npy", samples=tmp_path / "rows.csv")
    code, out, err = run(*given)
    assert code == 0, err
    (summary,) = json.loads(out)
    # c0 opens its run: with delays 1 and 2 it reaches rows 1 to 7.
    assert summary["folds"] == "run" and summary["rows_kept_apart"] == 7
    assert run(*given, "--folds", "session")[0] == 2  # no such column
    rows.assign(session=rows["run"].isin(["a0", "a1"])).to_csv(tmp_path / "rows.csv", index=False)
    code, out, err = run(*given, "--folds", "session", "--out", str(tmp_path / "s"))
    assert code == 0, err
    assert json.loads(out)[0]["folds"] == "session"


@pytest.mark.slow
def test_a_killed_command_goes_on_and_ends_with_identical_scores(experiment, tmp_path):
    own = tmp_path / "killed"
    arguments = command(experiment, own, experiment / "y.npy")
    start = [sys.executable, "-c", "from experiments.cli import main; main()", *arguments]
    fit = own / "subject" / ".work" / "fit"
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(start, env=env, **quiet) as process:
        while process.poll() is None and not list(fit.glob("part-*")):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert list(fit.glob("part-*")) and not (own / "subject" / "results.json").exists()
    with threadpool_limits(1):
        for out in (own, tmp_path / "whole"):
            assert run(*command(experiment, out, experiment / "y.npy"))[0] == 0
    a, b = (load_scores(tmp_path / k / "subject") for k in ("killed", "whole"))
    np.testing.assert_array_equal(a.predictions, b.predictions)
    xr.testing.assert_equal(a.dataset, b.dataset)
    assert not (own / "subject" / ".work").exists()


def test_what_cannot_work_is_refused_before_anything_is_written(experiment, tmp_path):
    def line(*responses, **options):
        code, out, err = run(*command(experiment, tmp_path / "out", *responses, **options))
        assert code == 2 and out == "" and not (tmp_path / "out").exists()
        return err.strip().splitlines()[-1]

    y = experiment / "y.npy"
    assert "--memory is 'much'" in line(y, memory="much")
    assert "local:2" in line(y, cluster="everywhere")
    assert "nowhere: no such file" in line(tmp_path / "nowhere")
    assert "alone" in line(experiment, experiment)
    assert "expected i, j, k" in line(y, mask=experiment / "mask.nii.gz")
    cut = tmp_path / "cut.h5"
    cut.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert "cut.h5" in line(cut)


def test_sizes_are_read_in_powers_of_1024():
    sizes = {"8GB": 2**33, "1.5 GiB": 3 * 2**29, "500m": 500 * 2**20, "4096": 4096, "2kb": 2048}
    for text, n in sizes.items():
        assert parse_bytes(text) == n
    for text in ("", "GB", "-1GB", "8XB", "0"):
        with pytest.raises(InputError, match="--memory"):
            parse_bytes(text)


def test_long_runs_are_forecast_and_memory_that_cannot_do_is_refused():
    samples = pd.DataFrame({"run": np.repeat(np.arange(12), 400)})
    data = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (4800, 60_000), (0, 0))
    targets = pd.DataFrame({"region": [""] * 60_000})
    features = {str(k): np.empty((4800, 1024), np.float32) for k in range(8)}
    responses = Responses(data, samples, targets)
    room, line = plan_memory(features, responses, (2, 3, 4, 5), 2**36)
    assert room == 2**30 and "min and" in line
    with pytest.raises(InputError, match="too little for 60000 targets and 8 layers"):
        plan_memory(features, responses, (2, 3, 4, 5), 2**30)
    small = Responses(data[:, :10], samples, targets[:10])
    room, line = plan_memory({"a": np.empty((4800, 3))}, small, (2,), 2**29)
    assert (room, line) == (2**29, "")
