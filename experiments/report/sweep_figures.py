"""Pictures of sweeps: accuracy of every cell of a model, grouped by the first axis."""

from experiments.report.figures import COLUMN, GREY, palette, shortened
from experiments.report.records import Sweep, SweepCell
from experiments.report.svg import INK, Picture
from experiments.report.wording import percent, percent_range

GAP = 0.6  # rows between the groups of an axis
RED = "#B00020"


def panels(sweep: Sweep) -> dict[str, list[SweepCell]]:
    """Cells of every model, in the order of the grid; all in one where models alone differ."""
    if len(sweep.axes) == 1:
        return {"": sorted(sweep.cells, key=lambda cell: _place(sweep, cell))}
    found = {model: [] for model in sweep.axes["model"]}
    for cell in sorted(sweep.cells, key=lambda cell: _place(sweep, cell)):
        found[cell.model].append(cell)
    return {model: cells for model, cells in found.items() if cells}


def _place(sweep, cell) -> tuple[int, ...]:
    return tuple(values.index(cell.axes[axis]) for axis, values in sweep.axes.items())


def panel_height(sweep: Sweep, cells: list[SweepCell]) -> float:
    """Inches that a panel needs."""
    return 0.95 + 0.34 * (_positions(sweep, cells)[-1] + 1)


def _positions(sweep, cells) -> list[float]:
    """Of the rows; with several axes the values of the first are apart."""
    first = list(sweep.axes)[min(1, len(sweep.axes) - 1)]
    rows, at = [], 0.0
    for i, cell in enumerate(cells):
        if i:
            apart = len(sweep.axes) > 2 and cell.axes[first] != cells[i - 1].axes[first]
            at += 1 + GAP * apart
        rows.append(at)
    return rows


def paint_panel(axes, sweep: Sweep, cells: list[SweepCell]) -> None:
    """Paint cells on matplotlib axes.

    A dot is the mean over seeds with its interval, small circles are seeds, a ring marks the cell
    that ranks first of those shown, a star one that differs from it beyond noise.
    """
    names = list(sweep.axes)[1:] or ["model"]
    colours = palette([str(value) for value in sweep.axes[names[0]]])
    rows = _positions(sweep, cells)
    ranked = [cell for cell in cells if cell.rank is not None]
    best = min(ranked, key=lambda cell: cell.rank, default=None)
    chance = next((cell.chance for cell in ranked), None)
    for row, cell in zip(rows, cells, strict=True):
        colour, marker, _ = colours[str(cell.axes[names[0]])]
        if cell.rank is None:
            axes.text(2, row, cell.status, va="center", color=RED, style="italic")
            continue
        middle = 100 * cell.clip_accuracy
        axes.plot([100 * v for v in cell.interval], [row, row], color=colour, lw=1.6)
        if len(cell.seeds) > 1:
            seeds = [100 * value for value in cell.seeds]
            axes.plot(seeds, [row + 0.22] * len(seeds), "o", mfc="none", mec=colour, ms=3, mew=0.8)
        if cell is best:
            axes.plot(middle, row, "o", mfc="none", mec=INK, ms=11, mew=1)
        axes.plot(middle, row, marker, color=colour, ms=6)
        if cell.clear and cell is not best:  # compared with the ring, not with other models
            axes.text(100 * cell.interval[1] + 1, row, "*", va="center")
    if chance is not None:
        axes.axvline(100 * chance, color=INK, lw=1, ls="--", zorder=0.5)
        axes.text(100 * chance, -0.55, " chance", va="bottom", ha="left")
    labels = [shortened(" · ".join(str(cell.axes[n]) for n in names), 26) for cell in cells]
    axes.set_yticks(rows, labels)
    axes.set(xlim=(0, 100), ylim=(rows[-1] + 0.5, -1.1))
    axes.set_xlabel("clips classified correctly (%), 95\N{NO-BREAK SPACE}% interval")
    axes.grid(axis="x", color=GREY, lw=0.5)
    axes.set_axisbelow(True)


def accuracy(sweep: Sweep, cells: list[SweepCell], name: str) -> Picture:
    """The panel of a model for the page.

    Parameters
    ----------
    sweep : Sweep
    cells : list of SweepCell
        As of `panels`.
    name : str, prefix of ids
    """
    spoken = "; ".join(
        f"{cell.name} {cell.status}"
        if cell.rank is None
        else f"{cell.name} {percent(cell.clip_accuracy)} ({percent_range(*cell.interval)})"
        for cell in cells
    )
    return Picture(
        lambda axes: paint_panel(axes, sweep, cells),
        COLUMN,
        panel_height(sweep, cells),
        name,
        f"Clip accuracy of the cells of a sweep: {spoken}",
    )
