"""Commands that join models with responses."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from experiments.commands.options import Json, Seed, progress_bar, say, show

app = typer.Typer()


@app.command(
    epilog="Example: cortexnet extract runs/z --stimuli bids --gtzan genres --out features/z.zarr"
)
def extract(
    source: Annotated[str, typer.Argument(help="Folder of a run, or a model's name (untrained).")],
    stimuli: Annotated[
        Path, typer.Option(help="Clip table, folder of folders, or BIDS root of ds003720.")
    ],
    out: Annotated[Path, typer.Option(help="Store to write (.zarr).")],
    gtzan: Annotated[
        Path | None, typer.Option(help="GTZAN's folder, where --stimuli is a BIDS root.")
    ] = None,
    layers: Annotated[list[str] | None, typer.Option(help="Default: all areas.")] = None,
    bin_seconds: Annotated[float, typer.Option(min=0.01, help="Width of the time bins.")] = 1.5,
    name: Annotated[str | None, typer.Option(help="Name of the model in results.")] = None,
    seed: Seed = 0,
) -> None:
    """Write the activity of every area for every clip; the same command resumes."""
    from cortexnet.activations import extract as run_extract
    from experiments.clips import is_bids, read_clips
    from experiments.models import load_source
    from stimuli import InputError

    if is_bids(stimuli) and gtzan is None:
        raise InputError(f"{stimuli}: a BIDS folder holds no sounds; name GTZAN's with --gtzan")
    clips = read_clips(stimuli, gtzan)
    found = load_source(source, clips, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    print(
        run_extract(
            found.model, clips, out, name or found.name, layers, bin_seconds, progress_bar("clip")
        )
    )


@app.command(
    epilog="Example: cortexnet encode --features features/z.zarr --responses bids --out encode"
)
def encode(
    features: Annotated[list[Path], typer.Option(help="Activation store; repeat for several.")],
    responses: Annotated[Path, typer.Option(help="BIDS root, or an array (.npy, .npz).")],
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    samples: Annotated[
        Path | None,
        typer.Option(help="CSV of an array's rows: run, clip_id, time[, repeat, dummy, split]."),
    ] = None,
    targets: Annotated[
        Path | None, typer.Option(help="CSV of an array's columns: region[, x, y, z].")
    ] = None,
    subject: Annotated[list[str] | None, typer.Option(help="Default: all.")] = None,
    derivatives: Annotated[
        Path | None, typer.Option(help="Preprocessed images (fMRIPrep) instead of raw ones.")
    ] = None,
    regions: Annotated[
        Path | None, typer.Option(help="Label image; default: derivatives/regions.")
    ] = None,
    region_names: Annotated[
        Path | None, typer.Option(help="TSV of its labels: index, name.")
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="Voxels to use.")] = None,
    delays: Annotated[str, typer.Option(help="In volumes.")] = "2,3,4,5",
    permutations: Annotated[int, typer.Option(min=100)] = 2000,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Predict responses from every layer; scores, ceilings and tests by region."""
    from experiments.encode import array_responses, bids_responses, bids_subjects, open_stores
    from experiments.encode import encode as run_encode
    from experiments.provenance import write_provenance
    from stimuli import InputError

    try:
        lags = tuple(int(part) for part in delays.split(","))
    except ValueError:
        raise InputError(f"--delays is '{delays}'; give volumes, as in 2,3,4,5") from None
    layers = open_stores(features)
    summaries = []
    if responses.is_dir():
        for one in subject or bids_subjects(responses):
            measured = bids_responses(responses, one, derivatives, regions, region_names, mask)
            summaries.append(
                run_encode(layers, measured, out / one, one, lags, permutations, seed, say)
            )
    else:
        if samples is None:
            raise InputError(f"{responses}: an array needs --samples, a table of its rows")
        measured = array_responses(responses, samples, targets)
        one = subject[0] if subject else "subject"
        summaries.append(
            run_encode(layers, measured, out / one, one, lags, permutations, seed, say)
        )
    write_provenance(out, {"features": features, "responses": responses, "delays": lags,
                           "permutations": permutations, "seed": seed})  # fmt: skip
    if as_json:
        show(summaries)
        return
    for summary in summaries:
        table = Table("region", "best layer", "mean r", "95 %", "ceiling", "p", "share", box=None)
        for region, best in summary["best_stage"].items():
            row = summary["layers"][best["layer"]][region]
            ceiling = "-" if row["ceiling"] is None else f"{row['ceiling']:.2f}"
            low, high = row["interval"]
            table.add_row(
                region, best["layer"], f"{row['mean_r']:.3f}", f"{low:.3f} to {high:.3f}",
                ceiling, f"{row['p']:.4f}", f"{best['share']:.2f}",
            )  # fmt: skip
        table.title = summary["subject"]
        Console(width=100).print(table)


@app.command(epilog="Example: cortexnet nh2015 --data nh2015 --models modulation,cortexnet_z")
def nh2015(
    data: Annotated[Path, typer.Option(help="Folder with wav/ and components.mat.")],
    models: Annotated[
        str, typer.Option(help="Names or run folders, separated by commas.")
    ] = "modulation,scattering,cortexnet_z",
    out: Annotated[Path | None, typer.Option(help="Folder for nh2015.json.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Score models on the 165 natural sounds (six components of auditory cortex)."""
    from cortexnet.runs import write_json
    from experiments.nh2015 import COMPONENTS, run_nh2015
    from experiments.provenance import write_provenance

    result = run_nh2015(data, models.split(","), seed, say)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "nh2015.json", result)
        write_provenance(out, {"data": data, "models": models, "seed": seed})
    if as_json:
        show(result)
        return
    columns = (*COMPONENTS, "mean")
    table = Table("model", *columns, title="median r2 on held-out sounds", box=None)
    for name, row in result["models"].items():
        table.add_row(name, *(f"{row['r2'][c]:.2f}" for c in columns))
        if "all_stages" in row:
            table.add_row("  all stages", *(f"{row['all_stages'][c]:.2f}" for c in columns))
    table.add_section()
    table.add_row("published, trained:")
    for name, row in result["published"].items():
        if "permuted" not in name:
            table.add_row(f"  {name}", *(f"{row[c]:.2f}" for c in columns))
    Console(width=120).print(table)
