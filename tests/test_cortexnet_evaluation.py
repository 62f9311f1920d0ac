"""Accuracy: clips count once, intervals are Wilson's."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortexnet.evaluation import accuracy_report, clip_means, wilson_interval


def test_a_clip_counts_once_however_many_segments_it_has():
    # Clip 0: three segments, right; clip 1: one segment, wrong.
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.7, 0.3]])
    report = accuracy_report(
        probabilities, np.array([0, 0, 0, 1]), np.array([5, 5, 5, 9]), ["a", "b"]
    )
    assert report["clip_accuracy"] == 0.5 and report["n_clips"] == 2
    assert report["segment_accuracy"] == 0.5 and report["n_segments"] == 4
    assert report["confusion"] == {"labels": ["a", "b"], "matrix": [[1, 0], [1, 0]]}
    assert report["per_class"] == {"a": 1.0, "b": 0.0} and report["chance"] == 0.5


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_clip_means_equal_a_loop(clips, seed):
    clips = np.array(clips)
    values = np.random.default_rng(seed).standard_normal((len(clips), 3))
    means, index = clip_means(values, clips)
    np.testing.assert_array_equal(index, sorted(set(clips.tolist())))
    for mean, clip in zip(means, index, strict=True):
        np.testing.assert_allclose(mean, values[clips == clip].mean(0))


@pytest.mark.parametrize(("k", "n"), [(0, 10), (7, 10), (60, 60), (331, 455)])
def test_wilson_interval_equals_its_formula(k, n):
    z, p = NormalDist().inv_cdf(0.975), k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    np.testing.assert_allclose(wilson_interval(k, n), (centre - half, centre + half), atol=1e-9)
