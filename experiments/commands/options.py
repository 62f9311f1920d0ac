"""What commands share: options, and how they speak."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
DEVICE = typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1 or mps.")
Stimuli = Annotated[
    Path,
    typer.Option(
        help="Clip table (CSV with path and label), folder of folders or prepared folder."
    ),
]


def say(line: str) -> None:
    """Progress for people: on the error stream, so that results can be piped."""
    Console(stderr=True, highlight=False).print(line, markup=False)


def show(value: dict | list) -> None:
    """Print a result as JSON."""
    print(json.dumps(value, indent=1, allow_nan=False))


def progress_bar(unit: str):
    """A progress callback (done, total): a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda done, total: None
    from tqdm import tqdm

    bar = tqdm(unit=unit)

    def advance(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return advance
