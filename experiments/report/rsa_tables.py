"""Tables of an analysis of dissimilarities."""

from experiments.report.records import split_layer
from experiments.report.rsa_records import RSA
from experiments.report.table import Column, Table, number, span, without_empty, word
from experiments.report.wording import decimal, decimal_range, probability, whole


def best(found: RSA, slug: str) -> Table:
    """The best stage of each model in each region."""
    columns = [
        Column("region", False),
        Column("model", False),
        Column("best stage", False),
        *_columns(found.method),
        Column("ceiling, lower to upper", fields=("ceiling, lower", "ceiling, upper")),
    ]
    cells = [
        [
            word(region),
            word(model),
            word(split_layer(layer)[1]),
            *_similarity(found.fits[layer, region]),
            span(*found.ceilings.get(region, (None, None)), decimal_range),
        ]
        for region in found.regions
        for model in found.models
        if (layer := found.best(region, model))
    ]
    caption = (
        f"Best stage of each model in each region, {found.label}. p is against clips that change "
        "places; p, best of all is against the best layer of such clips. A stage is chosen by the "
        "numbers that it is shown with, which favours models of many stages."
    )
    return without_empty(Table(f"{slug}-best", caption, columns, cells))


def layers(found: RSA, slug: str) -> Table:
    """Every layer in every region, with the value of every subject."""
    columns = [
        Column("layer", False),
        Column("region", False),
        *_columns(found.method),
        *(Column(f"{found.method}, {subject}") for subject in found.subjects),
    ]
    cells = [
        [
            word(layer),
            word(region),
            *_similarity(fit),
            *(number(fit.subjects.get(subject), decimal) for subject in found.subjects),
        ]
        for (layer, region), fit in found.fits.items()
    ]
    return without_empty(
        Table(f"{slug}-layers", f"Every layer in every region, {found.label}.", columns, cells)
    )


def measures(found: RSA, slug: str) -> Table:
    """The other measures."""
    columns = [
        Column("measure", False),
        Column("layer", False),
        Column("region", False),
        *_columns("mean"),
    ]
    cells = [
        [word(method), word(layer), word(region), *_similarity(fit)]
        for method, fits in found.measures.items()
        for (layer, region), fit in fits.items()
    ]
    return without_empty(Table(f"{slug}-measures", "Other measures.", columns, cells))


def differences(found: RSA, slug: str) -> Table:
    """Layers against each other in each region."""
    columns = [
        Column("region", False),
        Column("first layer", False),
        Column("second layer", False),
        Column("first − second"),
        Column("95 % interval", fields=("first − second, low", "first − second, high")),
        Column("p"),
        Column("p (Holm)"),
    ]
    cells = [
        [
            word(region),
            word(row["a"]),
            word(row["b"]),
            number(row["difference"], decimal),
            span(row["low"], row["high"], decimal_range),
            number(row["p"], probability),
            number(row["p_holm"], probability),
        ]
        for region, rows in found.differences.items()
        for row in rows
    ]
    caption = (
        f"Layers against each other, {found.label}. Subjects and clips are drawn, the same for "
        "both layers; Holm's correction is over the pairs of a region."
    )
    return without_empty(Table(f"{slug}-differences", caption, columns, cells))


def _columns(method: str) -> list[Column]:
    return [
        Column(method),
        Column("95 % interval", fields=(f"{method}, low", f"{method}, high")),
        Column("p"),
        Column("p, best of all"),
        Column("subjects"),
    ]


def _similarity(fit) -> list:
    return [
        number(fit.mean, decimal),
        span(fit.low, fit.high, decimal_range),
        number(fit.p, probability),
        number(fit.p_max, probability),
        number(sum(value is not None for value in fit.subjects.values()), whole),
    ]
