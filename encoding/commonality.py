"""What each feature space explains that others do not, and what they share.

With v(S) the held-out R2 of a joint model of the spaces S, the part that exactly the spaces P
(of all spaces N) explain together is, by inclusion and exclusion,

    C(P) = sum over T in P of (-1)^(|T| + 1) v(T and N without P),    v(nothing) = 0

(commonality analysis, Newton & Spurrell 1967; de Heer et al. 2017). All parts sum to v(N).
Parts are differences of estimates: shared ones may be negative (suppression), unique ones also
where an added space costs more by overfitting than it explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import xarray as xr

from .blocks import CROSSED, Resamples, add_regions, factor_regions, in_batches, interval, spread
from .errors import InputError
from .heldout import fold_designs, plan_folds, predict_jointly

_ALL_SUBSETS = 4  # spaces up to which every joint model is fitted
_BATCH = 256
BASELINE = ("cochleagram", "modulation", "loudness")


def partition(r2_by_subset: Mapping) -> xr.DataArray:
    """Unique and shared parts of the joint R2.

    Parameters
    ----------
    r2_by_subset : {spaces: R2 scalar or array}
        Keys are names or tuples (or sets) of names. Either every non-empty subset of the spaces,
        or all spaces together and all but one of them, in turn.

    Returns
    -------
    DataArray (part, ...)
        Parts are named "a", "a & b", ... where all subsets are given; otherwise each space's
        unique part and "shared", the rest. They sum to the R2 of all spaces.

    Raises
    ------
    InputError
        A model that is needed is missing.
    """
    values = {_key(k): np.asarray(v, np.float64) for k, v in r2_by_subset.items()}
    names = list(dict.fromkeys(n for k in r2_by_subset for n in _names(k)))
    everything = frozenset(names)
    complete = len(values) == 2 ** len(names) - 1
    needed = {everything} | {everything - {n} for n in names if len(names) > 1}
    if not complete and not needed <= set(values):
        missing = [" + ".join(n for n in names if n in s) for s in needed - set(values)]
        raise InputError(f"R2 of the model {missing[0]} is missing; fit it too")
    if complete:
        parts = {}
        values[frozenset()] = np.zeros_like(values[everything])
        for subset in _subsets(names):
            parts[" & ".join(subset)] = sum(
                (-1) ** (len(t) + 1) * values[everything.difference(subset).union(t)]
                for t in [(), *_subsets(subset)]
            )
    else:
        parts = {n: values[everything] - values[everything - {n}] for n in names}
        parts["shared"] = values[everything] - sum(parts.values())
    stacked = np.stack(list(parts.values()))
    dims = ["part", *(["target"] if stacked.ndim == 2 else [])]
    dims += [f"dim_{i}" for i in range(len(dims), stacked.ndim)]
    return xr.DataArray(stacked, dims=dims, coords={"part": list(parts)})


def variance_partition(
    features: Mapping[str, np.ndarray],
    Y: np.ndarray,
    runs,
    delays: Sequence[int] = (2, 3, 4, 5),
    baseline: Sequence[str] = BASELINE,
    alphas: np.ndarray | None = None,
    *,
    regions=None,
    shared: bool = True,
    n_candidates: int = 50,
    n_resamples: int = 1000,
    seed: int = 0,
    n_jobs: int | None = None,
) -> xr.Dataset:
    """Variance that feature spaces explain beyond a baseline, by joint banded ridge models.

    Each model gives every space a penalty of its own (see `BandedRidgeCV`): a shared one would
    let a space of many units drown the baseline and pass its variance on. All models are scored
    on the same held-out samples and resampled together, by whole clips within runs.

    Parameters
    ----------
    features : {space: (n_rows, n_units)}, on the grid of volumes, not delayed
    Y : (n_rows, n_targets)
    runs : (n_rows,) labels, or the `samples` table of a `Responses`; see `fit_layers`
    delays : volumes
    baseline : names of features that every model holds
        () for none.
    alphas : (n_alphas,), optional
    regions : (n_targets,) names, optional
    shared : bool
        Fit all subsets, for the parts that spaces share; without, every space alone, all of them
        and all but each.
    n_candidates : int, see `BandedRidgeCV`
    n_resamples, seed : int
    n_jobs : int, optional
        Threads of the bootstrap; default: all CPUs. Without effect on the result.

    Returns
    -------
    Dataset
        r2 (model, target): held-out R2, "baseline + a + b" and so on.
        beyond (space, target): R2(baseline + space) - R2(baseline).
        unique (space, target): R2(all) - R2(all without the space).
        part (part, target): `partition` of R2(all) - R2(baseline).
        Each of the latter three as mean over regions (region_*), and with 95 % bootstrap
        intervals (*_interval). With `shared` all subsets are fitted for up to four spaces beside
        the baseline.

    Raises
    ------
    InputError
        Names or shapes do not fit, or too few runs are there to be left out.
    """
    spaces = _check(features, Y, runs, baseline)
    plan = plan_folds(runs, delays=delays)
    codes, names = factor_regions(regions, Y.shape[1])
    responses = plan.responses(Y)
    subsets = [(), *_models(spaces, shared)]
    if not baseline:
        subsets = subsets[1:]
    designs = {name: fold_designs(features[name], plan, delays) for name in (*baseline, *spaces)}
    predictions = {}
    for subset in subsets:
        chosen = [designs[name] for name in (*baseline, *subset)]
        predictions[subset] = predict_jointly(
            chosen, Y, plan, alphas, n_candidates=n_candidates, seed=seed
        )

    resamples = Resamples(
        plan.samples["run"], plan.samples["block"], len(responses), n_resamples, seed
    )
    factor = resamples.correction * (CROSSED if plan.crossed else 1)

    def one_batch(columns):
        y = responses[:, columns]
        r2 = {s: resamples.r2(p[:, columns], y) for s, p in predictions.items()}
        measures = _measures(r2, spaces)
        present, local = np.unique(codes[columns], return_inverse=True)
        sums = {}
        for name, values in measures.items():
            sums[name] = np.zeros((len(values), len(present), n_resamples + 1))
            for total, draws in zip(sums[name], values, strict=True):
                add_regions(total, local, draws)
        values = {name: (v[..., 0], interval(spread(v, factor))) for name, v in measures.items()}
        return np.stack([v[:, 0] for v in r2.values()]), values, present, sums

    parts = list(partition({s: 0.0 for s in subsets if s})["part"].to_numpy())
    labels = {"beyond": spaces, "unique": spaces, "part": parts}
    r2 = np.empty((len(subsets), Y.shape[1]))
    point = {k: np.empty((len(v), Y.shape[1])) for k, v in labels.items()}
    spans = {k: np.empty((len(v), Y.shape[1], 2)) for k, v in labels.items()}
    totals = {k: np.zeros((len(v), len(names), n_resamples + 1)) for k, v in labels.items()}
    width = resamples.width(_BATCH)
    for columns, part in in_batches(one_batch, Y.shape[1], width, n_jobs):
        r2[:, columns], values, present, sums = part
        for name in labels:
            point[name][:, columns], spans[name][:, columns] = values[name]
            totals[name][:, present] += sums[name]

    models = [" + ".join((*(["baseline"] if baseline else []), *s)) for s in subsets]
    out = xr.Dataset(
        {"r2": (("model", "target"), r2)},
        coords={
            "model": models,
            "region": names,
            "target_region": ("target", names[codes]),
            "end": ["low", "high"],
        },
        attrs={
            "baseline": list(baseline),
            "delays": [int(d) for d in delays],
            "scheme": "leave-one-group-out" if plan.crossed else "test runs",
            "n_resamples": n_resamples,
            "seed": seed,
        },
    )
    for name, entries in labels.items():
        axis = "part_name" if name == "part" else "space"
        means = totals[name] / np.bincount(codes)[:, None]
        out = out.assign_coords({axis: entries}).assign(
            {
                name: ((axis, "target"), point[name]),
                f"{name}_interval": ((axis, "target", "end"), spans[name]),
                f"region_{name}": ((axis, "region"), means[..., 0]),
                f"region_{name}_interval": (
                    (axis, "region", "end"),
                    interval(spread(means, factor)),
                ),
            }
        )
    return out


def _measures(r2: Mapping[tuple, np.ndarray], spaces) -> dict[str, np.ndarray]:
    """beyond, unique and part, each (n_entries, n_targets, n_draws)."""
    everything = tuple(spaces)
    base = r2.get((), 0.0)
    beyond = [r2[(s,)] - base for s in spaces]
    rest = [tuple(n for n in spaces if n != s) for s in spaces]
    unique = [r2[everything] - (r2[others] if others else base) for others in rest]
    parts = partition({s: v - base for s, v in r2.items() if s})
    return {"beyond": np.stack(beyond), "unique": np.stack(unique), "part": parts.to_numpy()}


def _models(spaces, shared) -> list[tuple[str, ...]]:
    """Subsets of spaces to fit, the empty one left out."""
    if len(spaces) <= (_ALL_SUBSETS if shared else 2):
        return _subsets(spaces)
    without = [tuple(n for n in spaces if n != s) for s in spaces]
    return [*((s,) for s in spaces), *without, tuple(spaces)]


def _subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    return [s for size in range(1, len(names) + 1) for s in combinations(names, size)]


def _names(key) -> Iterable[str]:
    return (key,) if isinstance(key, str) else key


def _key(key) -> frozenset:
    return frozenset(_names(key))


def _check(features, Y, runs, baseline) -> list[str]:
    unknown = [name for name in baseline if name not in features]
    if unknown:
        raise InputError(
            f"baseline spaces {unknown} are not among {list(features)}; extract them or name others"
        )
    spaces = [name for name in features if name not in baseline]
    if not spaces:
        raise InputError("features hold the baseline alone; add the spaces to ask about")
    for name, X in features.items():
        if X.ndim != 2 or len(X) != len(Y) or len(runs) != len(Y):
            raise InputError(
                f"features {name} have shape {X.shape}, Y {Y.shape}, runs {len(runs)} rows; "
                "give one row a volume in each"
            )
        if not np.isfinite(X).all():
            raise InputError(f"features {name} hold NaN or infinite values; extract them again")
    return spaces
