"""Held-out residuals of any fold from one eigendecomposition of all rows.

With P = I - 11'/n - U diag(l / (l + a)) U' (a times the inverse kernel, the constant projected
out: an unpenalised intercept), the residuals of rows b predicted from all other rows are

    e_b = (P_bb)^-1 (P Y)_b.

P Y takes a product with U per alpha; `segments` of the spectrum bring these down to a few. The
small systems are inverted in float64. Works for overlapping sets of rows, for instance pairs of
runs in nested cross-validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .arrays import NUMPY
from .basis import Basis
from .skeleton import segments

_MIN_ROWS = 256  # small folds share products with U
_OVERLAP = 1.5  # rows of all sets over rows: from here on rows are smoothed once for all sets
_TOLERANCE = {4: 3e-7, 8: 1e-13}  # of weights, by size of the float
_TRUSTED = 1e-5  # rounding of residuals that float32 may bring


class BlockResiduals:
    """Residuals of row sets left out, for every alpha.

    Parameters
    ----------
    basis : Basis
    sets : sequence of (n_rows,) int
        Rows left out together.
    scored : sequence of int, optional
        How many rows of each set, from its first on, residuals are wanted of. Default: all.
    alphas : (n_alphas,)
    dtype : of targets and results
        Alphas too small for float32 systems are worked in float64 all the same.
    on : where to work, see `arrays`
    """

    def __init__(
        self,
        basis: Basis,
        sets: Sequence[np.ndarray],
        alphas: np.ndarray,
        dtype,
        scored: Sequence[int] | None = None,
        on=NUMPY,
    ):
        self.dtype = np.dtype(dtype)
        self.n_alphas = len(alphas)
        self.on = on
        self._sets = sets
        self._scored = [len(rows) for rows in sets] if scored is None else list(scored)
        inverses, growth = _inverses(basis, sets, self._scored, alphas, on)
        careful = growth * np.finfo(self.dtype).eps > _TRUSTED
        if self.dtype == np.float64:
            careful[:] = False
        self._parts = [
            (
                np.flatnonzero(group),
                _Part(basis, sets, alphas[group], inverses, group, precision, self.dtype, on),
            )
            for group, precision in ((~careful, self.dtype), (careful, np.dtype(np.float64)))
            if group.any()
        ]

    def __call__(
        self, y: np.ndarray, coordinates: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        """Residuals of each set in turn, for y centred over all rows.

        Parameters
        ----------
        y : (n_samples, n_targets), on the back-end like the results
        coordinates : (rank, n_targets), vectors' y

        Yields
        ------
        rows : (n_rows,) those left out and scored
        residuals : (n_alphas + 1, n_rows, n_targets)
            The last entry is the limit of infinite alpha, where the mean is predicted.
        beyond : (n_targets,) or 0
            Sum of squares to be added to those of the residuals, whatever the alpha.
        """
        total = len(y)
        streams = [part.residuals(y, coordinates) for _, part in self._parts]
        for rows, n_scored, *residuals in zip(self._sets, self._scored, *streams, strict=True):
            out = self.on.empty((self.n_alphas + 1, n_scored, y.shape[1]), self.dtype)
            for (where, _), own in zip(self._parts, residuals, strict=True):
                out[where] = self.on.cast(own, self.dtype)
            held = y[rows]
            out[-1] = held[:n_scored]
            # y sums to 0: the mean of the other rows.
            out[-1] += held.sum(0) / (total - len(rows))
            yield rows[:n_scored], out, 0.0

    @property
    def bytes_per_target(self) -> float:
        return sum(part.bytes_per_target for _, part in self._parts)


class _Part:
    """The alphas worked at one precision."""

    def __init__(self, basis, sets, alphas, inverses, group, dtype, given, on):
        self.dtype, self.on = dtype, on
        self.recast = dtype != given
        self.sets = sets
        self.inverses = [on.cast(inverse[np.flatnonzero(group)], dtype) for inverse in inverses]
        self.vectors = on.put(basis.vectors_as(dtype), dtype)
        self.complete = basis.complete
        self.segments = segments(basis.values, alphas, _TOLERANCE[dtype.itemsize])
        self.weights = [on.put(s.weights[:, :, None], dtype) for s in self.segments]
        mixing = [np.zeros((len(alphas), 0)), *(s.mixing for s in self.segments)]
        self.mixing = on.put(np.concatenate(mixing, 1), dtype)
        self.overlapping = sum(len(rows) for rows in sets) > _OVERLAP * len(basis.vectors)
        self.groups = _groups([len(rows) for rows in sets])

    @property
    def bytes_per_target(self) -> float:
        rows = max(sum(len(self.sets[i]) for i in group) for group in self.groups)
        n_alphas, n_nodes = self.mixing.shape
        shrunk = sum(len(weights) * weights.shape[1] for weights in self.weights)
        n = len(self.vectors)
        whole = n * n_alphas if self.overlapping else 0
        return self.dtype.itemsize * (4 * n + shrunk + rows * (n_nodes + 3 * n_alphas) + whole)

    def residuals(self, y, coordinates) -> Iterator[np.ndarray]:
        if self.recast:
            y = self.on.cast(y, self.dtype)
            coordinates = self.vectors.T @ y
        outside = None if self.complete else y - self.vectors @ coordinates
        shrunk = [
            weights * coordinates[s.span]
            for weights, s in zip(self.weights, self.segments, strict=True)
        ]
        if self.overlapping:  # every row once, for all the sets it belongs to
            smoothed = self.on.empty((len(self.mixing), *y.shape), self.dtype)
            for start in range(0, len(y), _MIN_ROWS):
                rows = slice(start, start + _MIN_ROWS)
                smoothed[:, rows] = self._smooth(rows, shrunk, outside)
            for inverse, rows in zip(self.inverses, self.sets, strict=True):
                yield inverse @ smoothed[:, rows]
            return
        for group in self.groups:
            rows = np.concatenate([self.sets[i] for i in group])
            smoothed = self._smooth(rows, shrunk, outside)
            start = 0
            for i in group:
                stop = start + len(self.sets[i])
                yield self.inverses[i] @ smoothed[:, start:stop]
                start = stop

    def _smooth(self, rows, shrunk, outside) -> np.ndarray:
        """P Y at some rows: (n_alphas, n_rows, n_targets)."""
        vectors = self.vectors[rows]
        n_alphas, n_nodes = self.mixing.shape
        n_targets = shrunk[0].shape[2] if shrunk else outside.shape[1]
        nodes = self.on.empty((n_nodes, len(vectors), n_targets), self.dtype)
        start = 0
        for s, values in zip(self.segments, shrunk, strict=True):
            stop = start + len(values)
            self.on.xp.matmul(vectors[:, s.span], values, out=nodes[start:stop])
            start = stop
        smoothed = (self.mixing @ nodes.reshape(n_nodes, -1)).reshape(
            n_alphas, len(vectors), n_targets
        )
        if outside is not None:
            smoothed += outside[rows]
        return smoothed


def _groups(sizes) -> list[list[int]]:
    """Consecutive sets, together of `_MIN_ROWS` rows or a little more."""
    groups, rows = [[]], 0
    for i, size in enumerate(sizes):
        if rows >= _MIN_ROWS:
            groups.append([])
            rows = 0
        groups[-1].append(i)
        rows += size
    return groups


def _inverses(basis, sets, scored, alphas, on) -> tuple[list, np.ndarray]:
    """(P_bb)^-1 of each set, (n_alphas, n_scored, n_rows) float64; growth of rounding errors.

    Growth, for each alpha, is the largest factor between residuals and P Y times the size of
    P Y relative to Y.
    """
    weights = alphas[:, None] / (basis.values + alphas[:, None])  # (n_alphas, rank)
    n = len(basis.vectors)
    outside = n - 1 - len(basis.values)
    size = np.sqrt(((weights**2).sum(1) + max(outside, 0)) / n)
    growth = np.zeros(len(alphas))
    vectors = on.put(basis.vectors, np.float64)
    inverses = [
        on.empty((len(alphas), m, len(rows)), np.float64)
        for rows, m in zip(sets, scored, strict=True)
    ]
    # One product for all rows where the sets' own blocks add up to more.
    whole = sum(len(rows) ** 2 for rows in sets) > n**2
    for a, weight in enumerate(weights):
        P = _block(vectors, weight, n, basis.complete, on) if whole else None
        for rows, inverse in zip(sets, inverses, strict=True):
            if whole:
                block = P[np.ix_(rows, rows)]
            else:
                block = _block(vectors[rows], weight, n, basis.complete, on)
            block = on.inverse(block)
            inverse[a] = block[: inverse.shape[1]]
            growth[a] = max(growth[a], _largest_eigenvalue(block, on) * size[a])
    return inverses, growth


def _block(U, weight, n, complete, on):
    """P at some rows and columns; the part outside the basis has weight 1."""
    if complete:
        return on.weighted_gram(U, weight)
    return on.put(np.eye(len(U)) - 1 / n, np.float64) - on.weighted_gram(U, 1 - weight)


def _largest_eigenvalue(matrix, on, steps: int = 8) -> float:
    """By power iteration: an estimate from below, near enough to judge rounding."""
    vector = on.put(1.0 + np.arange(len(matrix)) % 3, np.float64)
    for _ in range(steps):
        vector = matrix @ vector
        length = on.xp.linalg.norm(vector)
        vector /= length
    return float(length)
