"""Commands about clips: `cortexnet stimuli ...`."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands.options import Seed

app = typer.Typer(help="Clips: tables and the embedded data set.", no_args_is_help=True)


@app.command(epilog="Example: cortexnet stimuli miniature --out mini")
def miniature(
    out: Annotated[Path, typer.Option(help="New or empty folder.")],
    full: Annotated[bool, typer.Option(help="1000 tracks, 18 runs, five subjects.")] = False,
    seed: Seed = 0,
) -> None:
    """Write the embedded data set: GTZAN layout, BIDS layout, orders, planted truth."""
    from experiments.miniature import write_miniature

    write_miniature(out, "full" if full else "small", seed)
    print(out)


@app.command(epilog="Example: cortexnet stimuli manifest genres --out manifest.csv")
def manifest(
    folder: Annotated[Path, typer.Argument(help="Folder of folders: one folder a label.")],
    out: Annotated[Path, typer.Option(help="CSV to write.")],
) -> None:
    """Make a clip table of a folder of folders (label = folder, group = track)."""
    from stimuli import save_clips
    from stimuli.folder import scan_folder

    clips = scan_folder(folder)
    save_clips(clips, out)
    print(f"{out}: {len(clips)} clips, {clips['label'].nunique()} labels")
