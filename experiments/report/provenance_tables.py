"""Tables of how the results were made."""

import shlex

from experiments.report.table import Column, Table, number, word
from experiments.report.wording import plain, tenths

SETTING = [Column("what", False), Column("value", False)]


def settings(slug: str, caption: str, value: dict) -> Table:
    """A nested mapping, one row a leaf."""
    rows = [[word(name), word(plain(leaf))] for name, leaf in _leaves(value)]
    return Table(slug, caption, SETTING, rows)


def _leaves(value: dict, prefix: str = ""):
    for name, inner in value.items():
        path = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, f"{path}: ")
        else:
            yield path, inner


def parts(rows: list[tuple[str, dict]]) -> Table:
    """The commands that made the parts of a folder."""
    columns = [
        Column("folder", False),
        Column("command", False),
        Column("seed", False),
        Column("git commit", False),
        Column("time (s)"),
    ]
    cells = [
        [
            word(where),
            word(command_line(value)),
            word(plain(value.get("seed"))),
            word(plain(value.get("git_commit"))),
            number(value.get("seconds"), tenths),
        ]
        for where, value in rows
    ]
    return Table("parts", "Commands that made the parts.", columns, cells)


def command_line(value: dict) -> str | None:
    """The command of a provenance record, as one would type it."""
    command = value.get("command")
    return shlex.join(command) if isinstance(command, list) else command
