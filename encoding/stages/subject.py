"""All tests of stages for one subject, in one pass over the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from ..blocks import CROSSED, Resamples, generators, in_batches, interval, spread
from ..errors import InputError
from ..layers import Scores
from ..regions import Regions
from . import interaction as between
from .matching import matching_weights
from .preference import cross_validated_best, halves, soft_preference
from .spatial import rank_correlation, spatial_cells
from .verdict import MATCHED, SHUFFLED, SNR_ALONE, exceeds

_CHUNK = 4096  # targets read at once: a chunk of the store
_BATCH = 256
_SHUFFLE = 1  # second key of the generators that shuffle clips


@dataclass(frozen=True)
class SubjectStages:
    """What one subject's scores say about stages and regions.

    Parameters
    ----------
    stages : names, from shallow to deep
    regions : names of regions present, by order
    mean_r : (n_stages, n_regions), of the trained model
    ceiling : (n_regions,) mean CC_max of the averaged repeats, NaN where unknown
    n_targets : (n_regions,)
    region_soft, region_soft_interval : (n_regions,), (n_regions, 2)
    region_best : (n_stages, n_regions) share of targets whose best stage it is, mean over halves
    region_agreement : (n_regions,) share of targets for which both halves choose one stage
    region_best_score : (n_regions,) mean r of the stage chosen on the other half
    region_spread : (n_stages, n_regions, 2) 95 % intervals of mean_r
    best : (n_targets,) best stage by both halves, from 1; NaN where they differ or outside
    soft, soft_interval : (n_targets,), (n_targets, 2); NaN where nothing is predicted
    interactions : {model or control: (observed, low, high)}
        Of the trained model (""), every control, "SNR alone" and "SNR-matched voxels".
    exceeded : {control: bool}
    rank : dict of `rank_correlation`, with axis "distance" or "order"
    notes : sentences
    """

    stages: list[str]
    regions: list[str]
    mean_r: np.ndarray
    region_spread: np.ndarray
    ceiling: np.ndarray
    n_targets: np.ndarray
    region_soft: np.ndarray
    region_soft_interval: np.ndarray
    region_best: np.ndarray
    region_agreement: np.ndarray
    region_best_score: np.ndarray
    best: np.ndarray
    soft: np.ndarray
    soft_interval: np.ndarray
    interactions: Mapping[str, tuple[float, float, float]]
    exceeded: Mapping[str, bool]
    rank: Mapping
    notes: Sequence[str]

    @property
    def passed(self) -> bool:
        """Whether the trained interaction exceeds every control."""
        return all(self.exceeded.values())


def analyse(
    scores: Scores,
    regions: Regions,
    trained: Sequence[int],
    controls: Mapping[str, Sequence[int]],
    *,
    n_shuffles: int = 10,
    n_resamples: int = 1000,
    n_surrogates: int = 1000,
    seed: int = 0,
    n_jobs: int | None = None,
) -> SubjectStages:
    """Tests of one subject.

    Parameters
    ----------
    scores : Scores
        Predictions may be anything that slices [layer, :, columns] can be read from.
    regions : Regions of its targets
    trained : numbers of the trained model's layers, from shallow to deep
    controls : {name: numbers of layers}
    n_shuffles : int
        Controls by shuffled clips that are made here.
    n_resamples, n_surrogates, seed : int
        Equal seeds draw the same clips for all models, and for subjects of equal samples.
    n_jobs : int, optional
        Threads; default: all CPUs. Without effect on the result.

    Raises
    ------
    InputError
        No primary or no non-primary region has a target, or too few clips are held out.
    """
    _check(scores, regions)
    samples = scores.samples
    resamples = Resamples(samples["run"], samples["block"], len(samples), n_resamples, seed)
    first = halves(resamples.owners)
    crossed = scores.dataset.attrs.get("scheme") == "leave-one-group-out"
    factor = resamples.correction * (CROSSED if crossed else 1)
    shuffles = _shuffles(resamples, n_shuffles, seed)
    names = regions.present
    codes = np.array([{n: i for i, n in enumerate(names)}.get(n, -1) for n in regions.names])
    primary = np.array([name in regions.primary for name in names])
    means = _means(codes, len(names))

    observed = _observed(scores, trained, resamples, first, n_jobs)
    weights = [
        matching_weights(own.mean(0)[codes >= 0], other.mean(0)[codes >= 0], codes[codes >= 0],
                         primary, ~primary)
        for own, other in (observed, observed[::-1])
    ]  # fmt: skip
    matched = _placed(weights, codes)
    cells = _cells(regions, codes)
    drawn = _draw(
        scores, trained, controls, shuffles, resamples, first, means, matched, cells, factor, n_jobs
    )

    of_trained = drawn.regions[""]
    own = between.interaction(of_trained, of_trained, primary, ~primary)
    rivals = {
        name: between.interaction(values, of_trained, primary, ~primary)
        for name, values in drawn.regions.items()
        if name
    }
    rivals[SNR_ALONE] = between.snr_alone(of_trained, primary, ~primary)
    exceeded = {name: exceeds(own, values) for name, values in rivals.items()}
    notes = list(regions.notes)
    if drawn.matched is None:
        notes.append(
            "SNR-matched voxels: primary and non-primary regions are predicted too differently to "
            "be matched; the bound on what SNR alone can do stands in"
        )
    else:
        one, two = np.array([True, False]), np.array([False, True])
        of_matched = np.mean([between.interaction(v, v, one, two) for v in drawn.matched], 0)
        rivals[MATCHED] = of_matched
        exceeded[MATCHED] = exceeds(of_matched, np.zeros_like(of_matched))
    units = between.group_units(of_trained, primary, ~primary)
    for unit, which in zip(units, ("primary", "non-primary"), strict=True):
        if not exceeds(unit, np.zeros_like(unit)):
            notes.append(f"{which} regions are not predicted beyond noise")

    chosen, scored = cross_validated_best(*observed)
    share = np.stack([(chosen == k + 1).mean(0) for k in range(len(trained))])
    soft = soft_preference(of_trained)
    ceiling, note = _ceilings(scores, codes, len(names))
    return SubjectStages(
        stages=[split_layer(str(scores.dataset["layer"].to_numpy()[i]))[1] for i in trained],
        regions=names,
        mean_r=of_trained[..., 0],
        region_spread=interval(of_trained[..., 1:]),
        ceiling=ceiling,
        n_targets=np.bincount(codes[codes >= 0], minlength=len(names)),
        region_soft=soft[:, 0],
        region_soft_interval=_finite_interval(soft[:, 1:]),
        region_best=share @ means.T,
        region_agreement=means @ (chosen[0] == chosen[1]),
        region_best_score=means @ scored,
        best=np.where(chosen[0] == chosen[1], chosen[0], np.nan),
        soft=drawn.soft,
        soft_interval=drawn.soft_interval,
        interactions={name: _summary(values) for name, values in {"": own, **rivals}.items()},
        exceeded=exceeded,
        rank=_rank(regions, cells, drawn.cells, n_surrogates, seed),
        notes=notes + note,
    )


@dataclass
class _Drawn:
    """Sums over targets of all draws: {model: (n_layers, n_regions, n + 1)} and so on."""

    regions: dict
    matched: list | None
    cells: np.ndarray | None
    soft: np.ndarray
    soft_interval: np.ndarray


def _draw(
    scores, trained, controls, shuffles, resamples, first, means, matched, cells, factor, n_jobs
) -> _Drawn:
    n_targets, n_draws = scores.responses.shape[1], resamples.counts.shape[1]
    parts = [resamples.within(~first), resamples.within(first)]  # scored where it did not match
    labelled = np.asarray(means.sum(0)).ravel() > 0
    models = {"": list(trained)} | {name: list(own) for name, own in controls.items()}
    shuffled = {f"{SHUFFLED} {i + 1}": rows for i, rows in enumerate(shuffles)}
    totals = {
        name: np.zeros((len(own), means.shape[0], n_draws)) for name, own in models.items()
    } | {name: np.zeros((len(trained), means.shape[0], n_draws)) for name in shuffled}
    of_matched = None if matched is None else np.zeros((2, len(trained), 2, n_draws))
    of_cells = None if cells is None else np.zeros((2, cells.shape[0], n_draws))
    soft, ends = np.empty(n_targets), np.empty((n_targets, 2))
    place = np.arange(1, len(trained) + 1)
    width = resamples.width(_BATCH)

    def one_chunk(columns):
        y = scores.responses[:, columns]
        inside = np.flatnonzero(labelled[columns])
        weights = means[:, columns][:, inside]
        part = {name: np.zeros_like(t) for name, t in totals.items()}
        part_matched = None if of_matched is None else np.zeros_like(of_matched)
        weighted = np.zeros((y.shape[1], n_draws))
        total = np.zeros((y.shape[1], n_draws))
        for k, layer in enumerate(trained):
            p = np.asarray(scores.predictions[layer, :, columns])
            for own in _pieces(np.arange(y.shape[1]), width):
                r = draws_of(resamples, p[:, own], y[:, own])
                total[own] += r
                weighted[own] += place[k] * r
            for own, share in zip(
                _pieces(inside, width), _pieces(np.arange(len(inside)), width), strict=True
            ):
                moments = resamples.moments(p[:, own], y[:, own])
                r = spread_all(resamples.correlations_of(moments), factor)
                part[""][k] += weights[:, share] @ r
                for half, of_half in enumerate(parts if of_matched is not None else ()):
                    r = spread_all(of_half.correlations_of(moments), factor)
                    part_matched[half, k] += matched[half][:, columns][:, own] @ r
                for name, rows in shuffled.items():
                    r = draws_of(resamples, p[np.ix_(rows, own)], y[:, own])
                    part[name][k] += weights[:, share] @ r
        for name, layers in controls.items():
            for k, layer in enumerate(layers if len(inside) else ()):
                p = np.asarray(scores.predictions[layer, :, columns])
                for own, share in zip(
                    _pieces(inside, width), _pieces(np.arange(len(inside)), width), strict=True
                ):
                    r = draws_of(resamples, p[:, own], y[:, own])
                    part[name][k] += weights[:, share] @ r
        ratio = np.divide(weighted, total, out=np.full_like(total, np.nan), where=total > 0)
        sure = _surely_positive(total)
        own_ends = np.full((len(total), 2), np.nan)
        own_ends[sure] = _finite_interval(ratio[sure, 1:])
        in_cells = None
        if cells is not None:
            own = cells[:, columns]
            rows = np.flatnonzero(own.getnnz(1))
            in_cells = rows, np.stack([own[rows] @ weighted, own[rows] @ total])
        return part, part_matched, np.where(sure, ratio[:, 0], np.nan), own_ends, in_cells

    def draws_of(drawn, p, y):
        return spread_all(drawn.correlations(p, y), factor)

    for columns, found in in_batches(one_chunk, n_targets, _CHUNK, n_jobs):
        part, part_matched, soft[columns], ends[columns], in_cells = found
        for name, values in part.items():
            totals[name] += values
        if of_matched is not None:
            of_matched += part_matched
        if in_cells is not None:
            of_cells[:, in_cells[0]] += in_cells[1]
    return _Drawn(totals, None if of_matched is None else list(of_matched), of_cells, soft, ends)


def _pieces(numbers: np.ndarray, width: int) -> list[np.ndarray]:
    return [numbers[i : i + width] for i in range(0, len(numbers), width)]


def _surely_positive(draws: np.ndarray) -> np.ndarray:
    """Whether 97.5 % of the draws, which follow the observed value, are above zero."""
    return np.mean(draws[:, 1:] > 0, 1) >= 0.975


def spread_all(values: np.ndarray, factor: float) -> np.ndarray:
    """Draws widened about the observed value, which stays first, along the last axis."""
    values[..., 1:] = spread(values, factor)
    return values


def _observed(scores, trained, resamples, first, n_jobs) -> list[np.ndarray]:
    """r (n_stages, n_targets) in the first and in the second half."""
    n_targets = scores.responses.shape[1]
    out = np.empty((2, len(trained), n_targets))
    plain = resamples.within(np.ones(len(first), bool))
    plain.counts = np.stack([first, ~first], 1).astype(float)
    plain.sizes = plain.lengths @ plain.counts

    def one_batch(columns):
        y = scores.responses[:, columns]
        return np.stack([
            plain.correlations(np.asarray(scores.predictions[layer, :, columns]), y)
            for layer in trained
        ])  # fmt: skip

    for columns, r in in_batches(one_batch, n_targets, _CHUNK, n_jobs):
        out[:, :, columns] = np.moveaxis(r, -1, 0)
    return list(out)


def split_layer(layer: str) -> tuple[str, str]:
    """Model and stage of "model:stage"; a name without a colon is a stage of the model ""."""
    model, colon, stage = layer.partition(":")
    return (model, stage) if colon else ("", layer)


def _shuffles(resamples, n_shuffles, seed) -> list[np.ndarray]:
    """Row numbers that give the predictions of a clip to another one of its run and length.

    No clip keeps its own: the clips of a class are put in random order and moved on by one.
    """
    starts = np.cumsum(resamples.lengths) - resamples.lengths
    members = [resamples.rows[s : s + n] for s, n in zip(starts, resamples.lengths, strict=True)]
    keys = list(zip(resamples.owners.tolist(), resamples.lengths.tolist(), strict=True))
    out = []
    for rng in generators(seed + _SHUFFLE, n_shuffles):
        rows = np.arange(len(resamples.rows))
        for key in dict.fromkeys(keys):
            order = rng.permutation([i for i, k in enumerate(keys) if k == key])
            for own, other in zip(order, np.roll(order, 1), strict=True):
                rows[members[own]] = members[other]
        out.append(rows)
    return out


def _check(scores, regions) -> None:
    if len(regions.names) != scores.responses.shape[1]:
        raise InputError(
            f"regions label {len(regions.names)} targets, the scores have "
            f"{scores.responses.shape[1]}"
        )
    for group, which in ((regions.primary, "primary"), (regions.non_primary, "non-primary")):
        if not group:
            raise InputError(
                f"no target lies in a {which} region (found {', '.join(regions.present)}); the "
                "test compares both"
            )


def _means(codes, n_regions) -> np.ndarray:
    """(n_regions, n_targets) weights that take the mean over each region."""
    inside = codes == np.arange(n_regions)[:, None]
    return inside / inside.sum(1, keepdims=True)


def _placed(weights, codes) -> list[np.ndarray] | None:
    """Matching weights of labelled targets among all, matched by the first and second half."""
    if any(w is None for w in weights):
        return None
    out = []
    for own in weights:
        full = np.zeros((2, len(codes)))
        full[:, codes >= 0] = own
        out.append(full)
    return out


def _cells(regions, codes):
    """Sparse (n_cells, n_targets) sums over places for the rank correlation, of targets in regions.

    Without coordinates a cell is a region.
    """
    inside = np.flatnonzero(codes >= 0)
    if regions.coordinates is not None:
        inside = inside[np.isfinite(regions.coordinates[inside]).all(1)]
        if not len(inside):
            return None
        cell = spatial_cells(regions.coordinates[inside])
    else:
        cell = codes[inside]
    shape = (int(cell.max()) + 1, len(codes))
    return scipy.sparse.csr_matrix((np.ones(len(inside)), (cell, inside)), shape=shape)


def _rank(regions, cells, sums, n_surrogates, seed) -> dict:
    use_distance = regions.distance is not None and np.isfinite(regions.distance).any()
    named = {"axis": "distance from core" if use_distance else "order of regions"}
    if cells is None:
        return named | {"rho": None, "p": None, "n_places": 0}
    weighted, total = sums
    # A place counts where it is predicted at all.
    sure = _surely_positive(total)
    stage = np.where(sure, weighted[:, 0] / np.where(total[:, 0] > 0, total[:, 0], 1), np.nan)

    def mean(values):
        known = np.isfinite(values)
        count = cells @ known.astype(float)
        sums = cells @ np.where(known, values, 0)
        return np.divide(sums, count, out=np.full(len(sums), np.nan), where=count > 0)

    axis = mean(regions.distance if use_distance else regions.order)
    places = None
    if regions.coordinates is not None:
        places = np.stack([mean(column) for column in regions.coordinates.T], 1)
    return named | rank_correlation(stage, axis, places, n_surrogates, seed)


def _ceilings(scores, codes, n_regions) -> tuple[np.ndarray, list[str]]:
    known = scores.dataset.get("cc_max_mean")
    values = np.full(len(codes), np.nan) if known is None else known.to_numpy()
    if not np.isfinite(values).any():
        return np.full(n_regions, np.nan), ["no ceiling is known: no clip was repeated"]
    out = [values[(codes == k) & np.isfinite(values)] for k in range(n_regions)]
    return np.array([v.mean() if len(v) else np.nan for v in out]), []


def _finite_interval(draws: np.ndarray) -> np.ndarray:
    """95 % interval over the last axis; NaN draws (nothing predicted) make it NaN."""
    ends = interval(draws)
    return np.where(np.isfinite(draws).mean(-1)[..., None] >= 0.95, ends, np.nan)


def _summary(values: np.ndarray) -> tuple[float, float, float]:
    low, high = _finite_interval(values[1:])
    return float(values[0]), float(low), float(high)
