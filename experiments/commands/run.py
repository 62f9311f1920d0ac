"""The command that runs an experiment from sounds to a verdict."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands.options import (
    DEVICE,
    Derivatives,
    Json,
    Memory,
    Seed,
    progress_bar,
    say,
    show,
)

app = typer.Typer()


@app.command(
    epilog="Example: cortexnet run ds003720 --gtzan genres --bids ds003720 --derivatives fmriprep "
    "--out results"
)
def run(
    recipe: Annotated[
        str, typer.Argument(help="A TOML file, or one of ours: ds003720, miniature.")
    ],
    gtzan: Annotated[Path, typer.Option(help="GTZAN's folder.")],
    bids: Annotated[Path, typer.Option(help="BIDS root with events, and responses.")],
    out: Annotated[Path, typer.Option(help="Folder for everything.")],
    derivatives: Derivatives = None,
    subject: Annotated[list[str] | None, typer.Option(help="Default: all; repeatable.")] = None,
    memory: Memory = "8GB",
    device: Annotated[str, DEVICE] = "auto",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Prepare, audit, train, extract, encode, RSA, stages and report; the same command resumes."""
    import dataclasses

    from experiments.encode import parse_bytes
    from experiments.experiment import SHIPPED, read_experiment
    from experiments.provenance import write_provenance
    from experiments.run import find_data, run_experiment
    from experiments.toml_recipe import recipe_file

    experiment, room = read_experiment(recipe), parse_bytes(memory)
    data = find_data(experiment, gtzan, bids, derivatives, subject or ())
    out.mkdir(parents=True, exist_ok=True)
    settings = {"recipe": dataclasses.asdict(experiment), "derivatives": derivatives,
                "subjects": data.subjects, "memory": memory, "device": device,
                "seed": seed}  # fmt: skip
    write_provenance(out, settings, (recipe_file(recipe, SHIPPED), gtzan, bids))
    result = run_experiment(
        experiment, data, out, memory=room, device=device, seed=seed, report=say,
        progress=progress_bar("clip"),
    )  # fmt: skip
    if as_json:
        show(result)
    else:
        print(result["verdict"]["sentence"])
        print(result["report"])
