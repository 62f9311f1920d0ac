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

# Responses, for every command that reads them.
Features = Annotated[list[Path], typer.Option(help="Activation store; repeat for several.")]
Samples = Annotated[
    Path | None,
    typer.Option(
        help="CSV of an array's rows: run, clip_id, time[, repeat, dummy, split, recording, "
        "session]."
    ),
]
Targets = Annotated[Path | None, typer.Option(help="CSV of an array's columns: region[, x, y, z].")]
ArrayName = Annotated[str | None, typer.Option("--name", help="Array in the file.")]
Transposed = Annotated[
    bool | None,
    typer.Option("--transposed/--not-transposed", help="Whether the array is targets x volumes."),
]
Derivatives = Annotated[
    Path | None, typer.Option(help="Preprocessed images (fMRIPrep) instead of raw ones.")
]
Kind = Annotated[str, typer.Option(help="volume, surface or cifti.")]
Space = Annotated[str | None, typer.Option(help="Of preprocessed images.")]
Confounds = Annotated[
    str | None,
    typer.Option(help="none, motion, motion24 (of preprocessed images), motion24+wm_csf."),
]
Regions = Annotated[Path | None, typer.Option(help="Label image; default: derivatives/regions.")]
RegionNames = Annotated[Path | None, typer.Option(help="TSV of its labels: index, name.")]
Memory = Annotated[str, typer.Option(help="To keep to.")]


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
