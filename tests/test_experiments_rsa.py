"""`cortexnet rsa`: a planted geometry is found where it was planted, and what it says without."""

import contextlib
import io
import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import encoding
from experiments.cli import main
from experiments.rsa import clip_patterns, run_rsa
from stimuli import InputError

N_CLIPS, N_RUNS, N_REPEATS, N_BINS, TR = 20, 4, 3, 8, 1.5
CLIPS = [f"c{i:02d}" for i in range(N_CLIPS)]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Runs of five clips heard three times; core follows layer A1, belt follows belt."""
    folder = tmp_path_factory.mktemp("rsa")
    rng = np.random.default_rng(0)
    layers = {
        name: rng.standard_normal((N_CLIPS, 1, 6)) + 0.2 * rng.standard_normal((N_CLIPS, N_BINS, 6))
        for name in ("A1", "belt", "T2/T3")
    }
    store = xr.Dataset(
        {k: (("clip", "time", f"unit_{n}"), v, {"layer": k})
         for n, (k, v) in enumerate(layers.items())},
        coords={"clip": CLIPS, "time": TR * (np.arange(N_BINS) + 0.5)},
        attrs={"model": "net", "complete": True},
    )  # fmt: skip
    store = store.rename({"T2/T3": "late"})
    store.to_zarr(folder / "net.zarr", zarr_format=2)
    rows = []
    for run in range(N_RUNS):
        for repeat in range(N_REPEATS):
            for clip in rng.permutation(np.arange(5 * run, 5 * run + 5)):
                rows += [(f"v{run}", CLIPS[clip], TR * t, repeat + 1, "test", False)
                         for t in range(N_BINS)]  # fmt: skip
    samples = pd.DataFrame(rows, columns=["run", "clip_id", "time", "repeat", "split", "dummy"])
    samples.to_csv(folder / "rows.csv", index=False)
    features = {k: encoding.features_at(store[v], samples) for k, v in
                (("A1", "A1"), ("belt", "belt"))}  # fmt: skip
    for subject in (2, 3):
        responses, _ = encoding.simulate(
            features, samples, {"core": "A1", "belt": "belt", "lost": None}, 30, 0.5, seed=subject
        )
        # What all clips of a run have in common: a level of its own in every voxel.
        level = rng.standard_normal((N_RUNS, 90)) * 5
        run = samples["run"].str[1:].astype(int)
        np.save(folder / f"s{subject - 2}.npy", (responses.data + level[run]).astype(np.float32))
    responses.targets.to_csv(folder / "columns.csv", index=False)
    return folder


def run(folder, out, *subjects, **options):
    given = ["rsa", "--features", folder / "net.zarr", "--samples", folder / "rows.csv",
             "--targets", folder / "columns.csv", "--out", out, "--permutations", 200,
             "--resamples", 200]  # fmt: skip
    for path in subjects:
        given += ["--responses", path]
    for key, value in options.items():
        given += [f"--{key.replace('_', '-')}"] + ([] if value is True else [value])
    out, err, code = io.StringIO(), io.StringIO(), 0
    before, sys.argv = sys.argv, ["cortexnet", *map(str, given)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = before
    return code, out.getvalue(), err.getvalue()


def test_two_subjects_show_each_region_the_layer_that_drives_it(experiment, tmp_path):
    code, out, err = run(experiment, tmp_path, experiment / "s0.npy", experiment / "s1.npy",
                         json=True)  # fmt: skip
    assert code == 0, err
    result = json.loads(out)
    assert result == json.loads((tmp_path / "results.json").read_text())
    assert result["kind"] == "rsa" and result["distance"] == "crossnobis"
    assert result["n_pairs"] == 190 - 4 * 10 and result["n_repeats"] == 3
    for layers in (result["layers"], result["measures"]["whitened-cosine"]):
        for region, planted in (("core", "net:A1"), ("belt", "net:belt")):
            scores = {layer: rows[region]["mean"] for layer, rows in layers.items()
                      if not layer.endswith("weighted")}  # fmt: skip
            assert max(scores, key=scores.get) == planted
            row = layers[planted][region]
            assert row["p"] == row["p_max"] == 1 / 201
            assert row["interval"][0] < row["mean"] < row["interval"][1] and row["n"] == 2
            assert row["ceiling"]["lower"] < row["ceiling"]["upper"] <= 1
            assert row["mean"] == pytest.approx(np.mean(list(row["subjects"].values())))
    assert result["layers"]["net:A1"]["lost"]["p"] > 0.05
    weighted = result["layers"]["net:weighted"]["core"]
    assert weighted["mean"] > 0.8 * result["layers"]["net:A1"]["core"]["mean"]
    pair = result["differences"]["core"][0]
    assert (pair["a"], pair["b"]) == ("net:A1", "net:belt")
    assert pair["difference"] > 0 and pair["p_holm"] >= pair["p"]
    assert (tmp_path / "provenance.json").exists()
    with np.load(tmp_path / "rdms.npz", allow_pickle=False) as stored:
        assert stored["data"].shape == (3, 2, 190) and stored["models"].shape == (3, 190)
        assert stored["layers"].tolist() == ["net:A1", "net:belt", "net:T2/T3"]
        core = encoding.compare_rdms(stored["data"][0], stored["models"][0])
    assert core.mean() == pytest.approx(result["layers"]["net:A1"]["core"]["mean"])


def test_one_subject_has_no_ceiling_and_one_presentation_no_crossnobis(experiment, tmp_path):
    samples = pd.read_csv(experiment / "rows.csv")
    samples["clip_id"] = samples["clip_id"].where(samples["repeat"] == 1)
    samples["dummy"] |= samples["repeat"] > 1
    samples.to_csv(tmp_path / "rows.csv", index=False)
    code, out, err = run(experiment, tmp_path / "out", experiment / "s0.npy",
                         samples=tmp_path / "rows.csv", method="corr", json=True)  # fmt: skip
    assert code == 0, err
    result = json.loads(out)
    row = result["layers"]["net:A1"]["core"]
    assert row["ceiling"] is None and row["n"] == 1 and result["measures"] == {}
    assert result["distance"] == "correlation" and result["noise"] == "none"
    said = " ".join(result["notes"])
    assert "no clip was repeated" in said and "no ceiling" in said


def test_levels_of_runs_do_not_reach_the_patterns(experiment):
    samples = pd.read_csv(experiment / "rows.csv")
    targets = pd.read_csv(experiment / "columns.csv")
    data = np.load(experiment / "s0.npy")
    found = clip_patterns(encoding.Responses(data, samples, targets))
    shifted = data + 100 * np.random.default_rng(1).standard_normal((N_RUNS, 90))[
        samples["run"].str[1:].astype(int)]  # fmt: skip
    again = clip_patterns(encoding.Responses(shifted.astype(np.float32), samples, targets))
    np.testing.assert_allclose(found.patterns, again.patterns, atol=2e-3)
    assert found.patterns.shape == (3, 20, 90) and found.clips.tolist() == CLIPS
    assert found.runs.tolist() == [f"v{k // 5}" for k in range(20)]
    for k in range(N_RUNS):
        inside = found.patterns[:, found.runs == f"v{k}"]
        np.testing.assert_allclose(inside.mean(1), 0, atol=1e-5)


def test_clips_heard_in_several_runs_have_no_pairs_within_a_run(experiment):
    """The three presentations of a run taken for three runs."""
    samples = pd.read_csv(experiment / "rows.csv")
    targets = pd.read_csv(experiment / "columns.csv")
    samples["run"] = samples["run"].str[:1] + samples["repeat"].astype(str)
    order = np.lexsort([np.arange(len(samples)), samples["run"]])
    responses = encoding.Responses(
        np.load(experiment / "s0.npy")[order], samples.iloc[order].reset_index(drop=True), targets
    )
    found = clip_patterns(responses)
    assert found.runs is None and "several runs" in found.notes[0]
    assert found.patterns.shape == (3, 20, 90)
    alone = responses.samples.assign(run=responses.samples["clip_id"])
    with pytest.raises(InputError, match="alone in the run"):
        clip_patterns(replace(responses, samples=alone).select(alone["repeat"] == 1))


def test_what_cannot_work_is_refused_in_one_line(experiment, tmp_path):
    def line(*subjects, **options):
        code, out, err = run(experiment, tmp_path / "out", *subjects, **options)
        assert code == 2 and out == "" and not (tmp_path / "out").exists()
        return err.strip().splitlines()[-1]

    s0 = experiment / "s0.npy"
    assert "--method is 'rho'" in line(s0, method="rho")
    assert "--noise is 'much'" in line(s0, noise="much")
    assert "within_runs is 'omit'" in line(s0, within_runs="omit")
    assert "1 different names" in line(s0, s0)
    assert "no such file" in line(tmp_path / "nowhere.npy")
    rows = pd.read_csv(experiment / "rows.csv")
    responses = encoding.Responses(np.load(s0), rows, pd.read_csv(experiment / "columns.csv"))
    other = replace(responses, samples=rows.assign(run="w" + rows["run"]))
    with pytest.raises(InputError, match="b: not the clips in the same runs of a"):
        run_rsa({}, {"a": lambda: responses, "b": lambda: other}, tmp_path / "out")
    short = pd.read_csv(experiment / "rows.csv")
    short["clip_id"] = short["clip_id"].where(short["clip_id"].isin(CLIPS[:3]))
    short.to_csv(tmp_path / "few.csv", index=False)
    assert "3 clips with responses" in line(s0, samples=tmp_path / "few.csv")
