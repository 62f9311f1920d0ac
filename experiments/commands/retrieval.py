"""Commands that find sounds by their likeness."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from experiments.commands.options import Json, Seed, progress_bar, show

app = typer.Typer()

Source = Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run, or a model's name.")]
Clips = Annotated[
    Path | None,
    typer.Option("--stimuli", help="Clips to search; default: those of the run."),
]
Count = Annotated[int, typer.Option("--n", min=1, help="Clips to find.")]
Labels = Annotated[
    list[str] | None, typer.Option("--label", help="Only clips of this label; may be repeated.")
]
SameGroup = Annotated[
    bool, typer.Option("--same-group", help="Allow clips of the same group (track) as well.")
]
Approximate = Annotated[
    bool | None,
    typer.Option(
        "--approximate/--exact",
        help="Search by a graph (extra: ann); default: past 100,000 clips.",
    ),
]
IndexFolder = Annotated[
    Path | None, typer.Option("--index", help="Folder of the index; default: RUN/search.")
]
Out = Annotated[Path | None, typer.Option(help="Folder for the result, for `cortexnet report`.")]


@app.command(epilog="Example: cortexnet search runs/z query.wav --n 5 --out found")
def search(
    run: Source,
    query: Annotated[
        str | None, typer.Argument(help="Sound file, or the clip_id of an indexed clip.")
    ] = None,
    stimuli: Clips = None,
    n: Count = 10,
    label: Labels = None,
    same_group: SameGroup = False,
    approximate: Approximate = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Score the neighbours of every held-out clip.")
    ] = False,
    index: IndexFolder = None,
    out: Out = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Find the clips that a model takes for most similar to a sound."""
    from experiments import retrieval
    from stimuli import InputError

    if evaluate == (query is not None):
        raise InputError("name a QUERY (a sound file or a clip_id), or ask for --evaluate alone")
    library = retrieval.open_library(run, stimuli, index, seed, progress_bar("clip"))
    inputs = _inputs(run, stimuli)
    if evaluate:
        result = retrieval.evaluate(library, seed=seed)
        _deliver(result, "retrieval.json", out, as_json, _print_scores, inputs)
        return
    result = retrieval.search(library, query, n, label, same_group, approximate)
    _deliver(result, "search.json", out, as_json, _print_clips, inputs)


@app.command(epilog="Example: cortexnet recommend runs/z --liked jazz.00003 jazz.00017 --n 5")
def recommend(
    run: Source,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="More liked clips.")
    ] = None,
    liked: Annotated[
        list[str] | None, typer.Option("--liked", help="clip_id of a clip; may be repeated.")
    ] = None,
    disliked: Annotated[
        list[str] | None, typer.Option("--disliked", help="The same, to stay clear of.")
    ] = None,
    stimuli: Clips = None,
    n: Count = 10,
    label: Labels = None,
    same_group: SameGroup = False,
    approximate: Approximate = None,
    index: IndexFolder = None,
    out: Out = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Find clips like those that are liked."""
    from experiments import retrieval
    from stimuli import InputError

    if not liked:
        raise InputError("name at least one clip with --liked")
    if more and disliked:
        raise InputError(f"is '{more[0]}' liked or not? repeat --liked or --disliked before each")
    library = retrieval.open_library(run, stimuli, index, seed, progress_bar("clip"))
    liked = list(dict.fromkeys([*liked, *(more or [])]))
    result = retrieval.recommend(
        library, liked, list(dict.fromkeys(disliked or [])), n, label, same_group, approximate
    )
    _deliver(result, "recommend.json", out, as_json, _print_clips, _inputs(run, stimuli))


def _inputs(run: str, stimuli: Path | None) -> tuple[Path, ...]:
    """What a result depends on: the weights, and the table of clips."""
    weights = Path(run) / "model.safetensors"
    clips = Path(run) / "clips.csv" if stimuli is None else stimuli
    return (*([weights] if weights.is_file() else []), clips)


def _deliver(result: dict, name: str, out, as_json: bool, show_table, inputs) -> None:
    from cortexnet.runs import write_json
    from experiments.provenance import write_provenance

    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / name, result)
        config = {key: result[key] for key in ("kind", "model")}
        write_provenance(out, config, inputs)
    if as_json:
        show(result)
    else:
        show_table(result)


def _print_clips(result: dict) -> None:
    learned = any(row["side"] for row in result["results"])
    columns = ["", "clip", "label", "similarity", "same label", *["trained on"] * learned]
    table = Table(*columns, box=None)
    for row in result["results"]:
        same = {True: "yes", False: "no", None: ""}[row["same_label"]]
        table.add_row(
            str(row["rank"]), row["clip_id"], row["label"], f"{row['similarity']:.3f}", same,
            *[row["side"] or ""] * learned,
        )  # fmt: skip
    Console(width=160, markup=False, highlight=False).print(table)
    if result["approximate"]:
        print("Approximate search: nearer clips may have been missed; --exact compares all.")


def _print_scores(result: dict) -> None:
    ks = list(result["hit_rate"])
    table = Table(
        "label", "queries", "mAP", "95 % interval", "chance", *(f"hit rate@{k}" for k in ks),
        box=None,
    )  # fmt: skip
    for name, row in [("all", result), *result["per_label"].items()]:
        interval = row["interval"]
        table.add_row(
            name,
            str(row["n_queries"]),
            f"{row['mean_average_precision']:.3f}",
            "-" if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]",
            f"{row['chance']:.3f}",
            *(f"{row['hit_rate'][k]['rate']:.3f} ({row['hit_rate'][k]['chance']:.3f})" for k in ks),
        )
    print(
        f"{result['model']}: {result['queries']} against {result['n_candidates']} clips, "
        "those of the same group left out; in brackets: chance"
    )
    Console(width=160, markup=False, highlight=False).print(table)
