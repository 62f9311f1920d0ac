"""How often a hierarchy is claimed in simulated experiments of five subjects."""

import itertools

import pytest

import encoding
from encoding.stages.simulation import REGIONS, SNR, STAGES, simulate_scores

LEVELS = (
    SNR,
    dict.fromkeys(REGIONS, 0.3),
    dict(zip(REGIONS, (0.5, 0.1, 0.1, 0.1), strict=True)),
    dict(zip(REGIONS, (0.1, 0.5, 0.5, 0.5), strict=True)),
)
SMALL = {"n_voxels": 10, "n_controls": 2, "n_train": 120, "n_test": 36}
QUICK = {"n_shuffles": 1, "n_resamples": 100, "n_surrogates": 9, "n_jobs": 1}


def claims(cases):
    """Experiments in which a hierarchy is claimed, of (stages by region, SNR, seed)."""
    return [
        (stages, snr, seed)
        for stages, snr, seed in cases
        if encoding.stage_test(
            simulate_scores(dict(zip(REGIONS, stages, strict=True)), snr, seed=seed, **SMALL),
            seed=seed, **QUICK,
        ).verdict.supported
    ]  # fmt: skip


@pytest.mark.slow
def test_a_hierarchy_is_claimed_in_at_most_five_percent_of_null_experiments():
    """All regions share one stage, or hold noise; SNR is equal, or differs between them."""
    kinds = [*itertools.product(STAGES, LEVELS), (None, SNR)]
    cases = [((stage,) * 4, snr, seed) for seed, (stage, snr) in
             zip(range(200), itertools.cycle(kinds), strict=False)]  # fmt: skip
    assert len(claims(cases)) <= 10


@pytest.mark.slow
def test_planted_hierarchies_are_found_in_nine_of_ten_experiments_and_reversed_ones_never():
    found = claims([(STAGES, SNR, seed) for seed in range(40)])
    assert len(found) >= 36
    assert not claims([(STAGES[::-1], SNR, seed) for seed in range(10)])
