"""A planted stage is found, noise is not, and held-out rows teach nothing."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from encoding import (
    InputError,
    RidgeEdgeWarning,
    delay,
    fit_layers,
    infer,
    permutation_test,
    simulate,
    summarise,
)
from encoding import samples_from_events as volumes

pytestmark = pytest.mark.filterwarnings("ignore::encoding.RidgeEdgeWarning")

CLIP_VOLUMES = 10


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Problems this small only wait for threads."""
    with threadpool_limits(1):
        yield


def experiment(n_train=5, n_test=2, clips=10, n_units=12, seed=0, correlation=0.0):
    """Runs that open with a dummy; test runs of the same clips four times over."""
    rows = []
    for k in range(n_train):
        order = [f"t{k}-{i}" for i in range(clips)]
        for i, clip in enumerate([order[-1], *order]):
            rows.append((f"Training-{k}", i, clip, 1, i == 0, "train"))
    for k in range(n_test):
        order = [f"v{k}-{i}" for i in range(6)]
        for i, clip in enumerate([order[-1], *(order * 4)]):
            rows.append((f"Test-{k}", i, clip, max(1 + (i - 1) // 6, 1), i == 0, "test"))
    events = pd.DataFrame(rows, columns=["run", "i", "clip_id", "repeat", "dummy", "split"])
    events["onset"], events["duration"] = 15.0 * events["i"], 15.0
    counts = events.groupby("run").size() * CLIP_VOLUMES
    samples = volumes(events.drop(columns="i"), counts.to_dict(), 1.5)
    rng = np.random.default_rng(seed)
    shared = features_of(samples, rng, n_units)
    stages = {
        name: correlation * shared + (1 - correlation) * features_of(samples, rng, n_units)
        for name in ("A1", "belt", "parabelt")
    }
    return samples, stages


def features_of(samples, rng, n_units):
    clips = {c: rng.standard_normal((CLIP_VOLUMES, n_units)) for c in samples["clip_id"].unique()}
    step = np.round(samples["time"] / 1.5).astype(int)
    return np.stack([clips[c][t] for c, t in zip(samples["clip_id"], step, strict=True)]).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def recovered():
    samples, stages = experiment(correlation=0.3)
    planted = {"core": "A1", "lateral": "belt", "rostral": "parabelt", "visual": None}
    responses, truth = simulate(stages, samples, planted, 60, 1.0, drift=0.3, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = fit_layers(stages, responses.data, samples, targets=responses.targets)
    return scores, responses, truth, stages, samples


def test_the_planted_stage_is_recovered_in_95_percent_of_targets(recovered):
    scores, responses, truth, _, _ = recovered
    best = scores.dataset["layer"].to_numpy()[scores.dataset["r"].to_numpy().argmax(0)]
    planted = responses.targets["region"].map(truth["planted"])
    signal = planted.notna().to_numpy()
    assert np.mean(best[signal] == planted[signal].to_numpy()) >= 0.95


def test_noise_regions_have_no_correlation(recovered):
    scores = recovered[0].dataset
    noise = scores["r"].sel(target=scores["region"] == "visual")
    assert abs(float(noise.mean())) < 0.03
    assert float(scores["explainable_variance"].sel(target=noise["target"]).mean()) < 0.06


def test_ceilings_match_the_planted_variance_and_models_stay_below(recovered):
    scores, _, truth, _, _ = recovered
    core = scores.dataset.sel(target=scores.dataset["region"] == "core")
    # Drift adds variance that averaging repeats does not explain: hence the wider tolerance.
    ev = float(core["explainable_variance"].mean())
    assert ev == pytest.approx(truth["explainable_variance"]["core"], abs=0.06)
    assert float(core["r"].sel(layer="A1").mean()) < float(core["cc_max_mean"].mean())


def test_summary_names_the_planted_stage_for_every_region(recovered):
    scores, _, truth, _, _ = recovered
    summary = summarise(scores, infer(scores, n_permutations=200, n_resamples=200))
    for region, stage in truth["planted"].items():
        if stage is None:
            continue
        assert summary["best_stage"][region]["layer"] == stage
        assert summary["best_stage"][region]["share"] > 0.95
        entry = summary["layers"][stage][region]
        assert entry["p"] == pytest.approx(1 / 201)
        assert entry["interval"][0] < entry["mean_r"] < entry["interval"][1]
        assert entry["n_targets"] == 60
        # All the explainable signal is linear in the features, less what 500 rows cannot teach.
        assert 0.6 < entry["r_normalised"] < 1.02
    assert summary["layers"]["A1"]["visual"]["p"] > 0.01


def test_p_values_of_noise_are_uniform():
    samples, stages = experiment(n_train=4, n_test=2)
    responses, _ = simulate(stages, samples, {"noise": None}, 400, drift=0.0, seed=3)
    scores = fit_layers({"A1": stages["A1"]}, responses.data, samples, targets=responses.targets)
    p = infer(scores, n_permutations=400, n_resamples=2).permutations["A1"].p
    assert kstest(p, "uniform").pvalue > 0.001
    assert np.mean(p < 0.05) < 0.08


def test_predictions_equal_a_plain_loop_over_delay_drop_fit_average():
    samples, stages = experiment(n_train=3, n_test=1)
    samples["leak"] = samples["clip_id"] == "t1-4"
    responses, _ = simulate(stages, samples, {"core": "A1"}, 5, 1.0, seed=2)
    alphas = [3.0]
    scores = fit_layers(
        {"A1": stages["A1"]}, responses.data, samples, (2, 3), alphas, targets=responses.targets
    )
    X = delay(stages["A1"].astype(float), samples["run"], (2, 3))
    train = (~samples["dummy"] & (samples["split"] == "train") & ~samples["leak"]).to_numpy()
    test = (~samples["dummy"] & (samples["split"] == "test")).to_numpy()
    Z = (X - X[train].mean(0)) / X[train].std(0) / np.sqrt(X.shape[1])
    model = Ridge(alpha=3.0).fit(Z[train], responses.data[train])
    rows = samples[test].assign(sample=lambda t: t["clip_id"] + t["time"].astype(str))
    order = rows["sample"].unique()
    for own, whole in [
        (scores.predictions[0], model.predict(Z[test])),
        (scores.responses, responses.data[test]),
    ]:
        averaged = pd.DataFrame(whole).groupby(rows["sample"].to_numpy()).mean().loc[order]
        np.testing.assert_allclose(own, averaged, atol=2e-5)
    for target in range(5):
        y, p = scores.responses[:, target], scores.predictions[0][:, target]
        r2 = 1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum()
        assert float(scores.dataset["r"][0, target]) == pytest.approx(np.corrcoef(y, p)[0, 1])
        assert float(scores.dataset["r2"][0, target]) == pytest.approx(r2, abs=1e-5)
    assert len(scores.samples) == 60 and scores.samples["block"].nunique() == 6


def test_held_out_responses_have_no_influence_on_predictions():
    samples, stages = experiment(n_train=3, n_test=1)
    responses, _ = simulate(stages, samples, {"core": "A1"}, 5, 1.0)
    test = (samples["split"] == "test").to_numpy() | samples["dummy"].to_numpy()
    changed = responses.data.copy()
    changed[test] = 1e3
    a, b = (fit_layers(stages, Y, samples).predictions for Y in (responses.data, changed))
    np.testing.assert_array_equal(a, b)


def test_without_test_rows_each_run_is_predicted_from_the_others():
    samples, stages = experiment(n_train=4, n_test=0)
    responses, _ = simulate(
        stages, samples, {"core": "A1", "x": None}, {"core": 20, "x": 200}, 1.0, drift=0.0
    )
    scores = fit_layers(stages, responses.data, samples, targets=responses.targets)
    r = scores.dataset["r"]
    assert float(r.sel(layer="A1")[:20].mean()) > 0.4
    assert abs(float(r[:, 20:].mean())) < 0.02  # nor does leaving runs out bias it
    assert scores.dataset["cc_max_mean"].isnull().all()
    assert len(scores.samples) == (~samples["dummy"]).sum()
    # Responses of a run change nothing about that run's own predictions.
    last = (samples["run"] == "Training-3").to_numpy()
    changed = np.where(last[:, None], -5 * responses.data, responses.data)
    other = fit_layers(stages, changed, samples)
    own = (scores.samples["run"] == "Training-3").to_numpy()
    np.testing.assert_allclose(other.predictions[:, own], scores.predictions[:, own], atol=1e-6)


def test_leaving_runs_out_in_turn_keeps_the_false_positive_rate_because_the_null_is_widened():
    samples, stages = experiment(n_train=6, n_test=0)
    responses, _ = simulate(stages, samples, {"x": None}, 1500, drift=0.0, seed=4)
    scores = fit_layers({"A1": stages["A1"]}, responses.data, samples)
    p = infer(scores, n_permutations=200, n_resamples=2).permutations["A1"].p
    assert 0.03 < np.mean(p <= 0.05) < 0.06
    labels = scores.samples["run"], scores.samples["block"]
    plain = permutation_test(scores.predictions[0], scores.responses, *labels, n_permutations=200)
    assert np.mean(plain.p <= 0.05) > 0.08  # runs that predict each other are no new evidence


def test_plain_run_labels_suffice():
    rng = np.random.default_rng(0)
    runs = np.repeat([1, 2, 3, 4], 50)
    X = rng.standard_normal((200, 3))
    Y = delay(X, runs, (2,)) @ rng.standard_normal((3, 6)) + rng.standard_normal((200, 6))
    scores = fit_layers({"X": X}, Y, runs, (2,), [1.0, 10.0])
    assert float(scores.dataset["r"].mean()) > 0.5
    assert scores.samples.groupby("block").size().eq(10).all()


def test_the_edge_of_the_grid_is_reported_for_each_layer():
    samples, stages = experiment(n_train=3, n_test=1)
    responses, _ = simulate(stages, samples, {"x": None}, 20)
    with pytest.warns(RidgeEdgeWarning, match="belt: .*the largest"):
        fit_layers({"belt": stages["belt"]}, responses.data, samples)


def test_shapes_that_do_not_fit_are_named():
    samples, stages = experiment(n_train=2, n_test=1)
    Y = np.zeros((len(samples), 3), np.float32)
    with pytest.raises(InputError, match="belt"):
        fit_layers({"belt": stages["belt"][:-1]}, Y, samples)
    with pytest.raises(InputError, match="NaN"):
        fit_layers({"belt": stages["belt"] * np.nan}, Y, samples)
    with pytest.raises(InputError, match="rows"):
        fit_layers(stages, Y[:-1], samples)
    with pytest.raises(InputError, match="fewer than two runs"):
        fit_layers(stages, Y, samples, groups=np.ones(len(samples)))


def test_simulated_signal_is_shared_by_repeats_and_has_the_asked_variance():
    samples, stages = experiment(n_train=2, n_test=1)
    kept = (~samples["dummy"]).to_numpy()
    signal, truth = simulate(stages, samples, {"core": "A1"}, 8, 1e8, drift=0.0)
    assert truth["delays"] == [2, 3, 4, 5]
    assert np.argmax(truth["hrf"]) in (1, 2)  # 4.5 or 6 s
    test = signal.select(kept & (samples["split"] == "test").to_numpy())
    repeats = [test.data[(test.samples["repeat"] == k).to_numpy()] for k in (1, 2, 3, 4)]
    for other in repeats[1:]:
        np.testing.assert_allclose(other / 1e4, repeats[0] / 1e4, atol=2e-3)
    noisy, _ = simulate(stages, samples, {"core": "A1", "x": None}, 300, 0.5, drift=0.0)
    variance = noisy.data[kept].var(0)
    assert variance[:300].mean() == pytest.approx(1.5, abs=0.05)
    noise = noisy.data[samples["run"] == "Training-0", 300:]
    lag = np.mean(noise[1:] * noise[:-1]) / np.mean(noise**2)
    assert lag == pytest.approx(0.5, abs=0.03)


def test_simulation_is_the_same_for_a_seed_and_its_regions_are_independent():
    samples, stages = experiment(n_train=2, n_test=1)
    a, _ = simulate(stages, samples, {"core": "A1", "x": None}, 4, seed=5)
    b, _ = simulate(stages, samples, {"core": "A1"}, 4, seed=5)
    c, _ = simulate(stages, samples, {"core": "A1"}, 4, seed=6)
    np.testing.assert_array_equal(a.data[:, :4], b.data)
    assert np.abs(b.data - c.data).max() > 0.1
    with pytest.raises(InputError, match="belt2"):
        simulate(stages, samples, {"core": "belt2"})


def test_targets_with_nan_are_counted_and_leave_the_others_alone():
    samples, stages = experiment(n_train=3, n_test=1)
    responses, _ = simulate(stages, samples, {"core": "A1"}, 6, 1.0)
    whole = fit_layers(stages, responses.data, samples)
    broken = responses.data.copy()
    rows = np.flatnonzero(~samples["dummy"])
    broken[rows[3], 2], broken[rows[-1], 4] = np.nan, np.inf
    broken[np.flatnonzero(samples["dummy"])[0], 0] = np.nan  # never used
    with pytest.warns(UserWarning, match="2 of 6 targets .* number 2"):
        scores = fit_layers(stages, broken, samples)
    good = [0, 1, 3, 5]
    np.testing.assert_allclose(scores.predictions[..., good], whole.predictions[..., good])
    assert (scores.dataset["r"][:, [2, 4]] == 0).all() and np.isfinite(scores.predictions).all()
    assert scores.dataset["best_alpha"][:, [2, 4]].isnull().all()
    assert infer(scores, n_permutations=99, n_resamples=9).permutations["A1"].p[2] == 1
