"""Similarity of RDMs in bootstrap samples of clips, from how often each clip was drawn.

A clip that is drawn w times stands in w rows of the resampled RDM; pairs of a clip with itself are
left out, as their distance is 0 in every model. A pair i, j then occurs w_i w_j times, so that any
sum over pairs of a resample is a quadratic form, sum_ij w_i w_j (D o E)_ij / 2: no RDM is formed.
Ranks follow from the same counts without sorting again.
"""

from __future__ import annotations

import numpy as np

from .comparison import dense_ranks
from .pairs import n_clips_of, pairs_of

_BATCH = 2**22  # numbers in an array of resamples x pairs
LEAST_CLIPS = 3  # distinct ones in a resample


def resampled_similarity(data, models, known, method, counts) -> np.ndarray:
    """What `compare_rdms` finds between resampled data and resampled models.

    Parameters
    ----------
    data : (n_data, n_pairs), models : (n_models, n_pairs)
    known : (n_pairs,) bool
    method : see `compare_rdms`
    counts : (n_resamples, n_clips) how often each clip was drawn

    Returns
    -------
    (n_resamples, n_data, n_models)
        NaN for resamples of fewer than three distinct clips.
    """
    counts = np.asarray(counts, np.float64)
    i, j = (index[known] for index in pairs_of(n_clips_of(len(known))))
    x, y = data[:, known], models[:, known]
    out = np.empty((len(counts), len(x), len(y)))
    step = max(1, _BATCH // len(i))
    with np.errstate(invalid="ignore", divide="ignore"):
        for start in range(0, len(counts), step):
            batch = slice(start, start + step)
            out[batch] = _MEASURES[method](x, y, i, j, counts[batch])
    out[(counts > 0).sum(1) < LEAST_CLIPS] = np.nan
    return out


def _moments(x, y, i, j, counts):
    """Weights of pairs and the weighted sums of x y, x^2 and y^2."""
    weights = counts[:, i] * counts[:, j]  # (n_resamples, n_pairs)
    xy = weights @ (x[:, None] * y).reshape(-1, x.shape[1]).T
    return weights, xy.reshape(-1, len(x), len(y)), weights @ (x * x).T, weights @ (y * y).T


def _ratio(xy, xx, yy) -> np.ndarray:
    """NaN where a side has no length."""
    xx, yy = (np.sqrt(np.where(square > 0, square, np.nan)) for square in (xx, yy))
    return xy / (xx[:, :, None] * yy[:, None])


def _cosine(x, y, i, j, counts):
    return _ratio(*_moments(x, y, i, j, counts)[1:])


def _corr(x, y, i, j, counts):
    # Differences of sums lose digits; means near 0 keep them.
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    weights, xy, xx, yy = _moments(x, y, i, j, counts)
    n = weights.sum(1)
    sx, sy = weights @ x.T, weights @ y.T
    xy -= sx[:, :, None] * sy[:, None] / n[:, None, None]
    return _ratio(xy, _variance(xx, sx, n), _variance(yy, sy, n))


def _variance(squares, sums, n):
    """Sum of squares about the mean, 0 where there is only rounding."""
    about = squares - sums**2 / n[:, None]
    return np.where(about > 1e-12 * squares, about, 0)


def _whitened(x, y, i, j, counts):
    """As in `compare_rdms`: (I - M (2 I + M'M)^-1 M') / 2, M the incidence of copies and pairs.

    M'x is equal for all copies of a clip, m_k = sum_l w_l x_kl, and so is the solution u, which
    therefore solves a system of the size of the clips: (2 + sum_l w_l) u_k + sum_l w_l u_l = m_k,
    sums over clips l whose pair with k is known.
    """
    n_clips = counts.shape[1]
    _, xy, xx, yy = _moments(x, y, i, j, counts)
    both = np.concatenate([x, y])
    square = np.zeros((len(both), n_clips, n_clips))
    square[:, i, j] = square[:, j, i] = both
    paired = np.zeros((n_clips, n_clips))
    paired[i, j] = paired[j, i] = 1
    m = np.einsum("rl,dkl->rkd", counts, square, optimize=True)
    system = paired * counts[:, None]
    system[:, np.arange(n_clips), np.arange(n_clips)] += 2 + counts @ paired
    u = np.linalg.solve(system, m)
    m *= counts[:, :, None]
    mx, my, ux, uy = m[..., : len(x)], m[..., len(x) :], u[..., : len(x)], u[..., len(x) :]
    xy -= mx.transpose(0, 2, 1) @ uy
    return _ratio(xy, xx - (mx * ux).sum(1), yy - (my * uy).sum(1))


def _ranks(x, y, i, j, counts):
    from .kernels import rank_products

    ranks = dense_ranks(np.concatenate([x, y]))
    return rank_products(ranks, len(x), i, j, counts)


def _rho_a(x, y, i, j, counts):
    n, xy, _ = _ranks(x, y, i, j, counts)
    return 12 * xy / (n**3 - n)[:, None, None]


def _spearman(x, y, i, j, counts):
    _, xy, own = _ranks(x, y, i, j, counts)
    return _ratio(xy, own[:, : len(x)], own[:, len(x) :])


def _kendall(x, y, i, j, counts):
    from .kernels import sign_products

    ranks = dense_ranks(np.concatenate([x, y]))
    n, signs = sign_products(ranks, ranks.argsort(1, kind="stable"), len(x), i, j, counts)
    return 2 * signs / (n * (n - 1))[:, None, None]


_MEASURES = {
    "cosine": _cosine,
    "corr": _corr,
    "whitened-cosine": _whitened,
    "rho-a": _rho_a,
    "spearman": _spearman,
    "kendall": _kendall,
}
