"""Pictures of a test of stages: which stage fits which region, and every subject's interaction."""

from matplotlib.patches import Rectangle

from experiments.report.figures import COLUMN, GREY, palette, shortened
from experiments.report.heatmap import heat_map
from experiments.report.records import StageTest
from experiments.report.stages_tables import kind_of
from experiments.report.svg import INK, Picture
from experiments.report.wording import decimal, decimal_range

TRAINED = "trained"
SNR_ALONE = "SNR alone"
HEIGHT = 0.42  # inches a subject


def matrix(test: StageTest, name: str) -> Picture:
    """Mean r of every stage in every region, mean over subjects, with the ceilings below."""
    values = {
        stage: [test.mean(r, lambda row, stage=stage: row.mean_r[stage]) for r in test.regions]
        for stage in test.stages
    }
    ceilings = [test.mean(region, lambda row: row.ceiling) for region in test.regions]
    known = [v for row in values.values() for v in row if v is not None]
    best = []
    for i, region in enumerate(test.regions):
        own = {stage: row[i] for stage, row in values.items() if row[i] is not None}
        if own:
            stage = max(own, key=own.get)
            best.append(f"{region} {stage} {decimal(own[stage])}")
    return heat_map(
        {test.label: list(values.items())},
        test.regions,
        (min([0.0, *known]), max([0.01, *known])),
        "mean r of held-out responses",
        name,
        f"Mean r of every stage in every region, {test.label}. Best: {'; '.join(best)}",
        ("ceiling", ceilings) if any(c is not None for c in ceilings) else None,
    )


def kinds(test: StageTest) -> dict[str, tuple[str, str, str]]:
    """Colour and markers of the trained model and of each kind of control."""
    found = dict.fromkeys(
        kind_of(test, control)
        for one in test.subjects.values()
        for control in one.interactions
        if control and control != SNR_ALONE
    )
    return palette([TRAINED, *found])


def legend(test: StageTest) -> list[tuple[str, str, str]]:
    """(kind, colour, printed marker)."""
    return [(kind, colour, mark) for kind, (colour, _, mark) in kinds(test).items()]


def interactions(test: StageTest, name: str) -> Picture:
    """The trained model's interaction in every subject beside those of all controls."""
    colours = kinds(test)

    def paint(axes):
        for y, one in enumerate(test.subjects.values()):
            alone = one.interactions.get(SNR_ALONE)
            if alone is not None and alone.value is not None:
                axes.add_patch(Rectangle((0, y - 0.4), alone.value, 0.8, color="#e8e8e8", lw=0))
            for control, row in one.interactions.items():
                if not control or control == SNR_ALONE or row.value is None:
                    continue
                colour, marker, _ = colours[kind_of(test, control)]
                axes.plot(row.value, y + 0.16, marker, color=colour, ms=3.5, alpha=0.8)
            own = one.interactions[""]
            if own.value is None:
                axes.text(0, y - 0.16, " nothing predicted", va="center", style="italic")
                continue
            colour, marker, _ = colours[TRAINED]
            if own.low is not None and own.high is not None:
                axes.plot([own.low, own.high], [y - 0.16] * 2, color=colour, lw=1.6)
            face = colour if one.passed else "white"
            axes.plot(own.value, y - 0.16, marker, color=colour, mfc=face, ms=7)
        axes.axvline(0, color=INK, lw=0.7)
        labels = [shortened(subject or "subject") for subject in test.subjects]
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_xlabel("interaction (share of mean r), 95\N{NO-BREAK SPACE}% interval")
        axes.grid(axis="x", color=GREY, lw=0.5)
        axes.set_axisbelow(True)

    spoken = "; ".join(
        f"{subject or 'subject'} {decimal(own.value)} ({decimal_range(own.low, own.high)}), "
        f"{'exceeds all controls' if one.passed else 'does not exceed all controls'}"
        for subject, one in test.subjects.items()
        for own in [one.interactions[""]]
    )
    return Picture(
        paint,
        COLUMN,
        0.75 + HEIGHT * len(test.subjects),
        name,
        f"Interaction of every subject, {test.label}: {spoken}",
    )
