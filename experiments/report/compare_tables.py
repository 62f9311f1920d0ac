"""Tables of a comparison of models."""

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


def accuracy(found: Comparison, slug: str) -> Table:
    """Accuracy of every model."""
    columns = [
        Column("model", False),
        Column("clips correct"),
        Column("95 % interval, clips", fields=("clips, low", "clips, high")),
        Column("95 % interval, tracks", fields=("tracks, low", "tracks, high")),
        Column("chance"),
    ]
    rows = [
        [
            word(row["name"]),
            number(row["clip_accuracy"], percent),
            span(*row["clip_interval"], percent_range),
            span(*row["track_interval"], percent_range),
            number(found.chance, percent),
        ]
        for row in found.models
    ]
    caption = (
        f"Accuracy on {found.n_clips} test clips of {found.n_tracks} tracks. Intervals are "
        "Wilson's over clips, and bootstrap intervals over whole tracks."
    )
    return Table(f"{slug}-accuracy", caption, columns, rows)


def pairs(found: Comparison, slug: str) -> Table:
    """Every two models on the same clips."""
    columns = [
        Column("first model", False),
        Column("second model", False),
        Column("difference"),
        Column("95 % interval", fields=("difference, low", "difference, high")),
        Column("only the first right"),
        Column("only the second right"),
        Column("p, McNemar"),
        Column("p, Holm"),
        Column("p, tracks"),
        Column("p, tracks, Holm"),
        Column("shown to differ", False),
    ]
    rows = [
        [
            word(row["first"]),
            word(row["second"]),
            *_difference(row),
            number(row["only_first"], whole),
            number(row["only_second"], whole),
            *(number(row[key], probability) for key in ("p", "p_holm", "unit_p", "unit_p_holm")),
            word("yes" if row["clear"] else "no"),
        ]
        for row in found.pairs
    ]
    caption = (
        "Paired tests. Difference in the share of test clips that are right, first minus second, "
        "with its bootstrap interval over tracks; p of the exact McNemar test over clips, and by "
        "flipping the signs of whole tracks, each before and after Holm. The last decides."
    )
    return Table(f"{slug}-pairs", caption, columns, rows)


def learning(found: Comparison, slug: str) -> Table:
    """Points of the learning curves."""
    columns = [
        Column("model", False),
        Column("training tracks"),
        Column("training clips"),
        Column("clips correct"),
        Column("95 % interval", fields=("clips correct, low", "clips correct, high")),
        Column("SD over seeds"),
    ]
    rows = [
        [
            word(row["name"]),
            number(row["tracks"], whole),
            number(row["clips"], whole),
            number(row["clip_accuracy"], percent),
            span(row["low"], row["high"], percent_range),
            number(row["seed_sd"], decimal),
        ]
        for row in found.learning
    ]
    caption = (
        "Learning curves. Mean over seeds, each of which draws tracks and trains anew; intervals "
        "are over test tracks."
    )
    return without_empty(Table(f"{slug}-learning", caption, columns, rows))


def robustness(found: Comparison, slug: str) -> Table:
    """Accuracy on disturbed test clips."""
    columns = [
        Column("model", False),
        Column("condition", False),
        Column("size"),
        Column("unit", False),
        Column("clips correct"),
        Column("difference"),
        Column("95 % interval", fields=("difference, low", "difference, high")),
        Column("p"),
    ]
    rows = [
        [
            word(row["name"]),
            word(row["kind"]),
            number(row["size"], tenths),
            word(row["unit"]),
            number(row["clip_accuracy"], percent),
            *_difference(row),
            number(row["p"], probability),
        ]
        for row in found.robustness
    ]
    caption = (
        "Robustness. Accuracy on disturbed test clips and its difference from that on the same "
        "clips undisturbed, with bootstrap interval over tracks; p by flipping signs of whole "
        "tracks, not corrected."
    )
    return Table(f"{slug}-robustness", caption, columns, rows)


def costs(found: Comparison, slug: str) -> Table:
    """Size, arithmetic, time and memory of every model."""
    columns = [
        Column("model", False),
        Column("parameters"),
        Column("multiply-adds per second of sound (millions)"),
        Column("training (s)"),
        Column("use, a clip, one processor (s)"),
        Column("peak memory (MB)"),
        Column("of it libraries (MB)"),
    ]
    rows = [
        [
            word(row["name"]),
            number(row["cost"]["parameters"], whole),
            number(row["cost"]["macs_per_second"] / 1e6, tenths),
            number(row["cost"]["train_seconds"], tenths),
            number(row["cost"]["seconds_per_clip"], decimal),
            number(row["cost"]["peak_megabytes"], whole),
            number(row["cost"]["base_megabytes"], whole),
        ]
        for row in found.models
    ]
    caption = (
        "Cost of the models. Training as it was measured; multiply-adds without those of "
        "support vectors; memory is the highest resident size of a process that loads the run and "
        "classifies test clips one by one."
    )
    return without_empty(Table(f"{slug}-costs", caption, columns, rows))


def budgets(found: Comparison, slug: str) -> Table:
    """How every model was trained."""
    keys = list(dict.fromkeys(key for row in found.models for key in row["budget"]))
    columns = [Column("model", False), *(Column(key.replace("_", " "), False) for key in keys)]
    rows = [
        [word(row["name"]), *(_any(row["budget"].get(key)) for key in keys)] for row in found.models
    ]
    return Table(f"{slug}-budgets", "Training budgets. Epochs may end early.", columns, rows)


def classes(found: Comparison, slug: str) -> Table:
    """Recall of every class, for every two models."""
    columns = [
        Column("class", False),
        Column("clips"),
        Column("first model", False),
        Column("second model", False),
        Column("first right"),
        Column("second right"),
        Column("difference"),
        Column("95 % interval", fields=("difference, low", "difference, high")),
    ]
    rows = [
        [
            word(row["label"]),
            number(row["n_clips"], whole),
            word(row["first"]),
            word(row["second"]),
            number(row["first_recall"], percent),
            number(row["second_recall"], percent),
            *_difference(row),
        ]
        for row in found.classes
    ]
    caption = (
        "Classes. Share of the clips of a class that are right, and the difference of two models "
        "with its bootstrap interval over tracks, not corrected for the number of classes."
    )
    return Table(f"{slug}-classes", caption, columns, rows)


def similarity(found: Comparison, slug: str) -> Table:
    """Alignment of layers with its intervals."""
    columns = [
        Column("first model", False),
        Column("layer", False),
        Column("second model", False),
        Column("layer of it", False),
        Column("CKA"),
        Column("95 % interval", fields=("CKA, low", "CKA, high")),
    ]
    rows = [
        [
            word(row["first"]),
            word(row["first_layer"]),
            word(row["second"]),
            word(row["second_layer"]),
            number(row["cka"], decimal),
            span(row["low"], row["high"], decimal_range),
        ]
        for row in found.similarity
    ]
    caption = "Similarity of layers. Debiased CKA; intervals by leaving out a track at a time."
    return Table(f"{slug}-similarity", caption, columns, rows)


def brain(found: Comparison, slug: str) -> Table:
    """What each model predicts in each region."""
    columns = [
        Column("region", False),
        Column("subject", False),
        Column("model", False),
        Column("best layer", False),
        Column("mean r"),
        Column("95 % interval of r", fields=("r, low", "r, high")),
        Column("ceiling of r"),
        Column("R², all layers"),
        Column("unique R²"),
        Column("95 % interval of it", fields=("unique, low", "unique, high")),
    ]
    rows = [
        [
            word(row["region"]),
            word(row["subject"]),
            word(row["name"]),
            word(row["layer"]),
            number(row["mean_r"], decimal),
            span(row["r_low"], row["r_high"], decimal_range),
            number(row["ceiling"], decimal),
            number(row["r2"], decimal),
            number(row["unique"], decimal),
            span(row["unique_low"], row["unique_high"], decimal_range),
        ]
        for row in found.brain
    ]
    caption = (
        "Responses. Mean r of the best layer; held-out R² of all layers of a model jointly, and "
        "what they add to the joint model of all others."
    )
    return without_empty(Table(f"{slug}-brain", caption, columns, rows))


def _difference(row: dict) -> list[Cell]:
    low_high = span(row["low"], row["high"], decimal_range)
    return [number(row["difference"], decimal), low_high]


def _any(value) -> Cell:
    return word(None if value in (None, {}) else plain(value))
