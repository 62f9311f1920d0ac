"""Shared-work k-fold ridge equals one solve per fold, alpha and target."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, PredefinedSplit
from threadpoolctl import threadpool_limits

from encoding import InputError, RidgeEdgeWarning
from encoding.ridge.basis import basis_of, basis_of_kernel
from encoding.ridge.gram import eigh
from encoding.ridge.kfold import cv_fit, cv_scores, fit, warn_at_edge
from encoding.ridge.plan import METHODS, choose
from encoding.ridge.scaling import unit_trace

ALPHAS = np.logspace(-2, 4, 7)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Problems this small only wait for threads."""
    with threadpool_limits(1):
        yield


def problem(n=90, p=20, v=11, seed=0, dtype=np.float64, offset=3.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.arange(1, p + 1) ** -0.5 + offset
    Y = X @ rng.standard_normal((p, v)) + 2 * rng.standard_normal((n, v)) - offset
    return X.astype(dtype), Y.astype(dtype)


def solved(X, Y, alpha):
    """The one-line reference: centred normal equations."""
    Xc, Yc = X - X.mean(0), Y - Y.mean(0)
    return np.linalg.solve(Xc.T @ Xc + alpha * np.eye(X.shape[1]), Xc.T @ Yc)


def slow_scores(X, Y, alphas, splits):
    out = np.zeros((len(alphas), Y.shape[1]))
    for train, test in splits:
        for a, alpha in enumerate(alphas):
            W = solved(X[train], Y[train], alpha)
            prediction = (X[test] - X[train].mean(0)) @ W + Y[train].mean(0)
            error = ((Y[test] - prediction) ** 2).sum(0)
            out[a] += 1 - error / ((Y[test] - Y[test].mean(0)) ** 2).sum(0)
    return out / len(splits)


@pytest.mark.parametrize("p", [5, 20, 60, 200])  # p < fold, p < n_train, about it, p > n
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 2e-4)])
def test_scores_equal_one_solve_per_fold(p, dtype, tolerance):
    X, Y = problem(p=p)
    splits = list(KFold(5).split(X))
    fast = cv_scores(X.astype(dtype), Y.astype(dtype), ALPHAS, splits)
    assert fast.dtype == dtype
    np.testing.assert_allclose(fast, slow_scores(X, Y, ALPHAS, splits), atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("p", [3, 20, 80, 89, 400])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_every_method_is_exact_for_every_shape(method, p, dtype, tolerance):
    X, Y = problem(p=p)
    runs = np.repeat([0, 1, 2, 3], [10, 45, 5, 30])  # unequal, one longer than small p
    splits = list(LeaveOneGroupOut().split(X, groups=runs))
    alphas = np.logspace(-3, 5, 17)
    fast = cv_scores(X.astype(dtype), Y.astype(dtype), alphas, splits, method=method)
    exact = slow_scores(X, Y, alphas, splits)
    np.testing.assert_allclose(fast, exact, atol=tolerance, rtol=tolerance)
    of_kernel = cv_scores(basis_of_kernel(X @ X.T), Y, alphas, splits, method=method)
    np.testing.assert_allclose(of_kernel, exact, atol=1e-8)


def test_small_alphas_and_a_long_spectrum_keep_their_digits_in_float32():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 400)) * np.arange(1, 401) ** -1.0
    X *= np.sqrt(300 / (X**2).sum())  # unit trace, eigenvalues over five decades
    Y = X @ rng.standard_normal((400, 20)) * 3 + rng.standard_normal((300, 20))
    splits = list(KFold(5).split(X))
    alphas = np.logspace(-5, 5, 20)
    exact = slow_scores(X, Y, alphas, splits)
    for method in METHODS:
        single = X.astype(np.float32), Y.astype(np.float32)
        fast = cv_scores(*single, alphas, splits, method=method)
        np.testing.assert_allclose(fast, exact, atol=2e-5)
        np.testing.assert_array_equal(fast.argmax(0), exact.argmax(0))


def test_the_plan_suits_the_shape():
    five = [(1440, 360)] * 5
    assert choose((1800, 400), 20_000, 10, five, disjoint=True) == "moments"
    twelve = [(4400, 400)] * 12
    assert choose((4800, 4096), 60_000, 20, twelve, disjoint=True) == "blocks"
    halves = [(1000, 1000)] * 2
    assert choose((2000, 4000), 10, 10, halves, disjoint=True) == "folds"
    assert choose((1800, 400), 20_000, 10, five, disjoint=False) == "folds"
    X, Y = problem()
    with pytest.raises(InputError, match="no row twice"):
        cv_scores(X, Y, ALPHAS, [(np.arange(30), np.arange(20, 50))], method="blocks")


@pytest.mark.parametrize("p", [20, 200])
def test_one_pass_equals_scores_then_fit(p):
    X, Y = problem(p=p, v=40)
    splits = list(KFold(5).split(X))
    scores, best, coef, intercept = cv_fit(X, Y, ALPHAS, splits, batch=7)
    np.testing.assert_allclose(scores, cv_scores(X, Y, ALPHAS, splits), atol=1e-10)
    np.testing.assert_array_equal(best, ALPHAS[scores.argmax(0)])
    again, intercept_again = fit(X, Y, best)
    np.testing.assert_allclose(coef, again, atol=1e-10)
    np.testing.assert_allclose(intercept, intercept_again, atol=1e-9)


def test_new_rows_are_located_in_the_basis_of_features_or_of_their_kernel():
    X, new = problem(p=200)[0], problem(n=13, p=200, seed=1)[0]
    kernel = (new - X.mean(0)) @ (X - X.mean(0)).T
    for basis, rows in ((basis_of(X), new), (basis_of_kernel(X @ X.T), new @ X.T)):
        inner = (basis.locate(rows) * basis.values) @ basis.vectors.T
        np.testing.assert_allclose(inner, kernel, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_a_target_of_nan_harms_no_other(method):
    X, Y = problem(p=30)
    splits = list(KFold(5).split(X))
    clean = cv_scores(X, Y, ALPHAS, splits, method=method)
    Y[7, 3] = np.nan
    others = np.arange(Y.shape[1]) != 3
    np.testing.assert_allclose(
        cv_scores(X, Y, ALPHAS, splits, method=method)[:, others], clean[:, others], atol=1e-12
    )


@given(st.integers(2, 30), st.integers(1, 60), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_methods_agree_on_random_folds(n_groups, p, seed):
    X, Y = problem(n=40, p=p, v=3, seed=seed)
    groups = np.random.default_rng(seed).integers(0, n_groups, 40)
    groups[:2] = 0, 1
    splits = list(LeaveOneGroupOut().split(X, groups=groups))
    exact = slow_scores_or_zero(X, Y, ALPHAS, splits)
    for method in METHODS:
        np.testing.assert_allclose(
            cv_scores(X, Y, ALPHAS, splits, method=method), exact, atol=1e-7, rtol=1e-7
        )


def slow_scores_or_zero(X, Y, alphas, splits):
    """A fold of one row has no variance and scores 0."""
    scored = [s for s in splits if len(s[1]) > 1]
    return slow_scores(X, Y, alphas, scored) * len(scored) / len(splits) if scored else 0


@pytest.mark.parametrize("method", [*METHODS, None])
@pytest.mark.parametrize("p", [4, 20, 70, 200])
def test_folds_need_not_cover_all_rows(p, method):
    X, Y = problem(p=p)
    splits = [
        (np.arange(30, 75), np.arange(80, 90)),
        (np.arange(40), np.arange(40, 90)),
        (np.r_[2:20, 22:88], np.arange(20, 22)),
    ]
    expected = slow_scores(X, Y, ALPHAS, splits)
    fast = cv_scores(X, Y, ALPHAS, splits, method=method)
    np.testing.assert_allclose(fast, expected, atol=1e-9)


@pytest.mark.parametrize("p", [30, 200])
def test_many_targets_take_the_hat_matrix_and_agree(p):
    X, Y = problem(n=60, p=p, v=120)
    splits = list(KFold(6).split(X))
    fast = cv_scores(X, Y, ALPHAS, splits)  # 120 targets > 7 alphas x 10 rows
    np.testing.assert_allclose(fast, slow_scores(X, Y, ALPHAS, splits), atol=1e-9)
    few = np.concatenate([cv_scores(X, Y[:, i : i + 20], ALPHAS, splits) for i in (0, 20)], 1)
    np.testing.assert_allclose(fast[:, :40], few, atol=1e-9)


@given(st.integers(1, 40), st.sampled_from([8, 120]))
@settings(max_examples=20, deadline=None)
def test_batches_do_not_change_results(batch, p):
    X, Y = problem(n=60, p=p, v=23)
    splits = list(KFold(4).split(X))
    np.testing.assert_allclose(
        cv_scores(X, Y, ALPHAS, splits, batch=batch), cv_scores(X, Y, ALPHAS, splits), atol=1e-11
    )
    alphas = np.geomspace(0.1, 10, 23)
    np.testing.assert_allclose(
        fit(X, Y, alphas, batch=batch)[0], fit(X, Y, alphas)[0], rtol=1e-9, atol=1e-11
    )


def test_rows_of_a_memory_map_are_read_in_place(tmp_path):
    X, Y = problem(n=60, p=10)
    rows = np.array([3, 7, *range(10, 50)])
    np.save(tmp_path / "y.npy", Y)
    mapped = np.load(tmp_path / "y.npy", mmap_mode="r")
    splits = list(KFold(3).split(rows))
    np.testing.assert_array_equal(
        cv_scores(X[rows], mapped, ALPHAS, splits, rows=rows),
        cv_scores(X[rows], Y[rows], ALPHAS, splits),
    )
    np.testing.assert_array_equal(
        fit(X[rows], mapped, 1.0, rows=rows)[0], fit(X[rows], Y[rows], 1.0)[0]
    )


@pytest.mark.parametrize("p", [20, 200])
def test_weights_equal_sklearn_ridge_with_an_alpha_a_target(p):
    X, Y = problem(p=p)
    alphas = np.geomspace(0.01, 1e3, Y.shape[1])
    coef, intercept = fit(X, Y, alphas)
    reference = Ridge(alpha=alphas).fit(X, Y)
    np.testing.assert_allclose(coef, reference.coef_.T, atol=1e-9)
    np.testing.assert_allclose(intercept, reference.intercept_, atol=1e-8)


@pytest.mark.parametrize("p", [40, 300])
def test_scores_and_alphas_equal_himalaya(p):
    from himalaya.kernel_ridge import KernelRidgeCV
    from himalaya.ridge import RidgeCV
    from himalaya.scoring import r2_score

    X, Y = problem(n=120, p=p, v=30)
    runs = np.repeat(np.arange(6), 20)
    splits = list(LeaveOneGroupOut().split(X, groups=runs))
    scores = cv_scores(X, Y, ALPHAS, splits)
    model = RidgeCV(
        alphas=ALPHAS,
        fit_intercept=True,
        cv=PredefinedSplit(runs),
        solver_params={"score_func": r2_score, "warn": False},
    ).fit(X, Y)
    best = ALPHAS[np.argmax(scores, 0)]
    np.testing.assert_allclose(scores.max(0), np.ravel(model.cv_scores_), atol=1e-8)
    np.testing.assert_allclose(best, model.best_alphas_, rtol=1e-10)
    np.testing.assert_allclose(fit(X, Y, best)[0], model.coef_, atol=1e-8)
    if p > 120:
        kernel = KernelRidgeCV(
            alphas=ALPHAS,
            kernel="linear",
            fit_intercept=True,
            cv=PredefinedSplit(runs),
            solver_params={"score_func": r2_score},
        ).fit(X, Y)
        np.testing.assert_allclose(scores.max(0), np.ravel(kernel.cv_scores_), atol=1e-8)


def test_low_rank_and_constant_features_do_no_harm():
    X, Y = problem(n=60, p=4)
    wide = np.concatenate([X] * 30 + [np.ones((60, 5))], 1)  # rank 4 of 125 columns
    splits = list(KFold(4).split(X))
    np.testing.assert_allclose(
        cv_scores(wide, Y, 30 * ALPHAS, splits), cv_scores(X, Y, ALPHAS, splits), atol=1e-8
    )
    nothing = cv_scores(np.ones((60, 3)), Y, ALPHAS, splits)
    assert np.all(nothing <= 0)  # predicts the training mean
    assert np.all(fit(np.ones((60, 3)), Y, 1.0)[0] == 0)


@pytest.mark.parametrize("p", [10, 100])
def test_a_constant_target_scores_zero(p):
    X, Y = problem(n=60, p=p, dtype=np.float32)
    Y[:, 3] = 0.1
    scores = cv_scores(X, Y, ALPHAS, list(KFold(4).split(X)))
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores[:, 3], 0)


def test_features_are_scaled_to_unit_kernel_trace_whatever_their_number():
    for p in (3, 50, 400):
        X = problem(n=80, p=p)[0] * np.geomspace(1e-3, 1e3, p)
        X[:, 0] = 7.1
        mean, scale = unit_trace(X)
        Z = (X - mean) / scale
        assert np.trace(Z @ Z.T) / len(Z) == pytest.approx(1)
        assert np.all(Z[:, 0] == 0)


def test_rounding_noise_of_a_constant_column_is_no_feature():
    X = np.full((300, 1), 0.1, np.float32)
    X[::2] = np.nextafter(np.float32(0.1), np.float32(1))
    assert np.isinf(unit_trace(X)[1]).all()


def test_the_null_space_is_left_out():
    X = problem(n=10, p=3, offset=0)[0]
    values, vectors = eigh(X @ X.T)
    assert vectors.shape == (10, 3)
    np.testing.assert_allclose((vectors * values) @ vectors.T, X @ X.T, atol=1e-12)


def test_targets_at_the_edge_of_the_grid_are_counted_aloud():
    with pytest.warns(RidgeEdgeWarning, match=r"belt: 25.0% .* smallest .* 50.0% the largest"):
        warn_at_edge(np.array([0.1, 1, 10, 10]), np.array([0.1, 1, 10]), "belt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_at_edge(np.array([1.0, 1.0]), np.array([0.1, 1, 10]))


def test_bad_alphas_and_shapes_are_refused():
    X, Y = problem()
    with pytest.raises(InputError, match="positive"):
        fit(X, Y, 0.0)
    with pytest.raises(InputError, match="shape"):
        fit(X[:-1], Y, 1.0)
    with pytest.raises(InputError, match="positive"):
        cv_scores(X, Y, [-1.0], list(GroupKFold(2).split(X, groups=np.arange(90))))
