"""Activation stores: bins of time, whole or resumable, tied to model and sounds."""

import shutil

import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

from cortexnet.activations import bin_means, count_bins, extract
from cortexnet.registry import create_model
from stimuli import InputError, load_clips, write_audio


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
