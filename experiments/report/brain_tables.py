"""Tables of encoding results."""

from experiments.report.records import Fit, Planted, Subject, split_layer
from experiments.report.recovery import Recovery
from experiments.report.table import Cell, Column, Table, number, span, without_empty, word
from experiments.report.wording import (
    MISSING,
    decimal,
    decimal_range,
    listed,
    percent,
    probability,
    whole,
)

FIT_COLUMNS = [
    Column("mean r"),
    Column("95 % interval", fields=("mean r, low", "mean r, high")),
    Column("ceiling of r"),
    Column("r / ceiling"),
    Column("mean R²"),
    Column("p"),
    Column("targets"),
]


def truth(rows: list[Recovery]) -> Table:
    """The planted stage of each region beside what each subject gave back."""
    subjects = list(dict.fromkeys(row.subject for row in rows))
    columns = [Column("region", False), Column("planted stage", False), Column("planted SNR")]
    for subject in subjects:
        found = f"recovered, {subject}"
        columns += [
            Column(found, False, (found, f"bootstrap share, {subject}", f"corrected p, {subject}")),
            Column(f"agrees, {subject}", False),
        ]
    models = list(dict.fromkeys(row.planted.model for row in rows))
    cells = []
    for region in dict.fromkeys(row.region for row in rows):
        here = {row.subject: row for row in rows if row.region == region}
        planted = next(iter(here.values())).planted
        line = [
            word(region),
            word(_planted(planted, len(models) > 1)),
            number(planted.snr, lambda v: decimal(v, 2)),
        ]
        for subject in subjects:
            row = here.get(subject)
            line += [_recovered(row), word(None if row is None else _verdict(row.agrees))]
        cells.append(line)
    caption = (
        f"Planted truth ({listed(models)}) beside what was recovered: the stage of that model with "
        "the highest mean r, and the share of bootstrap resamples in which it led. A region of "
        "noise alone agrees when no layer predicts it (smallest p, after Bonferroni, above .05)."
    )
    return Table("truth", caption, columns, cells)


def _planted(planted: Planted, name_model: bool) -> str:
    if planted.stage is None:
        return "none (noise alone)"
    return f"{planted.stage} of {planted.model}" if name_model else planted.stage


def _recovered(row: Recovery | None) -> Cell:
    if row is None:
        return Cell(MISSING, (None, None, None))
    if row.planted.stage is None:
        text = f"smallest p {probability(row.p)}"
    elif row.stage is None:
        text = "model not fitted"
    else:
        text = f"{row.stage} ({percent(row.share)})" if row.share is not None else row.stage
    return Cell(text, (row.stage, row.share, row.p))


def _verdict(agrees: bool | None) -> str:
    return {True: "yes", False: "no", None: "cannot be told"}[agrees]


def best_of_models(subjects: list[Subject]) -> Table:
    """For each region the best layer of each model."""
    columns = [
        Column("region", False),
        Column("subject", False),
        Column("model", False),
        Column("best stage", False),
        Column("bootstrap share"),
        *FIT_COLUMNS,
    ]
    cells = [
        [
            word(region),
            word(subject.label),
            word(model),
            word(split_layer(best.layer)[1]),
            number(best.share, percent),
            *_fit(subject.fits[best.layer, region]),
        ]
        for subject in subjects
        for region in subject.regions
        for model in subject.models
        if (best := subject.best_by_model[model].get(region))
    ]
    caption = (
        "Best stage of each model in each region. The share is that of bootstrap resamples in "
        "which the stage led its model. A stage is chosen by the numbers that it is shown with, "
        "which favours models of many stages."
    )
    return without_empty(Table("models-by-region", caption, columns, cells))


def best_of_all(subjects: list[Subject]) -> Table:
    """For each region the best layer of all, one column a subject."""
    regions = list(dict.fromkeys(region for s in subjects for region in s.regions))
    columns = [Column("region", False)]
    for s in subjects:
        columns.append(Column(s.label, False, (f"best layer, {s.label}", f"share, {s.label}")))
    cells = []
    for region in regions:
        line = [word(region)]
        for s in subjects:
            best = s.best.get(region)
            if best is None:
                line.append(Cell(MISSING, (None, None)))
                continue
            share = "" if best.share is None else f" ({percent(best.share)})"
            line.append(Cell(best.layer + share, (best.layer, best.share)))
        cells.append(line)
    caption = (
        "Best layer of all in each region, and the share of bootstrap resamples in which it led."
    )
    return Table("best-layers", caption, columns, cells)


def all_layers(subjects: list[Subject]) -> Table:
    """Every layer in every region."""
    columns = [
        Column("layer", False),
        Column("region", False),
        Column("subject", False),
        *FIT_COLUMNS,
    ]
    cells = [
        [word(layer), word(region), word(subject.label), *_fit(subject.fits[layer, region])]
        for subject in subjects
        for region in subject.regions
        for layer in subject.layers
    ]
    caption = (
        "Every layer in every region. Numbers are means over targets; r / ceiling is the mean "
        "over those targets whose explainable variance is above the floor."
    )
    return without_empty(Table("layers", caption, columns, cells))


def _fit(fit: Fit) -> list[Cell]:
    return [
        number(fit.mean_r, decimal),
        span(fit.low, fit.high, decimal_range),
        number(fit.ceiling, decimal),
        number(fit.r_normalised, decimal),
        number(fit.mean_r2, decimal),
        number(fit.p, probability),
        number(fit.n_targets, whole),
    ]
