"""How good neighbours are: average precision and hit rate, with intervals and chance."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import hypergeom

from cortexnet.retrieval.index import Index
from cortexnet.retrieval.neighbours import BLOCK_BYTES, similarity_blocks
from stimuli import InputError


def average_precision(similarities: np.ndarray, relevant: np.ndarray) -> float:
    """Mean over the relevant items of the precision at their rank.

    Parameters
    ----------
    similarities : (n,)
    relevant : (n,) bool
        At least one.

    Returns
    -------
    float
        Items that tie have one rank, the last of theirs, so that their order does not count;
        equals scikit-learn's ``average_precision_score``.
    """
    order = np.argsort(-similarities, kind="stable")
    last = np.searchsorted(-similarities[order], -similarities[order], side="right")
    relevant = relevant[order]
    precision = np.cumsum(relevant)[last - 1] / last
    return float(precision[relevant].mean())


def chance_precision(n_relevant, n) -> np.ndarray:
    """Expected average precision of a random order of `n` items, `n_relevant` of them relevant.

    Notes
    -----
    Given that the item at rank i is relevant, each of the i - 1 before it is with probability
    p = (n_relevant - 1) / (n - 1). The mean over i of (1 + (i - 1) p) / i is p + (1 - p) H_n / n,
    H_n the harmonic number.
    """
    n_relevant, n = np.asarray(n_relevant), np.asarray(n)
    harmonic = np.concatenate([[0], np.cumsum(1 / np.arange(1, n.max(initial=1) + 1))])[n]
    p = (n_relevant - 1) / np.maximum(n - 1, 1)
    return p + (1 - p) * harmonic / n


def query_scores(
    vectors: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    queries: np.ndarray,
    ks: Sequence[int],
    block_bytes: int = BLOCK_BYTES,
) -> dict[str, np.ndarray]:
    """Each query clip against all clips of other groups; those of its label are relevant.

    Parameters
    ----------
    vectors : (n, d) float32
        Rows of length 1.
    labels, groups : (n,) arrays
    queries : (q,) int
        Positions of the query clips.
    ks : sequence of int
    block_bytes : int

    Returns
    -------
    dict of arrays
        ``precision (q,)``: average precision, NaN where no other group has the query's label;
        ``hits (q, len(ks))``: whether one of the first k is relevant; ``n_relevant, n (q,)``.
    """
    precision = np.full(len(queries), np.nan)
    hits = np.zeros((len(queries), len(ks)))
    n_relevant, n = np.zeros(len(queries), int), np.zeros(len(queries), int)
    label, group = (np.unique(x, return_inverse=True)[1] for x in (labels, groups))
    for rows, block in similarity_blocks(vectors[queries], vectors, block_bytes):
        for q, similarities in zip(range(rows.start, rows.stop), block, strict=True):
            other = group != group[queries[q]]
            relevant = (label == label[queries[q]])[other]
            n_relevant[q], n[q] = relevant.sum(), len(relevant)
            if not n_relevant[q]:
                continue
            similarities = similarities[other]
            precision[q] = average_precision(similarities, relevant)
            # Rank of the first relevant item, from 0; ties stay in the order of the table.
            most = similarities[relevant].max()
            tied = similarities == most
            first = (similarities > most).sum() + tied[: np.argmax(tied & relevant)].sum()
            hits[q] = first < np.asarray(ks)
    return {"precision": precision, "hits": hits, "n_relevant": n_relevant, "n": n}


def group_bootstrap(
    values: np.ndarray, groups: np.ndarray, n_resamples: int, seed: int, level: float = 0.95
) -> np.ndarray:
    """Percentile interval of means when whole groups are drawn with replacement.

    Clips of one track are not independent; drawing them one by one makes intervals too narrow.

    Parameters
    ----------
    values : (n, m)
    groups : (n,)
    n_resamples : int
    seed : int
    level : float

    Returns
    -------
    (2, m)
        Lower and upper ends; NaN where there is a single group.
    """
    group = np.unique(groups, return_inverse=True)[1]
    n_groups = group.max() + 1
    if n_groups < 2:
        return np.full((2, values.shape[1]), np.nan)
    sums = np.zeros((n_groups, values.shape[1]))
    np.add.at(sums, group, values)
    sizes = np.bincount(group)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), n_resamples)
    means = (drawn @ sums) / (drawn @ sizes)[:, None]  # (resamples, groups) times (groups, m)
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)


def evaluate_index(
    index: Index,
    queries: np.ndarray | None = None,
    ks: Sequence[int] = (1, 5, 10),
    n_resamples: int = 2000,
    seed: int = 0,
) -> dict:
    """Mean average precision and hit rate over query clips, in all and by label.

    A clip of the query's label counts as relevant; clips of its group are left out.

    Parameters
    ----------
    index : Index
    queries : (q,) int, optional
        Positions of the query clips; default all. Every clip of the index is a candidate.
    ks : sequence of int
        Of the hit rates.
    n_resamples : int
        Of groups of queries, for the 95 % intervals.
    seed : int

    Returns
    -------
    dict
        ``mean_average_precision, interval, chance``; ``hit_rate`` as ``{k: {"rate", "interval",
        "chance"}}``; ``per_label`` with the same keys; ``n_queries, n_candidates`` and
        ``n_without_relevant``, the queries left out because only their own group has their label.

    Raises
    ------
    InputError
        If no query has a relevant clip.
    """
    labels = index.clips["label"].to_numpy(str)
    groups = index.clips["group"].to_numpy(str)
    queries = np.arange(len(labels)) if queries is None else np.asarray(queries, int)
    scores = query_scores(index.vectors, labels, groups, queries, ks)
    kept = scores["n_relevant"] > 0
    if not kept.any():
        raise InputError(
            "no query has a clip of its label in another group; retrieval cannot be evaluated"
        )
    n_relevant, n = scores["n_relevant"][kept], scores["n"][kept]
    values = np.column_stack([scores["precision"], scores["hits"]])[kept]
    chance = np.column_stack(
        [
            chance_precision(n_relevant, n),
            *(hypergeom.sf(0, n, n_relevant, np.minimum(k, n)) for k in ks),
        ]
    )
    label, group = labels[queries][kept], groups[queries][kept]

    def summary(rows):
        ends = group_bootstrap(values[rows], group[rows], n_resamples, seed)
        mean, by_chance = values[rows].mean(0), chance[rows].mean(0)
        known = [None if np.isnan(pair).any() else pair.tolist() for pair in ends.T]
        return {
            "mean_average_precision": float(mean[0]),
            "interval": known[0],
            "chance": float(by_chance[0]),
            "hit_rate": {
                str(k): {
                    "rate": float(mean[i]), "interval": known[i], "chance": float(by_chance[i])
                }
                for i, k in enumerate(ks, 1)
            },
            "n_queries": int(rows.sum()),
        }  # fmt: skip

    return summary(np.ones(len(label), bool)) | {
        "n_candidates": len(labels),
        "n_without_relevant": int((~kept).sum()),
        "per_label": {str(name): summary(label == name) for name in np.unique(label)},
    }
