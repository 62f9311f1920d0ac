"""Tables of classifiers and of what models cost."""

from experiments.report.paired import Pair
from experiments.report.records import Classifier
from experiments.report.results import Results
from experiments.report.table import Column, Table, number, span, without_empty, word
from experiments.report.wording import percent, percent_range, plain, probability, tenths, whole


def classifiers(rows: list[Classifier]) -> Table:
    """Accuracy of every model, best first."""
    columns = [
        Column("model", False),
        Column("tested on", False),
        Column("parameters"),
        Column("training (s)"),
        Column("segments correct"),
        Column("clips correct"),
        Column("95 % interval", fields=("clips correct, low", "clips correct, high")),
        Column("clips"),
        Column("chance"),
    ]
    cells = [
        [
            word(c.label),
            word(c.tested_on),
            number(c.parameters, whole),
            number(c.train_seconds, tenths),
            number(c.segment_accuracy, percent),
            number(c.clip_accuracy, percent),
            span(*c.interval, percent_range),
            number(c.n_clips, whole),
            number(c.chance, percent),
        ]
        for c in rows
    ]
    caption = (
        "Classification. Intervals are Wilson intervals over clips; chance is the share of the "
        "most frequent class."
    )
    return without_empty(Table("classification", caption, columns, cells))


def classes(rows: list[Classifier]) -> Table:
    """Share of the clips of each class that each model got right."""
    names = list(dict.fromkeys(name for c in rows for name in c.per_class))
    columns = [Column("class", False)] + [Column(f"{c.label}, {c.tested_on}") for c in rows]
    cells = [
        [word(name), *(number(c.per_class.get(name), percent) for c in rows)] for name in names
    ]
    return Table("classes", "Clips classified correctly, by class.", columns, cells)


def pairs(rows: list[Pair]) -> Table:
    """Models against each other, clip by clip."""
    columns = [
        Column("first model", False),
        Column("second model", False),
        Column("tested on", False),
        Column("clips only the first has right"),
        Column("clips only the second has right"),
        Column("p"),
    ]
    cells = [
        [
            word(pair.first.label),
            word(pair.second.label),
            word(pair.first.tested_on),
            number(pair.only_first, whole),
            number(pair.only_second, whole),
            number(pair.p, probability),
        ]
        for pair in rows
    ]
    caption = (
        "Models against each other, clip by clip. p is that of the exact McNemar test, not "
        "corrected for the number of pairs."
    )
    return Table("pairs", caption, columns, cells)


def folds(rows: list[Classifier]) -> Table:
    """Every fold of every cross-validation."""
    columns = [
        Column("model", False),
        Column("fold"),
        Column("clips correct"),
        Column("clips"),
        Column("time (s)"),
    ]
    cells = [
        [
            word(c.label),
            number(fold["fold"], whole),
            number(fold["clip_accuracy"], percent),
            number(fold["n_clips"], whole),
            number(fold.get("seconds"), tenths),
        ]
        for c in rows
        for fold in c.folds
    ]
    return Table("folds", "Folds of the cross-validations.", columns, cells)


def recipes(rows: list[Classifier]) -> Table:
    """How each model was trained."""
    settings = list(dict.fromkeys(name for c in rows for name in c.recipe))
    columns = [Column("model", False), Column("epochs run"), Column("epoch kept")]
    columns += [Column(name.replace("_", " ")) for name in settings]
    cells = [
        [
            word(c.label),
            number(c.epochs, whole),
            number(c.best_epoch, whole),
            *(number(c.recipe.get(name), plain) for name in settings),
        ]
        for c in rows
        if c.recipe
    ]
    caption = "Training recipes (segment in samples; epochs count from 0)."
    return without_empty(Table("recipes", caption, columns, cells))


def costs(results: Results) -> Table:
    """Size, arithmetic and time of every model."""
    columns = [
        Column("model", False),
        Column("stages", False),
        Column("parameters"),
        Column("multiply-adds per second of sound (millions)"),
        Column("training, all runs (s)"),
        Column("testing, all runs (s)"),
        Column("cross-validation (s)"),
    ]
    cells = []
    for name in dict.fromkeys([*results.costs, *(c.model for c in results.classifiers)]):
        cost = results.costs.get(name, {})
        runs = [c for c in results.classifiers if c.model == name]
        macs = cost.get("macs_per_second")
        areas = cost.get("areas")
        cells.append(
            [
                word(name),
                word(", ".join(areas) if areas else None),
                number(cost.get("parameters", _first(c.parameters for c in runs)), whole),
                number(None if macs is None else macs / 1e6, tenths),
                number(_total(c.train_seconds for c in runs), tenths),
                number(_total(c.test_seconds for c in runs), tenths),
                number(_total(c.cross_seconds for c in runs), tenths),
            ]
        )
    return without_empty(Table("costs", "Size, arithmetic and time of the models.", columns, cells))


def steps(results: Results) -> Table:
    """Time of every step; without a record of steps, of the encoding of each subject."""
    timed = list(results.timings) or [
        (f"encoding, {s.label}", s.protocol["seconds"])
        for s in results.subjects
        if s.protocol.get("seconds") is not None
    ]
    cells = [[word(step), number(seconds, tenths)] for step, seconds in timed]
    return Table(
        "steps", "Wall time of the steps.", [Column("step", False), Column("time (s)")], cells
    )


def _total(values) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def _first(values):
    return next((v for v in values if v is not None), None)
