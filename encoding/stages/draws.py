"""Scores of every model in every resample, in one pass over the targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..blocks import generators, in_batches, interval, spread
from .verdict import SHUFFLED

_CHUNK = 4096  # targets read at once: a chunk of the store
_BATCH = 256
_SHUFFLE = 1  # added to the seed of the generators that shuffle clips


@dataclass(frozen=True)
class Drawn:
    """Scores of all draws, the observed one first.

    Parameters
    ----------
    regions : {model: (n_layers, n_regions, n + 1)} mean r; "" is the trained one
    matched : two arrays (n_stages, 2, n + 1), r of matched primary and non-primary targets by half
    cells : (2, n_cells, n + 1) sums of l r_l and of r_l over the targets of each place
    soft, soft_interval : (n_targets,), (n_targets, 2)
    """

    regions: dict
    matched: list | None
    cells: np.ndarray | None
    soft: np.ndarray
    soft_interval: np.ndarray


def draw(
    scores, trained, controls, shuffles, resamples, first, means, matched, cells, factor, n_jobs
) -> Drawn:
    """All scores of one subject in one pass over its targets, a chunk of the store at a time.

    Parameters
    ----------
    scores, trained, controls : see `analyse`
    shuffles : row numbers, see `shuffle_clips`
    resamples : Resamples
    first : (n_blocks,) bool, blocks of the first half
    means : (n_regions, n_targets) weights that take the mean over each region
    matched : two arrays (2, n_targets), weights matched by the first and the second half, or None
    cells : sparse (n_cells, n_targets) or None
    factor : float, by which draws are widened
    n_jobs : int, optional
    """
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
    soft, soft_ends = np.empty(n_targets), np.empty((n_targets, 2))
    place = np.arange(1, len(trained) + 1)
    width = resamples.width(_BATCH)

    def one_chunk(columns):
        y = scores.responses[:, columns]
        weights = means[:, columns]
        pieces = []  # targets, those among them in regions, sums of their responses
        for start in range(0, y.shape[1], width):
            own = np.arange(start, min(start + width, y.shape[1]))
            pieces.append((own, labelled[columns][own], resamples.response_sums(y[:, own])))
        part = {name: np.zeros_like(t) for name, t in totals.items()}
        part_matched = None if of_matched is None else np.zeros_like(of_matched)
        weighted = np.zeros((y.shape[1], n_draws))
        total = np.zeros((y.shape[1], n_draws))
        for k, layer in enumerate(trained):
            p = np.asarray(scores.predictions[layer, :, columns])
            for own, inside, known in pieces:
                moments = resamples.moments(p[:, own], y[:, own])
                r = widened(resamples.correlations_of(moments, known), factor)
                total[own] += r
                weighted[own] += place[k] * r
                part[""][k] += weights[:, own] @ r
                if not inside.any():
                    continue
                here = own[inside]
                for half, of_half in enumerate(parts if of_matched is not None else ()):
                    r = widened(of_half.correlations_of(moments[:, inside]), factor)
                    part_matched[half, k] += matched[half][:, columns][:, here] @ r
                for name, rows in shuffled.items():
                    r = resamples.correlations(p[np.ix_(rows, here)], y[:, here], known[:, inside])
                    part[name][k] += weights[:, here] @ widened(r, factor)
        for name, layers in controls.items() if labelled[columns].any() else ():
            for k, layer in enumerate(layers):
                p = np.asarray(scores.predictions[layer, :, columns])
                for own, inside, known in pieces:
                    if not inside.any():
                        continue
                    here = own[inside]
                    r = resamples.correlations(p[:, here], y[:, here], known[:, inside])
                    part[name][k] += weights[:, here] @ widened(r, factor)
        ratio = np.divide(weighted, total, out=np.full_like(total, np.nan), where=total > 0)
        sure = surely_positive(total)
        ends = np.full((len(total), 2), np.nan)
        ends[sure] = finite_interval(ratio[sure, 1:])
        in_cells = None
        if cells is not None:
            of_chunk = cells[:, columns]
            rows = np.flatnonzero(of_chunk.getnnz(1))
            in_cells = rows, np.stack([of_chunk[rows] @ weighted, of_chunk[rows] @ total])
        return part, part_matched, np.where(sure, ratio[:, 0], np.nan), ends, in_cells

    for columns, found in in_batches(one_chunk, n_targets, _CHUNK, n_jobs):
        part, part_matched, soft[columns], soft_ends[columns], in_cells = found
        for name, values in part.items():
            totals[name] += values
        if of_matched is not None:
            of_matched += part_matched
        if in_cells is not None:
            of_cells[:, in_cells[0]] += in_cells[1]
    return Drawn(
        totals, None if of_matched is None else list(of_matched), of_cells, soft, soft_ends
    )


def surely_positive(draws: np.ndarray) -> np.ndarray:
    """Whether 97.5 % of the draws, which follow the observed value, are above zero."""
    return np.mean(draws[:, 1:] > 0, 1) >= 0.975


def widened(values: np.ndarray, factor: float) -> np.ndarray:
    """Draws widened about the observed value, which stays first, along the last axis."""
    values[..., 1:] = spread(values, factor)
    return values


def score_halves(scores, trained, resamples, first, n_jobs) -> list[np.ndarray]:
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


def shuffle_clips(resamples, n_shuffles, seed) -> list[np.ndarray]:
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


def finite_interval(draws: np.ndarray) -> np.ndarray:
    """95 % interval over the last axis; NaN draws (nothing predicted) make it NaN."""
    ends = interval(draws)
    return np.where(np.isfinite(draws).mean(-1)[..., None] >= 0.95, ends, np.nan)
