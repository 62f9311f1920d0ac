"""A table of numbers in colour."""

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from experiments.report.figures import COLUMN, ink_on, shortened
from experiments.report.svg import INK, Picture
from experiments.report.wording import decimal

GAP = 0.3  # rows between groups


def heat_map(
    groups: dict[str, list[tuple[str, list[float | None]]]],
    columns: list[str],
    limits: tuple[float, float],
    unit: str,
    name: str,
    description: str,
    footer: tuple[str, list[float | None]] | None = None,
    marks: dict[tuple[str, str], list[str]] | None = None,
) -> Picture:
    """Rows in groups against columns; in each column the highest number is framed.

    Parameters
    ----------
    groups : {heading: [(row, values)]}
        None for what was not measured.
    columns : list of str
    limits : (low, high)
        Ends of the colours.
    unit : str
        Of the colour bar.
    name, description : str
        As in `Picture`.
    footer : (row, values), optional
        Numbers without colour below, for instance ceilings.
    marks : {(heading, row): texts}, optional
        Written behind the numbers.
    """
    numbers = [values for rows in groups.values() for _, values in rows]
    highest = [
        max((v[i] for v in numbers if v[i] is not None), default=None) for i in range(len(columns))
    ]
    norm = Normalize(*limits)
    n_rows = len(numbers) + (1 + GAP) * len(groups) + (footer is not None)
    headings = [shortened(column, 10) for column in columns]
    column_width = max(0.58, 0.08 * max(map(len, headings)))
    width, height = max(COLUMN, 1.1 + column_width * len(columns)), 0.95 + 0.23 * n_rows

    def paint(axes):
        y, ticks = 0.0, []
        for heading, rows in groups.items():
            axes.text(0, y + 0.55, shortened(heading, 30), weight="bold", va="center")
            y += 1
            for row, values in rows:
                behind = (marks or {}).get((heading, row), [""] * len(columns))
                for x, (value, mark) in enumerate(zip(values, behind, strict=True)):
                    framed = value is not None and value == highest[x]
                    _cell(axes, x, y, value, norm, framed, mark)
                ticks.append((y + 0.5, shortened(row, 14)))
                y += 1
            y += GAP
        if footer:
            for x, value in enumerate(footer[1]):
                axes.text(
                    x + 0.5, y + 0.5, decimal(value), ha="center", va="center", style="italic"
                )
            ticks.append((y + 0.5, footer[0]))
            y += 1
        axes.set_xticks(np.arange(len(columns)) + 0.5, headings)
        axes.set_yticks(*zip(*ticks, strict=True))
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set(xlim=(0, len(columns)), ylim=(y, -0.05))
        bar = axes.figure.colorbar(
            ScalarMappable(norm, colormaps["viridis"].resampled(32)),
            ax=axes,
            location="bottom",
            fraction=0.15 / height,
            aspect=(width - 1) / 0.1,
        )
        bar.set_label(unit)
        bar.outline.set_visible(False)
        bar.solids.set_edgecolor("face")

    return Picture(paint, width, height, name, description)


def _cell(axes, x: int, y: float, value: float | None, norm, framed: bool, mark: str) -> None:
    if value is not None:
        face = colormaps["viridis"](norm(value))
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor="white", lw=0.6))
    if framed:
        frame = Rectangle((x + 0.05, y + 0.09), 0.9, 0.82, facecolor="none", lw=1.6, zorder=3)
        frame.set_edgecolor(ink_on(norm(value)))
        axes.add_patch(frame)
    colour = INK if value is None else ink_on(norm(value))
    axes.text(
        x + 0.5, y + 0.52, decimal(value) + mark, ha="center", va="center", color=colour, zorder=4
    )
