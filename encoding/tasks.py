"""The work on one layer, cut into pure functions of arrays: its design, then chunks of targets.

A design (one eigendecomposition) is made once a layer. Chunks of targets follow from it and the
responses alone, in any order, on any machine. Chunks and the batches they are worked in start at
multiples of the same sizes, so that no result depends on how targets were cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .design import delay
from .heldout import Plan, averaging, centre_within, leave_one_out
from .recordings import keep_apart
from .ridge import kfold
from .ridge.arrays import NUMPY
from .ridge.basis import Basis, basis_of, basis_of_kernel
from .ridge.nested import predict_runs
from .ridge.scaling import unit_trace
from .ridge.targets import batch_for, batches

CHUNK = 4096
"""Default targets a task."""

_LARGEST = 2048  # targets a batch; chunks are multiples of it
_NESTED_ROWS = 30  # float64 values at work a held-out row and target, where runs take turns

Solver = Callable[[slice], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Job:
    """What all layers and chunks share, in plain arrays.

    Parameters
    ----------
    runs, groups : (n_rows,) int
    heard : (n_rows, n_delays) int, see `recordings.heard`
    train : (n_train,) row numbers to fit on; where runs are left out in turn, all of `held`
    held : (n_held,) row numbers to predict
    sample : (n_held,) number of the averaged sample of each
    delays : (n_delays,) int
    alphas : (n_alphas,)
    """

    runs: np.ndarray
    groups: np.ndarray
    heard: np.ndarray
    train: np.ndarray
    held: np.ndarray
    sample: np.ndarray
    delays: np.ndarray
    alphas: np.ndarray

    @classmethod
    def of(cls, plan: Plan, delays: Sequence[int], alphas: np.ndarray) -> Job:
        """From a plan; labels become numbers in order of appearance."""
        runs, groups = (_number(labels) for labels in (plan.runs, plan.groups))
        train = plan.rows if plan.crossed else plan.folds[0][0]
        delays, alphas = np.array([int(d) for d in delays]), np.asarray(alphas, float)
        return cls(runs, groups, plan.heard, train, plan.rows, plan.sample, delays, alphas)

    @property
    def crossed(self) -> bool:
        """Whether runs are left out in turn."""
        return np.array_equal(self.train, self.held)


@dataclass(frozen=True)
class Design:
    """A layer, ready for targets.

    Parameters
    ----------
    vectors : (n_train, rank), values : (rank,)
        Of the `Basis` of the training rows.
    located : (n_samples, rank)
        Coordinates of the averaged held-out rows; (0, rank) where runs are left out in turn.
    """

    vectors: np.ndarray
    values: np.ndarray
    located: np.ndarray

    @property
    def basis(self) -> Basis:
        """Without the way back to features, which no task needs."""
        rank = len(self.values)
        return Basis(self.vectors, self.values, np.empty((0, rank)), np.empty(0))


def make_design(X: np.ndarray, job: Job, on=NUMPY) -> Design:
    """Delay, standardise and decompose the features (n_rows, n_units) of a layer.

    Where there are more features than rows, kernels are summed over delays: the delayed design
    is never formed. Worked out on the back-end `on` (see `ridge.arrays`).
    """
    train, rows = job.train, None if job.crossed else job.held
    mean_of = averaging(job.sample)
    # Before a run's start features are at their mean, not at an arbitrary zero.
    X = X - X[train].mean(0)
    if X.shape[1] * len(job.delays) < len(train):
        X = delay(X, job.runs, job.delays)
        mean, scale = unit_trace(X[train])
        # Prediction is linear: repeats are averaged in the features, at less cost.
        new = None if rows is None else mean_of @ ((X[rows] - mean) / scale)
        return _design(basis_of((X[train] - mean) / scale, on), new)
    kernel = np.zeros((len(train), len(train)))
    cross = None if rows is None else np.zeros((mean_of.shape[0], len(train)))
    count = 0
    for d in job.delays:
        Z = delay(X, job.runs, [d])
        mean, scale = unit_trace(Z[train])
        varying = np.isfinite(scale).sum()
        count += varying
        # Undo the share of one delay in favour of that of all.
        known = ((Z[train] - mean) / scale).astype(np.float64) * np.sqrt(varying)
        kernel += on.product(known, known.T)
        if rows is not None:
            new = mean_of @ ((Z[rows] - mean) / scale) * np.sqrt(varying)
            cross += on.product(new.astype(np.float64), known.T)
    count = max(count, 1)
    new = None if rows is None else cross / count
    return _design(basis_of_kernel(kernel / count, on), new)


def solver(design: Design, job: Job, Y: np.ndarray, memory: int, on=NUMPY) -> Solver:
    """What chunks of a layer's targets share, prepared: a function of columns of Y.

    Parameters
    ----------
    design, job
    Y : (n_rows, n_targets)
    memory : bytes for targets at work
    on : where to work, see `ridge.arrays`

    Returns
    -------
    function of a slice that starts at a multiple of `chunk_size`, to
        best : (n_folds, n_columns) alphas
        predictions : (n_samples, n_columns) float32, repeats averaged; centred within run where
        runs are left out in turn
    """
    return (_nested if job.crossed else _separate)(design, job, Y, memory, on)


def chunk_size(asked: int) -> int:
    """The multiple of the largest batch that is not below `asked`."""
    return -(-max(asked, 1) // _LARGEST) * _LARGEST


def _separate(design, job, Y, memory, on) -> Solver:
    """Held-out runs that no model was fitted on."""
    basis = design.basis
    splits = keep_apart(leave_one_out(job.groups[job.train]), job.heard[job.train])
    search = kfold.Search(basis, Y, job.alphas, splits, job.train, None, refit=True, on=on)
    located = on.put(design.located, search.dtype)
    vectors = on.put(basis.vectors_as(search.dtype), search.dtype)
    batch = _batch(memory, search.residuals.bytes_per_target, len(vectors))

    def solve(columns):
        part = Y[:, columns]
        best = np.empty((1, part.shape[1]))
        predictions = np.empty((len(located), part.shape[1]), np.float32)
        for own, y, mean in batches(part, job.train, batch, search.dtype):
            y = on.put(y, search.dtype)
            coordinates = vectors.T @ y
            best[0, own] = job.alphas[np.argmax(search.scores(y, coordinates), 0)]
            predictions[:, own] = on.get(located @ search.shrink(coordinates, best[0, own])) + mean
        return best, predictions

    return solve


def _nested(design, job, Y, memory, on) -> Solver:
    """Runs that are left out in turn."""
    basis, groups = design.basis, job.groups[job.held]
    mean_of = averaging(job.sample)
    runs = job.runs[job.held[np.unique(job.sample, return_index=True)[1]]]
    batch = _batch(memory, 8 * _NESTED_ROWS * len(job.held), len(job.held))

    def solve(columns):
        # float64: a run's own responses must not reach its predictions even by rounding.
        found = predict_runs(
            basis,
            Y[:, columns],
            groups,
            job.alphas,
            rows=job.held,
            batch=batch,
            memory=memory,
            dtype=np.float64,
            heard=job.heard[job.held],
            on=on,
        )
        predictions = centre_within(mean_of @ found.predictions, runs)
        return found.best_alphas, predictions.astype(np.float32)

    return solve


def _design(basis, new) -> Design:
    located = np.empty((0, len(basis.values))) if new is None else basis.locate(new)
    return Design(basis.vectors, basis.values, located)


def _batch(memory, bytes_per_target, n_rows) -> int:
    """A power of two, so that batches start at the same targets whatever the chunk."""
    return min(2 ** int(np.log2(batch_for(memory, bytes_per_target, n_rows))), _LARGEST)


def _number(labels) -> np.ndarray:
    return pd.factorize(np.asarray(labels))[0]
