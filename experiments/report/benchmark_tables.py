"""Tables of the benchmark of natural sounds."""

from experiments.report.records import Benchmark
from experiments.report.table import Column, Table, number, span, without_empty, word
from experiments.report.wording import decimal, decimal_range

COMPONENTS = ("lowfreq", "highfreq", "envsounds", "pitch", "speech", "music", "mean")
MEASURES = {"r2": "best stage", "all_stages": "all stages", "banded": "all stages, banded"}


def scores(bench: Benchmark) -> Table:
    """Variance explained of each component: this run beside published models."""
    columns = [
        Column("model", False),
        Column("source", False),
        Column("features", False),
        *map(Column, COMPONENTS),
        Column("95 % interval of the mean", fields=("mean, low", "mean, high")),
    ]
    rows = [
        (name, "this run", label, r2[measure], bench.intervals[name].get(measure, (None, None)))
        for name, r2 in bench.r2.items()
        for measure, label in MEASURES.items()
        if measure in r2
    ]
    rows += [(n, "published", "best stage", r2, (None, None)) for n, r2 in bench.published.items()]
    cells = [
        [
            *map(word, labels),
            *(number(r2.get(c), decimal) for c in COMPONENTS),
            span(*interval, decimal_range),
        ]
        for *labels, r2, interval in rows
    ]
    caption = "Variance explained (r²) of six response components to 165 natural sounds."
    return without_empty(Table("natural-sounds", caption, columns, cells))


def controls(bench: Benchmark) -> Table:
    """Each network beside its untrained counterparts, stage by stage and for all together."""
    kinds = list(dict.fromkeys(control.kind for control in bench.controls.values()))
    columns = [Column("model", False), Column("features", False), Column("itself")]
    for kind in kinds:
        fields = tuple(f"itself − {kind}, {end}" for end in ("low", "high"))
        columns += [
            Column(kind),
            Column(f"itself − {kind}"),
            Column(f"itself − {kind}, 95 %", fields=fields),
        ]
    cells = []
    for model in dict.fromkeys(control.of for control in bench.controls.values()):
        rows = {c.kind: name for name, c in bench.controls.items() if c.of == model}
        features = [(stage, None) for stage in bench.by_stage[model]]
        features += [(label, key) for key, label in MEASURES.items() if key in bench.r2[model]]
        for label, measure in features:
            line = [word(model), word(label), number(_mean(bench, model, label, measure), decimal)]
            for kind in kinds:
                name = rows.get(kind)
                gains = bench.controls[name].trained_minus if name else {}
                gain = (
                    gains.get("by_stage", {}).get(label) if measure is None else gains.get(measure)
                )
                gain = (gain or {}).get("mean", {})
                line += [
                    number(name and _mean(bench, name, label, measure), decimal),
                    number(gain.get("difference"), decimal),
                    span(gain.get("low"), gain.get("high"), decimal_range),
                ]
            cells.append(line)
    caption = (
        "Networks beside untrained ones of the same architecture, mean variance explained (r²). "
        "Random weights and permuted ones are means over seeds; intervals of a difference draw "
        "sounds and seeds, the same sounds for both."
    )
    return without_empty(Table("natural-sounds-controls", caption, columns, cells))


def _mean(bench: Benchmark, model: str, stage: str, measure: str | None) -> float | None:
    r2 = bench.by_stage[model].get(stage) if measure is None else bench.r2[model].get(measure)
    return (r2 or {}).get("mean")


def stages(bench: Benchmark) -> Table:
    """Variance explained by every stage of the models of this run."""
    columns = [Column("model", False), Column("stage", False), *map(Column, COMPONENTS)]
    cells = [
        [word(model), word(stage), *(number(r2.get(c), decimal) for c in COMPONENTS)]
        for model, stages in bench.by_stage.items()
        for stage, r2 in stages.items()
    ]
    caption = "Variance explained (r²) by stage, models of this run."
    return without_empty(Table("natural-sounds-stages", caption, columns, cells))


def best_stages(bench: Benchmark) -> Table:
    """The best stage for each component."""
    rows = {model: best for model, best in bench.best_stage.items() if best}
    names = list(dict.fromkeys(component for best in rows.values() for component in best))
    cells = [[word(m), *(word(best.get(c)) for c in names)] for m, best in rows.items()]
    columns = [Column("model", False), *(Column(name, False) for name in names)]
    caption = "Best stage of each model for each component."
    return Table("natural-sounds-best", caption, columns, cells)
