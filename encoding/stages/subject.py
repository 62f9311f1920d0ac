"""All tests of stages for one subject, in one pass over the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from ..blocks import CROSSED, Resamples, interval
from ..errors import InputError
from ..layers import Scores
from ..regions import Regions
from . import interaction as between
from .draws import draw, finite_interval, score_halves, shuffle_clips, surely_positive
from .matching import matching_weights
from .preference import cross_validated_best, halves, soft_preference
from .spatial import rank_correlation, spatial_cells
from .verdict import MATCHED, SNR_ALONE, exceeds


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
    shuffles = shuffle_clips(resamples, n_shuffles, seed)
    names = regions.present
    number = {name: i for i, name in enumerate(names)}
    codes = np.array([number.get(name, -1) for name in regions.names.tolist()])
    primary = np.array([name in regions.primary for name in names])
    means = _means(codes, len(names))

    observed = score_halves(scores, trained, resamples, first, n_jobs)
    weights = [
        matching_weights(own.mean(0)[codes >= 0], other.mean(0)[codes >= 0], codes[codes >= 0],
                         primary, ~primary)
        for own, other in (observed, observed[::-1])
    ]  # fmt: skip
    matched = _placed(weights, codes)
    cells = _cells(regions, codes)
    drawn = draw(
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
        region_soft_interval=finite_interval(soft[:, 1:]),
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


def split_layer(layer: str) -> tuple[str, str]:
    """Model and stage of "model:stage"; a name without a colon is a stage of the model ""."""
    model, colon, stage = layer.partition(":")
    return (model, stage) if colon else ("", layer)


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
    sure = surely_positive(total)
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


def _summary(values: np.ndarray) -> tuple[float, float, float]:
    low, high = finite_interval(values[1:])
    return float(values[0]), float(low), float(high)
