"""The command that compares dissimilarities in models and brains."""

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
    say,
    show,
)

app = typer.Typer()


@app.command(
    epilog="Example: cortexnet rsa --features features/z.zarr --responses bids --out results/rsa"
)
def rsa(
    features: Features,
    responses: Annotated[
        list[Path],
        typer.Option(help="BIDS root, or an array (.npy, .npz, .h5, .zarr); repeat for subjects."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    samples: Samples = None,
    targets: Targets = None,
    name: ArrayName = None,
    transposed: Transposed = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(help="Default: all; of arrays: their names, in order (default: the files')."),
    ] = None,
    derivatives: Derivatives = None,
    kind: Kind = "volume",
    space: Space = None,
    confounds: Confounds = None,
    regions: Regions = None,
    region_names: RegionNames = None,
    mask: Annotated[Path | None, typer.Option(help="Voxels to use.")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="rho-a, spearman, kendall, cosine, whitened-cosine or corr; repeat for several. "
            "Default: rho-a and whitened-cosine."
        ),
    ] = None,
    model_distance: Annotated[
        str, typer.Option(help="Of a layer: correlation, cosine or euclidean.")
    ] = "correlation",
    noise: Annotated[
        str,
        typer.Option(
            help="Covariance from the repeats, shrunk to its diagonal, the identity or variances "
            "(no covariance); or none."
        ),
    ] = "diagonal",
    within_runs: Annotated[
        str, typer.Option(help="Pairs of clips of one run: drop, partial or keep.")
    ] = "drop",
    permutations: Annotated[int, typer.Option(min=100)] = 2000,
    resamples: Annotated[int, typer.Option(min=100)] = 1000,
    memory: Memory = "8GB",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Compare dissimilarities of clips in every layer and region, with ceilings and tests.

    Crossnobis where clips were repeated, else correlation distance.
    """
    from experiments.encode import (
        are_bids,
        array_responses,
        bids_responses,
        bids_subjects,
        open_stores,
        parse_bytes,
    )
    from experiments.provenance import write_provenance
    from experiments.rsa import run_rsa
    from stimuli import InputError

    share = {"memory": parse_bytes(memory) // 4}
    root, bids = responses[0], are_bids(responses, samples)
    layers = open_stores(features)
    if bids:
        share |= {"kind": kind, "space": space, "mask": mask, "confounds": confounds}
        where = (derivatives, regions, region_names)
        subjects = {
            one: lambda one=one: bids_responses(root, one, *where, **share)
            for one in subject or bids_subjects(root)
        }
    else:
        names = subject or [path.stem for path in responses]
        if len(set(names)) != len(responses):
            raise InputError(
                f"{len(responses)} arrays and {len(set(names))} different names; give --subject "
                "once an array"
            )
        share |= {"name": name, "transposed": transposed}
        subjects = {
            one: lambda path=path: array_responses(path, samples, targets, **share)
            for one, path in zip(names, responses, strict=True)
        }
    summary = run_rsa(
        layers, subjects, out, methods=tuple(method or ("rho-a", "whitened-cosine")),
        model_distance=model_distance, noise=noise, within_runs=within_runs,
        n_permutations=permutations, n_resamples=resamples, seed=seed, report=say,
    )  # fmt: skip
    write_provenance(out, {"features": features, "responses": responses, "subject": subject,
                           "method": method, "model_distance": model_distance, "noise": noise,
                           "within_runs": within_runs, "permutations": permutations,
                           "resamples": resamples, "seed": seed, "derivatives": derivatives,
                           "kind": kind, "space": space, "confounds": confounds, "mask": mask,
                           "memory": memory})  # fmt: skip
    if as_json:
        show(summary)
        return
    table = Table("region", "layer", summary["method"], "95 %", "ceiling", "p", "p (max)", box=None)
    for region in summary["differences"]:
        rows = {layer: of_region[region] for layer, of_region in summary["layers"].items()}
        for layer, row in sorted(rows.items(), key=lambda item: -item[1]["mean"])[:3]:
            low, high = row["interval"]
            bounds = row["ceiling"]
            ceiling = f"{bounds['lower']:.2f} to {bounds['upper']:.2f}" if bounds else "-"
            table.add_row(region, layer, f"{row['mean']:.3f}", f"{low:.3f} to {high:.3f}", ceiling,
                          f"{row['p']:.4f}", f"{row['p_max']:.4f}")  # fmt: skip
    table.title = f"three best layers, {len(summary['subjects'])} subjects"
    Console(width=100).print(table)
    for note in summary["notes"]:
        say(note)
