"""Commands about a whole experiment: demo and report."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands.options import Seed, progress_bar, say

app = typer.Typer()


@app.command(epilog="Example: cortexnet demo --out demo-results")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("demo-results"),
    full: Annotated[bool, typer.Option(help="The experiment's own size; takes hours.")] = False,
    seed: Seed = 0,
) -> None:
    """Run the whole pipeline on generated music and simulated responses."""
    from experiments.demo import run_demo
    from experiments.provenance import write_provenance

    out.mkdir(parents=True, exist_ok=True)
    write_provenance(out, {"out": out, "full": full, "seed": seed})
    result = run_demo(
        out, "full" if full else "small", seed, report=say, progress=progress_bar("clip")
    )
    print(result["verdict"]["sentence"])
    print(result["report"])


@app.command(epilog="Example: cortexnet report demo-results")
def report(
    folder: Annotated[Path, typer.Argument(help="Folder with results of any command.")],
    figures: Annotated[
        bool, typer.Option("--figures", help="Also write every picture to figures/ (PDF, PNG).")
    ] = False,
) -> None:
    """Write one self-contained report.html from the results in a folder."""
    from experiments.report import build_report

    print(build_report(folder, figures=figures))
