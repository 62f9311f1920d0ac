"""Nested leave-one-run-out from one eigendecomposition equals the double loop."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut
from threadpoolctl import threadpool_limits

from encoding import InputError
from encoding.ridge.basis import basis_of_kernel
from encoding.ridge.kfold import cv_scores
from encoding.ridge.nested import nested_cv

ALPHAS = np.logspace(-2, 4, 7)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


def problem(p, lengths=(14, 20, 9, 17, 20), v=9, seed=0):
    rng = np.random.default_rng(seed)
    runs = np.repeat([f"run-{i}" for i in range(len(lengths))], lengths)
    X = rng.standard_normal((len(runs), p)) * np.arange(1, p + 1) ** -0.5 + 1
    Y = X @ rng.standard_normal((p, v)) + 2 * rng.standard_normal((len(runs), v)) + 5
    return X, Y, runs


def double_loop(X, Y, runs, alphas):
    predictions, best = np.empty_like(Y), []
    for train, test in LeaveOneGroupOut().split(X, groups=runs):
        inner = list(LeaveOneGroupOut().split(X[train], groups=runs[train]))
        scores = cv_scores(X[train], Y[train], alphas, inner, method="folds")
        best.append(alphas[scores.argmax(0)])
        predictions[test] = Ridge(alpha=best[-1]).fit(X[train], Y[train]).predict(X[test])
    return predictions, np.array(best)


@pytest.mark.parametrize("p", [4, 30, 75, 300])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-8), (np.float32, 1e-4)])
def test_predictions_and_alphas_equal_the_double_loop(p, dtype, tolerance):
    X, Y, runs = problem(p)
    nested = nested_cv(X.astype(dtype), Y.astype(dtype), runs, ALPHAS)
    predictions, best = double_loop(X, Y, runs, ALPHAS)
    assert nested.predictions.dtype == dtype
    assert nested.runs.tolist() == [f"run-{i}" for i in range(5)]
    np.testing.assert_array_equal(nested.best_alphas, best)
    np.testing.assert_allclose(nested.predictions, predictions, atol=tolerance)


def test_memory_batches_and_the_order_of_rows_change_nothing():
    X, Y, runs = problem(60)
    whole = nested_cv(X, Y, runs, ALPHAS)
    scarce = nested_cv(X, Y, runs, ALPHAS, batch=2, memory=10_000)
    np.testing.assert_allclose(scarce.predictions, whole.predictions, atol=1e-10)
    order = np.random.default_rng(0).permutation(len(runs))
    shuffled = nested_cv(X[order], Y[order], runs[order], ALPHAS)
    np.testing.assert_allclose(shuffled.predictions, whole.predictions[order], atol=1e-9)


def test_rows_and_kernels_are_taken():
    X, Y, runs = problem(100)
    rows = np.flatnonzero(np.arange(len(runs)) % 7 > 0)
    expected = nested_cv(X[rows], Y[rows], runs[rows], ALPHAS)
    kernel = basis_of_kernel(X[rows] @ X[rows].T)
    given = nested_cv(kernel, Y, runs[rows], ALPHAS, rows=rows)
    np.testing.assert_allclose(given.predictions, expected.predictions, atol=1e-8)


def test_a_run_teaches_nothing_about_its_own_alphas_and_predictions():
    X, Y, runs = problem(100)
    own = runs == "run-2"
    changed = np.where(own[:, None], 1e3 - 7 * Y, Y)
    a, b = nested_cv(X, Y, runs, ALPHAS), nested_cv(X, changed, runs, ALPHAS)
    np.testing.assert_array_equal(a.best_alphas[2], b.best_alphas[2])
    np.testing.assert_allclose(a.predictions[own], b.predictions[own], atol=1e-7)
    assert np.abs(a.predictions[~own] - b.predictions[~own]).max() > 1


def test_too_few_runs_are_refused():
    X, Y, runs = problem(5, lengths=(10, 10))
    with pytest.raises(InputError, match="three or more"):
        nested_cv(X, Y, runs, ALPHAS)
    with pytest.raises(InputError, match="runs have shape"):
        nested_cv(X, Y, runs[:-1], ALPHAS)
