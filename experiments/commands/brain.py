"""Commands that join models with responses."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from experiments.commands.options import (
    ArrayName,
    Confounds,
    Derivatives,
    Features,
    Json,
    Kind,
    Memory,
    RegionNames,
    Regions,
    Samples,
    Seed,
    Space,
    Targets,
    Transposed,
    progress_bar,
    say,
    show,
)

app = typer.Typer()


@app.command(
    epilog="Example: cortexnet extract runs/z --stimuli bids --gtzan genres --out features/z.zarr"
)
def extract(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder of a run, hf:NAME-OR-FOLDER (Hugging Face), or untrained a model's name "
            "or FILE.py:FUNCTION of your own."
        ),
    ],
    stimuli: Annotated[
        Path, typer.Option(help="Clip table, folder of folders, or BIDS root of ds003720.")
    ],
    out: Annotated[Path, typer.Option(help="Store to write (.zarr).")],
    gtzan: Annotated[
        Path | None, typer.Option(help="GTZAN's folder, where --stimuli is a BIDS root.")
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            help="Area, AREA@STEP or dotted module name; repeat or separate by commas. Default: "
            "all areas."
        ),
    ] = None,
    steps: Annotated[
        bool, typer.Option("--steps", help="All areas at all recurrent steps.")
    ] = False,
    time_axis: Annotated[
        list[str] | None,
        typer.Option(help="LAYER=AXIS of a module whose time axis is not to be measured."),
    ] = None,
    bin_seconds: Annotated[
        str, typer.Option(help="Width of the time bins, 'frames' (the model's own) or 'clip'.")
    ] = "1.5",
    control: Annotated[
        str | None,
        typer.Option(help="Untrained counterpart: random, permuted or permuted-all[:SEED]."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model in results.")] = None,
    seed: Seed = 0,
) -> None:
    """Write the activity of layers for every clip; the same command resumes."""
    from cortexnet.activations import extract as run_extract
    from cortexnet.controls import parse_control
    from experiments.clips import is_bids, read_clips
    from experiments.models import load_source
    from stimuli import InputError

    if is_bids(stimuli) and gtzan is None:
        raise InputError(f"{stimuli}: a BIDS folder holds no sounds; name GTZAN's with --gtzan")
    clips = read_clips(stimuli, gtzan)
    kept = None if control is None else parse_control(control)
    origin = {} if kept is None else {"control": kept.kind, "control_seed": kept.seed}
    axes = _axes(time_axis or [])
    width = _number(bin_seconds)
    found = load_source(source, clips, seed, kept)
    out.parent.mkdir(parents=True, exist_ok=True)
    print(
        run_extract(
            found.model,
            clips,
            out,
            name or found.name,
            [part for given in layers for part in given.split(",")] if layers else None,
            width,
            progress_bar("clip"),
            steps=steps,
            time_axis=axes,
            source={"trained": found.trained, **origin},
        )
    )


def _axes(given: list[str]) -> dict[str, int]:
    """``["conv1=2"]`` to ``{"conv1": 2}``."""
    from stimuli import InputError

    axes = {}
    for part in given:
        layer, _, axis = part.rpartition("=")
        if not layer or not axis.removeprefix("-").isdecimal():
            raise InputError(f"--time-axis is '{part}'; give LAYER=AXIS, as in conv1=2")
        axes[layer] = int(axis)
    return axes


def _number(text: str) -> float | str:
    """A number where the text is one."""
    try:
        return float(text)
    except ValueError:
        return text


@app.command(
    epilog="Example: cortexnet encode --features features/z.zarr --responses bids --out encode"
)
def encode(
    features: Features,
    responses: Annotated[
        list[Path],
        typer.Option(help="BIDS root, or an array (.npy, .npz, .h5, .zarr); repeat for its parts."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    samples: Samples = None,
    targets: Targets = None,
    name: ArrayName = None,
    transposed: Transposed = None,
    subject: Annotated[list[str] | None, typer.Option(help="Default: all.")] = None,
    derivatives: Derivatives = None,
    kind: Kind = "volume",
    space: Space = None,
    confounds: Confounds = None,
    regions: Regions = None,
    region_names: RegionNames = None,
    mask: Annotated[
        Path | None, typer.Option(help="Voxels to use; of an array: the grid of the maps.")
    ] = None,
    delays: Annotated[str, typer.Option(help="In volumes.")] = "2,3,4,5",
    folds: Annotated[
        str, typer.Option(help="Left out together: run, or stricter session.")
    ] = "run",
    permutations: Annotated[int, typer.Option(min=100)] = 2000,
    memory: Memory = "8GB",
    cluster: Annotated[
        str | None, typer.Option(help="Dask: local, local:4, slurm:8 or tcp://host:8786.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda for PyTorch on a GPU.")] = "cpu",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Predict responses from every layer; scores, maps, ceilings and tests by region.

    After a kill the same command goes on where it stopped.
    """
    from contextlib import nullcontext

    import numpy as np

    from encoding import open_cluster, to_nifti
    from encoding.ridge.arrays import Torch
    from experiments.encode import (
        are_bids,
        array_responses,
        bids_reference,
        bids_responses,
        bids_subjects,
        open_stores,
        parse_bytes,
        work_folder,
    )
    from experiments.encode import encode as run_encode
    from experiments.provenance import write_provenance
    from stimuli import InputError

    try:
        lags = tuple(int(part) for part in delays.split(","))
    except ValueError:
        raise InputError(f"--delays is '{delays}'; give volumes, as in 2,3,4,5") from None
    room = parse_bytes(memory)
    if folds not in ("run", "session"):
        raise InputError(f"--folds is '{folds}'; give run or session")
    if device != "cpu":
        Torch(device)  # fails before hours of reading
    root, bids = responses[0], are_bids(responses, samples)
    layers = open_stores(features)
    subjects = subject or (bids_subjects(root) if bids else ["subject"])
    if not bids and len(subjects) > 1:
        raise InputError(f"{root}: an array is of one subject; found --subject {len(subjects)} x")

    def load(one: str):
        share = {"memory": room // 4, "cache": work_folder(out / one) / "responses"}
        if not bids:
            share |= {"name": name, "transposed": transposed}
            measured = array_responses(responses, samples, targets, **share)
            if mask is not None:  # fails before hours of work where targets have no place in it
                to_nifti(np.zeros(len(measured.targets)), measured.targets, mask)
            return measured, mask
        where = {"kind": kind, "space": space}
        share |= where | {"mask": mask, "confounds": confounds}
        measured = bids_responses(root, one, derivatives, regions, region_names, **share)
        return measured, bids_reference(root, one, derivatives, **where)

    summaries = []
    with nullcontext() if cluster is None else open_cluster(cluster) as workers:
        for one in subjects:
            measured, reference = load(one)
            summaries.append(
                run_encode(
                    layers,
                    measured,
                    out / one,
                    one,
                    lags,
                    permutations,
                    seed,
                    say,
                    memory=room,
                    cluster=workers,
                    reference=reference,
                    folds=folds,
                    device=device,
                )
            )
    write_provenance(out, {"features": features, "responses": responses if responses[1:] else root,
                           "delays": lags, "permutations": permutations, "seed": seed,
                           "derivatives": derivatives, "kind": kind, "space": space,
                           "confounds": confounds, "mask": mask, "memory": memory,
                           "folds": folds, "device": device})  # fmt: skip
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


@app.command(
    epilog="Example: cortexnet nh2015 --data nh2015 --models modulation,runs/z --controls "
    "random,permuted"
)
def nh2015(
    data: Annotated[Path, typer.Option(help="Folder with wav/ and components.mat.")],
    models: Annotated[
        str, typer.Option(help="Names or run folders, separated by commas.")
    ] = "modulation,scattering,cortexnet_z",
    controls: Annotated[
        str | None,
        typer.Option(help="Beside each network: random, permuted, permuted-all (commas)."),
    ] = None,
    control_seeds: Annotated[int, typer.Option(min=1, help="Networks a control.")] = 3,
    steps: Annotated[bool, typer.Option("--steps", help="Recurrent steps as stages.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for nh2015.json.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Score models on the 165 natural sounds (six components of auditory cortex)."""
    from cortexnet.controls import parse_control
    from cortexnet.runs import write_json
    from experiments.nh2015 import COMPONENTS, run_nh2015
    from experiments.nh2015_maps import component_weights, write_stage_maps
    from experiments.provenance import write_provenance

    kinds = [parse_control(kind).kind for kind in controls.split(",")] if controls else []
    weights = component_weights(data) if out else None  # damaged maps are told before the work
    result = run_nh2015(data, models.split(","), seed, say, kinds, control_seeds, steps)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_stage_maps(weights, result["models"], out)
        write_json(out / "nh2015.json", result)
        write_provenance(out, {"data": data, "models": models, "controls": controls,
                               "control_seeds": control_seeds, "steps": steps,
                               "seed": seed})  # fmt: skip
    if as_json:
        show(result)
        return
    columns = (*COMPONENTS, "mean")
    table = Table("model", *columns, title="median r2 on held-out sounds", box=None)
    for name, row in result["models"].items():
        table.add_row(name, *(f"{row['r2'][c]:.2f}" for c in columns))
        for measure in ("all_stages", "banded"):
            if measure in row:
                label = measure.replace("_", " ")
                table.add_row(f"  {label}", *(f"{row[measure][c]:.2f}" for c in columns))
        for measure, label in (("r2", "best stage"), ("all_stages", "all stages"),
                               ("banded", "banded")):  # fmt: skip
            if measure in row.get("trained_minus", {}):
                gain = row["trained_minus"][measure]
                cells = [f"{gain[c]['difference']:+.2f}" for c in COMPONENTS]
                mean = gain["mean"]
                cells.append(f"{mean['difference']:+.2f} [{mean['low']:+.2f}, {mean['high']:+.2f}]")
                table.add_row(f"  trained - it, {label}", *cells)
    table.add_section()
    table.add_row("published, trained:")
    for name, row in result["published"].items():
        if "permuted" not in name:
            table.add_row(f"  {name}", *(f"{row[c]:.2f}" for c in columns))
    Console(width=130).print(table)
