"""Tables of neighbours, and of how good they are."""

from experiments.report.records import Retrieval, Search
from experiments.report.table import Column, Table, number, span, without_empty, word
from experiments.report.wording import decimal, decimal_range, whole


def scores(rows: list[Retrieval]) -> Table:
    """Mean average precision and hit rates of every model."""
    names = [(word(r.label), r.total) for r in rows]
    caption = (
        "Neighbours by model. Relevant are clips of the query's label; clips of its group are left "
        "out. Intervals are 95 % bootstrap intervals over groups of queries; hit rate@k is the "
        "share of queries with a relevant clip among the first k, in brackets that by chance."
    )
    return _scores("retrieval", caption, "model", names)


def labels(row: Retrieval) -> Table:
    """The same for every label of one model."""
    names = [(word(label), score) for label, score in row.per_label.items()]
    return _scores(f"retrieval-{row.label}", f"Neighbours by label, {row.label}.", "label", names)


def _scores(slug: str, caption: str, first: str, names: list) -> Table:
    ks = list(dict.fromkeys(k for _, score in names for k in score.hits))
    columns = [
        Column(first, False),
        Column("mean average precision"),
        Column("95 % interval", fields=("mAP, low", "mAP, high")),
        Column("chance"),
        *(Column(f"hit rate@{k}", fields=(f"hit rate@{k}", f"hit rate@{k}, chance")) for k in ks),
        Column("queries"),
    ]
    cells = [
        [
            name,
            number(score.precision, decimal),
            span(score.low, score.high, decimal_range),
            number(score.chance, decimal),
            *(span(*score.hits.get(k, (None, None)), _with_chance) for k in ks),
            number(score.n_queries, whole),
        ]
        for name, score in names
    ]
    return without_empty(Table(slug, caption, columns, cells))


def _with_chance(rate: float, chance: float) -> str:
    return f"{decimal(rate)} ({decimal(chance)})"


def neighbours(search: Search, slug: str) -> Table:
    """The clips that one search found."""
    columns = [
        Column("rank"),
        Column("clip", False),
        Column("label", False),
        Column("group", False),
        Column("similarity"),
        Column("same label", False),
        Column("trained on", False),
    ]
    same = {True: "yes", False: "no", None: None}
    cells = [
        [
            number(s.rank, whole),
            word(s.name),
            word(s.label),
            word(s.group),
            number(s.similarity, decimal),
            word(same[s.same_label]),
            word(s.side),
        ]
        for s in search.found
    ]
    return without_empty(
        Table(slug, f"The clips found as a table. {search.title}.", columns, cells)
    )
