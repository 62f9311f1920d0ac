"""Commands that train and evaluate models."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cortexnet.recipe import Recipe
from experiments.commands.options import DEVICE, Json, Seed, Stimuli, say, show
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
    from cortexnet.devices import is_lead
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
    if not is_lead():
        return
    write_provenance(out, run.card, (stimuli,))
    if as_json:
        show(run.card)
    else:
        valid = run.card.get("valid_accuracy")
        validation = "" if valid is None else f", clip accuracy {valid:.3f} on validation"
        print(f"{out}: {model}, {run.card['seconds']:.0f} s{validation}")


@app.command(epilog="Example: cortexnet evaluate runs/z --stimuli others.csv --json")
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    stimuli: Annotated[
        Path | None, typer.Option(help="Other clips; default: those the run held out.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of features, as given to `train`.")
    ] = None,
    device: Annotated[str, DEVICE] = "auto",
    as_json: Json = False,
) -> None:
    """Segment and clip accuracy on clips that share no group with training."""
    from cortexnet.heldout import evaluate_run
    from cortexnet.runs import load_run
    from experiments.clips import read_clips

    clips = None if stimuli is None else read_clips(stimuli)
    evaluation = evaluate_run(load_run(run), clips, cache=cache, device=device)
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
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="0,1,2", help="Of training, on the folds of --seed; default: --seed alone."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Folder of another cross-validation of the same clips, to compare with."),
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
    from cortexnet.crossval import compare_crossvals
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
        seeds=numbers(seeds, "--seeds"),
        **machine,
    )
    settings = {"model": model, "folds": folds, "seed": seed, "seeds": seeds, "recipe": recipe}
    write_provenance(out, settings | {"options": options}, (stimuli,))
    paired = None if against is None else compare_crossvals(out, against, seed)
    if paired is not None:
        result = result | {"against": {"folder": str(against), **paired}}
    if as_json:
        show(result)
        return
    _print_accuracy(result)
    if paired is not None:
        low, high = paired["interval"]
        p = f", exact p {paired['p']:.3g}" if "p" in paired else ""
        print(f"{model} - {against}: {paired['difference']:+.3f} [{low:+.3f}, {high:+.3f}]{p}")


def numbers(text: str | None, flag: str) -> list[int]:
    """Different numbers of ``0,1,2`` in their order; none of no text."""
    from stimuli import InputError

    try:
        return sorted({int(part) for part in text.split(",")}) if text else []
    except ValueError as error:
        raise InputError(f"{flag} '{text}' is not a list of numbers such as 0,1,2") from error


def _print_accuracy(report: dict) -> None:
    low, high = report["clip_interval"]
    print(
        f"{report['model']}: clip accuracy {report['clip_accuracy']:.3f} "
        f"[{low:.3f}, {high:.3f}] over {report['n_clips']} clips, "
        f"segment accuracy {report['segment_accuracy']:.3f}, chance {report['chance']:.3f}"
    )
