"""RidgeCV keeps scikit-learn's contract and the experiment's runs apart."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

from encoding import InputError, RidgeCV, RidgeEdgeWarning, delay


@pytest.mark.filterwarnings("ignore::encoding.RidgeEdgeWarning")
@parametrize_with_checks([RidgeCV(), RidgeCV(alphas=[0.1, 1.0], standardize=False)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def problem(n_runs=5, length=30, p=6, v=4, seed=0):
    rng = np.random.default_rng(seed)
    runs = np.repeat([f"r{i}" for i in range(n_runs)], length)
    X = rng.standard_normal((len(runs), p))
    W = rng.standard_normal((2 * p, v))
    Y = delay(X, runs, (1, 3)) @ W + rng.standard_normal((len(runs), v))
    return X, Y, runs


def test_delays_stay_inside_groups_and_recover_a_delayed_response():
    X, Y, runs = problem()
    model = RidgeCV(delays=(1, 3)).fit(X, Y, groups=runs)
    assert model.score(X, Y, groups=runs) > 0.8
    assert model.score(X, Y) < model.score(X, Y, groups=runs)  # features cross the borders
    assert model.coef_.shape == (4, 12) and model.best_alphas_.shape == (4,)
    assert RidgeCV().fit(X, Y, groups=runs).score(X, Y, groups=runs) < 0.2


def test_alphas_are_those_of_leaving_each_run_out():
    X, Y, runs = problem()
    alphas = np.array([1.0, 30.0, 1000.0])
    model = RidgeCV(alphas, standardize=False).fit(X, Y, groups=runs)
    scores = []
    for alpha in alphas:
        predicted = cross_val_predict(Ridge(alpha=alpha), X, Y, groups=runs, cv=LeaveOneGroupOut())
        folds = [
            1
            - ((Y - predicted)[runs == r] ** 2).sum(0)
            / ((Y[runs == r] - Y[runs == r].mean(0)) ** 2).sum(0)
            for r in np.unique(runs)
        ]
        scores.append(np.mean(folds, 0))
    np.testing.assert_allclose(model.cv_scores_, scores, atol=1e-10)
    np.testing.assert_array_equal(model.best_alphas_, alphas[np.argmax(scores, 0)])


def test_standardising_undoes_the_units_of_features():
    X, Y, runs = problem()
    units = np.geomspace(1e-3, 1e3, X.shape[1])
    a = RidgeCV(delays=(1,)).fit(X, Y, groups=runs)
    b = RidgeCV(delays=(1,)).fit(X * units + 5, Y, groups=runs)
    np.testing.assert_allclose(a.predict(X, runs), b.predict(X * units + 5, runs), atol=1e-8)


def test_plain_ridge_equals_sklearn_at_the_chosen_alphas():
    X, Y, runs = problem()
    model = RidgeCV(standardize=False).fit(X, Y, groups=runs)
    reference = Ridge(alpha=model.best_alphas_).fit(X, Y)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-10)
    np.testing.assert_allclose(model.predict(X), reference.predict(X), atol=1e-9)


def test_groups_that_cannot_be_left_out_are_refused_and_the_edge_is_loud():
    X, Y, runs = problem()
    with pytest.raises(InputError, match="one run only"):
        RidgeCV().fit(X, Y, groups=np.zeros(len(X)))
    with pytest.raises(InputError, match="groups"):
        RidgeCV().fit(X, Y, groups=runs[:-1])
    with pytest.warns(RidgeEdgeWarning, match=r"100.0% of targets chose the smallest"):
        RidgeCV(alphas=[1e3, 1e5], delays=(1, 3)).fit(X, Y, groups=runs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RidgeCV(delays=(1, 3)).fit(X, Y, groups=runs)
