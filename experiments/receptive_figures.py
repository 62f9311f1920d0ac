"""Pictures of receptive fields: windows and bandwidths, tonotopy, tuning."""

import math
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from experiments.receptive_fields import HUMAN_WINDOWS, Fields, goal_of, positions
from experiments.report.figures import COLOURS, GREY
from experiments.report.svg import INK, NO_METADATA, STYLE
from stimuli.provenance import whole_file

BLUE, ORANGE = COLOURS[0], COLOURS[1]
COLUMNS = 4
HERTZ = (62.5, 125, 250, 500, 1000, 2000, 4000, 8000)


def write_figures(fields: Fields, result: dict, folder: Path) -> list[Path]:
    """Write every picture as SVG and PNG.

    Parameters
    ----------
    fields : Fields
    result : dict
        Its `experiments.receptive_fields.summary`.
    folder : Path
        Exists.

    Returns
    -------
    list of Path
    """
    areas = list(fields.time)
    pictures = {
        "windows": windows(result),
        "tuning": _grid(
            areas,
            lambda axes, area: _tuning(axes, fields, area),
            "Change of each unit's response when a band is raised, relative to its largest",
        ),
        "modulation": _grid(
            areas,
            lambda axes, area: _modulation(axes, fields, area),
            "Units that prefer ripples of a rate and scale (%); dashed: published rates",
        ),
    }
    tonotopic = [area for area in areas if area in fields.n_bands]
    if tonotopic:
        pictures["tonotopy"] = _grid(
            tonotopic,
            lambda axes, area: _map(axes, fields, area),
            "Share of the units at a place that prefer a frequency",
        )
    paths = []
    for name, figure in pictures.items():
        for suffix, options in (("svg", {"metadata": NO_METADATA}), ("png", {"dpi": 150})):
            paths.append(Path(folder) / f"{name}.{suffix}")
            with whole_file(paths[-1]) as partial, matplotlib.rc_context(STYLE):
                figure.savefig(partial, format=suffix, **options)
    return paths


def windows(result: dict) -> Figure:
    """Integration window and bandwidth of every area, with goals and human measurements."""
    rows = result["areas"]
    names = [row["area"] for row in rows]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6 + 0.75 * len(rows), 3.8))
        left, right = figure.subplots(1, 2)
        for label, ms in HUMAN_WINDOWS:
            left.axhline(ms, color=ORANGE, lw=1, ls=":")
            left.text(len(rows) - 0.42, ms, f" {label}", color=ORANGE, va="center", fontsize=8)
        for i, row in enumerate(rows):
            goal = goal_of(row["area"])
            if goal is not None:
                _goal(left, i, *goal.window_ms)
                _goal(right, i, goal.octaves[0], goal.octaves[1] or 8)
            _bar(left, i, row["window_ms"])
            limit = "_" if row["contained"] else "^"
            left.plot(i, row["limit_ms"], limit, color=INK, ms=11, mew=1.3)
            _bar(right, i, row["octaves"])
        left.set_yscale("log")
        ticks = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
        left.set_yticks(ticks, [f"{t:g}" for t in ticks])
        left.yaxis.set_minor_locator(NullLocator())
        tallest = max(row["limit_ms"] for row in rows)
        lowest = min(row["window_ms"]["75"][1] for row in rows if row["window_ms"]["75"])
        left.set_ylim(min(0.7 * lowest, 40), 1.5 * max(tallest, 4000))
        left.set_ylabel("integration window (ms)")
        right.set_ylim(0, 8)
        right.set_ylabel("bandwidth (octaves)")
        for axes in (left, right):
            axes.set_xticks(range(len(rows)), names, rotation=0 if len(rows) < 6 else 60)
            axes.set_xlim(-0.6, len(rows) - 0.4)
            axes.grid(axis="y", color=GREY, lw=0.4)
            axes.set_axisbelow(True)
        handles = [
            left.plot([], [], "o", color=BLUE, ms=6)[0],
            left.plot([], [], "o", mfc="white", mec=BLUE, ms=6)[0],
            left.plot([], [], "_", color=INK, ms=11, mew=1.3)[0],
            Patch(facecolor=GREY),
            left.plot([], [], color=ORANGE, lw=1, ls=":")[0],
        ]
        labels = [
            "holds 75 % (median, quartiles)", "holds 95 %", "hard limit", "goal of the design",
            "human cortex, by distance from A1",
        ]  # fmt: skip
        figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


def _goal(axes, place, low, high):
    axes.fill_between([place - 0.4, place + 0.4], low, high, color=GREY, lw=0, zorder=0.5)


def _bar(axes, place, widths):
    if widths["75"] is None:
        return
    middle, low, high = widths["75"]
    axes.plot([place] * 2, [middle, widths["95"][0]], color=BLUE, lw=0.8)
    axes.plot([place] * 2, [low, high], color=BLUE, lw=4, solid_capstyle="butt", alpha=0.6)
    axes.plot(place, middle, "o", color=BLUE, ms=6)
    axes.plot(place, widths["95"][0], "o", mfc="white", mec=BLUE, ms=6)


def _grid(areas: list[str], paint: Callable, title: str) -> Figure:
    """One panel an area, four in a row."""
    columns = min(COLUMNS, len(areas))
    rows = math.ceil(len(areas) / columns)
    with matplotlib.rc_context(STYLE):
        width = max(2.5 * columns + 0.6, 5.6)  # the title fits
        figure = Figure(figsize=(width, 2.5 * rows + 0.5))
        figure.suptitle(title, fontsize=10)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for i, (axes, area) in enumerate(zip(panels, areas, strict=False)):
            paint(axes, area)
            axes.set_title(area, fontsize=10)
            if i % columns:
                axes.set_ylabel("")
            if i + columns < len(areas):
                axes.set_xlabel("")
        for axes in panels[len(areas) :]:
            axes.set_axis_off()
    return figure


def _tuning(axes, fields: Fields, area: str) -> None:
    """Bandwidth curves of all units, sorted by their centre."""
    effect = fields.frequency[area]
    weights = effect.weights[:, ~effect.silent]
    if weights.shape[1]:
        centre = np.argsort(effect.median()[~effect.silent])
        relative = (weights / weights.max(0))[:, centre]
        unit = np.arange(relative.shape[1] + 1) / relative.shape[1] * 100
        axes.pcolormesh(unit, 2**effect.edges, relative, cmap="magma_r", rasterized=True)
    _hertz_axis(axes)
    axes.set_xlabel("units by centre (%)")


def _map(axes, fields: Fields, area: str) -> None:
    """Best frequency against place: share of the units at a place."""
    place, best = positions(fields, area)
    n_bands, stimuli = fields.n_bands[area], np.array(fields.tones[area].stimuli)
    counts = np.zeros((len(stimuli), n_bands))
    np.add.at(counts, (np.searchsorted(stimuli, best - 1e-6), place), 1)
    share = counts / np.maximum(counts.sum(0), 1)
    borders = np.r_[stimuli, stimuli[-1] * 2 ** (1 / 6)] * 2 ** (-1 / 12)
    axes.pcolormesh(np.arange(n_bands + 1) + 0.5, borders, share, cmap="magma_r", rasterized=True)
    _hertz_axis(axes, "best frequency (Hz)")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("place on the frequency axis")


def _hertz_axis(axes, label="frequency raised (Hz)") -> None:
    axes.set_yscale("log")
    axes.set_yticks(HERTZ, [f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}" for hz in HERTZ])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel(label)


def _modulation(axes, fields: Fields, area: str) -> None:
    """Share of the units that prefer each rate and scale."""
    tuning = fields.ripples[area]
    rates = sorted({rate for rate, _, _ in tuning.stimuli})
    scales = sorted({scale for _, scale, _ in tuning.stimuli})
    counts = np.zeros((len(scales), len(rates)))
    for rate, scale, _ in tuning.best():
        counts[scales.index(scale), rates.index(rate)] += 1
    share = 100 * counts / max(counts.sum(), 1)
    axes.imshow(share, origin="lower", cmap="magma_r", vmin=0, aspect="auto")
    for (row, column), value in np.ndenumerate(share):
        if value >= 1:
            ink = "white" if value > 0.55 * share.max() else INK
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=ink)
    goal = goal_of(area)
    if goal is not None and goal.rates_hz:
        low, high = np.interp(np.log(goal.rates_hz), np.log(rates), range(len(rates)))
        for border in (low - 0.5, high + 0.5):
            axes.axvline(border, color=ORANGE, lw=1.5, ls="--", clip_on=False)
    axes.set_xticks(range(len(rates)), [f"{r:g}" for r in rates])
    axes.set_yticks(range(len(scales)), [f"{s:g}" for s in scales])
    axes.set_xlabel("best rate (Hz)")
    axes.set_ylabel("best scale (cycles/octave)")
