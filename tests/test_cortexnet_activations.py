"""Activation stores: bins of time, whole or resumable, tied to model and sounds."""

import shutil

import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cortexnet.activations import bin_means, count_bins, extract
from cortexnet.registry import create_model
from stimuli import InputError, load_clips, write_audio
from stimuli.clips import waveform


@given(st.integers(1, 60), st.integers(1, 6), st.floats(0.02, 1.0), st.integers(0, 2**32 - 1))
def test_bins_average_the_frames_that_end_in_them(n_frames, n_bins, step, seed):
    activity = np.random.default_rng(seed).standard_normal((n_frames, 3)).astype(np.float32)
    seconds = step * np.arange(1, n_frames + 1)
    means = bin_means(activity, seconds, 0.5, n_bins)
    for b in range(n_bins):
        last = b == n_bins - 1
        inside = (seconds - 1e-6 >= 0.5 * b) & (last | (seconds - 1e-6 < 0.5 * (b + 1)))
        if inside.any():
            np.testing.assert_allclose(means[b], activity[inside].mean(0), rtol=1e-4, atol=1e-5)
        else:
            assert (means[b] == activity).all(1).any()  # some frame covers it


def test_a_clip_cut_a_little_short_keeps_its_last_bin():
    assert count_bins(14.99, 1.5) == 10 and count_bins(15.0, 1.5) == 10
    assert count_bins(0.3, 1.5) == 1


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for k, seconds in enumerate((3.0, 1.5, 2.0)):
        (root / "x").mkdir(exist_ok=True)
        x = 0.05 * rng.standard_normal(int(seconds * 22050))
        write_audio(root / "x" / f"{k}.wav", x.astype(np.float32), 22050)
    return load_clips(root)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("cortexnet_z", 2).eval()


@pytest.fixture(scope="module")
def store(clips, model, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "z.zarr"
    return extract(model, clips, path, "z", bin_seconds=0.5)


def test_store_is_labelled_and_holds_nothing_past_a_clips_end(store, clips, model):
    data = xr.open_zarr(store)
    assert data["clip"].values.tolist() == clips["clip_id"].tolist()
    np.testing.assert_allclose(data["time"], [0.25, 0.75, 1.25, 1.75, 2.25, 2.75])
    assert data.attrs["complete"] and data.attrs["bin_seconds"] == 0.5
    layers = [v.attrs["layer"] for v in data.data_vars.values() if "layer" in v.attrs]
    assert sorted(layers) == sorted(model.areas)
    belt = data["belt"].values
    n_bins = np.isfinite(belt).all(2).sum(1)
    assert n_bins.tolist() == [6, 3, 4] and np.isnan(belt[1, 3:]).all()


def test_an_interrupted_store_is_completed_with_equal_values(store, clips, model, tmp_path):
    broken = shutil.copytree(store, tmp_path / "z.zarr")
    group = zarr.open_group(broken, mode="r+", zarr_format=2)
    group["done"][1] = False
    group["belt"][1] = np.nan
    group.attrs["complete"] = False
    done = []
    extract(model, clips, broken, "z", bin_seconds=0.5, report=lambda i, n: done.append((i, n)))
    assert done[-1] == (3, 3)
    whole, again = xr.open_zarr(store), xr.open_zarr(broken)
    xr.testing.assert_equal(whole["belt"], again["belt"])
    assert again.attrs["complete"]


def test_a_store_of_another_model_or_other_bins_is_refused(store, clips, model):
    with pytest.raises(InputError, match="bin_seconds"):
        extract(model, clips, store, "z", bin_seconds=1.0)
    other = create_model("cortexnet_z", 2).eval()
    with pytest.raises(InputError, match="weights_sha256"):
        extract(other, clips, store, "z", bin_seconds=0.5)
    with pytest.raises(InputError, match="no layer 'A2'"):
        extract(model, clips, store, "z", layers=["A2"])


def test_frames_are_kept_as_the_model_has_them_on_an_axis_a_layer(clips, model, tmp_path):
    path = extract(model, clips, tmp_path / "f.zarr", "z", bin_seconds="frames")
    data = xr.open_zarr(path)
    wave = torch.from_numpy(waveform(clips.iloc[1], 22050))[None]
    with torch.inference_mode():
        areas, seconds = model.forward_areas(wave)
    for area in model.areas:
        name = area.replace("/", "_")
        n = areas[area].shape[1]
        values = data[name].values[1]
        np.testing.assert_array_equal(values[:n], areas[area][0])
        assert np.isnan(values[n:]).all()  # the longest clip sets the length
        np.testing.assert_allclose(data[f"time_{name}"][:n], seconds[area])
    assert data["A1"].dims == ("clip", "time_A1", "unit_A1")
    assert data.attrs["bin_seconds"] == "frames"
    assert extract(model, clips, path, "z", bin_seconds=0) == path  # the same


def test_clip_means_are_means_over_all_frames(clips, model, tmp_path):
    path = extract(model, clips, tmp_path / "c.zarr", "z", ["belt"], "clip")
    data = xr.open_zarr(path)
    with torch.inference_mode():
        areas, _ = model.forward_areas(torch.from_numpy(waveform(clips.iloc[2], 22050))[None])
    assert data["belt"].shape[1] == 1 and "A1" not in data
    np.testing.assert_allclose(data["belt"][2, 0], areas["belt"][0].mean(0), atol=1e-5)


def test_areas_and_modules_of_any_network_come_into_one_store(clips, tmp_path):
    torch.manual_seed(0)
    model = create_model("cnn2d_4l", 2).eval()
    path = extract(
        model, clips, tmp_path / "m.zarr", "cnn", ["conv4", "blocks.3", "classifier.4"], "frames",
        time_axis={"blocks.3": 3}, source={"control": "random", "control_seed": 1},
    )  # fmt: skip
    data = xr.open_zarr(path)
    np.testing.assert_array_equal(data["conv4"], data["blocks.3"])
    assert data["classifier.4"].shape == (3, 1, 256)
    np.testing.assert_allclose(data["time_blocks.3"], [1, 2, 3], rtol=1e-3)
    assert data.attrs["control"] == "random" and data.attrs["control_seed"] == 1
    with pytest.raises(InputError, match="control_seed differs"):
        extract(
            model, clips, path, "cnn", ["conv4", "blocks.3", "classifier.4"], "frames",
            time_axis={"blocks.3": 3}, source={"control": "random", "control_seed": 2},
        )  # fmt: skip


def test_every_recurrent_step_is_written_on_request(clips, tmp_path):
    class Twice(nn.Module):
        areas, sample_rate = ("low", "high"), 22050
        steps = {"low": 1, "high": 2}  # noqa: RUF012

        def forward_areas(self, x, steps=False):
            low = x.unfold(1, 2205, 2205)[..., :3]
            areas = {"low": low, "high": 2 * low} | ({"high@0": low} if steps else {})
            ends = np.arange(1, low.shape[1] + 1) / 10
            return areas, dict.fromkeys(areas, ends)

    path = extract(Twice(), clips, tmp_path / "s.zarr", "s", bin_seconds=0.5, steps=True)
    data = xr.open_zarr(path)
    np.testing.assert_array_equal(data["high"], 2 * data["high@0"])
    path = extract(Twice(), clips, tmp_path / "one.zarr", "s", ["high@0"], 0.5)
    np.testing.assert_array_equal(xr.open_zarr(path)["high@0"], data["high@0"])


def test_bins_that_are_none_are_refused(clips, model, tmp_path):
    for width in (-1, "volumes", float("inf")):
        with pytest.raises(InputError, match="'frames' or 'clip'"):
            extract(model, clips, tmp_path / "x.zarr", "z", bin_seconds=width)
    assert not (tmp_path / "x.zarr").exists()
