"""Ceilings equal the truth on average, also where there is nothing to explain."""

import numpy as np
import pytest

from encoding import InputError, noise_ceiling


def repeats_of(snr, n_repeats=4, n_samples=1000, n_targets=200, seed=0):
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((n_samples, n_targets)) * np.sqrt(snr)
    return signal + rng.standard_normal((n_repeats, n_samples, n_targets)), signal


@pytest.mark.parametrize("snr", [0.05, 0.3, 2.0])
def test_four_repeats_give_the_true_ceilings(snr):
    Y, _ = repeats_of(snr)
    ceiling = noise_ceiling(Y)
    assert ceiling.n_repeats == 4
    ev = snr / (1 + snr)
    cc_mean = np.sqrt(snr / (snr + 1 / 4))
    assert ceiling.signal_power.mean() == pytest.approx(snr, abs=0.01)
    assert ceiling.noise_power.mean() == pytest.approx(1, abs=0.01)
    assert ceiling.explainable_variance.mean() == pytest.approx(ev, abs=0.005)
    # Targets one by one: within .03 of the truth for nearly all.
    assert np.mean(np.abs(ceiling.explainable_variance - ev) < 0.03) > 0.85
    assert ceiling.cc_max_single.mean() == pytest.approx(np.sqrt(ev), abs=0.03)
    assert ceiling.cc_max_mean.mean() == pytest.approx(cc_mean, abs=0.03)


def test_cc_max_is_what_the_true_signal_attains():
    Y, signal = repeats_of(0.3)
    ceiling = noise_ceiling(Y)

    def correlate(a, b):
        a, b = a - a.mean(0), b - b.mean(0)
        return (a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0))

    attained = correlate(signal, Y.mean(0))
    assert ceiling.cc_max_mean.mean() == pytest.approx(attained.mean(), abs=0.01)
    assert ceiling.cc_max_single.mean() == pytest.approx(correlate(signal, Y[0]).mean(), abs=0.01)


def test_noise_is_unbiased_and_not_clipped():
    Y, _ = repeats_of(0.0, n_targets=2000, n_samples=300)
    ceiling = noise_ceiling(Y)
    ev = ceiling.explainable_variance
    assert abs(ev.mean()) < 4 * ev.std() / np.sqrt(len(ev))
    assert 0.4 < np.mean(ev < 0) < 0.6
    assert np.isnan(ceiling.cc_max_mean[ceiling.signal_power <= 0]).all()
    assert np.isfinite(ceiling.cc_max_mean[ceiling.signal_power > 0]).all()


def test_explainable_variance_is_the_usual_one_after_bias_correction():
    Y, _ = repeats_of(0.3, n_samples=50, n_targets=20)
    residual = (Y - Y.mean(0)).var(1, ddof=1).mean(0)
    uncorrected = 1 - residual / Y.var(1, ddof=1).mean(0)
    corrected = uncorrected - (1 - uncorrected) / 3
    np.testing.assert_allclose(noise_ceiling(Y).explainable_variance, corrected)


def test_labelled_rows_in_any_order_give_the_same():
    Y, _ = repeats_of(0.3, n_samples=40, n_targets=7)
    repeat, sample = np.divmod(np.arange(160), 40)
    order = np.random.default_rng(1).permutation(160)
    long = noise_ceiling(Y.reshape(160, 7)[order], repeat[order], samples=sample[order])
    np.testing.assert_allclose(long.signal_power, noise_ceiling(Y).signal_power)
    in_order = noise_ceiling(Y.reshape(160, 7), repeat)
    np.testing.assert_allclose(in_order.signal_power, noise_ceiling(Y).signal_power)


def test_what_cannot_have_a_ceiling_is_refused():
    Y = np.zeros((1, 10, 2))
    with pytest.raises(InputError, match="1 repeats"):
        noise_ceiling(Y)
    with pytest.raises(InputError, match="repeats"):
        noise_ceiling(Y[0])
    with pytest.raises(InputError, match="lack"):
        noise_ceiling(Y[0], [1] * 5 + [2] * 5, samples=[1, 2, 3, 4, 5, 1, 2, 3, 4, 6])
    with pytest.raises(InputError, match="twice"):
        noise_ceiling(Y[0], [1] * 5 + [2] * 5, samples=[1, 2, 3, 4, 4, 1, 2, 3, 4, 5])
