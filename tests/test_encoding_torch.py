"""Torch gives what NumPy gives: alphas, scores and predictions, in both precisions."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.model_selection import KFold
from test_encoding_tasks import problem as layers_problem
from threadpoolctl import threadpool_limits

from encoding import InputError, RidgeCV, fit_layers, nested_cv
from encoding.ridge.arrays import open_arrays
from encoding.ridge.kfold import cv_fit, cv_scores
from encoding.ridge.plan import METHODS

pytestmark = pytest.mark.filterwarnings("ignore::encoding.RidgeEdgeWarning")
ALPHAS = np.logspace(-2, 4, 7)
PRECISIONS = [(np.float64, 1e-8), (np.float32, 1e-4)]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


def problem(p, dtype, n=90, v=11):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * np.arange(1, p + 1) ** -0.5
    Y = X @ rng.standard_normal((p, v)) + 2 * rng.standard_normal((n, v)) - 3
    Y[:, 3] = 0.1  # constant: scores 0
    return X.astype(dtype), Y.astype(dtype)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("p", [4, 60, 200])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_every_method_scores_alike(method, p, dtype, tolerance):
    X, Y = problem(p, dtype)
    splits = [(train[1:], test) for train, test in KFold(5).split(X)]  # a row unused
    ours = cv_scores(X, Y, ALPHAS, splits, method=method)
    torch = cv_scores(X, Y, ALPHAS, splits, method=method, on=open_arrays("torch", "cpu"))
    assert torch.dtype == dtype
    np.testing.assert_allclose(torch, ours, atol=tolerance, rtol=tolerance)
    np.testing.assert_array_equal(torch.argmax(0), ours.argmax(0))


def test_small_alphas_in_float32_are_worked_in_float64_there_too():
    X, Y = problem(200, np.float32)
    splits, alphas = list(KFold(5).split(X)), np.logspace(-9, 3, 7)
    for method in METHODS:
        ours = cv_scores(X, Y, alphas, splits, method=method)
        torch = cv_scores(X, Y, alphas, splits, method=method, on=open_arrays("torch", "cpu"))
        np.testing.assert_allclose(torch, ours, atol=1e-4)


@pytest.mark.parametrize("p", [20, 200])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_weights_and_the_estimator_agree(p, dtype, tolerance):
    X, Y = problem(p, dtype)
    splits = list(KFold(5).split(X))
    ours = cv_fit(X, Y, ALPHAS, splits)
    torch = cv_fit(X, Y, ALPHAS, splits, on=open_arrays("torch", "cpu"))
    for a, b in zip(ours, torch, strict=True):
        np.testing.assert_allclose(b, a, atol=tolerance)
    runs = np.arange(len(X)) // 30
    models = [RidgeCV(backend=b, delays=(0, 1)).fit(X, Y, runs) for b in ("numpy", "torch")]
    np.testing.assert_array_equal(models[0].best_alphas_, models[1].best_alphas_)
    np.testing.assert_allclose(models[1].coef_, models[0].coef_, atol=tolerance)


@pytest.mark.parametrize("p", [20, 200])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_nested_predictions_agree(p, dtype, tolerance):
    X, Y = problem(p, dtype)
    runs = np.arange(len(X)) // 20
    ours = nested_cv(X, Y, runs, ALPHAS)
    torch = nested_cv(X, Y, runs, ALPHAS, backend="torch", device="cpu")
    np.testing.assert_array_equal(torch.best_alphas, ours.best_alphas)
    np.testing.assert_allclose(torch.predictions, ours.predictions, atol=tolerance)


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize("units", [5, 80])
def test_layers_agree_and_unfinished_work_is_of_one_device(tmp_path, test, units):
    features, Y, samples = layers_problem(60, test, units)
    ours = fit_layers(features, Y, samples, (1, 2))
    given = {"backend": "torch", "device": "cpu", "folder": tmp_path / "w"}
    torch = fit_layers(features, Y, samples, (1, 2), **given)
    np.testing.assert_array_equal(torch.dataset["best_alpha"], ours.dataset["best_alpha"])
    np.testing.assert_allclose(torch.predictions, ours.predictions, atol=1e-4)
    np.testing.assert_allclose(torch.dataset["r2"], ours.dataset["r2"], atol=1e-4)
    with pytest.raises(InputError, match=r"other inputs .*device"):
        fit_layers(features, Y, samples, (1, 2), folder=tmp_path / "w")


def test_devices_that_are_not_there_are_refused_in_one_line(monkeypatch):
    for backend, device, found in (
        ("torch", "cuda:99", "device cuda:99: cannot be used"),
        ("torch", "abacus", "device abacus: cannot be used"),
        ("numpy", "cuda", "numpy works on the cpu; give backend torch"),
        ("jax", None, "backend is 'jax'; give numpy or torch"),
    ):
        with pytest.raises(InputError, match=found) as error:
            open_arrays(backend, device)
        assert "\n" not in str(error.value)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="not installed"):
        open_arrays("torch")


def test_encoding_leaves_torch_alone_until_asked():
    code = "import sys, encoding; sys.exit('torch' in sys.modules or 'cortexnet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
