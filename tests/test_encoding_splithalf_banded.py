"""Banded ridge on halves of the sounds: ridge with one band, and small bands are not drowned."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from encoding import InputError
from encoding.splithalf import held_out_r2, predict_halves, random_halves, split_half_r2
from encoding.splithalf_banded import predict_halves_banded


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Problems this small only wait for threads."""
    with threadpool_limits(1):
        yield


def unit_trace(X):
    X = X - X.mean(0)
    return X / np.sqrt((X**2).sum() / len(X))


def planted(seed=0, n=120):
    """Six targets that depend on a band of 12 units, beside five noise bands of 300."""
    rng = np.random.default_rng(seed)
    small = rng.standard_normal((n, 12))
    R = small @ rng.standard_normal((12, 6)) / 3 + 0.5 * rng.standard_normal((n, 6))
    bands = {"small": small}
    for k in range(5):  # of 12 dimensions each, as stages of a network are
        bands[f"noise {k}"] = rng.standard_normal((n, 12)) @ rng.standard_normal((12, 300))
    return bands, R


@pytest.mark.parametrize("p", [5, 40, 300])
def test_with_one_band_it_is_plain_ridge(p):
    rng = np.random.default_rng(p)
    X = rng.standard_normal((60, p)) + 3
    R = X @ rng.standard_normal((p, 4)) / np.sqrt(p) + rng.standard_normal((60, 4))
    alphas = 10.0 ** np.arange(-4, 5)
    test, own, weights = predict_halves_banded({"one": X}, R, alphas=alphas)
    plain_test, plain = predict_halves(unit_trace(X), R, alphas=alphas)
    np.testing.assert_array_equal(test, plain_test)
    shift = (own - plain).mean(1, keepdims=True)  # predictions are free of a constant
    np.testing.assert_allclose(own - shift, plain, atol=1e-8)
    assert (weights == 1).all()


def test_a_small_band_is_found_among_large_noise():
    bands, R = planted()
    test, predictions, weights = predict_halves_banded(bands, R)
    banded = np.median(held_out_r2(test, predictions, R), 0).mean()
    side_by_side = np.concatenate([unit_trace(X) for X in bands.values()], 1)
    together = np.median(split_half_r2(side_by_side, R), 0).mean()
    alone = np.median(split_half_r2(bands["small"], R), 0).mean()
    assert banded > together + 0.2 and banded > alone - 0.05
    assert np.median(weights[:, :, 0]) > 0.8  # order of the bands given
    np.testing.assert_allclose(weights.sum(2), 1)


def test_weights_are_chosen_without_the_held_out_sounds():
    bands, R = planted(n=40)
    _, test = random_halves(40, 3, 0)
    _, predictions, weights = predict_halves_banded(bands, R, n_splits=3)
    rng = np.random.default_rng(1)
    for split in range(3):
        other = R.copy()
        other[test[split]] = rng.standard_normal((20, 6))
        _, again, same = predict_halves_banded(bands, other, n_splits=3)
        np.testing.assert_array_equal(again[split], predictions[split])
        np.testing.assert_array_equal(same[split], weights[split])


def test_choosing_among_noise_bands_costs_little():
    rng = np.random.default_rng(3)
    noise = {str(k): rng.standard_normal((165, 50)) for k in range(4)}
    R = rng.standard_normal((165, 6))
    test, predictions, _ = predict_halves_banded(noise, R)
    assert held_out_r2(test, predictions, R).mean() < 0.03


def test_bad_bands_are_named():
    bands, R = planted(n=20)
    with pytest.raises(InputError, match="band small is constant"):
        predict_halves_banded(bands | {"small": np.ones((20, 4))}, R)
    with pytest.raises(InputError, match="one row a sound"):
        predict_halves_banded(bands | {"small": np.ones((19, 4))}, R)
    with pytest.raises(InputError, match="no bands"):
        predict_halves_banded({}, R)
