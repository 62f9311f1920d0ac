"""Exact nearest neighbours by cosine: one matrix product, in blocks of bounded memory."""

from collections.abc import Iterator

import numpy as np

# Similarities held at a time.
BLOCK_BYTES = 2**26
# What float32 products resolve; rounding makes exact copies tie, wherever they lie in a block.
DIGITS = 6


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Rows of ``x (n, d)`` at length 1, float32; a row of zeros stays one."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x, np.float32), where=length > 0)


def similarity_blocks(
    queries: np.ndarray, vectors: np.ndarray, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[slice, np.ndarray]]:
    """Cosines of every query with every vector, some queries at a time.

    Parameters
    ----------
    queries : (q, d), vectors : (n, d) float32
        Rows of length 1.
    block_bytes : int
        Size of a block of similarities.

    Yields
    ------
    rows : slice
        The queries of the block.
    similarities : (rows, n) float32
        Rounded to 1e-6.
    """
    step = max(1, block_bytes // (4 * max(1, len(vectors))))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        block = queries[rows] @ vectors.T  # (rows, d) times (d, n)
        yield rows, np.round(block, DIGITS, out=block)


def best(similarities: np.ndarray, k: int) -> np.ndarray:
    """Positions of the `k` largest, largest first; equal ones in their order. -inf never counts."""
    k = min(k, int((similarities > -np.inf).sum()))
    if k == 0:
        return np.zeros(0, int)
    least = np.partition(similarities, -k)[-k]
    found = np.flatnonzero(similarities >= least)  # all that tie with the last are among them
    return found[np.argsort(-similarities[found], kind="stable")][:k]


def nearest(
    queries: np.ndarray,
    vectors: np.ndarray,
    k: int,
    query_groups: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Nearest vectors of every query.

    Parameters
    ----------
    queries : (q, d), vectors : (n, d) float32
        Rows of length 1.
    k : int
    query_groups : (q,), groups : (n,) array, optional
        Vectors of the query's own group are passed over.
    block_bytes : int

    Returns
    -------
    list of (positions, similarities)
        One a query, nearest first; fewer than `k` where there are not more.
    """
    found = []
    for rows, block in similarity_blocks(queries, vectors, block_bytes):
        if groups is not None:
            block[query_groups[rows, None] == groups] = -np.inf
        for similarities in block:
            positions = best(similarities, k)
            found.append((positions, similarities[positions]))
    return found
