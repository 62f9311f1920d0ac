"""Which rows are held out and what is scored; held-out predictions of joint models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse

from .design import delay
from .errors import InputError
from .recordings import heard, keep_apart
from .ridge import banded, kfold
from .ridge.scaling import unit_trace

_BLOCK_ROWS = 10  # volumes a block where no clips are named
_BATCH = 1024


@dataclass(frozen=True)
class Plan:
    """What is fitted on which rows, and how held-out rows become samples to score.

    Rows of split "test" are predicted from the others without those marked `leak`; without test
    rows each run is predicted from the other runs. Dummies are left out, and so are training rows
    that share a recording with those held out.

    Parameters
    ----------
    runs : (n_rows,) labels
    groups : (n_rows,) labels of what is left out together
    heard : (n_rows, n_delays) int, see `recordings.heard`
    folds : pairs (train, held out) of row numbers
    rows : (n_held,) all held-out rows, ascending
    sample : (n_held,) number of the sample that each held-out row is a presentation of
    repeat : (n_held,) labels of the presentation
    samples : DataFrame, n_samples rows
        Columns run and block (a clip within a run), and clip_id and time where given.
    """

    runs: np.ndarray
    groups: np.ndarray
    heard: np.ndarray
    folds: list[tuple[np.ndarray, np.ndarray]]
    rows: np.ndarray
    sample: np.ndarray
    repeat: np.ndarray
    samples: pd.DataFrame

    @property
    def crossed(self) -> bool:
        """Whether held-out runs also taught each other's models."""
        return len(self.folds) > 1

    @property
    def averaging(self) -> scipy.sparse.csr_matrix:
        """Sparse (n_samples, n_held): means over repeats of (run, clip_id, time)."""
        return averaging(self.sample)

    def average(self, values: np.ndarray) -> np.ndarray:
        """(n_samples, n_targets) from rows in the order of `rows`; centred in crossed runs."""
        values = self.averaging @ np.asarray(values, np.float32)
        return centre_within(values, self.samples["run"]) if self.crossed else values

    def responses(self, Y: np.ndarray) -> np.ndarray:
        """`average` of the held-out rows of Y (n_rows, n_targets), which may be a memory map."""
        out = np.empty((len(self.samples), Y.shape[1]), np.float32)
        for start in range(0, Y.shape[1], _BATCH):
            columns = slice(start, start + _BATCH)
            out[:, columns] = self.average(np.asarray(Y[:, columns])[self.rows])
        return out


def plan_folds(runs, groups=None, delays: Sequence[int] = (0,)) -> Plan:
    """Folds and averaging from run labels or a table of samples (see `Responses`).

    Parameters
    ----------
    runs : (n_rows,) labels, or DataFrame with the column run
        Column recording: rows of one are never on both sides of a fold.
    groups : (n_rows,) labels, optional
        What is left out together. Default: runs.
    delays : volumes
        A row belongs to the recordings heard that long before it in its run.

    Raises
    ------
    InputError
        A column is missing, or fewer than two groups are left to fit on.
    """
    table = runs if isinstance(runs, pd.DataFrame) else pd.DataFrame({"run": np.asarray(runs)})
    if "run" not in table:
        raise InputError(f"samples lack the column run; found {list(table.columns)}")
    table = table.reset_index(drop=True)
    label = table["run"].to_numpy()
    group = label if groups is None else np.asarray(groups)
    if group.shape != label.shape:
        raise InputError(f"groups have shape {group.shape}, expected {label.shape}")
    dummy, leak = (
        table[name].to_numpy(bool) if name in table else np.zeros(len(table), bool)
        for name in ("dummy", "leak")
    )
    clips = {"clip_id", "time"} <= set(table)
    test = (table["split"] == "test").to_numpy() & ~dummy if "split" in table else dummy & False
    if test.any():
        if not clips:
            raise InputError("samples with test rows need the columns clip_id and time")
        folds = [(np.flatnonzero(~test & ~dummy & ~leak), np.flatnonzero(test))]
    else:
        folds = leave_one_out(group, np.flatnonzero(~dummy))
    sounds = heard(table.get("recording"), label, delays)
    folds = keep_apart(folds, sounds)
    if not folds or min(len(np.unique(group[train])) for train, _ in folds) < 2:
        raise InputError("training rows hold fewer than two runs: none can be left out for alpha")

    rows = np.sort(np.concatenate([held for _, held in folds]))
    held = table.iloc[rows].reset_index(drop=True)
    if clips:
        keys = ["run", "clip_id", "time"]
        sample = held.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
        samples = held.loc[np.unique(sample, return_index=True)[1], keys].reset_index(drop=True)
        parts = samples.groupby(["run", "clip_id"], sort=False, dropna=False)
    else:
        sample = np.arange(len(held))
        samples = held[["run"]].copy()
        part = samples.groupby("run", sort=False).cumcount() // _BLOCK_ROWS
        parts = samples.groupby(["run", part.to_numpy()], sort=False)
    samples["block"] = parts.ngroup()
    repeat = held["repeat"].to_numpy() if "repeat" in held else np.ones(len(held), int)
    return Plan(label, group, sounds, folds, rows, sample, repeat, samples)


def averaging(sample: np.ndarray) -> scipy.sparse.csr_matrix:
    """Sparse (n_samples, n_held) with rows of sum 1, from the sample number of each row."""
    counts = np.bincount(sample)
    return scipy.sparse.csr_matrix(
        ((1 / counts[sample]).astype(np.float32), (sample, np.arange(len(sample)))),
        shape=(len(counts), len(sample)),
    )


def centre_within(values: np.ndarray, runs) -> np.ndarray:
    """Columns of mean 0 in every run, in place."""
    for rows in pd.Series(runs).groupby(np.asarray(runs), sort=False).indices.values():
        values[rows] -= values[rows].mean(0)
    return values


def leave_one_out(labels, rows=None) -> list[tuple[np.ndarray, np.ndarray]]:
    """(train, held out) row numbers, one pair a label."""
    rows = np.arange(len(labels)) if rows is None else rows
    return [(rows[labels[rows] != g], rows[labels[rows] == g]) for g in pd.unique(labels[rows])]


def compact(X: np.ndarray) -> np.ndarray:
    """Features with the same inner products between rows, in no more columns than rows.

    Ridge of one penalty sees features through these inner products alone.

    Parameters
    ----------
    X : (n_rows, n_features), centred and scaled

    Returns
    -------
    (n_rows, min(n_rows, n_features)) of the dtype of X
    """
    if X.shape[1] <= len(X):
        return X
    return np.linalg.qr(X.T.astype(np.float64), mode="r").T.astype(X.dtype)


class Space(NamedTuple):
    """Design of a feature space in one fold, and how many columns it had before `compact`."""

    design: np.ndarray
    n_features: int


def fold_designs(X: np.ndarray, plan: Plan, delays: Sequence[int]) -> list[Space]:
    """Delayed features of a space as each fold of a plan has them, standardised on its training.

    Parameters
    ----------
    X : (n_rows, n_units), not delayed
    plan : Plan
    delays : volumes

    Returns
    -------
    list of Space
        With (n_rows, at most n_rows) designs.
    """
    designs = []
    for train, _ in plan.folds:
        # Before a run's start features are at their mean, not at an arbitrary zero.
        design = delay(X - X[train].mean(0), plan.runs, delays)
        mean, scale = unit_trace(design[train])
        designs.append(Space(compact((design - mean) / scale), design.shape[1]))
    return designs


def predict_jointly(
    designs: Sequence[Sequence[Space]],
    Y: np.ndarray,
    plan: Plan,
    alphas: np.ndarray | None = None,
    *,
    n_candidates: int = 50,
    seed: int = 0,
) -> np.ndarray:
    """Held-out predictions of a banded ridge model with one band a feature space.

    Parameters
    ----------
    designs : a sequence for each space, see `fold_designs`
    Y : (n_rows, n_targets)
    plan : Plan
    alphas, n_candidates, seed : see `BandedRidgeCV`

    Returns
    -------
    (n_samples, n_targets) float32
    """
    alphas = kfold.ALPHAS if alphas is None else np.asarray(alphas, float)
    out = np.empty((len(plan.rows), Y.shape[1]), np.float32)
    for (train, held), *parts in zip(plan.folds, *designs, strict=True):
        design = np.concatenate([part.design for part in parts], 1)
        bands = np.repeat(np.arange(len(parts)), [part.design.shape[1] for part in parts])
        weights = banded.candidate_weights([p.n_features for p in parts], n_candidates, seed)
        known = np.asarray(Y[train])
        splits = keep_apart(leave_one_out(plan.groups[train]), plan.heard[train])
        candidate, alpha, _ = banded.search(design[train], known, bands, weights, alphas, splits)
        coef, intercept = banded.fit(design[train], known, bands, weights, candidate, alpha)
        out[np.searchsorted(plan.rows, held)] = design[held] @ coef + intercept
    return plan.average(out)
