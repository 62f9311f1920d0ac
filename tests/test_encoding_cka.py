"""CKA: what it is blind to, what it must not see in noise, and intervals that hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group

from encoding import InputError, cka, cka_interval


def noise(n, p, seed):
    return np.random.default_rng(seed).standard_normal((n, p))


def test_many_units_look_alike_only_while_the_bias_is_in():
    biased, debiased = [], []
    for seed in range(10):
        X, Y = noise(60, 1000, seed), noise(60, 2000, seed + 100)
        biased.append(cka(X, Y, debiased=False))
        debiased.append(cka(X, Y))
    assert np.mean(biased) == pytest.approx(0.957, abs=0.003)
    assert abs(np.mean(debiased)) < 0.02


@given(n=st.integers(5, 12), p=st.integers(2, 8), seed=st.integers(0, 999))
def test_rotation_scale_and_offset_do_not_matter_and_itself_is_1(n, p, seed):
    X, Y = noise(n, p, seed), noise(n, 3, seed + 1)
    turned = 7.0 * X @ ortho_group.rvs(p, random_state=seed) + noise(1, p, seed + 2)
    for debiased in (True, False):
        assert cka(X, X, debiased) == pytest.approx(1)
        assert cka(turned, Y, debiased) == pytest.approx(cka(X, Y, debiased), abs=1e-9)
        assert cka(Y, X, debiased) == pytest.approx(cka(X, Y, debiased))


def test_the_unbiased_sum_is_the_product_of_u_centred_matrices():
    """Szekely & Rizzo (2014), Ann. Stat. 42, 2382: another road to the same estimate."""

    def centred(X):
        K, n = X @ X.T, len(X)
        np.fill_diagonal(K, 0)
        sums = K.sum(0)
        U = K - sums[:, None] / (n - 2) - sums / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(U, 0)
        return U

    X, Y = noise(11, 5, 0), noise(11, 4, 1)
    U, V = centred(X), centred(Y)
    expected = (U * V).sum() / np.sqrt((U * U).sum() * (V * V).sum())
    assert cka(X, Y) == pytest.approx(expected)


def test_leaving_out_groups_is_what_it_says():
    X, Y = noise(12, 5, 0), noise(12, 4, 1)
    groups = np.repeat(list("abcd"), 3)
    left = [cka(X[groups != g], Y[groups != g]) for g in "abcd"]
    estimate, low, high = cka_interval(X, Y, groups)
    assert estimate == pytest.approx(cka(X, Y)) and low <= estimate <= high
    spread = np.sqrt(3 / 4 * ((left - np.mean(left)) ** 2).sum())
    assert estimate - low == pytest.approx(min(3.182446 * spread, estimate + 1))


def test_intervals_cover_the_alignment_of_the_population():
    rng = np.random.default_rng(0)
    mix_x, mix_y = rng.standard_normal((2, 3, 20))
    # Population: CKA of Gaussians is |S_xy|^2 / (|S_xx| |S_yy|).
    norm = np.linalg.norm
    cov_x, cov_y = mix_x.T @ mix_x + 2 * np.eye(20), mix_y.T @ mix_y + 2 * np.eye(20)
    truth = norm(mix_x.T @ mix_y) ** 2 / (norm(cov_x) * norm(cov_y))
    covered = []
    for _ in range(200):
        latent = rng.standard_normal((50, 3))
        X, Y = (latent @ m + np.sqrt(2) * rng.standard_normal((50, 20)) for m in (mix_x, mix_y))
        _, low, high = cka_interval(X, Y)
        covered.append(low <= truth <= high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_stimuli_drawn_twice_inflate_and_that_is_why_none_is():
    X, Y = noise(40, 100, 0), noise(40, 100, 1)
    drawn = np.random.default_rng(2).integers(40, size=40)
    assert cka(X[drawn], Y[drawn]) > 0.3 > cka_interval(X, Y)[2]


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (np.zeros((5, 2)), "same for all"),
        (np.full((5, 2), np.nan), "NaN"),
        (np.eye(6), "6 and 5 rows"),
    ],
)
def test_what_cannot_be_compared_is_refused(X, said):
    with pytest.raises(InputError, match=said):
        cka(X, noise(5, 3, 0))
    with pytest.raises(InputError, match="at least 4"):
        cka(noise(3, 2, 0), noise(3, 2, 1))
    with pytest.raises(InputError, match="no interval"):
        cka_interval(noise(6, 2, 0), noise(6, 2, 1), list("aaabbb"))
