"""Tables of a comparison of models."""

from collections.abc import Callable

from experiments.report.records import Comparison
from experiments.report.table import Cell, Column, Table, number, span, without_empty, word
from experiments.report.wording import (
    decimal,
    decimal_range,
    percent,
    percent_range,
    plain,
    probability,
    tenths,
    whole,
)

# Heading, key or pair of keys of a row, and how it is written; None is text.
Spec = tuple[str, str | tuple[str, str], Callable | None]
DIFFERENCE: list[Spec] = [
    ("difference", "difference", decimal),
    ("95 % interval of it", ("low", "high"), decimal_range),
]
PAIR: list[Spec] = [("first model", "first", None), ("second model", "second", None)]


def accuracy(found: Comparison, slug: str) -> Table:
    """Accuracy of every model."""
    ends = ("clip_interval", "track_interval")
    rows = [
        row | {f"{key}_{i}": row[key][i] for key in ends for i in (0, 1)} | {"chance": found.chance}
        for row in found.models
    ]
    columns: list[Spec] = [
        ("model", "name", None),
        ("clips correct", "clip_accuracy", percent),
        ("95 % interval, clips", ("clip_interval_0", "clip_interval_1"), percent_range),
        ("95 % interval, tracks", ("track_interval_0", "track_interval_1"), percent_range),
        ("chance", "chance", percent),
    ]
    caption = (
        f"Accuracy on {found.n_clips} test clips of {found.n_tracks} tracks. Intervals are "
        "Wilson's over clips, and bootstrap intervals over whole tracks."
    )
    return _table(f"{slug}-accuracy", caption, columns, rows)


def pairs(found: Comparison, slug: str) -> Table:
    """Every two models on the same clips."""
    columns = [
        *PAIR,
        *DIFFERENCE,
        ("only the first right", "only_first", whole),
        ("only the second right", "only_second", whole),
        ("p, McNemar", "p", probability),
        ("p, Holm", "p_holm", probability),
        ("p, tracks", "unit_p", probability),
        ("p, tracks, Holm", "unit_p_holm", probability),
        ("shown to differ", "differ", None),
    ]
    rows = [row | {"differ": "yes" if row["clear"] else "no"} for row in found.pairs]
    caption = (
        "Paired tests. Difference in the share of test clips that are right, first minus second, "
        "with its bootstrap interval over tracks; p of the exact McNemar test over clips, and by "
        "flipping the signs of whole tracks, each before and after Holm. The last decides."
    )
    return _table(f"{slug}-pairs", caption, columns, rows)


def learning(found: Comparison, slug: str) -> Table:
    """Points of the learning curves."""
    columns: list[Spec] = [
        ("model", "name", None),
        ("training tracks", "tracks", whole),
        ("training clips", "clips", whole),
        ("clips correct", "clip_accuracy", percent),
        ("95 % interval", ("low", "high"), percent_range),
        ("SD over seeds", "seed_sd", decimal),
    ]
    caption = (
        "Learning curves. Mean over seeds, each of which draws tracks and trains anew; intervals "
        "are over test tracks."
    )
    return _table(f"{slug}-learning", caption, columns, found.learning)


def robustness(found: Comparison, slug: str) -> Table:
    """Accuracy on disturbed test clips."""
    columns = [
        ("model", "name", None),
        ("condition", "kind", None),
        ("size", "size", tenths),
        ("unit", "unit", None),
        ("clips correct", "clip_accuracy", percent),
        *DIFFERENCE,
        ("p", "p", probability),
    ]
    caption = (
        "Robustness. Accuracy on disturbed test clips and its difference from that on the same "
        "clips undisturbed, with bootstrap interval over tracks; p by flipping signs of whole "
        "tracks, not corrected."
    )
    return _table(f"{slug}-robustness", caption, columns, found.robustness)


def costs(found: Comparison, slug: str) -> Table:
    """Size, arithmetic, time and memory of every model."""
    rows = [
        {"name": row["name"], "macs": row["cost"]["macs_per_second"] / 1e6} | row["cost"]
        for row in found.models
    ]
    columns: list[Spec] = [
        ("model", "name", None),
        ("parameters", "parameters", whole),
        ("multiply-adds per second of sound (millions)", "macs", tenths),
        ("training (s)", "train_seconds", tenths),
        ("use, a clip, one processor (s)", "seconds_per_clip", decimal),
        ("peak memory (MB)", "peak_megabytes", whole),
        ("of it libraries (MB)", "base_megabytes", whole),
    ]
    caption = (
        "Cost of the models. Training as it was measured; multiply-adds without those of "
        "support vectors; memory is the highest resident size of a process that loads the run and "
        "classifies test clips one by one."
    )
    return _table(f"{slug}-costs", caption, columns, rows)


def budgets(found: Comparison, slug: str) -> Table:
    """How every model was trained."""
    keys = dict.fromkeys(key for row in found.models for key in row["budget"])
    rows = [
        {"model": row["name"]}
        | {key: plain(row["budget"][key]) if row["budget"].get(key) else None for key in keys}
        | {"seed": plain(row["budget"]["seed"])}
        for row in found.models
    ]
    columns: list[Spec] = [(key.replace("_", " "), key, None) for key in ("model", *keys)]
    return _table(f"{slug}-budgets", "Training budgets. Epochs may end early.", columns, rows)


def classes(found: Comparison, slug: str) -> Table:
    """Recall of every class, for every two models."""
    columns = [
        ("class", "label", None),
        ("clips", "n_clips", whole),
        *PAIR,
        ("first right", "first_recall", percent),
        ("second right", "second_recall", percent),
        *DIFFERENCE,
    ]
    caption = (
        "Classes. Share of the clips of a class that are right, and the difference of two models "
        "with its bootstrap interval over tracks, not corrected for the number of classes."
    )
    return _table(f"{slug}-classes", caption, columns, found.classes)


def similarity(found: Comparison, slug: str) -> Table:
    """Alignment of layers with its intervals."""
    columns: list[Spec] = [
        ("first model", "first", None),
        ("layer", "first_layer", None),
        ("second model", "second", None),
        ("layer of it", "second_layer", None),
        ("CKA", "cka", decimal),
        ("95 % interval", ("low", "high"), decimal_range),
    ]
    caption = "Similarity of layers. Debiased CKA; intervals by leaving out a track at a time."
    return _table(f"{slug}-similarity", caption, columns, found.similarity)


def brain(found: Comparison, slug: str) -> Table:
    """What each model predicts in each region."""
    columns: list[Spec] = [
        ("region", "region", None),
        ("subject", "subject", None),
        ("model", "name", None),
        ("best layer", "layer", None),
        ("mean r", "mean_r", decimal),
        ("95 % interval of r", ("r_low", "r_high"), decimal_range),
        ("ceiling of r", "ceiling", decimal),
        ("R², all layers", "r2", decimal),
        ("unique R²", "unique", decimal),
        ("95 % interval of unique R²", ("unique_low", "unique_high"), decimal_range),
    ]
    caption = (
        "Responses. Mean r of the best layer; held-out R² of all layers of a model jointly, and "
        "what they add to the joint model of all others."
    )
    return _table(f"{slug}-brain", caption, columns, found.brain)


def _table(slug: str, caption: str, columns: list[Spec], rows: list[dict]) -> Table:
    headings = [
        Column(name, write is not None, (f"{name}, low", f"{name}, high") if _ends(keys) else ())
        for name, keys, write in columns
    ]
    cells = [[_cell(row, keys, write) for _, keys, write in columns] for row in rows]
    return without_empty(Table(slug, caption, headings, cells))


def _ends(keys) -> bool:
    return isinstance(keys, tuple)


def _cell(row: dict, keys, write) -> Cell:
    if _ends(keys):
        return span(row[keys[0]], row[keys[1]], write)
    return word(row[keys]) if write is None else number(row[keys], write)
