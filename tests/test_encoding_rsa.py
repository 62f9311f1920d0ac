"""RDMs and their comparison: against rsatoolbox, and against what the formulas say."""

import numpy as np
import pytest
import rsatoolbox
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import prec_from_residuals
from rsatoolbox.rdm import RDMs, calc_rdm
from scipy.spatial.distance import pdist

from encoding import InputError, between_runs, category_rdm, compare_rdms, noise_precision, rdm
from encoding.rsa import n_clips_of, rdm_ceiling
from encoding.rsa.noise import repeat_residuals

THEIRS = {"rho-a": "rho-a", "spearman": "spearman", "kendall": "tau-a", "cosine": "cosine",
          "whitened-cosine": "cosine_cov", "corr": "corr"}  # fmt: skip
RNG = np.random.default_rng(0)
PATTERNS = RNG.standard_normal((3, 8, 20)) + 2 * RNG.standard_normal((8, 20))  # repeat, clip


def patterns_table():
    """The same in rows, in an order of no use, for both libraries."""
    order = np.random.default_rng(1).permutation(24)
    clips, repeats = np.tile(np.arange(8), 3)[order], np.repeat(np.arange(3), 8)[order]
    return PATTERNS.reshape(24, 20)[order], clips, repeats


@pytest.mark.parametrize("method", ["correlation", "euclidean", "mahalanobis", "crossnobis"])
def test_distances_are_those_of_rsatoolbox(method):
    X, clips, repeats = patterns_table()
    noise = None
    if method in ("mahalanobis", "crossnobis"):
        residuals, dof = repeat_residuals(PATTERNS)
        noise = noise_precision(residuals, dof=dof)
    dataset = Dataset(X, obs_descriptors={"clip": clips, "repeat": repeats})
    theirs = calc_rdm(
        dataset, method, descriptor="clip", noise=noise,
        cv_descriptor="repeat" if method == "crossnobis" else None,
    )  # fmt: skip
    ours = rdm(X, method, noise=noise, clips=clips, repeats=repeats)
    np.testing.assert_allclose(ours, theirs.get_vectors()[0], atol=1e-8)
    np.testing.assert_allclose(rdm(PATTERNS, method, noise=noise), ours, atol=1e-10)


def test_cosine_distance_is_that_of_scipy():
    np.testing.assert_allclose(rdm(PATTERNS[0], "cosine"), pdist(PATTERNS[0], "cosine"), atol=1e-12)


def test_crossnobis_of_noise_averages_to_zero_where_euclidean_grows_with_it():
    noise = np.random.default_rng(3).standard_normal((4, 12, 4000))
    assert abs(rdm(noise, "crossnobis").mean()) < 0.02
    assert rdm(noise, "euclidean").mean() > 0.4


def test_distances_do_not_lose_digits_to_a_large_mean():
    far = PATTERNS[0] + 1e6
    np.testing.assert_allclose(rdm(far, "euclidean"), rdm(PATTERNS[0], "euclidean"), rtol=1e-7)
    with pytest.raises(InputError, match="pattern 2 is constant"):
        rdm(np.where(np.arange(8)[:, None] == 2, 7.3, PATTERNS[0]), "correlation")


@pytest.mark.parametrize(
    ("target", "theirs"), [("diagonal", "shrinkage_diag"), ("identity", "shrinkage_eye"),
                           ("variances", "diag")],
)  # fmt: skip
def test_precisions_are_those_of_rsatoolbox(target, theirs):
    residuals = np.random.default_rng(2).standard_normal((30, 50)) * np.linspace(1, 3, 50)
    for dof in (None, 20):
        expected = prec_from_residuals(residuals.copy(), dof=dof, method=theirs)
        ours = noise_precision(residuals, target, dof=dof)
        np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-10)


@pytest.fixture(scope="module")
def stacks():
    """Data and models with ties; the run pairs of a second version are unknown."""
    rng = np.random.default_rng(5)
    a, b = np.round(rng.random((3, 66)), 1) + 0.1, np.round(rng.random((4, 66)), 2)
    runs = np.arange(12) % 3
    return [(a, b), (between_runs(a, runs), between_runs(b, runs))]


@pytest.mark.parametrize("method", THEIRS)
def test_comparisons_are_those_of_rsatoolbox_with_and_without_missing_pairs(stacks, method):
    for a, b in stacks:
        theirs = rsatoolbox.rdm.compare(RDMs(a), RDMs(b), THEIRS[method])
        np.testing.assert_allclose(compare_rdms(a, b, method), theirs, atol=1e-8)
        alone = compare_rdms(a[0], b[1], method)
        assert np.ndim(alone) == 0 and abs(alone - theirs[0, 1]) < 1e-8


@pytest.mark.parametrize("covariance", [False, True])
def test_whitening_is_the_inverse_of_the_covariance_of_distances(stacks, covariance):
    root = np.random.default_rng(6).standard_normal((12, 30)) / np.sqrt(30)
    sigma = root @ root.T if covariance else None
    i, j = np.triu_indices(12, 1)
    contrast = np.zeros((66, 12))
    contrast[np.arange(66), i], contrast[np.arange(66), j] = 1, -1
    V = (contrast @ (np.eye(12) if sigma is None else sigma) @ contrast.T) ** 2
    for a, b in stacks:
        known = ~np.isnan(a[0])
        P = np.linalg.inv(V[np.ix_(known, known)])
        x, y = a[:, known], b[:, known]
        length = [np.sqrt(np.einsum("ip,pq,iq->i", v, P, v)) for v in (x, y)]
        expected = x @ P @ y.T / np.outer(*length)
        found = compare_rdms(a, b, "whitened-cosine", sigma_k=sigma)
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_pairs_unknown_in_any_rdm_are_left_out_of_all():
    a, b = np.random.default_rng(7).random((2, 2, 15))
    a[0, 3], b[1, 9] = np.nan, np.nan
    kept = np.delete(np.arange(15), [3, 9])
    x, y = (v[:, kept] - v[:, kept].mean(1, keepdims=True) for v in (a, b))
    expected = x @ y.T / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
    np.testing.assert_allclose(compare_rdms(a, b, "corr"), expected)


def test_the_number_of_clips_follows_from_that_of_pairs():
    assert all(n_clips_of(n * (n - 1) // 2) == n for n in range(2, 400))


@pytest.mark.parametrize("method", THEIRS)
def test_ceilings_are_those_of_rsatoolbox_and_none_for_one_subject(stacks, method):
    for _, data in stacks:
        found = rdm_ceiling(data, method)
        expected = rsatoolbox.inference.boot_noise_ceiling(RDMs(data), method=THEIRS[method])
        np.testing.assert_allclose([found.lower, found.upper], expected, atol=1e-8)
        assert found.lower < found.upper
        assert rdm_ceiling(data[:1], method) is None


def test_runs_alone_fake_a_correlation_with_genre_unless_they_are_set_aside():
    """Clips of one genre tend to share a run; the brain knows of runs, not of genres."""
    rng = np.random.default_rng(8)
    runs = np.repeat(np.arange(6), 10)
    genre = np.where(rng.random(60) < 0.4, runs, rng.integers(6, size=60))
    model = category_rdm(genre)
    found = {how: [] for how in ("keep", "drop", "partial", "centred")}
    for _ in range(20):
        patterns = rng.standard_normal((60, 30)) + 0.5 * rng.standard_normal((6, 30))[runs]
        brain = rdm(patterns, "correlation")
        for how in ("keep", "drop", "partial"):
            handled = between_runs(np.stack([brain, model]), runs, how)
            found[how].append(compare_rdms(handled[0], handled[1]))
        centred = patterns - np.stack([patterns[runs == r].mean(0) for r in range(6)])[runs]
        handled = between_runs(np.stack([rdm(centred), model]), runs, "drop")
        found["centred"].append(compare_rdms(handled[0], handled[1]))
    mean = {how: np.mean(values) for how, values in found.items()}
    error = {how: np.std(values) / np.sqrt(20) for how, values in found.items()}
    assert mean["keep"] > 0.03 and mean["keep"] > 10 * error["keep"]
    for how in ("drop", "partial", "centred"):
        assert abs(mean[how]) < 3 * error[how] + 0.002, (how, mean[how])


def test_partialling_out_leaves_both_kinds_of_pairs_with_one_mean():
    runs = np.arange(12) % 3
    within = category_rdm(runs) == 0
    values = np.random.default_rng(9).random((2, 66)) + 3 * within
    found = between_runs(values, runs, "partial")
    np.testing.assert_allclose(found[:, within].mean(1), found[:, ~within].mean(1))
    np.testing.assert_allclose(found.mean(1), values.mean(1))
    design = np.stack([np.ones(66), within], 1)
    left = values - (design @ np.linalg.lstsq(design, values.T, rcond=None)[0]).T
    np.testing.assert_allclose(found - found.mean(1, keepdims=True), left, atol=1e-12)


def test_what_cannot_be_compared_is_refused():
    refusals = [
        (lambda: rdm(PATTERNS[0], "manhattan"), "unknown"),
        (lambda: rdm(PATTERNS[0], "crossnobis"), "two or more repeats"),
        (lambda: rdm(PATTERNS[0], "cosine", noise=np.eye(20)), "takes no noise"),
        (lambda: rdm(PATTERNS[0], "mahalanobis", noise=np.eye(19)), "expected"),
        (lambda: rdm(np.full((3, 4), np.nan)), "NaN"),
        (lambda: rdm(PATTERNS[0], clips=[0, 0, 1, 1, 2, 2, 3, 4]), "lack one of 2 repeats"),
        (lambda: compare_rdms(np.ones(5), np.ones(5)), "no RDM has as many"),
        (lambda: compare_rdms(np.ones(3), np.ones(6)), "3 and 4 clips"),
        (lambda: compare_rdms(np.arange(3.0), np.full(3, np.nan)), "0 of 3 pairs"),
        (lambda: compare_rdms(np.arange(3.0), np.arange(3.0), "tau"), "unknown"),
        (lambda: between_runs(np.arange(3.0), [1, 1, 1]), "one run"),
        (lambda: between_runs(np.arange(3.0), [1, 2]), "label 2 clips"),
        (lambda: noise_precision(np.ones((9, 2))), "no noise"),
    ]
    for call, message in refusals:
        with pytest.raises(InputError, match=message):
            call()
