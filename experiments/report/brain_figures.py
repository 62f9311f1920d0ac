"""Pictures of encoding results and of the benchmark of natural sounds."""

from matplotlib.patches import Rectangle

from experiments.report.figures import COLUMN, GREY, shortened
from experiments.report.heatmap import heat_map
from experiments.report.records import Subject, split_layer
from experiments.report.svg import INK, Picture
from experiments.report.wording import decimal, decimal_range


def by_layer(subject: Subject, limits: tuple[float, float], name: str) -> Picture:
    """Mean r of every layer in every region of a subject, with the ceilings below."""
    groups = {
        model: [
            (stage, [subject.fits[layer, region].mean_r for region in subject.regions])
            for layer in subject.layers
            for owner, stage in [split_layer(layer)]
            if owner == model
        ]
        for model in subject.models
    }
    ceilings = [subject.ceiling(region) for region in subject.regions]
    spoken = "; ".join(
        f"{region} {best.layer} {decimal(subject.fits[best.layer, region].mean_r)}"
        for region, best in subject.best.items()
    )
    return heat_map(
        groups,
        subject.regions,
        limits,
        "mean r of held-out responses",
        name,
        f"Heat map of mean r by layer and region, {subject.label}. Best layers: {spoken}",
        ("ceiling", ceilings) if any(c is not None for c in ceilings) else None,
    )


def by_model(subject: Subject, colours: dict, limits: tuple[float, float], name: str) -> Picture:
    """The best layer of each model in each region, its interval, and the ceiling as a band."""
    step = 0.8 / len(subject.models)

    def paint(axes):
        for slot, region in enumerate(subject.regions):
            ceiling = subject.ceiling(region)
            if ceiling is not None:
                axes.add_patch(Rectangle((slot - 0.44, 0), 0.88, ceiling, color="#e8e8e8", lw=0))
                axes.plot([slot - 0.44, slot + 0.44], [ceiling] * 2, color="#8a8a8a", lw=1)
            for i, model in enumerate(subject.models):
                best = subject.best_by_model[model].get(region)
                fit = best and subject.fits[best.layer, region]
                if fit is None or fit.mean_r is None:
                    continue
                x = slot - 0.4 + (i + 0.5) * step
                colour, marker, _ = colours[model]
                if fit.low is not None and fit.high is not None:
                    axes.plot([x, x], [fit.low, fit.high], color=colour, lw=1.5)
                axes.plot(x, fit.mean_r, marker, color=colour, ms=4.5)
        axes.axhline(0, color=INK, lw=0.7)
        axes.set_xticks(range(len(subject.regions)), [shortened(r, 10) for r in subject.regions])
        axes.tick_params(axis="x", length=0)
        axes.set(
            xlim=(-0.5, len(subject.regions) - 0.5),
            ylim=limits,
            ylabel="mean r, 95\N{NO-BREAK SPACE}% interval",
        )
        axes.grid(axis="y", color=GREY, lw=0.5)
        axes.set_axisbelow(True)

    spoken = "; ".join(
        f"{region}: "
        + ", ".join(
            f"{row[region].layer} {decimal(fit.mean_r)} ({decimal_range(fit.low, fit.high)})"
            for row in subject.best_by_model.values()
            if region in row
            for fit in [subject.fits[row[region].layer, region]]
        )
        + f", ceiling {decimal(subject.ceiling(region))}"
        for region in subject.regions
    )
    longest = max(len(shortened(region, 10)) for region in subject.regions)
    slot_width = max(0.2 * len(subject.models), 0.08 * longest)
    width = max(COLUMN, 0.6 + slot_width * len(subject.regions))
    return Picture(paint, width, 2.6, name, f"Best layer of each model, {subject.label}. {spoken}")


def heat_limits(subjects: list[Subject]) -> tuple[float, float]:
    """Ends of the colours common to all subjects: 0, or the lowest mean r, to the highest."""
    values = [f.mean_r for s in subjects for f in s.fits.values() if f.mean_r is not None]
    return min([0.0, *values]), max([0.01, *values])


def axis_limits(subjects: list[Subject]) -> tuple[float, float]:
    """Ends of the r axis common to all subjects: intervals and ceilings fit in."""
    fits = [fit for s in subjects for fit in s.fits.values()]
    values = [v for f in fits for v in (f.low, f.high, f.mean_r, f.ceiling) if v is not None]
    low, high = min([0.0, *values]), max([0.01, *values])
    return low - 0.03 * (high - low), high + 0.05 * (high - low)


def by_stage(stages: dict[str, dict], components: list[str], name: str) -> Picture:
    """Variance explained of each component by each stage of each model, natural sounds."""
    groups = {
        model: [(stage, [r2.get(c) for c in components]) for stage, r2 in rows.items()]
        for model, rows in stages.items()
        if rows
    }
    return heat_map(
        groups,
        components,
        (0, 1),
        "variance explained (r²)",
        name,
        f"Heat map of r² by stage and component of {', '.join(groups)}; numbers in the table",
    )
