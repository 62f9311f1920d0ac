"""The command that trains a grid."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from experiments.commands.options import DEVICE, Json, say, show

app = typer.Typer()


@app.command(epilog="Example: cortexnet sweep optimizers --out sweeps/optimizers")
def sweep(
    recipe: Annotated[
        str, typer.Argument(help="A TOML file, or one of ours: optimizers, normalisation.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of all cells, the table and the figure.")],
    stimuli: Annotated[
        Path | None, typer.Option(help="Clips in place of those that the recipe names.")
    ] = None,
    rank: Annotated[
        str,
        typer.Option(
            metavar="validation|test",
            help="What orders the cells; the best by test is scored too high.",
        ),
    ] = "validation",
    workers: Annotated[int, typer.Option(min=0, help="Processes that load segments.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps what never learns, for other sweeps.")
    ] = None,
    device: Annotated[str, DEVICE] = "auto",
    as_json: Json = False,
) -> None:
    """Train a grid of recipes, norms and models; the same command resumes."""
    from experiments.provenance import write_provenance
    from experiments.sweep import run_sweep, sweep_clips
    from experiments.sweep_figures import write_figures
    from experiments.sweep_recipe import SHIPPED, read_recipe
    from experiments.toml_recipe import recipe_file

    plan = read_recipe(recipe)
    out.mkdir(parents=True, exist_ok=True)
    result = run_sweep(
        plan,
        sweep_clips(plan, out, stimuli),
        out,
        rank,
        say,
        progress=sys.stderr.isatty() and not as_json,
        cache=cache,
        workers=workers,
        device=device,
    )
    write_figures(out)
    config = {"recipe": recipe, "rank": rank, "axes": plan.axes, "seeds": plan.seeds}
    source = recipe_file(recipe, SHIPPED)
    inputs = (source,) if stimuli is None else (source, stimuli)
    write_provenance(out, config, inputs)
    if as_json:
        show(result)
    else:
        _print(result)


def _print(result: dict) -> None:
    axes = list(result["axes"])
    table = Table(
        "rank", *axes, "valid. loss", "test accuracy", "SD seeds", "difference", "p (Holm)",
        "parameters", "s", box=None, title=result["title"],
    )  # fmt: skip
    for row in result["cells"]:
        place = [str(row["axes"][axis]) for axis in axes]
        if row["status"] != "done":
            table.add_row("", *place, row["status"])
            continue
        low, high = row["clip_interval"]
        loss = "" if row["valid_loss"] is None else f"{row['valid_loss']:.3f}"
        spread = "" if row["seed_sd"] is None else f"{row['seed_sd']:.3f}"
        difference, p = "", ""
        if row["against_best"]:
            found = row["against_best"]
            ends = "{:+.3f}, {:+.3f}".format(*found["interval"])
            difference = f"{found['difference']:+.3f} [{ends}]" + "*" * found["clear"]
            p = f"{found['p_holm']:.3g}"
        accuracy = f"{row['clip_accuracy']:.3f} [{low:.3f}, {high:.3f}]"
        table.add_row(
            str(row["rank"]), *place, loss, accuracy, spread, difference, p,
            f"{row['parameters']:,}", f"{row['seconds']:.0f}",
        )  # fmt: skip
    console = Console(width=160, highlight=False)
    console.print(table)
    console.print(
        "difference: in test accuracy from the best of its model, that from the best of all; "
        "* beyond noise",
        markup=False,
    )
    for sentence in result["summary"]:
        console.print(sentence, markup=False)
