"""Banded ridge weighs feature spaces, equals ridge for one, and splits its R2 exactly."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from encoding import InputError, RidgeCV
from encoding.banded import BandedRidgeCV
from encoding.design import delay
from encoding.ridge import banded, kfold

pytestmark = pytest.mark.filterwarnings("ignore::encoding.RidgeEdgeWarning")
ALPHAS = np.logspace(-2, 4, 7)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Problems this small only wait for threads."""
    with threadpool_limits(1):
        yield


@parametrize_with_checks([BandedRidgeCV(alphas=[0.1, 10.0], n_candidates=4)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def planted(n_runs=5, length=40, sizes=(3, 24, 24), n_targets=20, noise=1.0, seed=0, test_runs=4):
    """Targets follow one band each, in turn; training and test rows."""
    rng = np.random.default_rng(seed)
    n = (n_runs + test_runs) * length
    bands = np.repeat(np.arange(len(sizes)), sizes)
    X = rng.standard_normal((n, len(bands)))
    owner = np.arange(n_targets) % len(sizes)
    Y = noise * rng.standard_normal((n, n_targets))
    for target, band in enumerate(owner):
        part = X[:, bands == band]
        signal = part @ rng.standard_normal(part.shape[1])
        Y[:, target] += signal / signal.std()
    cut = n_runs * length
    runs = np.repeat(np.arange(n_runs), length)
    return X[:cut], Y[:cut], runs, X[cut:], Y[cut:], bands, owner


def test_the_planted_band_carries_the_weight_and_the_held_out_r2():
    X, Y, runs, X_test, Y_test, bands, owner = planted()
    model = BandedRidgeCV(bands, ALPHAS, n_candidates=30).fit(X, Y, groups=runs)
    assert np.mean(np.argmax(model.band_weights_, 1) == owner) >= 0.95
    np.testing.assert_allclose(model.band_weights_.sum(1), 1)
    split = model.split_r2(X_test, Y_test)
    assert np.mean(np.argmax(split, 0) == owner) == 1
    # Spaces that hold nothing cost a joint ridge what banded ridge saves.
    plain = RidgeCV(ALPHAS).fit(X, Y, groups=runs)
    assert model.score(X_test, Y_test) > plain.score(X_test, Y_test) + 0.02


@pytest.mark.parametrize("shape", [(150, 30), (60, 120)])
def test_one_band_is_ridge(shape):
    rng = np.random.default_rng(1)
    X = rng.standard_normal(shape) * 7 + 3
    Y = X[:, :4] @ rng.standard_normal((4, 5)) + rng.standard_normal((shape[0], 5))
    runs = np.arange(shape[0]) // (shape[0] // 5)
    a = BandedRidgeCV(delays=(0, 2)).fit(X, Y, groups=runs)
    b = RidgeCV(delays=(0, 2)).fit(X, Y, groups=runs)
    np.testing.assert_array_equal(a.best_alphas_, b.best_alphas_)
    np.testing.assert_allclose(a.predict(X, runs), b.predict(X, runs), atol=1e-8)
    np.testing.assert_allclose(a.cv_scores_, b.cv_scores_.max(0))
    np.testing.assert_allclose(a.split_r2(X, Y, runs)[0], 1 - _relative_error(a, X, Y, runs))


def _relative_error(model, X, Y, runs=None):
    return ((Y - model.predict(X, runs)) ** 2).sum(0) / ((Y - Y.mean(0)) ** 2).sum(0)


@pytest.mark.parametrize("dtype,tolerance", [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_the_parts_of_r2_sum_to_the_whole_on_any_rows(dtype, tolerance):
    X, Y, runs, X_test, Y_test, bands, _ = planted(noise=3.0)
    model = BandedRidgeCV(bands, ALPHAS, n_candidates=20)
    model.fit(X.astype(dtype), Y.astype(dtype), groups=runs)
    Y_test = Y_test + 0.5  # a mean that training rows did not have
    split = model.split_r2(X_test.astype(dtype), Y_test)
    assert split.shape == (3, 20)
    joint = 1 - _relative_error(model, X_test.astype(dtype), Y_test)
    np.testing.assert_allclose(split.sum(0), joint, atol=tolerance)
    single = BandedRidgeCV(bands, ALPHAS, n_candidates=20).fit(X, Y[:, 0], groups=runs)
    assert single.split_r2(X_test, Y_test[:, 0]).shape == (3,)


def test_coefficients_are_those_of_ridge_with_a_penalty_for_each_band():
    X, Y, runs, _, _, bands, _ = planted(n_targets=6)
    X = X.astype(np.float64)
    model = BandedRidgeCV(bands, ALPHAS, n_candidates=30).fit(X, Y, groups=runs)
    for target in range(6):
        Z = np.empty_like(X)
        for band in range(3):
            part = X[:, bands == band]
            root = np.sqrt(model.band_weights_[target, band] / part.shape[1])
            Z[:, bands == band] = (part - part.mean(0)) / part.std(0) * root
        slow = Ridge(model.best_alphas_[target]).fit(Z, Y[:, target]).predict(Z)
        np.testing.assert_allclose(model.predict(X)[:, target], slow, atol=1e-8)


@pytest.mark.parametrize("shape", [(80, 12), (40, 70)])
def test_screening_is_generalised_cross_validation(shape):
    rng = np.random.default_rng(2)
    X, Y = rng.standard_normal(shape), rng.standard_normal((shape[0], 4))
    Y += 0.5 * X[:, :4]
    bands = np.arange(shape[1]) % 3
    weights = banded.candidate_weights(np.bincount(bands), 6)
    alphas = np.array([0.5, 20.0, 400.0])
    fast = banded.screen(X, Y, bands, weights, alphas)
    for weight, row in zip(weights, fast, strict=True):
        Z = X * np.sqrt(weight[bands])
        Z, y = Z - Z.mean(0), Y - Y.mean(0)
        slow = []
        for alpha in alphas:
            hat = Z @ np.linalg.solve(Z.T @ Z + alpha * np.eye(shape[1]), Z.T)
            rss = ((y - hat @ y) ** 2).sum(0)
            slow.append(1 - len(X) ** 2 * rss / (len(X) - 1 - np.trace(hat)) ** 2 / (y**2).sum(0))
        np.testing.assert_allclose(row, np.max(slow, 0), atol=1e-5)


def test_the_refined_few_lose_little_to_comparing_all_candidates_by_run():
    X, Y, runs, *_, bands, _ = planted(noise=2.0, n_targets=40)
    splits = list(LeaveOneGroupOut().split(X, groups=runs))
    weights = banded.candidate_weights(np.bincount(bands), 30)
    few = banded.search(X, Y, bands, weights, ALPHAS, splits)
    every = banded.search(X, Y, bands, weights, ALPHAS, splits, n_refined=len(weights))
    assert np.all(few[2] <= every[2] + 1e-12)
    assert np.mean(every[2] - few[2]) < 0.003
    equal = kfold.cv_scores(X * np.sqrt(1 / 3), Y, ALPHAS, splits).max(0)
    assert np.all(few[2] >= equal - 1e-10)


def test_autocorrelated_noise_misleads_the_screen_but_not_the_choice():
    # Noise alone: held-out R2 of the best is near zero, below it by what fitting noise costs.
    rng = np.random.default_rng(3)
    runs = np.repeat(np.arange(6), 100)
    X, Y = (_ar(rng, 1200, k, 0.7) for k in (60, 50))
    bands = np.repeat([0, 1], 30)
    model = BandedRidgeCV(bands, n_candidates=10).fit(X[:600], Y[:600], groups=runs)
    assert model.score(X[600:], Y[600:]) > -0.05
    Z = (X - X[:600].mean(0)) / X[:600].std(0) / np.sqrt(60)
    gcv = [banded.screen(Z[:600], Y[:600], np.zeros(60, int), np.eye(1), [a]) for a in kfold.ALPHAS]
    alone = Ridge(kfold.ALPHAS[np.argmax(np.concatenate(gcv), 0)]).fit(Z[:600], Y[:600])
    assert alone.score(Z[600:], Y[600:]) < -0.1


def _ar(rng, n, k, rho):
    out = np.zeros((n, k))
    out[0] = rng.standard_normal(k)
    for row in range(1, n):
        out[row] = rho * out[row - 1] + np.sqrt(1 - rho**2) * rng.standard_normal(k)
    return out


@pytest.mark.parametrize("sizes", [(5, 20, 20), (60, 80, 200)])  # primal, dual
def test_no_worse_on_held_out_runs_than_himalaya_with_as_many_candidates(sizes):
    himalaya = pytest.importorskip("himalaya.ridge")
    from himalaya.scoring import r2_score

    X, Y, runs, X_test, Y_test, bands, _ = planted(
        4, 50, sizes, n_targets=30, noise=1.5, test_runs=4
    )
    X, Y, X_test, Y_test = (a.astype(np.float32) for a in (X, Y, X_test, Y_test))
    ours = BandedRidgeCV(bands, ALPHAS, n_candidates=30).fit(X, Y, groups=runs)
    sqrt = np.sqrt(np.bincount(bands))[bands].astype(np.float32)
    theirs = himalaya.GroupRidgeCV(
        groups=bands,
        solver_params={
            "alphas": ALPHAS,
            "n_iter": 30,
            "progress_bar": False,
            "warn": False,
            "score_func": r2_score,
        },
        cv=list(LeaveOneGroupOut().split(X, groups=runs)),
        fit_intercept=True,
        random_state=0,
    )
    theirs.fit(X / sqrt, Y)
    peer = np.mean(r2_score(Y_test, theirs.predict(X_test / sqrt)))
    assert ours.score(X_test, Y_test) > peer - 0.005


def test_arrays_by_name_and_labels_by_column_are_the_same_model():
    X, Y, runs, X_test, _, bands, _ = planted(n_targets=4, test_runs=1)
    parts = {name: X[:, bands == i] for i, name in enumerate("abc")}
    named = BandedRidgeCV(alphas=ALPHAS, n_candidates=10).fit(parts, Y, groups=runs)
    labelled = BandedRidgeCV(bands, ALPHAS, n_candidates=10).fit(X, Y, groups=runs)
    assert named.bands_.tolist() == ["a", "b", "c"]
    new = {name: X_test[:, bands == i] for i, name in reversed(list(enumerate("abc")))}
    # To rounding: the order of a sum may follow the layout in memory.
    np.testing.assert_allclose(named.predict(new), labelled.predict(X_test), rtol=1e-9, atol=1e-12)


def test_the_seed_decides_and_a_longer_search_begins_like_a_shorter_one():
    a, b = (banded.candidate_weights([4, 4, 9], n, seed=7) for n in (10, 30))
    np.testing.assert_array_equal(a, b[: len(a)])
    np.testing.assert_allclose(b.sum(1), 1)
    assert np.any(banded.candidate_weights([4, 4, 9], 10, seed=8)[5:] != a[5:])
    X, Y, runs, *_, bands, _ = planted(n_targets=5, n_runs=3)
    model = BandedRidgeCV(bands, ALPHAS, n_candidates=9, seed=1)
    first, second = (clone(model).fit(X, Y, groups=runs) for _ in "ab")
    np.testing.assert_array_equal(first.coef_, second.coef_)


def test_delayed_columns_keep_their_band():
    X, _, runs, *_, bands, _ = planted(n_targets=3)
    Y = delay(X[:, bands == 1], runs, (2,))[:, :3] * 3
    Y = Y + np.random.default_rng(0).standard_normal(Y.shape)
    model = BandedRidgeCV(bands, ALPHAS, n_candidates=9, delays=(1, 2)).fit(X, Y, groups=runs)
    assert model.coef_.shape == (3, 2 * X.shape[1])
    assert np.all(np.argmax(model.split_r2(X, Y, runs), 0) == 1)


def test_labels_that_do_not_fit_are_refused():
    X, Y, runs, *_, bands, _ = planted(n_targets=2)
    with pytest.raises(InputError, match="bands have shape"):
        BandedRidgeCV(bands[:-1]).fit(X, Y, groups=runs)
    with pytest.raises(InputError, match="twice"):
        BandedRidgeCV(bands).fit({"a": X}, Y, groups=runs)
    with pytest.raises(InputError, match="shapes"):
        BandedRidgeCV().fit({"a": X, "b": X[:-1]}, Y, groups=runs)
    fitted = BandedRidgeCV(alphas=ALPHAS, n_candidates=2).fit({"a": X, "b": X}, Y, groups=runs)
    with pytest.raises(InputError, match="fitted were"):
        fitted.predict({"a": X, "c": X})
    with pytest.raises(InputError, match="one run only"):
        BandedRidgeCV(bands).fit(X, Y, groups=np.zeros(len(X)))
