"""Block permutation holds its level under autocorrelation; block sums equal plain resampling."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import chisquare, kstest

from encoding import InputError, block_bootstrap, permutation_test
from encoding import resampling as module

RUNS = np.repeat(np.arange(6), 100)
BLOCKS = np.repeat(np.arange(60), 10)


def ar1(rng, shape, rho=0.5):
    noise = rng.standard_normal(shape)
    noise[:, 0] /= np.sqrt(1 - rho**2)
    return lfilter([1], [1, -rho], noise, axis=1)


def autocorrelated(n_targets, seed):
    """Predictions and unrelated responses, both AR(.5) within runs."""
    rng = np.random.default_rng(seed)
    return [ar1(rng, (6, 100, n_targets)).reshape(600, n_targets) for _ in range(2)]


def test_false_positives_are_4_to_6_percent_under_ar_noise_and_shuffled_volumes_are_liberal():
    # 8000 null tests: the standard error of a rate of 5 % is .24 %.
    predictions, responses = autocorrelated(8000, seed=11)
    p = permutation_test(predictions, responses, RUNS, BLOCKS, n_permutations=400).p
    assert 0.04 < np.mean(p <= 0.05) < 0.06
    iid = permutation_test(
        predictions[:, :2000], responses[:, :2000], RUNS, np.arange(600), n_permutations=199
    ).p
    assert np.mean(iid <= 0.05) > 0.08


def test_p_values_are_uniform_under_ar_noise():
    # 4000 independent tests: 5 % of uniform samples exceed a distance of .021, 1 % one of .026.
    predictions, responses = autocorrelated(4000, seed=4)
    test = permutation_test(predictions, responses, RUNS, BLOCKS, n_permutations=999)
    assert kstest(test.p, "uniform").statistic < 0.026
    counts = np.histogram(test.p, np.linspace(0, 1, 11))[0]
    assert chisquare(counts).pvalue > 0.01
    region_p = permutation_test(
        predictions, responses, RUNS, BLOCKS, regions=np.arange(4000) // 10, n_permutations=999
    ).region_p
    assert kstest(region_p, "uniform").statistic < 0.082  # 1 % of 400 uniform values exceed it


def test_the_maximum_is_exceeded_by_chance_in_one_experiment_of_twenty():
    # 100 experiments of 30 null targets: standard error of the rate 2.2 %.
    predictions, responses = autocorrelated(3000, seed=8)
    false = 0
    for i in range(100):
        part = slice(30 * i, 30 * (i + 1))
        test = permutation_test(
            predictions[:, part], responses[:, part], RUNS, BLOCKS, n_permutations=99, n_jobs=1
        )
        false += test.p_max.min() <= 0.05
    assert false <= 12


def test_p_values_equal_a_plain_loop_over_permuted_rows():
    rng = np.random.default_rng(0)
    runs, blocks = np.repeat([0, 1], [40, 30]), np.repeat(np.arange(7), 10)
    predictions = rng.standard_normal((70, 5))
    responses = 0.2 * predictions + rng.standard_normal((70, 5))
    regions = ["a", "b", "a", "b", "b"]
    fast = permutation_test(
        predictions, responses, runs, blocks, regions=regions, n_permutations=50, seed=3
    )

    def correlate(p):
        return np.array([np.corrcoef(p[:, t], responses[:, t])[0, 1] for t in range(5)])

    observed, null = correlate(predictions), []
    for i in range(50):
        draw = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(i,)))
        order = np.concatenate([draw.permutation(4), 4 + draw.permutation(3)])
        rows = (order[:, None] * 10 + np.arange(10)).ravel()
        null.append(correlate(predictions[rows]))
    null = np.array(null)
    np.testing.assert_allclose(fast.p, ((null >= observed).sum(0) + 1) / 51)
    highest = null.max(1)[:, None]
    np.testing.assert_allclose(fast.p_max, ((highest >= observed).sum(0) + 1) / 51)
    for i, region in enumerate("ab"):
        inside = np.array(regions) == region
        exceed = null[:, inside].mean(1) >= observed[inside].mean()
        assert fast.region_p[i] == pytest.approx((exceed.sum() + 1) / 51)
    assert np.all(fast.q >= fast.p)


def test_bootstrap_equals_a_plain_loop_over_resampled_rows():
    rng = np.random.default_rng(0)
    lengths = [10, 7, 10, 12, 9]  # blocks may differ in length
    blocks, runs = np.repeat(np.arange(5), lengths), np.repeat([0, 0, 1, 1, 1], lengths)
    predictions = rng.standard_normal((48, 3)) + 50  # far from zero: sums must be accurate
    responses = 0.5 * predictions + rng.standard_normal((48, 3))
    fast = block_bootstrap(predictions, responses, runs, blocks, n_resamples=40, seed=2)
    slow = []
    for i in range(40):
        draw = np.random.default_rng(np.random.SeedSequence(2, spawn_key=(i,)))
        chosen = np.concatenate([draw.integers(2, size=2), 2 + draw.integers(3, size=3)])
        rows = np.concatenate([np.flatnonzero(blocks == b) for b in chosen])
        slow.append([np.corrcoef(predictions[rows, t], responses[rows, t])[0, 1] for t in range(3)])
    slow = np.array(slow)
    np.testing.assert_allclose(fast.region_means[:, 0], slow.mean(1), atol=1e-5)
    np.testing.assert_allclose(fast.interval, np.percentile(slow, [2.5, 97.5], 0).T, atol=1e-5)


def test_bootstrap_intervals_cover_the_true_correlation():
    rng = np.random.default_rng(5)
    predictions = rng.standard_normal((600, 400))
    responses = 0.3 * predictions + np.sqrt(1 - 0.09) * rng.standard_normal((600, 400))
    low, high = block_bootstrap(predictions, responses, RUNS, BLOCKS, n_resamples=400).interval.T
    assert 0.91 < np.mean((low < 0.3) & (high > 0.3)) < 0.98


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_do_not_change_results(monkeypatch, batch):
    predictions, responses = autocorrelated(20, seed=1)
    regions = ["a"] * 12 + ["b"] * 8

    def both():
        common = (predictions, responses, RUNS, BLOCKS)
        test = permutation_test(*common, regions=regions, n_permutations=99)
        return test, block_bootstrap(*common, regions=regions, n_resamples=50)

    whole = both()
    monkeypatch.setattr(module, "_BATCH", batch)
    parts = both()
    np.testing.assert_array_equal(whole[0].p, parts[0].p)
    np.testing.assert_array_equal(whole[0].p_max, parts[0].p_max)
    np.testing.assert_array_equal(whole[0].region_p, parts[0].region_p)
    np.testing.assert_allclose(whole[1].interval, parts[1].interval, atol=1e-9)


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_threads_do_not_change_results(monkeypatch, n_jobs):
    monkeypatch.setattr(module, "_BATCH", 30)
    predictions, responses = autocorrelated(200, seed=1)
    common = (predictions, responses, RUNS, BLOCKS)
    regions = np.arange(200) % 3
    a, b = (
        (
            permutation_test(*common, regions=regions, n_permutations=99, n_jobs=n),
            block_bootstrap(*common, regions=regions, n_resamples=50, n_jobs=n),
        )
        for n in (1, n_jobs)
    )
    for one, other in zip(a, b, strict=True):
        for name, value in vars(one).items():
            np.testing.assert_array_equal(value, getattr(other, name))


def test_float32_products_give_the_p_values_of_float64():
    predictions, responses = autocorrelated(100, seed=6)
    p = permutation_test(predictions, responses, RUNS, BLOCKS, n_permutations=300, seed=5).p
    y, f = responses - responses.mean(0), predictions - predictions.mean(0)
    y, f = y / np.linalg.norm(y, axis=0), f / np.linalg.norm(f, axis=0)
    exceed = np.zeros(100)
    for i in range(300):
        draw = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(i,)))
        order = np.concatenate([10 * run + draw.permutation(10) for run in range(6)])
        rows = (order[:, None] * 10 + np.arange(10)).ravel()
        exceed += (f[rows] * y).sum(0) >= (f * y).sum(0)
    np.testing.assert_array_equal(p, (exceed + 1) / 301)


def test_runs_that_predict_each_other_need_wider_intervals():
    # Predictions of run a from the weights of the others, many draws of noise, no signal.
    rng = np.random.default_rng(0)
    X = ar1(rng, (6, 100, 20))
    predictions, responses = [], []
    for _ in range(300):
        y = ar1(rng, (6, 100, 1))
        y -= y.mean(1, keepdims=True)
        moments = np.einsum("rtp,rtv->rpv", X, y)
        predicted = X @ (moments.sum(0) - moments)
        predictions.append(predicted.ravel())
        responses.append(y.ravel())
    common = np.array(predictions).T, np.array(responses).T, RUNS, BLOCKS
    pairs = zip(predictions, responses, strict=True)
    expected = np.mean([np.corrcoef(p, y)[0, 1] for p, y in pairs])
    raw = block_bootstrap(*common, n_resamples=400, regions=["a"] * 300)
    wide = block_bootstrap(*common, n_resamples=400, regions=["a"] * 300, crossed=True)
    low, high = raw.interval.T
    assert np.mean((low < expected) & (expected < high)) < 0.82
    low, high = wide.interval.T
    assert np.mean((low < expected) & (expected < high)) > 0.88
    # Spread about the observed mean, not shifted.
    np.testing.assert_allclose(
        wide.region_means - expected, np.sqrt(2) * (raw.region_means - expected), atol=1e-6
    )


def test_a_true_effect_is_found_and_the_seed_decides():
    predictions, responses = autocorrelated(30, seed=2)
    responses[:, :5] += predictions[:, :5]
    a = permutation_test(predictions, responses, RUNS, BLOCKS, n_permutations=500, seed=1)
    b = permutation_test(predictions, responses, RUNS, BLOCKS, n_permutations=500, seed=1)
    c = permutation_test(predictions, responses, RUNS, BLOCKS, n_permutations=500, seed=2)
    np.testing.assert_array_equal(a.p, b.p)
    assert np.any(a.p != c.p)
    assert np.all(a.p_max[:5] == 1 / 501) and np.all(a.q[:5] < 0.05)
    assert np.mean(a.p_max[5:] < 0.05) < 0.1


def test_blocks_trade_places_with_equal_lengths_only():
    rng = np.random.default_rng(0)
    blocks = np.repeat(np.arange(5), [10, 10, 10, 10, 7])
    runs = np.zeros(47)
    predictions, responses = rng.standard_normal((2, 47, 3))
    with pytest.warns(UserWarning, match="1 of 5 blocks"):
        permutation_test(predictions, responses, runs, blocks, n_permutations=20)


def test_constant_predictions_are_not_significant():
    predictions, responses = autocorrelated(3, seed=0)
    predictions[:, 1] = 2.0
    test = permutation_test(predictions, responses, RUNS, BLOCKS, n_permutations=50)
    assert test.p[1] == 1
    boot = block_bootstrap(predictions, responses, RUNS, BLOCKS, n_resamples=20)
    np.testing.assert_array_equal(boot.interval[1], 0)


def test_labels_that_do_not_fit_are_refused():
    predictions, responses = autocorrelated(3, seed=0)
    with pytest.raises(InputError, match="shape"):
        permutation_test(predictions[:, :2], responses, RUNS, BLOCKS)
    with pytest.raises(InputError, match="rows"):
        permutation_test(predictions, responses, RUNS[:-1], BLOCKS[:-1])
    with pytest.raises(InputError, match="regions"):
        block_bootstrap(predictions, responses, RUNS, BLOCKS, regions=["a"])
