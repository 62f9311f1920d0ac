"""The command line."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(
    help="Networks of auditory cortex, baselines, and honest encoding of brain responses.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
stimuli_app = typer.Typer(help="Clips: tables and the embedded data set.", no_args_is_help=True)
app.add_typer(stimuli_app, name="stimuli")

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Stimuli = Annotated[
    Path, typer.Option(help="Clip table (CSV with path and label) or folder of folders.")
]
console = Console(stderr=True, highlight=False)


def say(line: str) -> None:
    """Progress for people: on the error stream, so that results can be piped."""
    console.print(line, markup=False)


def show(value: dict | list) -> None:
    """Print a result as JSON."""
    print(json.dumps(value, indent=1, allow_nan=False))


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    """Settings of all commands."""


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
    print(run_demo(out, "full" if full else "small", seed, report=say))


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


@stimuli_app.command(epilog="Example: cortexnet stimuli miniature --out mini")
def miniature(
    out: Annotated[Path, typer.Option(help="New or empty folder.")],
    full: Annotated[bool, typer.Option(help="1000 tracks, 18 runs, five subjects.")] = False,
    seed: Seed = 0,
) -> None:
    """Write the embedded data set: GTZAN layout, BIDS layout, orders, planted truth."""
    from experiments.miniature import write_miniature

    write_miniature(out, "full" if full else "small", seed)
    print(out)


@stimuli_app.command(epilog="Example: cortexnet stimuli manifest genres --out manifest.csv")
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


Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the clips.")]
Batch = Annotated[int | None, typer.Option(min=2, help="Segments a step.")]
Rate = Annotated[float | None, typer.Option(min=0, help="Peak learning rate.")]


@app.command(epilog="Example: cortexnet train --model cortexnet_z --stimuli genres --out runs/z")
def train(
    model: Annotated[str, typer.Option(help="A name of `cortexnet models`.")],
    stimuli: Stimuli,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    valid_fraction: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of groups that choose the checkpoint.")
    ] = 0.15,
    epochs: Epochs = None,
    batch_size: Batch = None,
    learning_rate: Rate = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a model; the same command resumes an interrupted run."""
    from cortexnet.runs import train_run
    from cortexnet.training import Recipe
    from experiments.provenance import write_provenance
    from stimuli import load_clips

    recipe = Recipe.of(
        model, seed=seed, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate
    )
    run = train_run(
        model, load_clips(stimuli), out, recipe, valid_fraction, progress=sys.stderr.isatty()
    )
    write_provenance(out, run.card, (stimuli,))
    if as_json:
        show(run.card)
    else:
        valid = run.card.get("valid_accuracy")
        validation = "" if valid is None else f", clip accuracy {valid:.3f} on validation"
        print(f"{out}: {model}, {run.card['seconds']:.0f} s{validation}")


@app.command(epilog="Example: cortexnet evaluate runs/z --json")
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    stimuli: Annotated[
        Path | None, typer.Option(help="Other clips; default: those the run held out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Segment and clip accuracy on clips that share no group with training."""
    from cortexnet.runs import evaluate_run, load_run
    from stimuli import load_clips

    evaluation = evaluate_run(load_run(run), None if stimuli is None else load_clips(stimuli))
    evaluation.save(run)
    if as_json:
        show(evaluation.report)
    else:
        _print_accuracy(evaluation.report)


@app.command(
    epilog="Example: cortexnet crossval --model scattering_svm --stimuli genres --folds 5 --json"
)
def crossval(
    model: Annotated[str, typer.Option(help="A name of `cortexnet models`.")],
    stimuli: Stimuli,
    folds: Annotated[int, typer.Option(min=2)] = 5,
    out: Annotated[Path | None, typer.Option(help="Folder; default: runs/crossval-MODEL.")] = None,
    epochs: Epochs = None,
    batch_size: Batch = None,
    learning_rate: Rate = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Grouped cross-validation: no group is ever on both sides of a split."""
    from cortexnet.crossval import crossval as run_crossval
    from cortexnet.training import Recipe
    from experiments.provenance import write_provenance
    from stimuli import load_clips

    out = out or Path("runs") / f"crossval-{model}"
    recipe = Recipe.of(
        model, seed=seed, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate
    )
    result = run_crossval(
        model, load_clips(stimuli), folds, out, recipe, progress=sys.stderr.isatty(), report=say
    )
    write_provenance(out, {"model": model, "folds": folds, "seed": seed}, (stimuli,))
    if as_json:
        show(result)
    else:
        _print_accuracy(result)


def _print_accuracy(report: dict) -> None:
    low, high = report["clip_interval"]
    print(
        f"{report['model']}: clip accuracy {report['clip_accuracy']:.3f} "
        f"[{low:.3f}, {high:.3f}] over {report['n_clips']} clips, "
        f"segment accuracy {report['segment_accuracy']:.3f}, chance {report['chance']:.3f}"
    )


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
    from experiments.models import load_source
    from stimuli import InputError, ds003720, load_clips

    if (stimuli / "dataset_description.json").exists():
        if gtzan is None:
            raise InputError(f"{stimuli}: a BIDS folder holds no sounds; name GTZAN's with --gtzan")
        clips = ds003720.unique_clips(ds003720.load(stimuli, gtzan))
    else:
        clips = load_clips(stimuli)
    found = load_source(source, clips, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    print(run_extract(found.model, clips, out, name or found.name, layers, bin_seconds, _bar()))


def _bar():
    """A progress callback (done, total): a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda done, total: None
    from tqdm import tqdm

    bar = tqdm(unit="clip")

    def advance(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return advance


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


@app.command(epilog="Example: cortexnet report demo-results")
def report(
    folder: Annotated[Path, typer.Argument(help="Folder with results of any command.")],
) -> None:
    """Write one self-contained report.html from the results in a folder."""
    from experiments.report import build_report

    print(build_report(folder))


def main() -> None:
    """Entry point: input errors become one line and exit code 2."""
    from cortexnet.memory import keep_freed_memory

    keep_freed_memory()
    try:
        app()
    except (ValueError, OSError) as error:
        if "--debug" in sys.argv or not _is_of_the_input(error):
            raise
        print(f"cortexnet: {error}", file=sys.stderr)
        sys.exit(2)


def _is_of_the_input(error: Exception) -> bool:
    """Whether the user can mend it; imported late, so that `--help` answers at once."""
    from encoding import InputError as EncodingInputError
    from stimuli import InputError

    return isinstance(error, InputError | EncodingInputError | OSError)
