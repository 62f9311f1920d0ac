"""A grid of networks and recipes on the same clips: trained once each, resumable, compared."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from cortexnet.crossval import crossval, over_seeds
from cortexnet.fixed import has_fixed
from cortexnet.heldout import evaluate_run
from cortexnet.registry import create_model
from cortexnet.runs import check_settings, table_hash, train_run, write_json
from experiments.clips import with_test
from experiments.miniature import training_clips
from experiments.sweep_recipe import MINIATURE, Cell, Sweep
from experiments.sweep_summary import RANKS, summarise
from stimuli import InputError
from stimuli.dataset import decoded
from stimuli.miniature import write_sounds_and_events
from stimuli.provenance import whole_file
from stimuli.splits import split_units

# Of folds, or of the clips that are held out: the same for all cells and seeds.
SPLIT_SEED = 0


def sweep_clips(sweep: Sweep, out: Path, stimuli: Path | None = None) -> pd.DataFrame:
    """Clips of a sweep.

    Parameters
    ----------
    sweep : Sweep
    out : Path
        The miniature is written to ``out/miniature`` where it is what the recipe asks for.
    stimuli : Path, optional
        In place of those of the recipe; also the folder of a miniature.

    Raises
    ------
    InputError
        If neither names any.
    """
    source = stimuli or sweep.stimuli
    if not source:
        raise InputError("the recipe names no stimuli; add a line or use --stimuli")
    if source == MINIATURE:
        source = Path(out) / "miniature"
        if not source.exists():
            write_sounds_and_events(source, SPLIT_SEED)
    return training_clips(source)


def run_sweep(
    sweep: Sweep,
    clips: pd.DataFrame,
    out: Path,
    rank: str = "validation",
    report: Callable[[str], None] = lambda line: None,
    sample_rate: int = 22050,
    progress: bool = False,
    cache: Path | None = None,
    workers: int = 0,
    device: str = "auto",
) -> dict:
    """Train and test every cell with every seed.

    Called again with the same folder, what is finished is not trained anew and what was interrupted
    goes on; values and seeds may have been added. A cell whose training fails is noted and the next
    one begun; it is tried again by the next call.

    Parameters
    ----------
    sweep : Sweep
    clips : DataFrame
        Without folds: rows of split "test" are tested on, or where there are none a share of the
        groups. With folds the column ``split`` does not count.
    out : Path
        ``cells/NAME/seed-N`` (a run, or a cross-validation), ``cells/NAME/cell.json``,
        ``sweep.json`` and ``sweep.csv``, which are written anew after every cell.
    rank : {"validation", "test"}
        What orders the cells.
    report : callable
        Given a line of text after every cell.
    sample_rate : int
        Hz.
    progress : bool
        Show a bar for every training.
    cache : Path, optional
        Folder that keeps the features of stages that never learn; default one in `out` for all
        cells, deleted in the end.
    workers, device
        As `cortexnet.runs.train_run`.

    Returns
    -------
    dict
        As of ``sweep.json``: what the sweep was, and what `summarise` says of it.

    Raises
    ------
    InputError
        If the folder was begun with other clips or settings, `rank` is unknown or every cell fails.
    """
    if rank not in RANKS:
        raise InputError(f"--rank is '{rank}'; choose one of {', '.join(RANKS)}")
    out = Path(out)
    clips = _sides(sweep, clips)
    units = pd.Series(clips["group"].to_numpy(), clips["clip_id"])
    rows, predictions = {}, {}
    for cell in sweep.cells:
        folder = out / "cells" / cell.name
        folder.mkdir(parents=True, exist_ok=True)
        check_settings(folder, _settings(cell, sweep, clips, sample_rate))
        rows[cell.name] = _known(folder, cell, sweep)
        if rows[cell.name]["status"] == "done":
            predictions[cell.name] = _predictions(folder, rows[cell.name], units)
    waiting = [cell for cell in sweep.cells if cell.name not in predictions]
    features = out / "features" if cache is None else Path(cache)
    how = {
        "sample_rate": sample_rate,
        "progress": progress,
        "workers": workers,
        "cache": features,
        "device": device,
    }
    waves = _decoded(waiting, clips, sample_rate) if not sweep.folds else None
    for cell in waiting:
        folder = out / "cells" / cell.name
        try:
            row = _train(cell, sweep, clips, folder, how, waves)
            predictions[cell.name] = _predictions(folder, row, units)
            row |= over_seeds(predictions[cell.name], predictions[cell.name]["clip_id"].nunique())
        except Exception as error:  # whatever it is: the other cells are worth having
            row = _about(cell) | {"status": "failed", "reason": _reason(error)}
        write_json(folder / "cell.json", row)
        rows[cell.name] = row
        result = _write(sweep, list(rows.values()), predictions, rank, out)
        report(f"{len(rows) - _pending(rows)}/{len(rows)} {_line(row)}")
    if not waiting:
        result = _write(sweep, list(rows.values()), predictions, rank, out)
    if cache is None:
        shutil.rmtree(features, ignore_errors=True)
    if not predictions:
        raise InputError(f"{out}: every cell failed; {_line(next(iter(rows.values())))}")
    return result


def _sides(sweep, clips) -> pd.DataFrame:
    """The table with groups that keep together what must be, and test clips where needed."""
    clips = clips.reset_index(drop=True)
    clips = clips.assign(group=split_units(clips, sweep.keep))
    return clips if sweep.folds else with_test(clips, sweep.test_fraction, SPLIT_SEED)


def _settings(cell: Cell, sweep: Sweep, clips, sample_rate) -> dict:
    """All that decides the result of a cell beside its seeds."""
    recipe = dataclasses.asdict(cell.training(SPLIT_SEED))
    del recipe["seed"]
    return {
        "model": cell.model,
        "options": cell.options,
        "recipe": recipe,
        "folds": sweep.folds,
        "valid_fraction": sweep.valid_fraction,
        "sample_rate": sample_rate,
        "clips_sha256": table_hash(clips),
    }


def _about(cell: Cell) -> dict:
    return {"name": cell.name, "model": cell.model, "axes": cell.axes, "reason": None}


def _known(folder: Path, cell: Cell, sweep: Sweep) -> dict:
    """Row of a cell that was finished before, else one that says it is still to be trained."""
    path = folder / "cell.json"
    if path.is_file():
        row = json.loads(path.read_text(encoding="utf-8"))
        seeds = [each["seed"] for each in row.get("seeds", ())]
        if row["status"] == "done" and seeds == sorted(_seeds(cell, sweep)):
            return row
    return _about(cell) | {"status": "pending"}


def _seeds(cell: Cell, sweep: Sweep) -> tuple[int, ...]:
    """Models that are fitted in one step have no use for a second seed."""
    readout = hasattr(create_model(cell.model, 2, **cell.options), "fit_readout")
    return sweep.seeds[:1] if readout else sweep.seeds


def _decoded(cells, clips, sample_rate) -> dict | None:
    """Sound of every clip, read once for all cells; none where all compute features of it."""
    if all(has_fixed(create_model(cell.model, 2, sample_rate, **cell.options)) for cell in cells):
        return None
    return decoded(clips, sample_rate)


def _train(cell: Cell, sweep: Sweep, clips, folder: Path, how: dict, waves) -> dict:
    """Row of a cell, without what follows from its predictions."""
    results = []
    for seed in _seeds(cell, sweep):
        own = folder / f"seed-{seed}"
        train = _crossval if sweep.folds else _hold_out
        results.append(train(cell, sweep, clips, own, seed, how, waves))
    cards = [json.loads(path.read_text()) for path in sorted(folder.rglob("card.json"))]
    return _about(cell) | {
        "status": "done",
        "seeds": [{"seed": seed} for seed in _seeds(cell, sweep)],
        "chance": results[0]["chance"],
        "valid_loss": _mean(card.get("valid_loss") for card in cards),
        "valid_accuracy": _mean(card.get("valid_accuracy") for card in cards),
        "epochs": _mean(card.get("epochs") for card in cards),
        "parameters": results[0]["parameters"],
        "seconds": round(sum(result["seconds"] for result in results), 1),
    }


def _mean(values) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _hold_out(cell, sweep, clips, folder, seed, how, waves) -> dict:
    recipe = cell.training(seed)
    run = train_run(
        cell.model, clips, folder, recipe, sweep.valid_fraction, options=cell.options,
        waveforms=waves, **how,
    )  # fmt: skip
    if not (folder / "evaluation.json").is_file():
        evaluate_run(run, waveforms=waves, cache=how["cache"], device=how["device"]).save(folder)
    result = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    seconds = run.card["seconds"] + result["seconds"]
    return result | {"parameters": run.card["parameters"], "seconds": seconds}


def _crossval(cell, sweep, clips, folder, seed, how, _) -> dict:
    # Folds follow from the recipe's seed, weights from `seeds`.
    return crossval(
        cell.model, clips, sweep.folds, folder, cell.training(SPLIT_SEED), options=cell.options,
        by=sweep.keep, seeds=[seed], **how,
    )  # fmt: skip


def _predictions(folder: Path, row: dict, units: pd.Series) -> pd.DataFrame:
    """Predicted labels of all seeds, with what splits keep whole."""
    tables = []
    for each in row["seeds"]:
        path = folder / f"seed-{each['seed']}" / "predictions.csv"
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        tables.append(table[["clip_id", "label", "predicted"]].assign(seed=each["seed"]))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(unit=table["clip_id"].map(units))


def _reason(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0].rstrip(".")
    return first if isinstance(error, InputError) else f"{type(error).__name__}: {first}"


def _pending(rows: dict) -> int:
    return sum(row["status"] == "pending" for row in rows.values())


def _line(row: dict) -> str:
    if row["status"] == "failed":
        return f"{row['name']}: failed: {row['reason']}"
    loss = "" if row["valid_loss"] is None else f", validation loss {row['valid_loss']:.3f}"
    return f"{row['name']}: accuracy {row['clip_accuracy']:.3f}{loss}, {row['seconds']:.0f} s"


def _write(sweep: Sweep, rows, predictions, rank: str, out: Path) -> dict:
    result = {
        "kind": "sweep",
        "title": sweep.title,
        "axes": sweep.axes,
        "seeds": list(sweep.seeds),
        "folds": sweep.folds,
        "ranked_by": rank,
        **summarise(rows, predictions, rank),
    }
    write_json(out / "sweep.json", result)
    with whole_file(out / "sweep.csv") as partial:
        pd.DataFrame([_flat(row) for row in result["cells"]]).to_csv(partial, index=False)
    return result


def _flat(row: dict) -> dict:
    """A row of numbers and words for a table."""
    interval, against = row.get("clip_interval") or (None, None), row["against_best"] or {}
    low, high = against.get("interval") or (None, None)
    names = ("rank", "name", "status")
    numbers = (
        "valid_loss", "valid_accuracy", "clip_accuracy", "clip_low", "clip_high", "seed_sd",
        "n_clips", "chance", "epochs", "parameters", "seconds",
    )  # fmt: skip
    known = row | {"clip_low": interval[0], "clip_high": interval[1]}
    return (
        {name: known[name] for name in names}
        | row["axes"]
        | {name: known.get(name) for name in numbers}
        | {"against": against.get("cell"), "difference": against.get("difference")}
        | {"difference_low": low, "difference_high": high}
        | {"p": against.get("p"), "p_holm": against.get("p_holm"), "clear": against.get("clear")}
        | {"reason": row["reason"]}
    )
