"""Tables of a test of stages."""

from experiments.report.records import StageTest
from experiments.report.table import Column, Table, number, span, without_empty, word
from experiments.report.wording import (
    decimal,
    decimal_range,
    listed,
    percent,
    probability,
    whole,
)

BUILT_IN = ("shuffled clips", "SNR alone", "SNR-matched voxels")


def kind_of(test: StageTest, name: str) -> str:
    """Kind of a control; of one that the test itself made, its name without a number."""
    return test.controls.get(name) or next((k for k in BUILT_IN if name.startswith(k)), name)


def subjects(test: StageTest, slug: str) -> Table:
    """What the rule saw in every subject."""
    columns = [
        Column("subject", False),
        Column("interaction"),
        Column("95 % interval", fields=("interaction, low", "interaction, high")),
        Column("exceeds all controls", False),
        Column("not exceeded", False),
        Column("rank correlation"),
        Column("p"),
        Column("places"),
    ]
    rows = []
    for name, one in test.subjects.items():
        own = one.interactions[""]
        kept = dict.fromkeys(
            kind_of(test, control)
            for control, other in one.interactions.items()
            if control and not other.exceeded
        )
        rows.append(
            [
                word(name or "subject"),
                number(own.value, decimal),
                span(own.low, own.high, decimal_range),
                word("yes" if one.passed else "no"),
                word(listed(kept) if kept else None),
                number(one.rho, decimal),
                number(one.p, probability),
                number(one.n_places, whole),
            ]
        )
    axis = listed(dict.fromkeys(one.axis for one in test.subjects.values()))
    caption = (
        f"Every subject, {test.label}. The interaction is (deep − shallow) × (non-primary − "
        "primary), in units of the mean r of each group of regions. The rank correlation is that "
        f"of the soft preference with the {axis} over places; its p (one-sided) is against maps "
        "as smooth."
    )
    return without_empty(Table(f"{slug}-subjects", caption, columns, rows))


def regions(test: StageTest, slug: str) -> Table:
    """Scores and preferences of every region and subject."""
    columns = [
        Column("region", False),
        Column("subject", False),
        *(Column(f"mean r, {stage}") for stage in test.stages),
        Column("soft preference"),
        Column("95 % interval", fields=("soft preference, low", "soft preference, high")),
        *(Column(f"best in, {stage}") for stage in test.stages),
        Column("halves agree"),
        Column("r of the stage chosen on the other half"),
        Column("ceiling of r"),
        Column("targets"),
    ]
    rows = [
        [
            word(region),
            word(name or "subject"),
            *(number(row.mean_r[stage], decimal) for stage in test.stages),
            number(row.soft, decimal),
            span(row.soft_low, row.soft_high, decimal_range),
            *(number(row.shares[stage], percent) for stage in test.stages),
            number(row.agreement, percent),
            number(row.best_score, decimal),
            number(row.ceiling, decimal),
            number(row.n_targets, whole),
        ]
        for region in test.regions
        for name, one in test.subjects.items()
        if (row := one.regions.get(region))
    ]
    caption = (
        f"Every region and subject, {test.label}. Best in: share of targets whose best stage it "
        "is, chosen on one half of the clips, mean of both halves."
    )
    return without_empty(Table(f"{slug}-regions", caption, columns, rows))


def ladder(test: StageTest, slug: str) -> Table:
    """The interaction of every control."""
    columns = [
        Column("control", False),
        Column("kind", False),
        Column("subject", False),
        Column("interaction"),
        Column("95 % interval", fields=("interaction, low", "interaction, high")),
        Column("exceeded", False),
    ]
    rows = [
        [
            word(control),
            word(kind_of(test, control)),
            word(name or "subject"),
            number(row.value, decimal),
            span(row.low, row.high, decimal_range),
            word("yes" if row.exceeded else "no"),
        ]
        for name, one in test.subjects.items()
        for control, row in one.interactions.items()
        if control
    ]
    caption = (
        f"Every control, {test.label}. Of SNR-matched voxels the trained interaction is shown, "
        "which must exceed 0; all others must be exceeded by the trained one."
    )
    return Table(f"{slug}-controls", caption, columns, rows)


def ceilings(test: StageTest) -> str:
    """What is known of ceilings."""
    known = [row.ceiling is not None for s in test.subjects.values() for row in s.regions.values()]
    if not any(known):
        return "No ceiling is known: no clip was repeated."
    return "Below: the highest r that a perfect model could reach."


def notes(test: StageTest) -> list[str]:
    """Notes of subjects, those of all of them once."""
    found: dict[str, list[str]] = {}
    for name, one in test.subjects.items():
        for note in one.notes:
            found.setdefault(note, []).append(name)
    everyone = len(test.subjects)
    return [
        f"{note[0].upper()}{note[1:]}." if len(names) == everyone else f"{listed(names)}: {note}."
        for note, names in found.items()
    ]
