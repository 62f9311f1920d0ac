"""Features land on the right volumes and never leave their run."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from encoding import InputError, delay, design_matrix, features_at, samples_from_events


def store(bin_seconds, n_clips=3, seconds=15.0, units=4, seed=0):
    n_bins = round(seconds / bin_seconds)
    values = np.random.default_rng(seed).standard_normal((n_clips, n_bins, units))
    return xr.DataArray(
        values.astype(np.float32),
        dims=("clip", "time", "unit_belt"),
        coords={
            "clip": [f"c{i}" for i in range(n_clips)],
            "time": (np.arange(n_bins) + 0.5) * bin_seconds,
        },
        name="belt",
    )


def samples_of(order=("c2", "c0", "c1"), runs=("r1", "r2"), tr=1.5):
    table = pd.DataFrame(
        [
            {"run": r, "onset": 15.0 * k, "duration": 15.0, "clip_id": c, "dummy": k == 0}
            for r in runs
            for k, c in enumerate(order)
        ]
    )
    return samples_from_events(table, round(15 * len(order) / tr), tr)


def test_bins_equal_to_the_tr_are_looked_up():
    layer, samples = store(1.5), samples_of()
    X = features_at(layer, samples)
    assert X.dtype == np.float32
    for row in range(len(samples)):
        bin_number = int(samples["time"][row] / 1.5)
        expected = layer.sel(clip=samples["clip_id"][row])[bin_number]
        np.testing.assert_array_equal(X[row], expected)


def test_finer_bins_are_averaged_over_the_volume():
    layer, samples = store(0.1), samples_of()
    X = features_at(layer, samples)
    for row in range(len(samples)):
        time = samples["time"][row]
        inside = (layer["time"] >= time - 1e-9) & (layer["time"] < time + 1.5)
        expected = layer.sel(clip=samples["clip_id"][row])[inside.to_numpy()].mean("time")
        np.testing.assert_allclose(X[row], expected, rtol=1e-5, atol=1e-6)


def test_a_clip_cut_short_averages_what_is_there_and_holds_its_last_bin():
    layer, samples = store(0.5), samples_of()
    layer.loc["c0"][29:] = np.nan  # 14.5 s: two of three bins of the last volume remain
    X = features_at(layer, samples)
    last = np.flatnonzero((samples["clip_id"] == "c0") & (samples["time"] == 13.5))[0]
    np.testing.assert_allclose(X[last], layer.sel(clip="c0")[27:29].mean("time"), rtol=1e-5)
    layer.loc["c0"][27:] = np.nan
    np.testing.assert_array_equal(features_at(layer, samples)[last], layer.sel(clip="c0")[26])
    layer.loc["c0"][10:] = np.nan
    with pytest.warns(UserWarning, match="past the end"):
        assert np.all(features_at(layer, samples)[last] == 0)


def test_what_cannot_be_looked_up_is_named():
    samples = samples_of()
    with pytest.raises(InputError, match="c2"):
        features_at(store(1.5, n_clips=2), samples)
    with pytest.raises(InputError, match="no multiple"):
        features_at(store(1.0), samples)
    with pytest.raises(InputError, match="no multiple"):
        features_at(store(3.0), samples)
    late = samples.assign(time=samples["time"] + 0.7)
    with pytest.raises(InputError, match=r"r1.*0\.7 s after the onset of c2"):
        features_at(store(1.5), late)
    twice = xr.concat([store(1.5), store(1.5)], "clip")
    with pytest.raises(InputError, match="twice"):
        features_at(twice, samples)


def slow_delay(X, runs, delays):
    out = np.zeros((len(X), X.shape[1] * len(delays)), X.dtype)
    for t in range(len(X)):
        before = [s for s in range(t + 1) if runs[s] == runs[t]]  # of the run, up to t
        for block, d in enumerate(delays):
            if d < len(before):
                columns = slice(block * X.shape[1], (block + 1) * X.shape[1])
                out[t, columns] = X[before[-1 - d]]
    return out


designs = st.tuples(
    st.lists(st.integers(0, 3), min_size=1, max_size=25),
    st.lists(st.integers(0, 8), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
)


@given(designs)
def test_delays_equal_the_slow_loop_for_any_run_structure(case):
    labels, delays, seed = case
    X = np.random.default_rng(seed).standard_normal((len(labels), 3))
    runs = np.array(labels)
    np.testing.assert_array_equal(delay(X, runs, delays), slow_delay(X, runs, delays))


@given(designs)
def test_features_of_one_run_reach_no_other(case):
    labels, delays, seed = case
    rng = np.random.default_rng(seed)
    X, runs = rng.standard_normal((len(labels), 2)), np.array(labels)
    changed = X.copy()
    changed[runs == labels[0]] = rng.standard_normal(2)
    others = runs != labels[0]
    a, b = delay(X, runs, delays), delay(changed, runs, delays)
    np.testing.assert_array_equal(a[others], b[others])


def test_the_first_real_volume_hears_the_dummy():
    layer, samples = store(1.5), samples_of()
    X = design_matrix(layer, samples, (2, 3))
    first = np.flatnonzero(~samples["dummy"])[0]
    dummy = layer.sel(clip="c2")
    np.testing.assert_array_equal(X[first], np.concatenate([dummy[8], dummy[7]]))


def test_negative_delays_are_refused():
    with pytest.raises(InputError, match="non-negative"):
        delay(np.zeros((3, 1)), np.zeros(3), (-1,))
    with pytest.raises(InputError, match="runs"):
        delay(np.zeros((3, 1)), np.zeros(2), (1,))
