"""Features land on the right volumes and never leave their run; clips get their patterns."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm.first_level import compute_regressor

from encoding import InputError, Responses, delay, design_matrix, features_at, samples_from_events
from encoding.hrf import hrf_design, step_response
from encoding.patterns import clip_estimates
from encoding.regressors import check_regressors, nuisance_columns, presentations


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
@settings(max_examples=50, deadline=None)
def test_delays_equal_the_slow_loop_for_any_run_structure(case):
    labels, delays, seed = case
    X = np.random.default_rng(seed).standard_normal((len(labels), 3))
    runs = np.array(labels)
    np.testing.assert_array_equal(delay(X, runs, delays), slow_delay(X, runs, delays))


@given(designs)
@settings(max_examples=50, deadline=None)
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


@pytest.mark.parametrize("hrf", ["spm", "glover"])
def test_a_boxcar_is_convolved_as_nilearn_convolves_it(hrf):
    """(onset, duration) of two events in 100 volumes; ours needs no oversampled grid."""
    tr, n = 1.5, 100
    conditions = np.array([[15.0, 60.0], [15.0, 15.0], [1.0, 2.0]])
    theirs, _ = compute_regressor(conditions, hrf, np.arange(n) * tr, oversampling=50)
    boxcar = np.zeros((n, 1))
    boxcar[10:20], boxcar[40:50] = 1, 2
    ours = hrf_design(boxcar, np.zeros(n), tr, hrf, slice_time=0)
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    assert np.corrcoef(ours[:, 0], theirs[:, 0])[0, 1] > 0.9999


def test_finer_bins_are_convolved_exactly():
    """Against the sum over bins, bin by bin."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((30 * 3, 2))
    ours = hrf_design(features, np.zeros(30), 1.5, bins_per_volume=3)
    for volume in (0, 7, 29):
        t = (volume + 0.5) * 1.5
        slow = sum(
            (step_response(t - b * 0.5) - step_response(t - (b + 1) * 0.5)) * features[b]
            for b in range(90)
        )
        np.testing.assert_allclose(ours[volume], slow, atol=1e-5)
    coarse = np.repeat(features[::3], 3, axis=0)
    np.testing.assert_allclose(
        hrf_design(coarse, np.zeros(30), 1.5, bins_per_volume=3),
        hrf_design(features[::3], np.zeros(30), 1.5),
        atol=1e-5,
    )


@given(st.lists(st.integers(0, 2), min_size=2, max_size=20), st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_convolution_is_causal_linear_and_stays_in_its_run(labels, seed):
    rng = np.random.default_rng(seed)
    runs, X = np.array(labels), rng.standard_normal((len(labels), 2))
    changed = X.copy()
    changed[-1] += 1
    a, b = hrf_design(X, runs, 1.5), hrf_design(changed, runs, 1.5)
    np.testing.assert_array_equal(a[:-1], b[:-1])
    alone = hrf_design(X[runs == labels[0]], np.zeros((runs == labels[0]).sum()), 1.5)
    np.testing.assert_allclose(a[runs == labels[0]], alone, atol=1e-6)


def test_listening_is_constant_without_silence_convolved_or_not():
    runs = np.repeat([1, 2], 410)
    rng = np.random.default_rng(0)
    design = pd.DataFrame({"loud": -25 + 0.05 * rng.standard_normal(820), "listening": 1.0})
    with pytest.raises(InputError, match=r"regressors listening are constant.*silent baseline"):
        check_regressors(design, runs)
    design["listening"] = hrf_design(np.ones((820, 1)), runs, 1.5)[:, 0]
    for kept in (slice(None), np.tile(np.arange(410) >= 10, 2)):
        with pytest.raises(InputError, match="regressors listening are constant"):
            check_regressors(design[kept], runs[kept])
    check_regressors(design[["loud"]], runs)  # small about a large mean, but it varies
    rest = np.tile(np.repeat([1.0, 0.0], 41), 10)
    design["listening"] = hrf_design(rest[:, None], runs, 1.5)[:, 0]
    check_regressors(design, runs)


def test_a_singular_design_names_what_depends():
    rng = np.random.default_rng(0)
    design = pd.DataFrame(rng.standard_normal((50, 3)), columns=list("abc"))
    design["d"] = 2 * design["a"] - design["b"] + 7
    with pytest.raises(InputError, match=r"regressors [abd] are linear combinations"):
        check_regressors(design)
    with pytest.raises(InputError, match="regressors e hold NaN"):
        check_regressors(design.assign(e=np.nan))
    with pytest.raises(InputError, match="nothing can be estimated"):
        check_regressors(rng.standard_normal((5, 9)))


def test_nuisance_marks_first_and_last_volumes_and_loudness_in_decibels():
    samples = samples_of()
    rms = {f"c{n}": np.full(30, 10.0 ** -(n + 1)) for n in range(3)}
    rms["c0"][10:] = 0
    motion = {run: np.arange(60.0).reshape(30, 2) for run in ("r1", "r2")}
    table = nuisance_columns(samples, loudness=rms, bin_seconds=0.5, motion=motion, period=20)
    first = samples["time"].to_numpy() == 0
    np.testing.assert_array_equal(table["onset"], first)
    np.testing.assert_array_equal(table["offset"], np.roll(first, -1))
    assert table["loudness_db"][samples["clip_id"] == "c2"].to_numpy() == pytest.approx(-60)
    c0 = table["loudness_db"][(samples["clip_id"] == "c0").to_numpy()].to_numpy()
    energy = np.array([np.mean(rms["c0"][k : k + 3] ** 2) for k in range(0, 30, 3)])
    np.testing.assert_allclose(c0[:10], 10 * np.log10(np.maximum(energy, 1e-8)), atol=1e-3)
    np.testing.assert_array_equal(table[["motion_01", "motion_02"]][30:], motion["r2"])
    assert [c for c in table if c.startswith("cosine")] == [f"cosine_{n + 1:02d}" for n in range(4)]
    with pytest.raises(InputError, match="run r2"):
        nuisance_columns(samples, motion={"r1": motion["r1"], "r2": motion["r2"][:9]})


def heard(n_clips=12, n_runs=2, seed=0):
    """Runs of a dummy and clips of 15 s in random order, without silence."""
    rng = np.random.default_rng(seed)
    rows = []
    for run in range(n_runs):
        order = [f"c{i}" for i in rng.permutation(n_clips)]
        for k, clip in enumerate([order[-1], *order]):
            row = {"run": f"r{run}", "onset": 15.0 * k, "duration": 15.0, "clip_id": clip}
            rows.append({**row, "dummy": k == 0})
    return samples_from_events(pd.DataFrame(rows), 10 * (n_clips + 1), 1.5)


def planted(samples, noise, seed=0, n_targets=40):
    """Responses to boxcars of random amplitude a clip (the dummy as loud as its repeat)."""
    rng = np.random.default_rng(seed)
    clips = sorted(samples["clip_id"].unique())
    truth = pd.DataFrame(rng.standard_normal((len(clips), n_targets)), index=clips)
    amplitude = truth.loc[samples["clip_id"]].to_numpy()
    data = hrf_design(amplitude, samples["run"].to_numpy(), 1.5) + 100
    data = data + noise * rng.standard_normal(data.shape)
    data[samples["dummy"]] = 0  # as from arrays that lack them
    targets = pd.DataFrame({"region": [""] * n_targets})
    return Responses(data.astype(np.float32), samples, targets), truth


def test_planted_clip_patterns_are_recovered_exactly_without_noise():
    """Up to the mean over the clips of a run, which no design without silence can tell."""
    samples = heard()
    responses, truth = planted(samples, 0)
    patterns, table = clip_estimates(responses)
    assert patterns.shape == (24, 40) and list(table.columns[:3]) == ["clip_id", "run", "repeat"]
    expected = truth.loc[table["clip_id"]].to_numpy()
    for run in ("r0", "r1"):
        rows = (table["run"] == run).to_numpy()
        centred = expected[rows] - expected[rows].mean(0)
        np.testing.assert_allclose(patterns[rows], centred, atol=0.02)
    assert table["onset"].min() == 15  # the dummy is modelled, not returned


def slow_estimates(responses, method):
    """A least-squares fit of the full design for each presentation, run by run."""
    samples, out = responses.samples, []
    for run in samples["run"].unique():
        rows = np.flatnonzero(samples["run"] == run)
        number = presentations(samples)[rows]
        boxcars = (number[:, None] == np.unique(number)).astype(float)
        X = hrf_design(boxcars, np.zeros(len(rows)), 1.5).astype(float)
        kept = ~samples["dummy"].to_numpy()[rows]
        X, Y = X[kept], responses.data[rows[kept]].astype(float)
        ones = np.ones((len(X), 1))
        if method == "lsa":
            beta = np.linalg.lstsq(np.c_[X, ones], Y, rcond=None)[0][1 : X.shape[1]]
        else:
            beta = []
            for i in range(1, X.shape[1]):
                design = np.c_[X[:, i], X.sum(1) - X[:, i], ones]
                own, others, _ = np.linalg.lstsq(design, Y, rcond=None)[0]
                beta.append(own - others)
            beta = np.array(beta)
        out.append(beta - beta.mean(0))
    return np.concatenate(out)


@pytest.mark.parametrize("method", ["lsa", "lss"])
def test_fast_patterns_equal_one_regression_each(method):
    responses, _ = planted(heard(), 1.0)
    fast, _ = clip_estimates(responses, method=method)
    np.testing.assert_allclose(fast, slow_estimates(responses, method), atol=2e-3)


@pytest.mark.parametrize("method", ["lsa", "lss"])
def test_noisy_patterns_follow_the_planted_ones(method):
    responses, truth = planted(heard(n_clips=30), 2.0)
    patterns, table = clip_estimates(responses, method=method)
    expected = truth.loc[table["clip_id"]].to_numpy()
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(patterns.T, expected.T, strict=True)]
    assert np.median(r) > 0.7
    # The same clip in two runs, after other neighbours: patterns agree.
    a, b = (
        patterns[(table["run"] == run).to_numpy()][
            np.argsort(table["clip_id"][table["run"] == run])
        ]
        for run in ("r0", "r1")
    )
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.4


def test_patterns_that_cannot_be_told_are_refused():
    responses, _ = planted(heard(), 1.0)
    n = len(responses.samples)
    with pytest.raises(InputError, match="nuisance columns for 120 volumes"):
        clip_estimates(responses, nuisance=np.random.default_rng(0).standard_normal((n, 110)))
    with pytest.raises(InputError, match="method 'lsx'"):
        clip_estimates(responses, method="lsx")
    silent = Responses(responses.data, responses.samples.assign(dummy=True), responses.targets)
    with pytest.raises(InputError, match="no presentation is left"):
        clip_estimates(silent)
