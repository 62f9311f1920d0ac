"""Drift and confounds go, the signal stays: fast cleaning against slow references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm.first_level.design_matrix import create_cosine_drift
from nilearn.signal import clean as nilearn_clean
from scipy.ndimage import median_filter

from encoding import InputError
from encoding.responses.detrend import (
    clean,
    cosine_drifts,
    median_drift,
    regress_out,
    zscore,
)
from encoding.responses.median import running_median


@given(
    st.integers(3, 60), st.integers(1, 5), st.integers(1, 20), st.booleans(), st.integers(0, 999)
)
@settings(max_examples=40, deadline=None)
def test_the_running_median_is_that_of_sorting_every_window(n, k, half, ties, seed):
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((n, k))
    data = (np.round(data * 2) if ties else data).astype(np.float32)
    if n <= half:
        with pytest.raises(InputError, match="runs of more than"):
            median_drift(data, 1.0, 2 * half + 1)
        return
    slow = median_filter(data, size=(2 * half + 1, 1), mode="reflect")
    np.testing.assert_array_equal(median_drift(data, 1.0, 2 * half + 1), slow)
    width = 2 * half + 1
    if n >= width:
        plain = [np.median(data[i : i + width], axis=0) for i in range(n - width + 1)]
        np.testing.assert_array_equal(running_median(data.T.copy(), width).T, plain)


def test_240_s_are_161_volumes_of_a_second_and_a_half():
    data = np.random.default_rng(0).standard_normal((410, 3)).astype(np.float32).cumsum(0)
    slow = median_filter(data, size=(161, 1), mode="reflect")
    np.testing.assert_array_equal(median_drift(data, 1.5), slow)


def test_cosines_are_those_of_spm_and_nilearn():
    for n, tr, cutoff in ((410, 1.5, 240.0), (100, 2.0, 128.0)):
        theirs = create_cosine_drift(1 / cutoff, np.arange(n) * tr)[:, :-1]
        np.testing.assert_allclose(cosine_drifts(n, tr, cutoff), theirs, atol=1e-12)
    assert cosine_drifts(410, 1.5).shape[1] == int(2 * 410 * 1.5 / 240)


@given(st.integers(70, 120), st.integers(0, 4), st.sampled_from([40.0, 100.0]), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_cosines_and_confounds_leave_what_nilearn_leaves(n, k, period, seed):
    rng = np.random.default_rng(seed)
    confounds = rng.standard_normal((n, k))
    data = 100 + rng.standard_normal((n, 4)).cumsum(0) + confounds @ rng.standard_normal((k, 4))
    theirs = nilearn_clean(
        data, detrend=False, standardize=None, confounds=confounds if k else None,
        filter="cosine", high_pass=1 / period, t_r=1.5,
    )  # fmt: skip
    regressors = np.c_[confounds, cosine_drifts(n, 1.5, period)]
    ours = regress_out(data, regressors)
    np.testing.assert_allclose(ours, theirs - theirs.mean(0), atol=1e-4)


def test_clean_is_one_regression_on_line_cosines_and_confounds():
    rng = np.random.default_rng(1)
    confounds = rng.standard_normal((200, 3)).cumsum(0)
    data = 1000 + rng.standard_normal((200, 5)) + confounds @ rng.standard_normal((3, 5))
    design = np.c_[np.ones(200), np.arange(200), cosine_drifts(200, 1.5), confounds]
    slow = data - design @ np.linalg.lstsq(design, data, rcond=None)[0]
    ours = clean(data, 1.5, confounds=confounds, standardize=False)
    np.testing.assert_allclose(ours, slow, atol=1e-4)
    np.testing.assert_allclose(
        clean(data, 1.5, confounds=confounds), slow / slow.std(0, ddof=1), atol=1e-4
    )
    assert np.abs(design.T @ ours).max() / np.abs(design.T @ data).max() < 1e-6


def test_drift_that_a_confound_shares_does_not_come_back():
    """Regressing raw confounds after filtering the data alone re-introduces their drift."""
    n = 410
    drift = cosine_drifts(n, 1.5)[:, :3].sum(1) * 50
    rng = np.random.default_rng(2)
    confound = drift + rng.standard_normal(n)
    data = np.outer(drift, np.ones(20)) + rng.standard_normal((n, 20)) + confound[:, None]
    slow = cosine_drifts(n, 1.5)[:, :3]

    def left(cleaned):
        return np.abs(slow.T @ cleaned).max()

    filtered = regress_out(data, cosine_drifts(n, 1.5))
    one_after_the_other = regress_out(filtered, confound[:, None])
    assert left(clean(data, 1.5, confounds=confound[:, None], standardize=False)) < 1e-3
    assert left(one_after_the_other) > 1
    together = clean(data, 1.5, drift="median", confounds=confound[:, None], standardize=False)
    by_hand = regress_out(
        data - median_drift(data, 1.5),
        confound[:, None] - median_drift(confound[:, None], 1.5),
    )
    np.testing.assert_allclose(together, by_hand, atol=1e-5)


def test_the_median_takes_drift_and_leaves_clips():
    """Responses to 15 s clips survive; a steady drift of 20 SD does not (ends apart)."""
    n = 410
    rng = np.random.default_rng(3)
    clips = np.repeat(rng.standard_normal((41, 30)), 10, axis=0)
    slow = np.linspace(-10, 10, n)[:, None]
    cleaned = clean(clips + slow, 1.5, drift="median", standardize=False)
    inside = slice(80, -80)
    r = [np.corrcoef(cleaned[inside, v], clips[inside, v])[0, 1] for v in range(30)]
    assert np.median(r) > 0.85
    raw = [np.corrcoef((clips + slow)[inside, v], clips[inside, v])[0, 1] for v in range(30)]
    assert np.median(np.abs(raw)) < 0.5


def test_constant_targets_become_zero_and_nothing_is_blown_up():
    data = np.random.default_rng(4).standard_normal((60, 3)).astype(np.float32)
    data[:, 1] = 12345.678
    line = (1000 + 0.1 * np.arange(60)).astype(np.float32)
    data[:, 2] = line
    cleaned = clean(data, 1.5)
    assert np.abs(cleaned[:, 1]).max() == 0 and np.abs(cleaned[:, 2]).max() == 0
    np.testing.assert_allclose(zscore(data)[:, 0].std(ddof=1), 1, rtol=1e-5)
    assert (zscore(data)[:, 1] == 0).all()


def test_float32_images_of_large_mean_are_cleaned_as_in_float64():
    rng = np.random.default_rng(5)
    data = (9000 + 60 * rng.standard_normal((300, 4))).astype(np.float32)
    np.testing.assert_array_equal(clean(data, 1.5), clean(data.astype(float), 1.5))


def test_what_cannot_be_cleaned_says_why():
    data = np.random.default_rng(0).standard_normal((20, 2))
    with pytest.raises(InputError, match="drift is 'wavelet'"):
        clean(data, 1.5, drift="wavelet")
    with pytest.raises(InputError, match=r"shape \(19, 1\), expected 20 rows"):
        regress_out(data, np.ones((19, 1)))
    with pytest.raises(InputError, match="NaN"):
        regress_out(data, np.full((20, 1), np.nan))
    with pytest.raises(InputError, match="leave nothing of 20 volumes"):
        regress_out(data, np.random.default_rng(1).standard_normal((20, 25)))
