"""Stages to regions: what scores say of an order, and what they must not be taken for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

import encoding
from encoding import InputError, Scores
from encoding.blocks import Resamples
from encoding.regions import assign_regions
from encoding.stages import own_regions, summarise_stages
from encoding.stages.draws import shuffle_clips
from encoding.stages.interaction import interaction, snr_alone
from encoding.stages.matching import matching_weights
from encoding.stages.preference import cross_validated_best, depth_contrast, soft_preference
from encoding.stages.simulation import REGIONS, SNR, STAGES, simulate_scores
from encoding.stages.spatial import moran_surrogates, rank_correlation, spatial_cells
from encoding.stages.verdict import control_kind, decide, exceeds, ladder_sentence

ORDER = dict(zip(REGIONS, STAGES, strict=True))
QUICK = {"n_shuffles": 1, "n_resamples": 100, "n_surrogates": 99, "n_jobs": 1}
P, N = np.array([True, False, False, False]), np.array([False, True, True, True])


@pytest.fixture(scope="module")
def planted():
    scores = simulate_scores(ORDER, SNR, n_voxels=15, n_controls=2, seed=3)
    return scores, encoding.stage_test(scores, seed=3, **QUICK)


def test_a_planted_order_is_found_with_the_sentence_of_the_rule(planted):
    _, test = planted
    assert test.model == "net" and test.verdict.supported
    n = test.verdict.n_exceeding
    assert test.verdict.sentence == f"hierarchy supported in {n} of 5 subjects against all controls"
    assert test.controls == {
        "net-random-0": "random", "net-permuted-0": "permuted", "cochleagram": "cochleagram",
    }  # fmt: skip
    for one in test.subjects.values():
        assert one.regions == list(REGIONS) and one.stages == list(STAGES)
        assert one.mean_r.argmax(0).tolist() == [0, 1, 2, 3]
        assert (np.diff(one.region_soft) > 0).all()
        low, high = one.region_soft_interval.T
        assert (low < one.region_soft).all() and (one.region_soft < high).all()
        assert one.rank["axis"] == "distance from core"
        assert one.rank["rho"] > 0.6 and one.rank["p"] <= 0.05


def test_targets_get_their_stage_where_both_halves_agree(planted):
    scores, test = planted
    truth = np.repeat([1, 2, 3, 4], 15)
    for name, one in test.subjects.items():
        known = np.isfinite(one.best)
        assert known.mean() > 0.4 and np.mean(one.best[known] == truth[known]) > 0.9
        sure = np.isfinite(one.soft)
        low, high = one.soft_interval[sure].T
        assert ((low <= one.soft[sure]) & (one.soft[sure] <= high)).all()
        region = scores[name].dataset["region"].to_numpy()
        for i, area in enumerate(one.regions):  # against the plain correlation
            here = region == area
            plain = [
                np.mean([np.corrcoef(p[:, v], scores[name].responses[:, v])[0, 1]
                         for v in np.flatnonzero(here)])
                for p in scores[name].predictions[:4]
            ]  # fmt: skip
            np.testing.assert_allclose(one.mean_r[:, i], plain, atol=1e-5)


def test_controls_are_paired_and_threads_and_order_of_models_do_not_matter(planted):
    scores, test = planted
    again = encoding.stage_test(scores, seed=3, **(QUICK | {"n_jobs": 2}))
    for name, one in test.subjects.items():
        assert one.interactions == again.subjects[name].interactions
    # A control that is the trained model itself has its interaction in every resample, and so is
    # not exceeded in any.
    copied = {}
    for name, one in scores.items():
        layers = one.dataset["layer"].to_numpy().tolist()
        twin = [f"net-random-9:{stage}" for stage in STAGES]
        index = [*range(len(layers)), *range(4)]
        data = one.dataset.isel(layer=index).assign_coords(layer=layers + twin)
        copied[name] = Scores(data, one.predictions[index], one.responses, one.samples)
    twin = encoding.stage_test(copied, seed=3, **QUICK)
    for one in twin.subjects.values():
        assert one.interactions["net-random-9"] == one.interactions[""]
        assert not one.exceeded["net-random-9"]
    assert not twin.verdict.supported
    assert twin.verdict.sentence == (
        "no evidence of a hierarchy: the trained interaction exceeds all controls in 0 of 5 "
        "subjects, 4 are needed"
    )


def test_one_subject_never_suffices_and_neither_does_a_ladder_without_untrained_networks(planted):
    scores, _ = planted
    alone = encoding.stage_test(scores["sub-1"], **QUICK)
    assert not alone.verdict.supported and "one subject never suffices" in alone.verdict.sentence
    bare = encoding.stage_test(scores, controls=["cochleagram"], **QUICK)
    assert not bare.verdict.supported and "random or permuted" in bare.verdict.sentence


@pytest.mark.parametrize(
    ("n", "k", "supported"),
    [(1, 1, False), (2, 1, False), (2, 2, True), (3, 2, False), (3, 3, True), (4, 3, False),
     (4, 4, True), (5, 3, False), (5, 4, True), (10, 7, False), (10, 8, True)],
)  # fmt: skip
def test_the_rule_is_four_of_five_in_every_number(n, k, supported):
    passed = {str(i): i < k for i in range(n)}
    verdict = decide(passed, {"net-random-0": "random"})
    assert verdict.supported is supported
    assert f"in {k} of {n} subject" in verdict.sentence
    assert verdict.sentence.startswith("hierarchy supported" if supported else "no evidence")


def test_exceeding_needs_the_observed_value_and_95_percent_of_draws():
    trained = np.zeros(101)
    control = np.r_[-1.0, np.full(95, -1.0), np.full(5, 1.0)]
    assert exceeds(trained, control)
    assert not exceeds(trained, np.r_[-1.0, np.full(94, -1.0), np.full(6, 1.0)])
    assert not exceeds(trained, np.r_[0.0, np.full(100, -1.0)])
    assert not exceeds(np.full(101, np.nan), control)


def test_the_ladder_says_what_there_is_and_what_is_missing():
    kinds = {f"net-random-{i}": "random" for i in range(10)} | {"net-permuted-0": "permuted"}
    text = ladder_sentence(kinds, 5)
    assert text.startswith("Controls: 10 random, 1 permuted, 5 shuffled clips.")
    assert "Missing: cochleagram, log modulation, scattering, random projection." in text
    assert text.endswith("Fewer than the 10 wanted: permuted.")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("z-random-3", "random"), ("z-permuted-12", "permuted"), ("z-permuted-all-0", "permuted-all"),
     ("cochleagram", "cochleagram"), ("modulation_svm", "log modulation"),
     ("scattering_svm", "scattering"), ("random-projection-2", "random projection"),
     ("cortexnet_z", None), ("randomised", None)],
)  # fmt: skip
def test_controls_are_known_by_their_names(name, kind):
    assert control_kind(name) == kind


@given(
    st.floats(0.01, 10),
    st.floats(0.01, 10),
    st.lists(st.floats(0.01, 1), min_size=4, max_size=4),
)
def test_scale_of_a_group_of_regions_changes_no_preference(a, b, profile):
    trained = np.array(profile)[:, None, None] * np.array([a, b, b, b])[None, :, None]
    np.testing.assert_allclose(interaction(trained, trained, P, N), 0, atol=1e-9)
    soft = soft_preference(trained[..., 0])
    np.testing.assert_allclose(soft, soft[0])
    assert 1 <= soft[0] <= 4


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.floats(0, 50), st.floats(0, 50))
def test_no_noise_in_the_fit_makes_more_than_the_bound_of_one_shared_preference(
    shallow, deep, noise_primary, noise_others
):
    """Accuracy k^2 / (1 + a / k^2) of ridge, with the same k everywhere and any noise a."""
    k = np.array([shallow, shallow, deep, deep])[:, None]
    a = np.array([noise_primary, *[noise_others] * 3])
    trained = (k / np.sqrt(1 + a / k**2))[..., None]
    assert interaction(trained, trained, P, N)[0] <= snr_alone(trained, P, N)[0] + 1e-9


def test_raw_scores_claim_an_interaction_of_snr_alone_and_units_do_not():
    profile = np.array([0.9, 0.7, 0.5, 0.3])[:, None]
    trained = (profile * np.array([0.8, 0.4, 0.3, 0.3]))[..., None]
    raw = depth_contrast(trained)[..., 0]
    assert raw[N].mean() - raw[P].mean() > 0.15  # all prefer stage 1, core has more signal
    assert interaction(trained, trained, P, N)[0] == pytest.approx(0, abs=1e-12)


def argmax_and_soft(snr):
    """Mean best stage, and the soft preference of a region that is all stage 1."""
    planted, level = {"core": STAGES[0]}, {"core": snr}
    scores = simulate_scores(planted, level, n_subjects=1, n_voxels=400, n_controls=0,
                             n_repeats=1, snr_spread=0, seed=1)["sub-1"]  # fmt: skip
    resamples = Resamples(scores.samples["run"], scores.samples["block"], 60, 100, 0)
    r = np.stack([resamples.correlations(p, scores.responses) for p in scores.predictions[:4]])
    region = soft_preference(r.mean(1))
    return (r[..., 0].argmax(0) + 1).mean(), region[0], region[1:].std()


def test_the_best_stage_follows_the_snr_and_the_soft_preference_does_not():
    """All voxels are of stage 1 of 4."""
    found = np.array([argmax_and_soft(snr) for snr in (2, 0.1, 0.02)])
    best, soft, error = found.T
    assert best[0] < 1.05 and best[1] > best[0] + 0.3 and best[2] > best[1] + 0.3 and best[2] > 1.9
    assert (np.diff(error) > 0).all()
    # Noise in the fit sharpens the preference of the true stage; it never moves to the middle.
    assert (soft - soft[0] < 2 * error + 0.02).all()
    none, *_ = argmax_and_soft(1e-9)
    assert none == pytest.approx(2.5, abs=0.25)


def test_matched_voxels_are_predicted_alike_where_their_measured_values_mislead():
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], 4000)
    truth = np.where(codes == 0, 0.5, 0.35) + 0.1 * rng.standard_normal(8000)
    first, second, third = (truth + 0.1 * rng.standard_normal(8000) for _ in range(3))
    one, two = np.array([True, False]), np.array([False, True])
    weights = matching_weights(first, second, codes, one, two)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert (weights >= 0).all() and not weights[0, codes == 1].any()
    matched = weights @ third
    assert (
        abs(matched[0] - matched[1]) < 0.015 < third[codes == 0].mean() - third[codes == 1].mean()
    )
    # Spread by noise alone is no overlap.
    flat = np.where(codes == 0, 0.5, 0.35)
    first, second = (flat + 0.1 * rng.standard_normal(8000) for _ in range(2))
    assert matching_weights(first, second, codes, one, two) is None


def test_the_stage_is_chosen_on_one_half_and_scored_on_the_other():
    first = np.array([[0.5, 0.1], [0.2, 0.4]])
    second = np.array([[0.3, 0.6], [0.1, 0.2]])
    chosen, score = cross_validated_best(first, second)
    np.testing.assert_array_equal(chosen, [[1, 2], [1, 1]])
    np.testing.assert_allclose(score, [(0.3 + 0.5) / 2, (0.2 + 0.1) / 2])


def test_shuffled_clips_keep_runs_and_lengths_and_move_every_clip():
    runs = np.repeat(["a", "b"], [12, 8])
    blocks = np.repeat(np.arange(6), [4, 4, 4, 3, 3, 2])
    resamples = Resamples(runs, blocks, 20, 1, 0)
    for rows in shuffle_clips(resamples, 5, 0):
        assert sorted(rows) == list(range(20))
        assert (runs[rows] == runs).all()
        moved = blocks[rows] != blocks
        assert moved[blocks < 5].all() and not moved[blocks == 5].any()  # no partner of its length
    again = shuffle_clips(resamples, 5, 0)
    np.testing.assert_array_equal(again[3], shuffle_clips(resamples, 4, 0)[3])


def test_draws_of_a_half_use_its_clips_alone():
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((2, 40, 3))
    runs, blocks = np.repeat([0, 1, 2, 3], 10), np.repeat(np.arange(8), 5)
    resamples = Resamples(runs, blocks, 40, 20, 0)
    half = np.isin(resamples.owners, [0, 2])
    rows = np.isin(runs, [0, 2])
    found = resamples.within(half).correlations(p, y)
    expected = [np.corrcoef(p[rows, i], y[rows, i])[0, 1] for i in range(3)]
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)
    y[~rows] = 1e3 * rng.standard_normal(y[~rows].shape)
    np.testing.assert_allclose(
        resamples.within(half).correlations(p, y), found, atol=1e-3
    )  # float32 columns of another scale


def smooth_maps(n, seed=0, scale=4.0):
    xyz = np.c_[np.argwhere(np.ones((10, 10))) * 2.0, np.zeros(100)]
    far = np.linalg.norm(xyz[:, None] - xyz, axis=-1)
    root = np.linalg.cholesky(np.exp(-((far / scale) ** 2) / 2) + 1e-6 * np.eye(100))
    maps = (root @ np.random.default_rng(seed).standard_normal((100, n))).T
    return xyz, np.linalg.norm(xyz - xyz[0], axis=1), maps


def test_the_null_of_the_rank_correlation_holds_its_level_on_smooth_maps():
    xyz, axis, maps = smooth_maps(300)
    ours = [rank_correlation(m, axis, xyz, 99, i)["p"] <= 0.05 for i, m in enumerate(maps)]
    naive = [spearmanr(m, axis, alternative="greater").pvalue <= 0.05 for m in maps]
    assert 0.03 <= np.mean(ours) <= 0.07
    assert np.mean(naive) > 0.2


def test_surrogates_keep_mean_variance_and_autocorrelation():
    xyz, _, maps = smooth_maps(1)
    drawn = moran_surrogates(maps[0], xyz, 200, 0)
    np.testing.assert_allclose(drawn.mean(1), maps[0].mean(), atol=1e-10)
    np.testing.assert_allclose(drawn.std(1), maps[0].std(), rtol=1e-6)
    grid = drawn.reshape(200, 10, 10)
    field = maps[0].reshape(10, 10)
    own = np.corrcoef(field[1:].ravel(), field[:-1].ravel())
    near = [np.corrcoef(g[1:].ravel(), g[:-1].ravel())[0, 1] for g in grid]
    assert np.mean(near) == pytest.approx(own[0, 1], abs=0.08)
    assert abs(np.mean([np.corrcoef(g.ravel(), maps[0])[0, 1] for g in grid])) < 0.1


def test_a_rank_correlation_without_places_has_no_p():
    out = rank_correlation(np.arange(6.0), np.arange(6.0), None)
    assert out == {"rho": pytest.approx(1), "p": None, "n_places": 6}
    assert rank_correlation(np.full(6, np.nan), np.arange(6.0), None)["rho"] is None
    xyz = np.random.default_rng(0).uniform(0, 50, (5000, 3))
    cells = spatial_cells(xyz, 100)
    assert 40 < len(np.unique(cells)) <= 100
    spread = [np.ptp(xyz[cells == c], axis=0).max() for c in np.unique(cells)]
    assert max(spread) < 25


def cut(scores, keep, **change):
    data = scores.dataset.isel(target=keep)
    return Scores(data, scores.predictions[..., keep], scores.responses[:, keep], scores.samples)


def test_input_that_cannot_be_tested_is_refused_by_name(planted):
    scores, _ = planted
    one = scores["sub-1"]
    region = one.dataset["region"].to_numpy()
    with pytest.raises(InputError, match="non-primary"):
        encoding.stage_test(cut(one, region == "core"), **QUICK)
    with pytest.raises(InputError, match=r"sub-1: no target lies in a primary"):
        encoding.stage_test({"sub-1": cut(one, region != "core")}, **QUICK)
    two = one.samples["block"] < 2
    few = Scores(one.dataset, one.predictions[:, two], one.responses[two], one.samples[two])
    with pytest.raises(InputError, match="2 held-out clips in 1 runs"):
        encoding.stage_test(few, **QUICK)
    with pytest.raises(InputError, match="model x is not among"):
        encoding.stage_test(one, model="x", **QUICK)
    with pytest.raises(InputError, match="one layer"):
        encoding.stage_test(one, model="cochleagram", **QUICK)
    with pytest.raises(InputError, match="control y is not among"):
        encoding.stage_test(one, controls=["y"], **QUICK)
    with pytest.raises(InputError, match="label 3 targets"):
        encoding.stage_test(one, assign_regions(["core", "belt", "A1"]), **QUICK)


def test_regions_without_a_target_and_missing_ceilings_are_said(planted):
    scores, _ = planted
    one = scores["sub-1"]
    keep = one.dataset["region"].to_numpy() != "belt"
    small = cut(one, keep)
    bare = Scores(small.dataset.drop_vars("cc_max_mean"), small.predictions, small.responses,
                  small.samples)  # fmt: skip
    summary = summarise_stages(encoding.stage_test({"sub-1": bare}, **QUICK))
    (subject,) = summary["subjects"].values()
    assert list(subject["regions"]) == ["core", "parabelt", "T2T3"]
    assert any("no target lies in belt" in note for note in subject["notes"])
    assert any("no ceiling" in note for note in subject["notes"])
    assert all(row["ceiling"] is None for row in subject["regions"].values())
    assert own_regions(one).coordinates.shape == (60, 3)
