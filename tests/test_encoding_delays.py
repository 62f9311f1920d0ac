"""The delay at which a response follows its features is found on held-out runs."""

import numpy as np
import pytest
from scipy.signal import lfilter
from threadpoolctl import threadpool_limits

from encoding import InputError, delay, fit_layers
from encoding.delays import delay_profile

pytestmark = pytest.mark.filterwarnings("ignore::encoding.RidgeEdgeWarning")
ALPHAS = np.logspace(-2, 4, 7)


def problem(planted, n_targets, noise, rho=0.6, seed=0):
    rng = np.random.default_rng(seed)
    runs = np.repeat([f"r{i}" for i in range(6)], 80)
    X = lfilter([np.sqrt(1 - rho**2)], [1, -rho], rng.standard_normal((480, 10)), axis=0)
    signal = delay(X, runs, (planted,)) @ rng.standard_normal((10, n_targets))
    return X, signal / signal.std(0) + noise * rng.standard_normal((480, n_targets)), runs


def test_a_planted_delay_is_recovered_in_95_percent_of_targets_at_high_snr():
    with threadpool_limits(1):
        X, Y, runs = problem(3, 100, noise=1.0)
        out = delay_profile(X, Y, runs, (0, 1, 2, 3, 4, 5), ALPHAS)
        assert np.mean(out["best_delay"] == 3) >= 0.95
        profile = out["r"].mean("target")
        # Autocorrelated features predict from beside the true delay, less with distance.
        assert profile.sel(delay=3) > profile.sel(delay=4) > profile.sel(delay=5) > 0.05
        single = fit_layers({"X": X}, Y, runs, (4,), ALPHAS).dataset["r"].isel(layer=0)
        np.testing.assert_array_equal(out["r"].sel(delay=4), single)


def test_noise_prefers_no_delay():
    with threadpool_limits(1):
        X, _, runs = problem(3, 1, noise=1.0)
        Y = np.random.default_rng(1).standard_normal((480, 200))
        out = delay_profile(X, Y, runs, (1, 2, 3, 4), ALPHAS)
    shares = [float(np.mean(out["best_delay"] == d)) for d in (1, 2, 3, 4)]
    assert max(shares) < 0.45
    assert abs(out["r"].mean()) < 0.03


def test_a_delay_given_twice_is_refused():
    X, Y, runs = problem(3, 2, noise=1.0)
    with pytest.raises(InputError, match="once"):
        delay_profile(X, Y, runs, (1, 1))
