"""Table of a sweep."""

from experiments.report.records import Sweep, SweepCell
from experiments.report.table import Column, Table, number, span, without_empty, word
from experiments.report.wording import (
    decimal,
    decimal_range,
    percent,
    percent_range,
    plain,
    probability,
    tenths,
    whole,
)

RANKED = {"validation": "validation loss", "test": "accuracy on test clips"}


def cells(sweep: Sweep, slug: str) -> Table:
    """Every cell, in order of rank."""
    columns = [
        Column("cell", False),
        *(Column(axis, False) for axis in sweep.axes),
        Column("state", False),
        Column("rank"),
        Column("validation loss"),
        Column("clips correct"),
        Column("95 % interval", fields=("clips correct, low", "clips correct, high")),
        Column("SD over seeds"),
        Column("difference"),
        Column("95 % interval of it", fields=("difference, low", "difference, high")),
        Column("p"),
        Column("beyond noise", False),
        Column("parameters"),
        Column("time (s)"),
    ]
    rows = [_row(sweep, cell) for cell in sweep.cells]
    how = f"{sweep.folds}-fold cross-validation" if sweep.folds else "test clips"
    caption = (
        f"Sweep: {sweep.label}. Ranked by {RANKED[sweep.ranked_by]}; clips correct are of {how}. "
        "The difference in clips correct is that from the best of the same model, or of all; p is "
        "by flipping signs of whole groups, after Holm."
    )
    return without_empty(Table(slug, caption, columns, rows))


def _row(sweep: Sweep, cell: SweepCell) -> list:
    state = None if cell.status == "done" else f"{cell.status}: {cell.reason or ''}".strip(": ")
    clear = {True: "yes", False: "no", None: None}[cell.clear]
    return [
        word(cell.name),
        *(word(plain(cell.axes[axis])) for axis in sweep.axes),
        word(state),
        number(cell.rank, whole),
        number(cell.valid_loss, decimal),
        number(cell.clip_accuracy, percent),
        span(*(cell.interval or (None, None)), percent_range),
        number(cell.seed_sd, decimal),
        number(cell.difference, decimal),
        span(*(cell.difference_interval or (None, None)), decimal_range),
        number(cell.p, probability),
        word(clear),
        number(cell.parameters, whole),
        number(cell.seconds, tenths),
    ]
