"""A table of the page: what is shown, what sorts it, and what its CSV holds."""

import csv
import io
from dataclasses import dataclass
from urllib.parse import quote

from experiments.report.wording import MISSING


@dataclass(frozen=True)
class Cell:
    """What is shown, and the exact values behind it (one for each field of the column)."""

    text: str
    values: tuple

    @property
    def key(self):
        """What the column is sorted by; empty where there is no value."""
        return "" if self.values[0] is None else self.values[0]


@dataclass(frozen=True)
class Column:
    """A heading; `fields` are the names in the CSV where they differ from it."""

    name: str
    numeric: bool = True
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table; the first cell of each row is its heading.

    Attributes
    ----------
    slug : str, names the CSV
    caption : str
    columns : list of Column
    rows : list of lists of Cell
    """

    slug: str
    caption: str
    columns: list[Column]
    rows: list[list[Cell]]

    @property
    def title(self) -> str:
        """The caption's first sentence."""
        return self.caption.partition(".")[0]

    @property
    def csv_link(self) -> str:
        """The table as CSV in a ``data:`` address, numbers as exact as they were read."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow([field for c in self.columns for field in c.fields or (c.name,)])
        writer.writerows([[value for cell in row for value in cell.values] for row in self.rows])
        return f"data:text/csv;charset=utf-8,{quote(text.getvalue())}"


def word(text: str | None) -> Cell:
    """A cell of text."""
    return Cell(MISSING if text is None else text, (text,))


def number(value: float | None, write) -> Cell:
    """A cell of a number, shown as `write` has it."""
    return Cell(write(value), (value,))


def span(low: float | None, high: float | None, write) -> Cell:
    """A cell of an interval, sorted by its lower end."""
    return Cell(MISSING if low is None or high is None else write(low, high), (low, high))


def without_empty(table: Table) -> Table:
    """The table without those columns in which nothing was measured."""
    kept = [
        i
        for i in range(len(table.columns))
        if any(value is not None for row in table.rows for value in row[i].values)
    ]
    return Table(
        table.slug,
        table.caption,
        [table.columns[i] for i in kept],
        [[row[i] for i in kept] for row in table.rows],
    )
