"""Commands about models by themselves: what they cost, what they integrate."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from experiments.commands.options import Json, Seed, say, show

app = typer.Typer()


@app.command(epilog="Example: cortexnet models cortexnet_s --receptive-fields --out fields")
def models(
    name: Annotated[
        str | None, typer.Argument(help="A name or pattern; with --receptive-fields also a run.")
    ] = None,
    receptive_fields: Annotated[
        bool,
        typer.Option(
            "--receptive-fields",
            help="Measure integration windows, bandwidths and tuning by perturbation.",
        ),
    ] = False,
    steps: Annotated[
        bool, typer.Option("--steps", help="Every step of recurrent areas, not the last alone.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for receptive_fields.json and figures.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Of the model, with --receptive-fields; repeatable."
        ),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """List models with their costs, or measure the receptive fields of one."""
    from stimuli import InputError

    if receptive_fields:
        if name is None:
            raise InputError("--receptive-fields: give the name of a model or the folder of a run")
        _receptive_fields(name, steps, out, option or [], seed, as_json)
        return
    for flag, given in (("--steps", steps), ("--out", out is not None), ("--option", option)):
        if given:
            raise InputError(f"{flag} goes with --receptive-fields; add it")
    from cortexnet.cost import list_costs
    from cortexnet.registry import find_model, list_models

    names = list_models(name)
    if not names:
        find_model(name)  # says which there are
    rows = list_costs(names)
    if as_json:
        show(rows)
        return
    table = Table("model", "parameters", "M mult-adds / s", "areas", "source", box=None)
    for row in rows:
        cost = f"{row['macs_per_second'] / 1e6:.0f}"
        areas = " > ".join(row["areas"])
        table.add_row(row["name"], f"{row['parameters']:,}", cost, areas, row["source"])
    Console(width=160).print(table)


def _receptive_fields(
    name: str, steps: bool, out: Path | None, option: list[str], seed: int, as_json: bool
) -> None:
    from cortexnet.runs import write_json
    from experiments.commands.recipes import parse_option
    from experiments.provenance import write_provenance
    from experiments.receptive_fields import measure, summary, table_rows

    options = dict(parse_option(text) for text in option)
    fields = measure(name, seed, steps, say, options)
    result = summary(fields)
    if out is not None:
        from experiments.receptive_figures import write_figures

        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "receptive_fields.json", result)
        settings = {"model": name, "options": options, "steps": steps, "seed": seed}
        write_provenance(out, settings)
        write_figures(fields, result, out)
        say(f"{out}: receptive_fields.json and figures")
    if as_json:
        show(result)
        return
    header, rows = table_rows(result)
    table = Table(*header, box=None)
    for row in rows:
        table.add_row(*row)
    Console(width=160).print(table)
