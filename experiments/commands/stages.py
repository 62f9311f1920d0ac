"""The command that tests the order of stages."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from experiments.commands.options import Json, Seed, say, show

app = typer.Typer()


@app.command(epilog="Example: cortexnet stages encode --model z --atlas hcp-mmp1 --surface hcp")
def stages(
    folder: Annotated[Path, typer.Argument(help="Results of `cortexnet encode`.")],
    model: Annotated[
        str | None, typer.Option(help="The trained one; default: the only one that can be meant.")
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(help="Model to compare with; default: controls and baselines by their names."),
    ] = None,
    regions: Annotated[
        Path | None, typer.Option(help="TOML table of regions; default: auditory.toml.")
    ] = None,
    extended: Annotated[
        bool, typer.Option("--extended", help="Belt with RI and 52, parabelt with A4 and A5.")
    ] = False,
    atlas: Annotated[
        list[str] | None,
        typer.Option(help="hcp-mmp1, a label file, or left and right; default: the own labels."),
    ] = None,
    atlas_names: Annotated[
        Path | None, typer.Option(help="TSV of a volume's labels: index, name.")
    ] = None,
    same_space: Annotated[
        bool, typer.Option("--same-space", help="The volume is in the same millimetres.")
    ] = False,
    surface: Annotated[
        list[str] | None,
        typer.Option(help="Left and right, or hcp: distances from core along the cortex."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Default: stages in the folder.")] = None,
    shuffles: Annotated[int, typer.Option(min=0, help="Controls by shuffled clips.")] = 10,
    resamples: Annotated[int, typer.Option(min=100)] = 1000,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Which stage fits which region, and whether that is evidence of a hierarchy."""
    from experiments.provenance import write_provenance
    from experiments.stages import run_stages

    where = folder / "stages" if out is None else out
    result = run_stages(
        folder,
        where,
        model,
        control,
        table=regions,
        extended=extended,
        atlas=atlas or (),
        names=atlas_names,
        same_space=same_space,
        surfaces=surface or (),
        n_shuffles=shuffles,
        n_resamples=resamples,
        seed=seed,
        report=say,
    )
    write_provenance(where, {"folder": folder, "model": result["model"], "control": control,
                             "regions": regions, "extended": extended, "atlas": atlas,
                             "same_space": same_space, "surface": surface, "shuffles": shuffles,
                             "resamples": resamples, "seed": seed})  # fmt: skip
    if as_json:
        show(result)
        return
    print(result["verdict"]["sentence"])
    print(result["ladder"])
    for subject, one in result["subjects"].items():
        table = Table("region", *result["stages"], "soft", "95 %", "ceiling", "targets", box=None)
        for region, row in one["regions"].items():
            low, high = row["soft_interval"]
            best = max(row["mean_r"], key=row["mean_r"].get)
            cells = [f"{r:.3f}" + ("*" if stage == best else "") for stage, r in
                     row["mean_r"].items()]  # fmt: skip
            ceiling = "-" if row["ceiling"] is None else f"{row['ceiling']:.2f}"
            soft = "-" if row["soft"] is None else f"{row['soft']:.2f}"
            ends = "-" if low is None else f"{low:.2f} to {high:.2f}"
            table.add_row(region, *cells, soft, ends, ceiling, str(row["n_targets"]))
        own = one["interactions"][""]
        kept = sum(not row["exceeded"] for name, row in one["interactions"].items() if name)
        value = "-" if own["value"] is None else f"{own['value']:.2f}"
        table.title = f"{subject}: interaction {value}, {kept} controls not exceeded"
        Console(width=100).print(table)
        for note in one["notes"]:
            print(f"  {note}")
