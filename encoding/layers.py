"""All stages of a model against all targets: fit, predict held-out runs, score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse
import xarray as xr

from .ceiling import NoiseCeiling, noise_ceiling
from .design import delay
from .errors import InputError
from .ridge import kfold
from .ridge.scaling import unit_trace

_BATCH = 1024
_BLOCK_ROWS = 10  # volumes a block where no clips are named


@dataclass(frozen=True)
class Scores:
    """Scores of every layer for every target, and what they were computed from.

    Parameters
    ----------
    dataset : xarray.Dataset
        (layer, target): r, r2, best_alpha; (target): signal_power, noise_power,
        explainable_variance, cc_max_single, cc_max_mean (NaN without repeats); coordinates
        region and, where known, x, y, z.
    predictions : (n_layers, n_samples, n_targets) float32
        Held-out predictions, repeats averaged; where runs were left out in turn, centred and of
        unit variance within run.
    responses : (n_samples, n_targets) float32
        Held-out responses, repeats averaged; where runs were left out in turn, centred within run.
    samples : DataFrame, n_samples rows
        Columns run and block (a clip within a run: what resampling exchanges), and clip_id and
        time where given.
    """

    dataset: xr.Dataset
    predictions: np.ndarray
    responses: np.ndarray
    samples: pd.DataFrame


def fit_layers(
    features: Mapping[str, np.ndarray],
    Y: np.ndarray,
    runs,
    delays: Sequence[int] = (2, 3, 4, 5),
    alphas: np.ndarray | None = None,
    *,
    groups=None,
    targets: pd.DataFrame | None = None,
) -> Scores:
    """Encoding models of all layers, scored on held-out runs.

    Features are delayed inside each run over all its volumes; then dummies are dropped. Each
    layer is standardised and brought to unit kernel trace by its training rows, and the alpha of
    every target is chosen by leave-one-run-out within them.

    With rows of split "test" the models are fitted on the other rows, without those marked
    `leak`, and score on the test rows. Otherwise each run is predicted from the others (alphas
    chosen within those others) and the held-out predictions are scored together, centred within
    run like the responses, and for r also of unit variance within run. Otherwise correlations of
    noise fall below zero: the mean of the other runs is low where that of the left-out run is
    high, and weights learnt from runs that disagree are small. Repeats, that is rows of equal
    (run, clip_id, time), are averaged before scoring, both predictions and responses.

    Parameters
    ----------
    features : {layer: (n_samples, n_units)}, on the grid of volumes, not delayed
    Y : (n_samples, n_targets), possibly memory-mapped
    runs : (n_samples,) run labels, or the `samples` table of a `Responses`
        Columns run, and where known clip_id, repeat, time, dummy, split, leak. From labels
        alone nothing is dropped or averaged and resampling blocks are of 10 volumes.
    delays : non-negative ints, in volumes
    alphas : (n_alphas,), optional
        Default `encoding.ridge.kfold.ALPHAS`.
    groups : (n_samples,) labels, optional
        What is left out together, for instance sessions. Default: runs.
    targets : DataFrame, n_targets rows, optional
        Column region (and x, y, z).

    Returns
    -------
    Scores
        best_alpha is the geometric mean over outer folds where there are several. Ceilings are
        those of the test samples heard as often as the most repeated one.

    Raises
    ------
    InputError
        Shapes do not fit, features are not finite or too few runs are there to be left out.
    """
    alphas = kfold.ALPHAS if alphas is None else np.asarray(alphas, float)
    samples = _table(runs)
    targets = _check(features, Y, samples, targets)
    group = samples["run"].to_numpy() if groups is None else np.asarray(groups)
    if group.shape != (len(samples),):
        raise InputError(f"groups have shape {group.shape}, expected ({len(samples)},)")

    kept = ~samples["dummy"].to_numpy(bool)
    test = kept & (samples["split"] == "test").to_numpy()
    if test.any():
        train = kept & ~test & ~samples["leak"].to_numpy(bool)
        folds = [(np.flatnonzero(train), np.flatnonzero(test))]
    else:
        folds = _leave_one_out(group, np.flatnonzero(kept))
    if min(len(np.unique(group[train])) for train, _ in folds) < 2:
        raise InputError("training rows hold fewer than two runs: none can be left out for alpha")

    held = np.sort(np.concatenate([rows for _, rows in folds]))
    averaging, table, presentations = _presentations(samples, held)
    responses = _average_rows(Y, held, averaging)
    if len(folds) > 1:
        responses = _centre_within(responses, table["run"])
    ceiling = _ceiling(Y, held, presentations)

    predictions = np.empty((len(features), *responses.shape), np.float32)
    chosen, r, r2 = (np.empty((len(features), Y.shape[1])) for _ in range(3))
    for layer, (name, X) in enumerate(features.items()):
        predicted = np.empty((len(held), Y.shape[1]), np.float32) if len(folds) > 1 else None
        best = []
        for train, rows in folds:
            # Before a run's start features are at their mean, not at an arbitrary zero.
            delayed = delay(X - X[train].mean(0), samples["run"].to_numpy(), delays)
            mean, scale = unit_trace(delayed[train])
            design = (delayed[train] - mean) / scale
            splits = _leave_one_out(group[train])
            scores = kfold.cv_scores(design, Y, alphas, splits, rows=train)
            best.append(alphas[np.argmax(scores, 0)])
            new = (delayed[rows] - mean) / scale
            if predicted is None:
                # Prediction is linear: repeats are averaged in the features, at less cost.
                predictions[layer] = kfold.fit_predict(
                    design, Y, best[-1], averaging @ new, rows=train
                )
            else:
                predicted[np.searchsorted(held, rows)] = kfold.fit_predict(
                    design, Y, best[-1], new, rows=train
                )
        if predicted is not None:
            predictions[layer] = _centre_within(averaging @ predicted, table["run"])
        r2[layer] = _r2(predictions[layer], responses)
        if predicted is not None:
            predictions[layer] = _scale_within(predictions[layer], table["run"])
        r[layer] = _r(predictions[layer], responses)
        kfold.warn_at_edge(np.concatenate(best), alphas, name)
        chosen[layer] = np.exp(np.mean(np.log(best), 0))

    variables = {"r": r, "r2": r2, "best_alpha": chosen}
    dataset = _dataset(list(features), variables, ceiling, targets)
    dataset.attrs = {
        "delays": [int(d) for d in delays],
        "scheme": "test runs" if test.any() else "leave-one-group-out",
        "n_samples": len(table),
        "n_repeats": ceiling.n_repeats if ceiling else 1,
    }
    return Scores(dataset, predictions, responses, table)


def _table(runs) -> pd.DataFrame:
    """The samples table with every column that fitting looks at."""
    if isinstance(runs, pd.DataFrame):
        if "run" not in runs:
            raise InputError(f"samples lack the column run; found {list(runs.columns)}")
        samples = runs.reset_index(drop=True)
    else:
        samples = pd.DataFrame({"run": np.asarray(runs)})
    defaults = {"dummy": False, "split": "train", "leak": False, "repeat": 1}
    samples = samples.assign(**{k: v for k, v in defaults.items() if k not in samples})
    if (samples["split"] == "test").any() and not {"clip_id", "time"} <= set(samples):
        raise InputError("samples with test rows need the columns clip_id and time")
    return samples


def _check(features, Y, samples, targets) -> pd.DataFrame:
    if Y.ndim != 2 or len(Y) != len(samples):
        raise InputError(f"Y has shape {Y.shape}, expected {len(samples)} rows x targets")
    if not features:
        raise InputError("no layer of features is given")
    for name, X in features.items():
        if X.ndim != 2 or len(X) != len(samples):
            raise InputError(
                f"features {name} have shape {X.shape}, expected {len(samples)} rows x units"
            )
        if not np.isfinite(X).all():
            raise InputError(f"features {name} hold NaN or infinite values; extract them again")
    if targets is None:
        return pd.DataFrame({"region": [""] * Y.shape[1]})
    if len(targets) != Y.shape[1] or "region" not in targets:
        raise InputError(
            f"targets have {len(targets)} rows and columns {list(targets.columns)}, expected "
            f"{Y.shape[1]} rows and a column region"
        )
    return targets


def _leave_one_out(group, rows=None) -> list[tuple[np.ndarray, np.ndarray]]:
    """(train, held out) row numbers, one pair a group."""
    rows = np.arange(len(group)) if rows is None else rows
    label = group[rows]
    return [(rows[label != g], rows[label == g]) for g in pd.unique(label)]


def _presentations(samples, held):
    """How held-out rows merge into averaged samples.

    Returns
    -------
    averaging : sparse (n_averaged, n_held), rows of sum 1
    table : DataFrame, n_averaged rows: run, block, and clip_id and time where given
    presentations : DataFrame, n_held rows: sample (number), repeat
    """
    rows = samples.iloc[held].reset_index(drop=True)
    if {"clip_id", "time"} <= set(rows.columns):
        keys = ["run", "clip_id", "time"]
        sample = rows.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
        first = np.unique(sample, return_index=True)[1]
        table = rows.loc[first, keys].reset_index(drop=True)
        table["block"] = table.groupby(["run", "clip_id"], sort=False, dropna=False).ngroup()
    else:
        sample = np.arange(len(rows))
        table = rows[["run"]].copy()
        chunk = table.groupby("run", sort=False).cumcount() // _BLOCK_ROWS
        table["block"] = table.assign(c=chunk).groupby(["run", "c"], sort=False).ngroup()
    counts = np.bincount(sample)
    averaging = scipy.sparse.csr_matrix(
        ((1 / counts[sample]).astype(np.float32), (sample, np.arange(len(sample)))),
        shape=(len(counts), len(sample)),
    )
    return averaging, table, pd.DataFrame({"sample": sample, "repeat": rows["repeat"]})


def _columns(n_targets) -> Iterator[slice]:
    return (slice(start, start + _BATCH) for start in range(0, n_targets, _BATCH))


def _average_rows(Y, held, averaging) -> np.ndarray:
    out = np.empty((averaging.shape[0], Y.shape[1]), np.float32)
    for columns in _columns(Y.shape[1]):
        out[:, columns] = averaging @ np.asarray(Y[:, columns])[held]
    return out


def _centre_within(values, labels) -> np.ndarray:
    for rows in labels.groupby(labels, sort=False).indices.values():
        values[rows] -= values[rows].mean(0)
    return values


def _scale_within(values, labels) -> np.ndarray:
    """Columns of unit variance in every run; constant ones stay as they are."""
    for rows in labels.groupby(labels, sort=False).indices.values():
        sd = values[rows].std(0)
        values[rows] /= np.where(sd > 0, sd, 1)
    return values


def _ceiling(Y, held, presentations) -> NoiseCeiling | None:
    count = presentations.groupby("sample")["repeat"].transform("size").to_numpy()
    if count.max() < 2:
        return None
    complete = count == count.max()
    table = presentations[complete]
    return noise_ceiling(Y[held[complete]], table["repeat"], samples=table["sample"])


def _r(predictions, responses) -> np.ndarray:
    """Pearson r of columns. A constant prediction explains nothing and counts as 0."""
    r = np.empty(responses.shape[1])
    for columns in _columns(len(r)):
        y, p = (a[:, columns].astype(np.float64) for a in (responses, predictions))
        y -= y.mean(0)
        p -= p.mean(0)
        norm = np.sqrt((y**2).sum(0) * (p**2).sum(0))
        r[columns] = np.where(norm > 0, (p * y).sum(0) / np.where(norm > 0, norm, 1), 0)
    return r


def _r2(predictions, responses) -> np.ndarray:
    """Coefficient of determination of columns, 0 for constant responses."""
    r2 = np.empty(responses.shape[1])
    for columns in _columns(len(r2)):
        y, p = (a[:, columns].astype(np.float64) for a in (responses, predictions))
        sse, sst = ((y - p) ** 2).sum(0), ((y - y.mean(0)) ** 2).sum(0)
        r2[columns] = np.where(sst > 0, 1 - sse / np.where(sst > 0, sst, 1), 0)
    return r2


def _dataset(names, variables, ceiling, targets) -> xr.Dataset:
    nothing = np.full(len(targets), np.nan)
    quantities = (
        "signal_power",
        "noise_power",
        "explainable_variance",
        "cc_max_single",
        "cc_max_mean",
    )
    coordinates = {c: ("target", targets[c].to_numpy(float)) for c in "xyz" if c in targets}
    return xr.Dataset(
        {name: (("layer", "target"), value) for name, value in variables.items()}
        | {q: ("target", getattr(ceiling, q) if ceiling else nothing) for q in quantities},
        coords={
            "layer": np.array(names, str),
            "target": np.arange(len(targets)),
            "region": ("target", targets["region"].to_numpy(str)),
            **coordinates,
        },
    )
