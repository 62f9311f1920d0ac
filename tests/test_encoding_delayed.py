"""The kernel of delayed features comes from shifts of one Gram matrix; costs are forecast."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoding import InputError, delay
from encoding.ridge.delayed import delayed_gram
from encoding.ridge.forecast import forecast


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.lists(st.integers(0, 10), min_size=1, max_size=4),
    st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_kernel_equals_that_of_the_delayed_design(lengths, delays, interleaved):
    rng = np.random.default_rng(0)
    runs = np.repeat(np.arange(len(lengths)), lengths)
    if interleaved:
        runs = rng.permutation(runs)
    X, Z = rng.standard_normal((2, len(runs), 5))
    D, E = delay(X, runs, delays), delay(Z, runs, delays)
    np.testing.assert_allclose(delayed_gram(X, runs, delays), D @ D.T, atol=1e-12)
    other = delayed_gram(X, runs, delays, (Z[:4], runs[:4]))
    np.testing.assert_allclose(other, D @ delay(Z[:4], runs[:4], delays).T, atol=1e-12)
    np.testing.assert_allclose(delayed_gram(X, runs, delays, (Z, runs)), D @ E.T, atol=1e-12)


def test_delays_and_labels_are_checked():
    with pytest.raises(InputError, match="delays"):
        delayed_gram(np.ones((3, 2)), [0, 0, 0], [-1])
    with pytest.raises(InputError, match="runs"):
        delayed_gram(np.ones((3, 2)), [0, 0], [1])


def test_forecast_grows_with_the_job():
    small = forecast(300, 50, 1_000, 10, 5, 1, threads=1)
    large = forecast(4_800, 4_096, 60_000, 20, 12, 8, threads=1, memory=2**31, n_new=600)
    assert 0 < small.seconds < 5
    assert 60 < large.seconds < 36_000
    assert large.bytes > 2**31 > small.bytes
    assert large.bytes < 8 * 2**30
