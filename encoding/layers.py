"""All stages of a model against all targets: fit, predict held-out runs, score."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import xarray as xr

from .ceiling import NoiseCeiling, noise_ceiling
from .errors import InputError
from .heldout import plan_folds
from .ridge import kfold
from .ridge.arrays import open_arrays
from .tasks import CHUNK, Job, chunk_size, make_design, solver
from .workspace import make_layer, make_part, open_workspace

_BATCH = 1024
_PLACES = {
    "i": int,
    "j": int,
    "k": int,
    "hemisphere": str,
    "vertex": int,
    "grayordinate": int,
    "structure": str,
}


@dataclass(frozen=True)
class Scores:
    """Scores of every layer for every target, and what they were computed from.

    Parameters
    ----------
    dataset : xarray.Dataset
        (layer, target): r, r2, best_alpha; (target): signal_power, noise_power,
        explainable_variance, cc_max_single, cc_max_mean (NaN without repeats); coordinates
        region and, where known, x, y, z and the other places of `Responses.targets`.
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
    memory: int = kfold.MEMORY,
    chunk: int = CHUNK,
    folder=None,
    cluster=None,
    report: Callable[[str], None] | None = None,
    backend: str = "numpy",
    device: str | None = None,
) -> Scores:
    """Encoding models of all layers, scored on held-out runs.

    Features are delayed inside each run over all its volumes; then dummies are dropped. Each
    layer is standardised and brought to unit kernel trace by its training rows (all rows in use
    where runs are left out in turn: features alone, the same for every fold), and the alpha of
    every target is chosen by leave-one-run-out within the training rows.

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
        Targets with NaN or infinite values are counted in a warning and score 0.
    runs : (n_samples,) run labels, or the `samples` table of a `Responses`
        Columns run, and where known clip_id, repeat, time, dummy, split, leak, recording. Rows
        whose features draw on a recording that the held-out rows draw on teach neither their
        model nor its alphas. From labels alone nothing is dropped or
        averaged and resampling blocks are of 10 volumes.
    delays : non-negative ints, in volumes
    alphas : (n_alphas,), optional
        Default `encoding.ridge.kfold.ALPHAS`.
    groups : (n_samples,) labels, optional
        What is left out together, for instance sessions. Default: runs.
    targets : DataFrame, n_targets rows, optional
        Column region (and x, y, z).
    memory : int
        Bytes for the targets at work, beside predictions and one layer's basis. Whatever
        `memory` allows, results agree but for rounding.
    chunk : int
        Targets whose results are worked out and kept together, rounded up to a multiple of
        2048; without effect on the result.
    folder : path, optional
        Where finished chunks are kept. A run that was killed goes on when it is called again
        with the same inputs and ends with identical results; delete the folder afterwards.
    cluster : optional, see `open_cluster`
        Whose workers do the chunks; they must see `folder`, and Y if that is a memory map. Bit
        for bit the same where BLAS uses as many threads.
    report : callable, optional
        Given a line of text as work goes on.
    backend, device : see `RidgeCV`
        Of cluster workers too. Unfinished work goes on with those it was begun with.

    Returns
    -------
    Scores
        best_alpha is the geometric mean over outer folds where there are several. Ceilings are
        those of the test samples heard as often as the most repeated one.

    Raises
    ------
    InputError
        Shapes do not fit, features are not finite, too few runs are there to be left out, or
        they share too many recordings, the device is not there, or `folder` holds the work of
        other inputs.
    """
    alphas = kfold.ALPHAS if alphas is None else np.asarray(alphas, float)
    on = open_arrays(backend, device)
    plan = plan_folds(runs, groups, delays)
    targets = _check(features, Y, plan, targets)
    if cluster is not None and folder is None:
        raise InputError("a cluster needs a folder that its workers see; give folder")
    job = Job.of(plan, delays, alphas)
    work = None if folder is None else open_workspace(folder, features, Y, job, on)
    unusable = _unusable(Y, plan)
    responses = plan.responses(Y)
    responses[:, unusable] = 0
    ceiling = _ceiling(Y, plan)

    size = chunk_size(chunk)
    chunks = [slice(i, min(i + size, Y.shape[1])) for i in range(0, Y.shape[1], size)]
    if cluster is not None:
        _share_out(cluster, work, features, Y, job, chunks, memory, on, report)
    predictions = np.empty((len(features), *responses.shape), np.float32)
    chosen, r, r2 = (np.empty((len(features), Y.shape[1])) for _ in range(3))
    for layer, (name, X) in enumerate(features.items()):
        best = np.empty((len(plan.folds), Y.shape[1]))
        found = _chunks_of_layer(layer, name, X, Y, job, chunks, memory, on, work, report)
        for columns, (own_best, own) in found:
            best[:, columns], predictions[layer][:, columns] = own_best, own
        best[:, unusable], predictions[layer][:, unusable] = np.nan, 0
        chosen[layer] = best[0] if len(best) == 1 else np.exp(np.mean(np.log(best), 0))
        r2[layer] = _r2(predictions[layer], responses)
        if plan.crossed:
            predictions[layer] = _scale_within(predictions[layer], plan.samples["run"])
        r[layer] = _r(predictions[layer], responses)
        kfold.warn_at_edge(best.ravel(), alphas, name)
    if work is not None:
        work.tidy()

    variables = {"r": r, "r2": r2, "best_alpha": chosen}
    dataset = _dataset(list(features), variables, ceiling, targets)
    dataset.attrs = {
        "delays": [int(d) for d in delays],
        "scheme": "leave-one-group-out" if plan.crossed else "test runs",
        "n_samples": len(plan.samples),
        "n_repeats": ceiling.n_repeats if ceiling else 1,
    }
    return Scores(dataset, predictions, responses, plan.samples)


def _chunks_of_layer(
    layer, name, X, Y, job, chunks, memory, on, work, report
) -> Iterator[tuple[slice, tuple[np.ndarray, np.ndarray]]]:
    """(columns, (best alphas, predictions)): what is in the folder, then the rest."""
    missing = []
    for columns in chunks:
        if work is not None and work.part(layer, columns).exists():
            yield columns, work.load_part(layer, columns)
        else:
            missing.append(columns)
    if not missing:
        return
    if work is not None and work.has_design(layer):
        design = work.load_design(layer)
    else:
        design = make_design(np.asarray(X), job, on)
        if work is not None:
            work.save_design(layer, design)
    solve = solver(design, job, Y, memory, on)
    for columns in missing:
        start = time.perf_counter()
        result = solve(columns)
        if work is not None:
            work.save_part(layer, columns, *result)
        if report is not None:
            seconds = time.perf_counter() - start
            report(f"{name}: {columns.stop} of {Y.shape[1]} targets, {seconds:.0f} s")
        yield columns, result


def _share_out(cluster, work, features, Y, job, chunks, memory, on, report) -> None:
    """Have a cluster's workers write all missing parts."""
    folder = str(work.folder.resolve())
    tasks = [
        (folder, layer, columns.start, columns.stop, memory, *on.label)
        for layer in range(len(features))
        for columns in chunks
        if not work.part(layer, columns).exists()
    ]
    unmade = [n for n in sorted({task[1] for task in tasks}) if not work.has_design(n)]
    layers = list(features.values())
    for n in unmade:
        work.save_features(n, np.asarray(layers[n]))
    work.share_responses(Y)
    for _ in cluster.map(make_layer, [(folder, n, *on.label) for n in unmade]):
        pass
    for done, _ in enumerate(cluster.map(make_part, tasks), start=1):
        if report is not None:
            report(f"{done} of {len(tasks)} chunks of targets")


def _check(features, Y, plan, targets) -> pd.DataFrame:
    if Y.ndim != 2 or len(Y) != len(plan.runs):
        raise InputError(f"Y has shape {Y.shape}, expected {len(plan.runs)} rows x targets")
    if not features:
        raise InputError("no layer of features is given")
    for name, X in features.items():
        if X.ndim != 2 or len(X) != len(plan.runs):
            raise InputError(
                f"features {name} have shape {X.shape}, expected {len(plan.runs)} rows x units"
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


def _unusable(Y, plan) -> np.ndarray:
    """(n_targets,) bool: NaN or infinite in a row that is fitted or held out."""
    used = np.unique(np.concatenate([np.concatenate(fold) for fold in plan.folds]))
    bad = np.zeros(Y.shape[1], bool)
    for columns in _columns(Y.shape[1]):
        # A sum is finite where all values are, but for overflow: only then look closer.
        values = np.asarray(Y[:, columns])[used]
        if not np.isfinite(values.sum(dtype=np.float64)):
            bad[columns] = ~np.isfinite(values).all(0)
    if bad.any():
        warnings.warn(
            f"{bad.sum()} of {len(bad)} targets hold NaN or infinite values, the first is number "
            f"{bad.argmax()}; they score 0",
            stacklevel=3,
        )
    return bad


def _columns(n_targets) -> Iterator[slice]:
    return (slice(start, start + _BATCH) for start in range(0, n_targets, _BATCH))


def _ceiling(Y, plan) -> NoiseCeiling | None:
    count = np.bincount(plan.sample)[plan.sample]
    if count.max() < 2:
        return None
    complete = count == count.max()
    labels = {"repeats": plan.repeat[complete], "samples": plan.sample[complete]}
    rows = plan.rows[complete]
    batches = [noise_ceiling(np.asarray(Y[:, c])[rows], **labels) for c in _columns(Y.shape[1])]
    arrays = {
        f.name: np.concatenate([getattr(batch, f.name) for batch in batches])
        for f in fields(NoiseCeiling)
        if f.name != "n_repeats"
    }
    return NoiseCeiling(**arrays, n_repeats=batches[0].n_repeats)


def _scale_within(values, labels) -> np.ndarray:
    """Columns of unit variance in every run; constant ones stay as they are."""
    for rows in labels.groupby(labels, sort=False).indices.values():
        sd = values[rows].std(0)
        values[rows] /= np.where(sd > 0, sd, 1)
    return values


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
    # Where targets lie, so that maps and atlases can be had from the scores alone.
    coordinates = {c: ("target", targets[c].to_numpy(float)) for c in "xyz" if c in targets} | {
        c: ("target", targets[c].to_numpy(type_)) for c, type_ in _PLACES.items() if c in targets
    }
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
