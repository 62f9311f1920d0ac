"""Bootstrap, tests and weighted models of RDMs: against resampling them literally."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rsatoolbox.inference import eval_dual_bootstrap
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from rsatoolbox.util.inference_util import extract_variances
from scipy.spatial.distance import squareform

from encoding import InputError, between_runs, bootstrap_rdms, compare_rdms, permute_clips, rdm
from encoding.blocks import generators
from encoding.rsa import COMPARISONS, RDMBootstrap, weighted_rdm
from encoding.rsa.bootstrap import _draw
from encoding.rsa.resampled import resampled_similarity


def literal(vector, clips):
    """The RDM of the clips drawn, one row a draw, without pairs of a clip with itself."""
    square = squareform(np.where(np.isnan(vector), 1e9, vector))[np.ix_(clips, clips)]
    square[(clips[:, None] == clips) | (square == 1e9)] = np.nan
    return square[np.triu_indices(len(clips), 1)]


@settings(max_examples=25)
@given(
    st.sampled_from(COMPARISONS), st.integers(5, 12), st.booleans(), st.booleans(),
    st.integers(0, 10**6),
)  # fmt: skip
def test_counts_of_clips_give_what_resampled_rdms_give(method, n, ties, missing, seed):
    rng = np.random.default_rng(seed)
    n_pairs = n * (n - 1) // 2
    data, models = rng.random((3, n_pairs)) + 0.1, rng.random((2, n_pairs)) + 0.1
    if ties:
        data, models = np.round(data, 1), np.round(models, 1)
    if missing:
        data = between_runs(data, np.arange(n) % 3)
    known = ~np.isnan(data[0])
    clips = np.sort(rng.integers(n, size=n))
    counts = np.bincount(clips, minlength=n)
    found = resampled_similarity(data, models, known, method, counts[None])[0]
    if (counts > 0).sum() < 3:
        assert np.isnan(found).all()
        return
    stacks = [np.stack([literal(row, clips) for row in stack]) for stack in (data, models)]
    if (~np.isnan(stacks[0][0])).sum() < 3:
        return
    np.testing.assert_allclose(found, compare_rdms(*stacks, method), atol=1e-8)


@pytest.fixture(scope="module")
def experiment():
    """Four subjects and three models: the truth, one near it and one without relation."""
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((15, 6))
    data = [rdm(signal @ rng.standard_normal((6, 40)) + 3 * rng.standard_normal((15, 40)))
            for _ in range(4)]  # fmt: skip
    near = signal + 0.7 * rng.standard_normal((15, 6))
    models = [rdm(X, "euclidean") for X in (signal, near, rng.standard_normal((15, 6)))]
    return np.stack(data), np.stack(models)


def test_variances_are_put_together_as_in_rsatoolbox(experiment):
    data, models = experiment
    theirs = [ModelFixed(str(k), model) for k, model in enumerate(models)]
    result = eval_dual_bootstrap(theirs, RDMs(data), method="corr", N=20)
    draws = result.evaluations[:, :, 0, 0]  # (20, 3, both / subjects / clips)
    ours = RDMBootstrap(
        compare_rdms(data, models, "corr"),
        dict(zip(("both", "subjects", "clips"), np.moveaxis(draws, 2, 0), strict=True)), 15, 1, 0,
    )  # fmt: skip
    of_models, of_pairs, _ = extract_variances(result.variances, True, 4, 15)
    np.testing.assert_allclose(ours.sd(np.eye(3)) ** 2, of_models, rtol=1e-8)
    table = ours.differences(["a", "b", "c"])
    factor = (ours.interval[0, 1] - ours.scores[0]) ** 2 / of_models[0]
    np.testing.assert_allclose(((table["high"] - table["low"]) / 2) ** 2, factor * of_pairs)
    assert ours.dof == 3


def test_intervals_hold_the_scores_and_tell_models_apart(experiment):
    data, models = experiment
    found = bootstrap_rdms(data, models, n_resamples=400)
    np.testing.assert_allclose(found.scores, compare_rdms(data, models).mean(0))
    assert (found.interval[:, 0] < found.scores).all() and found.n_lost == 0
    assert found.interval[0, 0] > 0 > found.interval[2, 0]
    table = found.differences(["truth", "near", "none"]).set_index(["a", "b"])
    assert table.loc[("truth", "none"), "p"] < 0.05 < table.loc[("truth", "near"), "p"]
    row = table.loc[("truth", "near")]
    alone = found.interval[:2, 1] - found.interval[:2, 0]
    assert row["high"] - row["low"] < np.hypot(*alone)  # shared draws cancel


def test_one_subject_is_resampled_over_clips_alone(experiment):
    data, models = experiment
    found = bootstrap_rdms(data[0], models, n_resamples=100)
    assert set(found.draws) == {"clips"} and found.dof == 14
    sd = found.draws["clips"].std(0, ddof=1) * np.sqrt(15 / 14)
    np.testing.assert_allclose(found.sd(np.eye(3)), sd)


def test_draws_depend_on_the_seed_not_on_their_number_and_stay_in_runs():
    strata = [np.arange(0, 4), np.arange(4, 12)]
    clips, subjects = _draw(3, 12, strata, 50, 7)
    more = _draw(3, 12, strata, 80, 7)
    np.testing.assert_array_equal(clips, more[0][:50])
    np.testing.assert_array_equal(subjects, more[1][:50])
    assert (clips[:, :4].sum(1) == 4).all() and (clips.sum(1) == 12).all()
    assert (subjects.sum(1) == 3).all() and len(np.unique(clips, axis=0)) > 40


@pytest.mark.parametrize("method", COMPARISONS)
def test_p_counts_literal_permutations_of_clips(experiment, method):
    data, models = experiment
    data = data[:2]
    found = permute_clips(data, models, method, n_permutations=25, seed=3)
    null = []
    for rng in generators(3, 25):
        order = rng.permutation(np.arange(15))
        moved = np.stack([squareform(squareform(d)[np.ix_(order, order)]) for d in data])
        null.append(compare_rdms(moved, models, method).mean(0))
    null = np.array(null)
    np.testing.assert_allclose(found.p, ((null >= found.scores - 1e-9).sum(0) + 1) / 26)
    highest = (null.max(1)[:, None] >= found.scores - 1e-9).sum(0)
    np.testing.assert_allclose(found.p_max, (highest + 1) / 26)
    assert found.p[0] == 1 / 26 and found.p[2] > 0.1


def test_permutation_keeps_to_its_level_within_runs():
    rng = np.random.default_rng(1)
    runs = np.repeat(np.arange(4), 5)
    low = 0
    for k in range(40):
        offset = rng.standard_normal((2, 4, 6))
        brain, model = (rdm(rng.standard_normal((20, 6)) + offset[s][runs]) for s in (0, 1))
        low += permute_clips(brain, model, runs=runs, n_permutations=19, seed=k).p[0] <= 0.1
    assert low <= 9  # 4 expected; 10 or more in 1 % of experiments
    dropped = between_runs(brain, runs)
    with pytest.raises(InputError, match="give the runs"):
        permute_clips(dropped, model, n_permutations=5)
    assert 0 < permute_clips(dropped, model, runs=runs, n_permutations=5).p[0] <= 1


def test_a_mixture_of_layers_is_found_on_other_clips_and_noise_is_not_fitted():
    rng = np.random.default_rng(2)
    parts = [rng.standard_normal((24, 5)) for _ in range(3)]
    layers = np.stack([rdm(part, "euclidean") for part in parts])
    data = np.stack([2 * layers[0] + layers[2] + 0.3 * rng.standard_normal(276) for _ in range(3)])
    mixed = weighted_rdm(data, layers, "corr")
    scores = compare_rdms(data, np.vstack([mixed, layers]), "corr").mean(0)
    assert scores[0] > scores[1:].max() + 0.02
    noise = [compare_rdms(d, weighted_rdm(d, layers, "corr"), "corr")
             for d in rng.standard_normal((40, 276))]  # fmt: skip
    assert abs(np.mean(noise)) < 3 * np.std(noise) / np.sqrt(40) + 0.01


def test_a_tested_pair_never_reaches_its_own_prediction():
    rng = np.random.default_rng(3)
    layers = np.stack([rdm(rng.standard_normal((18, 4)), "euclidean") for _ in range(2)])
    data = layers[0] + 0.5 * rng.random(153)
    before = weighted_rdm(data, layers, "cosine")
    clip = 5
    touched = squareform(np.arange(153))[clip].astype(int)
    touched = touched[np.arange(18) != clip]
    changed = data.copy()
    changed[touched] += 10 * rng.random(17)
    after = weighted_rdm(changed, layers, "cosine")
    # The scale of the whole RDM may change all weights alike, never their ratio.
    ratio = after[touched] / before[touched]
    np.testing.assert_allclose(ratio, ratio[0])
    assert np.ptp(after / before) > 1e-3


def test_what_cannot_be_resampled_is_refused(experiment):
    data, models = experiment
    with pytest.raises(InputError, match="one clip"):
        bootstrap_rdms(data, models, runs=np.arange(15))
    with pytest.raises(InputError, match="needs 4"):
        bootstrap_rdms(np.arange(3.0), np.arange(3.0))
    with pytest.raises(InputError, match="leave constant models out"):
        bootstrap_rdms(data, np.ones(105), "corr")
    with pytest.raises(InputError, match="three folds"):
        weighted_rdm(data, models, n_folds=2)
