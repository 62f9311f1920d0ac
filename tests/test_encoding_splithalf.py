"""The 165-sound protocol equals one scikit-learn RidgeCV a target."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_limits

from encoding import InputError, best_stage_r2, split_half_r2
from encoding.splithalf import loo_predict


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Problems this small only wait for threads."""
    with threadpool_limits(1):
        yield


def sounds(n=83, p=40, v=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.arange(1, p + 1) ** -0.7 + 2
    R = X @ rng.standard_normal((p, v)) + np.linspace(0.3, 4, v) * rng.standard_normal((n, v)) + 9
    return X, R


@pytest.mark.parametrize("p", [5, 40, 82, 83, 600])
def test_predictions_equal_sklearn_leave_one_out(p):
    X, R = sounds(n=120, p=p)
    alphas = 10.0 ** np.arange(-3, 6)
    train, test = np.arange(83), np.arange(83, 120)
    reference = RidgeCV(alphas=alphas, alpha_per_target=True).fit(X[train], R[train])
    own = loo_predict(X[train], R[train], X[test], alphas) + R[train].mean(0)
    np.testing.assert_allclose(own, reference.predict(X[test]), atol=1e-6)


def test_left_out_errors_are_those_of_refitting_without_each_sound():
    X, R = sounds(n=20, p=30, v=1)
    alphas = np.array([0.01, 1.0, 100.0])
    errors = []
    for alpha in alphas:
        e = []
        for i in range(20):
            rest = np.delete(np.arange(20), i)
            Xc, yc = X[rest] - X[rest].mean(0), R[rest] - R[rest].mean(0)
            w = np.linalg.solve(Xc.T @ Xc + alpha * np.eye(30), Xc.T @ yc)
            e.append(R[i] - R[rest].mean(0) - (X[i] - X[rest].mean(0)) @ w)
        errors.append(np.sum(np.square(e)))
    best = alphas[np.argmin(errors)]
    Xc, yc = X - X.mean(0), R - R.mean(0)
    w = np.linalg.solve(Xc.T @ Xc + best * np.eye(30), Xc.T @ yc)
    np.testing.assert_allclose(loo_predict(X, R, X, alphas), Xc @ w, atol=1e-9)


def test_the_constant_direction_does_not_win_at_tiny_alphas():
    # Strong signal, more units than sounds: an uncentred LOO would pick alpha -> 0 wrongly.
    X, R = sounds(n=165, p=300, v=4)
    full = np.median(split_half_r2(X, R, n_splits=4), 0)
    sane = np.median(split_half_r2(X, R, n_splits=4, alphas=10.0 ** np.arange(-2, 6)), 0)
    assert np.all(full > sane - 0.02)


def test_reduction_by_svd_is_lossless_and_offsets_do_not_matter():
    X, R = sounds(n=60, p=500)
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.standard_normal((500, 500)))[0]
    alphas = 10.0 ** np.arange(-3, 6)
    a = split_half_r2(X, R, alphas=alphas)
    b = split_half_r2(X @ rotation + 7, R - 3, alphas=alphas)
    assert a.shape == (10, 6)
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_noise_predicts_nothing_and_signal_predicts_much():
    X, R = sounds(n=165, p=10, v=3)
    noise = np.random.default_rng(5).standard_normal((165, 40))
    assert np.median(split_half_r2(X, noise), 0).mean() < 0.02
    assert np.median(split_half_r2(X, R[:, :1]), 0).mean() > 0.8


def test_the_seed_alone_decides_the_splits():
    X, R = sounds(n=165, p=10)
    np.testing.assert_array_equal(split_half_r2(X, R, seed=3), split_half_r2(X, R, seed=3))
    np.testing.assert_allclose(
        split_half_r2(X, R, seed=3)[:, :2], split_half_r2(X, R[:, :2], seed=3), atol=1e-12
    )
    assert np.any(split_half_r2(X, R, seed=3) != split_half_r2(X, R, seed=4))


def test_the_best_stage_is_scored_on_splits_that_did_not_choose_it():
    a = np.array([[0.9], [0.9], [0.1], [0.1]])
    b = np.array([[0.5], [0.5], [0.6], [0.6]])
    stage, r2 = best_stage_r2({"a": a, "b": b})
    assert stage.tolist() == ["a"] and r2 == pytest.approx([0.1])


def test_bad_input_is_refused():
    X, R = sounds()
    with pytest.raises(InputError, match="sound"):
        split_half_r2(X[:-1], R)
    with pytest.raises(InputError, match="NaN"):
        split_half_r2(X * np.nan, R)
    with pytest.raises(InputError, match="two"):
        best_stage_r2({"a": np.zeros((1, 3))})
