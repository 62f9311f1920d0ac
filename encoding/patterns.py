"""One response pattern for each presentation of a clip."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .errors import InputError
from .hrf import step_response
from .regressors import check_regressors, presentations
from .responses import Responses, repetition_time

METHODS = ("lsa", "lss")


def clip_estimates(
    responses: Responses,
    *,
    method: str = "lsa",
    hrf: str = "spm",
    nuisance: np.ndarray | None = None,
    duration: float | None = None,
    slice_time: float = 0.5,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Least-squares patterns of single presentations, run by run.

    Each presentation is a boxcar convolved with a haemodynamic response. The dummy is modelled
    (the first real volumes still respond to it), its volumes are not fitted and its pattern is
    not returned.

    "lsa" (least squares, all) fits all presentations of a run at once. "lss" (least squares,
    separate; Mumford, Turner, Ashby & Poldrack 2012, NeuroImage 59, 2636) fits one model for each:
    the presentation against the sum of all others. It is the more stable one where responses
    overlap much and noise is strong, and biased towards the neighbours.

    Without a silent baseline the level that all clips of a run share cannot be told from the
    run's mean. Patterns are therefore relative to the mean over the clips of their run; for "lss"
    the estimate is that of the presentation minus that of the others.

    Parameters
    ----------
    responses : Responses
    method : "lsa" or "lss"
    hrf : "spm" or "glover"
    nuisance : (n_samples, n_columns), optional
        Fitted beside the presentations in each run.
    duration : float, optional
        Seconds a clip sounds. Default: until the next one begins.
    slice_time : float
        As in `hrf_design`.

    Returns
    -------
    patterns : (n_presentations, n_targets) float32
    table : DataFrame, n_presentations rows
        Columns clip_id, run, repeat, onset (s in the run), and split where known.

    Raises
    ------
    InputError
        A run has fewer volumes than unknowns, or presentations that cannot be told apart.
    """
    if method not in METHODS:
        raise InputError(f"method '{method}' is unknown; choose one of {', '.join(METHODS)}")
    samples = responses.samples.reset_index(drop=True)
    if nuisance is not None and len(nuisance) != len(samples):
        raise InputError(f"nuisance has {len(nuisance)} rows, expected {len(samples)}")
    tr = repetition_time(samples)
    number = presentations(samples)
    dummy = samples["dummy"].to_numpy(bool) if "dummy" in samples else np.zeros(len(samples), bool)
    patterns, tables = [], []
    for run in samples["run"].unique():
        rows = np.flatnonzero(samples["run"] == run)
        if (number[rows] < 0).all():  # a run in which no clip was heard
            continue
        events = _events(samples, number, rows, tr, duration)
        volumes = (np.arange(len(rows)) + slice_time) * tr
        risen = [step_response(volumes[:, None] - events[e].to_numpy(), hrf)
                 for e in ("onset", "end")]  # fmt: skip
        fitted = ~dummy[rows]
        wanted = ~events["dummy"].to_numpy(bool)
        if not wanted.any():
            continue
        X = (risen[0] - risen[1])[fitted]
        heard = np.abs(X).max(0) > 0  # a dummy long before the first fitted volume is not
        extra = np.ones((len(X), 1))
        if nuisance is not None:
            extra = np.c_[extra, np.asarray(nuisance, float)[rows[fitted]]]
        names = [f"{c} at {o:g} s of {run}" for c, o in zip(events["clip_id"], events["onset"],
                                                           strict=True)]  # fmt: skip
        design = pd.DataFrame(X[:, heard], columns=np.array(names, object)[heard])
        check_regressors(design)
        if X.shape[1] + extra.shape[1] >= len(X):
            raise InputError(
                f"run {run}: {X.shape[1]} presentations and {extra.shape[1]} nuisance columns for "
                f"{len(X)} volumes; nothing is left to estimate them"
            )
        weights = _weights(X, extra, method)[wanted]
        weights -= weights.mean(0)
        patterns.append((weights @ responses.data[rows[fitted]]).astype(np.float32))
        tables.append(events[wanted].drop(columns=["dummy", "end"]).assign(run=run))
    if not patterns:
        raise InputError("no presentation is left: all volumes are dummies or without a clip")
    table = pd.concat(tables, ignore_index=True)
    first = ["clip_id", "run", "repeat", "onset"]
    return np.concatenate(patterns), table[first + [c for c in table if c not in first]]


def _events(samples, number, rows, tr, duration) -> pd.DataFrame:
    """Presentations of a run: clip_id, repeat, onset and end (s), dummy, split."""
    first = [n for n, row in enumerate(rows) if number[row] >= 0
             and (n == 0 or number[row] != number[rows[n - 1]])]  # fmt: skip
    table = samples.iloc[rows[first]].reset_index(drop=True)
    onset = np.array(first) * tr - table["time"].to_numpy(float)
    end = np.r_[onset[1:], len(rows) * tr] if duration is None else onset + duration
    columns = {
        "clip_id": table["clip_id"],
        "repeat": table.get("repeat", 1),
        "onset": np.round(onset, 6),
        "end": end,
        "dummy": table.get("dummy", False),
    }
    if "split" in table:
        columns["split"] = table["split"]
    return pd.DataFrame(columns)


def _weights(X, extra, method) -> np.ndarray:
    """(n_presentations, n_volumes): what a presentation's estimate takes of each volume."""
    basis, _ = np.linalg.qr(extra)
    X = X - basis @ (basis.T @ X)
    if method == "lsa":
        return np.linalg.pinv(X, rcond=1e-12)
    # Two regressors each, x and o = (sum of all) - x: the normal equations in closed form.
    others = X.sum(1, keepdims=True) - X
    xx, xo, oo = (np.einsum("ni,ni->i", a, b) for a, b in ((X, X), (X, others), (others, others)))
    determinant = xx * oo - xo**2
    usable = determinant > 1e-12 * xx * oo
    safe = np.where(usable, determinant, 1)
    own = (oo * X - xo * others) / safe
    other = (xx * others - xo * X) / safe
    return np.where(usable, own - other, 0).T
