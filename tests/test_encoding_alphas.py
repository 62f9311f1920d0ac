"""A few alphas, or a few weights a segment of the spectrum, stand for a whole grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoding.ridge.skeleton import interpolate, nodes_of_grid, segments


@given(st.integers(1, 30), st.floats(0.5, 9), st.floats(-2, 5), st.sampled_from([1e-6, 1e-10]))
@settings(max_examples=30, deadline=None)
def test_all_predictions_follow_from_the_nodes(n_alphas, decades, log_largest, tolerance):
    alphas = np.logspace(-3, -3 + decades, n_alphas)
    nodes, mixing = nodes_of_grid(alphas, 10**log_largest, tolerance)
    values = np.random.default_rng(0).uniform(0, 1, 300) ** 6 * 10**log_largest
    shrink = values / (values + alphas[:, None])
    error = np.abs(mixing @ shrink[nodes] - shrink)
    assert error.max() < 2 * tolerance
    np.testing.assert_allclose(mixing[nodes], np.eye(len(nodes)), atol=1e-14)


def test_a_fine_grid_needs_few_nodes_and_a_coarse_one_keeps_all():
    assert len(nodes_of_grid(np.logspace(0, 5, 20), 4.0, 1e-6)[0]) <= 7
    nodes, mixing = nodes_of_grid(np.logspace(-3, 3, 4), 1e6, 1e-6)
    assert nodes.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(mixing, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("tolerance", [1e-6, 1e-11])
def test_segments_rebuild_every_weight_to_a_relative_tolerance(power, tolerance):
    values = np.arange(1.0, 1001) ** -power * 50
    alphas = np.logspace(-4, 5, 19)
    built = np.zeros((19, 1000))
    cost = 0
    for s in segments(values, alphas, tolerance):
        built[:, s.span] += s.mixing @ s.weights
        cost += s.weights.size
    weights = alphas[:, None] / (values + alphas[:, None])
    assert np.max(np.abs(built / weights - 1)) < 2 * tolerance
    assert cost < 0.6 * weights.size


def test_segments_cover_short_and_empty_spectra():
    assert segments(np.empty(0), np.ones(3), 1e-6) == []
    (only,) = segments(np.array([2.0]), np.array([0.1, 1.0]), 1e-6)
    np.testing.assert_allclose(only.mixing @ only.weights, [[0.1 / 2.1], [1 / 3]], rtol=1e-12)


def test_interpolation_finds_the_rank():
    rng = np.random.default_rng(0)
    curves = rng.standard_normal((12, 3)) @ rng.standard_normal((3, 40))
    nodes, mixing = interpolate(curves, 1e-9)
    assert len(nodes) == 3
    np.testing.assert_allclose(mixing @ curves[nodes], curves, atol=1e-9)
