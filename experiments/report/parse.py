"""The JSON of one file, with the tables beside it, into a record."""

import dataclasses
import json
from pathlib import Path

import pandas as pd

from experiments.report.mistakes import confident_mistakes
from experiments.report.records import (
    Benchmark,
    BenchmarkControl,
    Best,
    Classifier,
    Comparison,
    Fit,
    Interaction,
    Planted,
    Retrieval,
    RetrievalScore,
    Search,
    Sound,
    StageRegion,
    StageSubject,
    StageTest,
    Subject,
    Sweep,
    SweepCell,
    split_layer,
)
from experiments.report.rsa_records import RSA, read_rsa
from experiments.report.surface_maps import read_surfaces
from stimuli import InputError

SIDES = {
    "test": "held-out test clips",
    "valid": "validation clips, which also chose the weights",
    "given": "clips given for evaluation",
}


def read_json(path: Path):
    """The content of a JSON file.

    Raises
    ------
    InputError
        If it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not JSON ({error}); write it anew or delete it") from error


def parse(path: Path, value):
    """Turn the content of a known file into its record.

    Parameters
    ----------
    path : Path
        Its name says what it holds; tables beside it are read too.
    value : the file's JSON

    Returns
    -------
    Classifier, Subject, RSA, Benchmark, Search, Retrieval, Sweep, Comparison, StageTest,
    {model: cost}, ({region: Planted}, note) or [(step, seconds)]

    Raises
    ------
    InputError
        Naming the file and the key that is missing or what is wrong.
    """
    try:
        return PARSERS[path.name](path.parent, value)
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"{path}: the key {error} is missing; write the file anew") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: not of the expected form ({error})") from error


def _evaluation(folder: Path, value: dict) -> Classifier:
    card_file = folder / "card.json"
    card = read_json(card_file) if card_file.exists() else {}
    side = value.get("side", "test")
    return dataclasses.replace(
        _classifier(folder, value, SIDES.get(side, side)),
        parameters=value.get("parameters", card.get("parameters")),
        train_seconds=card.get("seconds"),
        test_seconds=value.get("seconds"),
        recipe=card.get("recipe", {}),
        epochs=card.get("epochs"),
        best_epoch=card.get("best_epoch"),
        curve=_curve(folder / "log" / "metrics.csv"),
    )


def _crossval(folder: Path, value: dict) -> Classifier:
    folds = value["folds"]
    return dataclasses.replace(
        _classifier(folder, value, f"{len(folds)}-fold cross-validation"),
        parameters=value.get("parameters"),
        cross_seconds=value.get("seconds"),
        folds=folds,
    )


def _classifier(folder: Path, value: dict, tested_on: str) -> Classifier:
    low, high = value["clip_interval"]
    return Classifier(
        label=value["model"],
        model=value["model"],
        tested_on=tested_on,
        clip_accuracy=value["clip_accuracy"],
        interval=(low, high),
        segment_accuracy=value.get("segment_accuracy"),
        chance=value["chance"],
        n_clips=value["n_clips"],
        n_segments=value.get("n_segments"),
        labels=value["confusion"]["labels"],
        matrix=value["confusion"]["matrix"],
        per_class=value.get("per_class", {}),
        predictions=_predictions(folder / "predictions.csv"),
        mistakes=confident_mistakes(folder),
    )


def _predictions(path: Path) -> pd.DataFrame | None:
    if not path.exists():
        return None
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    columns = ["clip_id", "label", "predicted"]
    if not set(columns) <= set(table):
        raise InputError(f"{path}: columns are {list(table)}; it needs {', '.join(columns)}")
    return table[columns]


def _curve(path: Path) -> pd.DataFrame | None:
    """Losses by epoch; the log writes training and validation in rows of their own."""
    if not path.exists():
        return None
    log = pd.read_csv(path)
    columns = ["epoch", "train_loss", "valid_loss"]
    if not set(columns) <= set(log):
        raise InputError(f"{path}: columns are {list(log)}; it needs {', '.join(columns)}")
    return log[columns].groupby("epoch", as_index=False).mean()


def _results(folder: Path, value: dict) -> Subject | RSA:
    return RESULTS[value["kind"]](folder, value)


def _subject(folder: Path, value: dict) -> Subject:
    rows = value["layers"]
    layers = list(rows)
    regions = list(dict.fromkeys(region for row in rows.values() for region in row))
    fits = {(la, region): _fit(rows[la].get(region, {})) for la in layers for region in regions}
    stored = value.get("best_stage_by_model", {})
    by_model = {}
    for model in dict.fromkeys(split_layer(layer)[0] for layer in layers):
        own = [layer for layer in layers if split_layer(layer)[0] == model]
        by_model[model] = _bests(stored.get(model, {}), fits, own, regions)
    kept_apart = ("kind", "subject", "layers", "best_stage", "best_stage_by_model")
    return Subject(
        label=value.get("subject", folder.name),
        layers=layers,
        regions=regions,
        fits=fits,
        best=_bests(value.get("best_stage", {}), fits, layers, regions),
        best_by_model=by_model,
        protocol={name: v for name, v in value.items() if name not in kept_apart},
    )


def _fit(row: dict) -> Fit:
    low, high = row.get("interval") or (None, None)
    others = [f.name for f in dataclasses.fields(Fit) if f.name not in ("low", "high")]
    return Fit(low=low, high=high, **{name: row.get(name) for name in others})


def _bests(stored: dict, fits: dict, layers: list[str], regions: list[str]) -> dict[str, Best]:
    """The stored choice of each region, else the highest mean r, whose share is unknown."""
    found = {}
    for region in regions:
        known = {la: fits[la, region].mean_r for la in layers}
        known = {la: r for la, r in known.items() if r is not None}
        if region in stored:
            best = Best(stored[region]["layer"], stored[region].get("share"))
            if best.layer not in layers:
                raise ValueError(f"best stage {best.layer!r} of {region!r} is not among the layers")
            found[region] = best
        elif known:
            found[region] = Best(max(known, key=known.get), None)
    return found


def _costs(_: Path, value: list) -> dict[str, dict]:
    return {row["name"]: row for row in value}


def _truth(_: Path, value: dict) -> tuple[dict[str, Planted], str]:
    regions = {
        region: Planted(row["model"], row["stage"], row.get("snr"))
        for region, row in value["regions"].items()
    }
    return regions, value.get("note", "")


def _benchmark(folder: Path, value: dict) -> Benchmark:
    rows = value["models"]
    measures = ("r2", "all_stages", "banded")
    return Benchmark(
        r2={
            name: {"r2": row["r2"]} | {key: row[key] for key in measures if key in row}
            for name, row in rows.items()
        },
        intervals={name: row.get("intervals", {}) for name, row in rows.items()},
        controls={
            name: BenchmarkControl(
                row["control"]["of"], row["control"]["kind"], row.get("trained_minus", {})
            )
            for name, row in rows.items()
            if "control" in row
        },
        by_stage={name: row.get("by_stage", {}) for name, row in rows.items()},
        best_stage={name: row.get("best_stage", {}) for name, row in rows.items()},
        published=value.get("published", {}),
        protocol=value.get("protocol", {}),
        surfaces=read_surfaces(
            folder, {n: row["maps"] for n, row in rows.items() if "maps" in row}
        ),
    )


def _timings(_: Path, value: list) -> list[tuple[str, float]]:
    return [(row["step"], row["seconds"]) for row in value]


def _search(_: Path, value: dict) -> Search:
    kept = {f.name: value[f.name] for f in dataclasses.fields(Search) if f.name in value}
    asked = [_sound(row) for row in value["asked"]]
    if not asked:
        raise ValueError("nothing was asked")
    return Search(**kept | {"asked": asked, "found": [_sound(row) for row in value["results"]]})


def _sound(row: dict) -> Sound:
    known = {f.name for f in dataclasses.fields(Sound)}
    return Sound(**{name: x for name, x in row.items() if name in known} | {"path": row["path"]})


def _retrieval(_: Path, value: dict) -> Retrieval:
    return Retrieval(
        label=value["model"],
        queries=value["queries"],
        n_candidates=value["n_candidates"],
        total=_score(value),
        per_label={label: _score(row) for label, row in value["per_label"].items()},
    )


def _score(row: dict) -> RetrievalScore:
    low, high = row["interval"] or (None, None)
    return RetrievalScore(
        precision=row["mean_average_precision"],
        low=low,
        high=high,
        chance=row["chance"],
        hits={k: (hit["rate"], hit["chance"]) for k, hit in row["hit_rate"].items()},
        n_queries=row["n_queries"],
    )


def _sweep(_: Path, value: dict) -> Sweep:
    return Sweep(
        label=value["title"],
        axes=value["axes"],
        folds=value["folds"],
        ranked_by=value["ranked_by"],
        cells=[_cell(row) for row in value["cells"]],
        sentences=value["summary"],
    )


def _cell(row: dict) -> SweepCell:
    plain = ("reason", "rank", "valid_loss", "clip_accuracy", "chance", "seed_sd", "parameters",
             "seconds")  # fmt: skip
    against = row["against_best"] or {}
    return SweepCell(
        name=row["name"],
        model=row["model"],
        axes=row["axes"],
        status=row["status"],
        interval=_pair(row.get("clip_interval")),
        seeds=[seed["clip_accuracy"] for seed in row.get("seeds", [])],
        difference=against.get("difference"),
        difference_interval=_pair(against.get("interval")),
        p=against.get("p_holm"),
        clear=against.get("clear"),
        **{name: row.get(name) for name in plain},
    )


# What rows of a comparison must hold.
_PAIR = ("first", "second", "difference", "low", "high")
COMPARED = {
    "models": ("name", "clip_accuracy", "clip_interval", "track_interval", "confusion", "n_clips",
               "budget", "cost"),
    "pairs": (*_PAIR, "only_first", "only_second", "p", "p_holm", "unit_p", "unit_p_holm",
              "clear"),
    "learning": ("name", "tracks", "clips", "clip_accuracy", "low", "high", "seed_sd", "seeds"),
    "robustness": ("name", "condition", "kind", "size", "unit", "clip_accuracy", "difference",
                   "low", "high", "p"),
    "classes": (*_PAIR, "label", "n_clips", "first_recall", "second_recall"),
    "similarity": ("first", "second", "first_layer", "second_layer", "cka", "low", "high"),
    "brain": ("subject", "region", "name", "layer", "mean_r", "r_low", "r_high", "ceiling", "r2",
              "unique", "unique_low", "unique_high"),
}  # fmt: skip
_COST = ("parameters", "macs_per_second", "train_seconds", "seconds_per_clip",
         "peak_megabytes", "base_megabytes")  # fmt: skip


def _comparison(_: Path, value: dict) -> Comparison:
    rows = {
        part: [{key: row[key] for key in keys} for row in value[part]]
        for part, keys in COMPARED.items()
    }
    for row in rows["models"]:
        row["cost"] = {key: row["cost"][key] for key in _COST}
    tested_on = SIDES["test"]
    return Comparison(
        label=value["title"],
        n_clips=value["n_clips"],
        n_tracks=value["n_tracks"],
        chance=value["chance"],
        classifiers=[
            _classifier(_, row | {"model": row["name"], "chance": value["chance"]}, tested_on)
            for row in rows["models"]
        ],
        sentences=value["summary"],
        **rows,
    )


def _stages(folder: Path, value: dict) -> StageTest:
    return StageTest(
        label=value["model"],
        stages=value["stages"],
        supported=value["verdict"]["supported"],
        sentence=value["verdict"]["sentence"],
        ladder=value["ladder"],
        controls=value["controls"],
        subjects={name: _stage_subject(row) for name, row in value["subjects"].items()},
        surfaces=read_surfaces(folder, {name: name for name in value["subjects"]}),
    )


def _stage_subject(row: dict) -> StageSubject:
    rank = row["rank"]
    return StageSubject(
        regions={name: _stage_region(region) for name, region in row["regions"].items()},
        interactions={
            name: Interaction(one["value"], one["low"], one["high"], one["exceeded"])
            for name, one in row["interactions"].items()
        },
        passed=row["passed"],
        axis=rank["axis"],
        rho=rank["rho"],
        p=rank["p"],
        n_places=rank["n_places"],
        notes=row["notes"],
    )


def _stage_region(row: dict) -> StageRegion:
    low, high = row["soft_interval"]
    plain = ("mean_r", "soft", "agreement", "best_score", "ceiling", "n_targets")
    return StageRegion(
        shares=row["best"], soft_low=low, soft_high=high, **{name: row[name] for name in plain}
    )


def _pair(values) -> tuple[float, float] | None:
    return None if values is None else (values[0], values[1])


# By the kind that a results.json says it is of.
RESULTS = {"encode": _subject, "rsa": read_rsa}
PARSERS = {
    "evaluation.json": _evaluation,
    "crossval.json": _crossval,
    "results.json": _results,
    "models.json": _costs,
    "truth.json": _truth,
    "nh2015.json": _benchmark,
    "timings.json": _timings,
    "search.json": _search,
    "recommend.json": _search,
    "retrieval.json": _retrieval,
    "sweep.json": _sweep,
    "compare.json": _comparison,
    "stages.json": _stages,
}
