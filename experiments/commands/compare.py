"""The command that compares models on the same clips."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from experiments.commands.options import DEVICE, Json, Seed, say, show
from experiments.commands.recipes import parse_option
from experiments.commands.training import numbers

app = typer.Typer()


@app.command(
    epilog="Example: cortexnet compare --models cortexnet_s --models cnn2d_4l --models "
    "scattering_svm --epochs cnn2d_4l=8 --stimuli genres --out compare"
)
def compare(
    out: Annotated[Path, typer.Option(help="Folder of runs, cells, tables and the report.")],
    models: Annotated[
        list[str] | None,
        typer.Option(help="A name of `cortexnet models`, or FILE.py:FUNCTION; repeat for each."),
    ] = None,
    stimuli: Annotated[
        Path | None, typer.Option(help="Clips to train and test --models on, as for `train`.")
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(help="Run of `train`, in place of --models; all of the same clips."),
    ] = None,
    epochs: Annotated[
        list[str] | None,
        typer.Option(metavar="N|MODEL=N", help="Passes over the clips, of all or one; repeatable."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[MODEL:]KEY=VALUE",
            help="Setting of training (batch_size=8) or option of the model (norm=group).",
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(metavar="20,40,80", help="Training tracks of the curves. Usually five sizes."),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Of the learning curves.")] = "0,1,2",
    responses: Annotated[
        Path | None, typer.Option(help="BIDS root or array, as for `encode`.")
    ] = None,
    subject: Annotated[list[str] | None, typer.Option(help="Default: all.")] = None,
    samples: Annotated[Path | None, typer.Option(help="CSV of an array's rows.")] = None,
    targets: Annotated[Path | None, typer.Option(help="CSV of an array's columns.")] = None,
    device: Annotated[str, DEVICE] = "auto",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Accuracy, learning curves, robustness, cost, confusions, similarity and brain of models.

    The same command goes on after an interruption; models and seeds may be added.
    """
    from experiments.compare import compare as run_compare
    from experiments.compare.brain import load_responses
    from experiments.compare.entrants import load_entrants, model_settings, train_entrants
    from experiments.miniature import training_clips
    from experiments.provenance import write_provenance
    from experiments.report import build_report
    from stimuli import InputError

    if bool(models) == bool(runs):
        raise InputError("name either --models, to be trained, or --runs, which were")
    if runs and (stimuli or epochs or option):
        raise InputError("--stimuli, --epochs and --option are for --models; runs have their own")
    if models and stimuli is None:
        raise InputError("--models need clips; name them with --stimuli")
    lengths, draws = numbers(sizes, "--sizes"), numbers(seeds, "--seeds")
    measured = responses and load_responses(responses, subject or (), samples, targets)
    if models:
        settings = model_settings(models, [*_epochs(epochs or ()), *map(_option, option or ())])
        out.mkdir(parents=True, exist_ok=True)
        bar = sys.stderr.isatty() and not as_json
        clips = training_clips(stimuli)
        runs = train_entrants(settings, clips, out, seed, say, progress=bar, device=device)
    entrants = load_entrants(runs)
    out.mkdir(parents=True, exist_ok=True)
    result = run_compare(entrants, out, lengths, draws, measured, seed, say, device)
    config = {"models": models, "runs": runs, "epochs": epochs, "option": option, "sizes": sizes,
              "seeds": seeds, "responses": responses, "seed": seed}  # fmt: skip
    write_provenance(out, config, (stimuli,) if stimuli else ())
    page = build_report(out)
    if as_json:
        show(result)
    else:
        _print(result)
        print(page)


def _epochs(given) -> list[tuple[str, str, int]]:
    from stimuli import InputError

    found = []
    for text in given:
        model, _, number = text.rpartition("=")
        if not number.isdecimal():
            raise InputError(f"--epochs '{text}' is neither a number nor MODEL=N")
        found.append((model, "epochs", int(number)))
    return found


def _option(text: str) -> tuple[str, str, object]:
    name, equals, value = text.partition("=")
    model, _, key = name.rpartition(":")
    return model, *parse_option(f"{key}{equals}{value}")


def _print(result: dict) -> None:
    table = Table(
        "model", "clips correct", "95 % tracks", "parameters", "training s", "s a clip", box=None,
        title=f"{result['n_clips']} test clips of {result['n_tracks']} tracks",
    )  # fmt: skip
    for model in result["models"]:
        low, high = model["track_interval"]
        cost = model["cost"]
        table.add_row(
            model["name"], f"{model['clip_accuracy']:.3f}", f"{low:.3f} to {high:.3f}",
            f"{cost['parameters']:,}", f"{cost['train_seconds']:.0f}",
            f"{cost['seconds_per_clip']:.3f}",
        )  # fmt: skip
    console = Console(width=120, highlight=False)
    console.print(table)
    for sentence in result["summary"]:
        console.print(sentence, markup=False)
