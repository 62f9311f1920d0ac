"""The comparison: part by part, every cell once, then tables."""

import itertools
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from cortexnet.devices import find_device
from cortexnet.runs import check_settings, table_hash, write_json
from experiments.compare import summary
from experiments.compare.brain import predict_regions
from experiments.compare.costs import measure_cost
from experiments.compare.curves import curve_cells, curve_sizes, learning_curve
from experiments.compare.entrants import Entrant, forget
from experiments.compare.kept import kept
from experiments.compare.robustness import CLEAN, CONDITIONS, disturb_all, possible, predict
from experiments.compare.similarity import alignment, mean_activity
from experiments.report.wording import listed
from stimuli.dataset import decoded
from stimuli.provenance import whole_file


def compare(
    entrants: Sequence[Entrant],
    out: Path,
    sizes: Sequence[int] = (),
    seeds: Sequence[int] = (0, 1, 2),
    responses: dict | None = None,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
    device: str = "auto",
    memory: bool = True,
) -> dict:
    """Compare runs in seven parts; called again, what is finished is not computed anew.

    Parameters
    ----------
    entrants : sequence of Entrant
        As of `load_entrants`.
    out : Path
        ``parts/NAME``: cells of each run; ``compare.json`` and tables, written in the end.
    sizes : sequence of int
        Of the learning curves, in training groups; default: five (`curve_sizes`).
    seeds : sequence of int
        Of the learning curves.
    responses : optional
        As of `experiments.compare.brain.load_responses`.
    seed : int
        Of noise that is added and of the encoding's resamples.
    report : callable
        Given a line of text as work goes on.
    device : str
        As `cortexnet.runs.train_run`.
    memory : bool
        Whether to measure it, in a process for each run.

    Returns
    -------
    dict
        As of ``compare.json``.

    Raises
    ------
    InputError
        If `out` holds cells of other runs, or a size is none of those there can be.
    """
    out, first = Path(out), entrants[0]
    rate, test, groups = first.run.card["sample_rate"], first.test, first.test["group"].to_numpy()
    sizes = curve_sizes(first.pool, sizes)
    parts = {one.name: out / "parts" / one.name for one in entrants}
    for one in entrants:
        _begin(parts[one.name], one, seed)
    sound = cache(lambda: decoded(test, rate))
    everything = cache(lambda: decoded(first.pool, rate) | sound())
    costs = {}
    for one in entrants:
        path = parts[one.name] / "cost.json"
        costs[one.name] = kept(path, lambda one=one: measure_cost(one, sound(), memory))
    for line in _forecast(entrants, costs, parts, sizes, seeds):
        report(line)

    heard = _predictions(entrants, parts, sound, seed, report, device)
    report("similarity of layers")
    activity = cache(
        lambda one: mean_activity(one.run.model, sound(), parts[one.name] / "activity.safetensors")
    )
    similarity = []
    for a, b in itertools.combinations(entrants, 2):
        path = out / "parts" / "similarity" / f"{a.name},{b.name}.json"
        found = kept(path, lambda a=a, b=b: alignment(activity(a), activity(b), groups))
        similarity += [{"first": a.name, "second": b.name} | row for row in found["rows"]]
    curves = {
        one.name: learning_curve(
            one, sizes, seeds, parts[one.name], everything, out / "features", report, device
        )
        for one in entrants
    }
    brain = predict_regions(entrants, responses, out, seed, report) if responses else []
    forget(out / "features")

    tables = {name: summary.predictions(test, by[CLEAN]) for name, by in heard.items()}
    result = {
        "kind": "compare",
        "title": listed(parts),
        "n_clips": len(test),
        "n_tracks": int(test["group"].nunique()),
        "chance": float(test["label"].value_counts(normalize=True).iloc[0]),
        "models": [
            {"model": one.run.card["model"], "options": one.run.card["options"]}
            | summary.accuracy(one.name, tables[one.name])
            | {"budget": one.budget, "cost": costs[one.name]}
            for one in entrants
        ],
        "pairs": summary.pairs(tables),
        "learning": [
            row for one in entrants for row in summary.curve(one.name, test, curves[one.name])
        ],
        "robustness": [
            summary.robust(name, tables[name], condition, summary.predictions(test, predicted))
            for name, by in heard.items()
            for condition, predicted in by.items()
            if condition != CLEAN
        ],
        "classes": summary.classes(tables),
        "similarity": similarity,
        "brain": brain,
    }
    result["summary"] = summary.sentences(result)
    _write(result, out)
    return result


def _begin(folder: Path, one: Entrant, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "weights_sha256": one.run.card["weights_sha256"],
        "training_clips": table_hash(one.pool.assign(split="")),
        "test_clips": table_hash(one.test),
        "seed": seed,
    }
    check_settings(folder, settings)


def _forecast(entrants, costs, parts, sizes, seeds) -> list[str]:
    """How long what is missing is expected to take, from what training and one clip took."""
    lines = []
    for one in entrants:
        cost, folder = costs[one.name], parts[one.name]
        cells = curve_cells(sizes, seeds, folder).items()
        tracks = sum(size for (size, _), path in cells if not path.is_file())
        seconds = tracks / one.pool["group"].nunique() * cost["train_seconds"]
        if not (folder / "robustness").exists():
            seconds += (1 + len(CONDITIONS)) * len(one.test) * cost["seconds_per_clip"]
        if seconds > 10:
            lines.append(f"{one.name}: expected to take about {seconds / 60:.1f} min")
    return lines


def _predictions(entrants, parts, sound, seed, report, device) -> dict[str, dict]:
    """Labels that each model gives to the test clips, by condition."""
    rate, device = entrants[0].run.card["sample_rate"], find_device(device)
    segments = [one.run.card["recipe"]["segment"] for one in entrants]
    conditions = [CLEAN, *possible(sound(), segments)]
    heard = {one.name: {} for one in entrants}
    for condition in conditions:
        files = {one: parts[one.name] / "robustness" / f"{condition.name}.json" for one in entrants}
        if not all(path.is_file() for path in files.values()):
            report(f"test clips, {condition.name}")
        waves = cache(lambda condition=condition: disturb_all(sound(), rate, condition, seed))
        for one, path in files.items():
            cell = kept(path, lambda one=one, w=waves: {"predicted": predict(one.run, w(), device)})
            heard[one.name][condition] = cell["predicted"]
    return heard


def _write(result: dict, out: Path) -> None:
    """The whole as JSON, every part as a table."""
    flat = ("clip_interval", "track_interval", "confusion", "budget", "cost", "options")
    tables = {
        "accuracy": [
            {k: v for k, v in model.items() if k not in flat}
            | dict(zip(("clip_low", "clip_high"), model["clip_interval"], strict=True))
            | dict(zip(("track_low", "track_high"), model["track_interval"], strict=True))
            for model in result["models"]
        ],
        "costs": [{"name": m["name"]} | m["cost"] for m in result["models"]],
        "budgets": [{"name": m["name"]} | m["budget"] for m in result["models"]],
    }
    parts = ("pairs", "learning", "robustness", "classes", "similarity", "brain")
    for name, rows in (tables | {part: result[part] for part in parts}).items():
        if rows:
            with whole_file(out / f"{name}.csv") as partial:
                pd.DataFrame(rows).to_csv(partial, index=False)
    write_json(out / "compare.json", result)
