"""Commands that train and evaluate models."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cortexnet.recipe import Recipe
from experiments.commands.options import Json, Seed, Stimuli, say, show
from experiments.commands.recipes import with_recipe

app = typer.Typer()


@app.command(epilog="Example: cortexnet train --model cortexnet_z --stimuli genres --out runs/z")
@with_recipe
def train(
    model: Annotated[
        str, typer.Option(help="A name of `cortexnet models`, or FILE.py:FUNCTION of your own.")
    ],
    stimuli: Stimuli,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    valid_fraction: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of groups that choose the checkpoint.")
    ] = 0.15,
    seed: Seed = 0,
    as_json: Json = False,
    *,
    recipe: dict,
    options: dict,
    machine: dict,
) -> None:
    """Train a model; the same command resumes an interrupted run."""
    from cortexnet.runs import train_run
    from experiments.clips import read_clips
    from experiments.provenance import write_provenance

    run = train_run(
        model,
        read_clips(stimuli),
        out,
        Recipe.of(model, seed=seed, **recipe),
        valid_fraction,
        options=options,
        progress=sys.stderr.isatty(),
        **machine,
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
    from experiments.clips import read_clips

    evaluation = evaluate_run(load_run(run), None if stimuli is None else read_clips(stimuli))
    evaluation.save(run)
    if as_json:
        show(evaluation.report)
    else:
        _print_accuracy(evaluation.report)


@app.command(
    epilog="Example: cortexnet crossval --model scattering_svm --stimuli genres --folds 5 --json"
)
@with_recipe
def crossval(
    model: Annotated[
        str, typer.Option(help="A name of `cortexnet models`, or FILE.py:FUNCTION of your own.")
    ],
    stimuli: Stimuli,
    folds: Annotated[int, typer.Option(min=2)] = 5,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Column that folds keep whole beside the group, such as artist."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default: runs/crossval-MODEL.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
    *,
    recipe: dict,
    options: dict,
    machine: dict,
) -> None:
    """Grouped cross-validation: no group is ever on both sides of a split."""
    from cortexnet.crossval import crossval as run_crossval
    from cortexnet.registry import model_label
    from experiments.clips import read_clips
    from experiments.provenance import write_provenance

    out = out or Path("runs") / f"crossval-{model_label(model)}"
    result = run_crossval(
        model,
        read_clips(stimuli),
        folds,
        out,
        Recipe.of(model, seed=seed, **recipe),
        options=options,
        progress=sys.stderr.isatty(),
        report=say,
        by=keep or (),
        **machine,
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
