"""Commands about models as they are before training."""

import typer
from rich.console import Console
from rich.table import Table

from experiments.commands.options import Json, show

app = typer.Typer()


@app.command(epilog="Example: cortexnet models --json")
def models(as_json: Json = False) -> None:
    """List models with parameters and multiply-adds per second of audio."""
    from cortexnet.cost import list_costs
    from cortexnet.registry import list_models

    rows = list_costs(list_models())
    if as_json:
        show(rows)
        return
    table = Table("model", "parameters", "M mult-adds / s", "areas", "source", box=None)
    for row in rows:
        cost = f"{row['macs_per_second'] / 1e6:.0f}"
        areas = " > ".join(row["areas"])
        table.add_row(row["name"], f"{row['parameters']:,}", cost, areas, row["source"])
    Console(width=160).print(table)
