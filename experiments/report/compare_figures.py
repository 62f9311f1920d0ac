"""Pictures of a comparison: learning curves, disturbances, similarity, responses."""

from collections.abc import Iterable

from matplotlib.ticker import NullLocator

from experiments.report.figures import COLUMN, GREY, shortened
from experiments.report.heatmap import heat_map
from experiments.report.records import Comparison
from experiments.report.svg import INK, Picture
from experiments.report.wording import decimal, percent

GAP = 0.5  # rows between conditions


def learning(found: Comparison, colours: dict, name: str) -> Picture:
    """Accuracy against training tracks: means over seeds with intervals, and every seed.

    Parameters
    ----------
    found : Comparison
    colours : from `palette`
    name : str, prefix of ids
    """
    sizes = sorted({row["tracks"] for row in found.learning})

    def paint(axes):
        for i, model in enumerate(found.names):
            colour, marker, _ = colours[model]
            rows = [row for row in found.learning if row["name"] == model]
            aside = 1 + 0.03 * (i - (len(found.names) - 1) / 2)  # intervals beside each other
            x = [row["tracks"] * aside for row in rows]
            means = [100 * row["clip_accuracy"] for row in rows]
            axes.plot(x, means, marker + "-", color=colour, ms=5, lw=1.4)
            for place, row in zip(x, rows, strict=True):
                axes.plot([place] * 2, [100 * row["low"], 100 * row["high"]], color=colour, lw=1)
                seeds = [100 * value for value in row["seeds"]]
                axes.plot([place] * len(seeds), seeds, "o", mfc="none", mec=colour, ms=3, mew=0.7)
        axes.axhline(100 * found.chance, color=INK, lw=1, ls="--", zorder=0.5)
        axes.text(sizes[0] * 0.92, 100 * found.chance, "chance", va="bottom", ha="left")
        axes.set_xscale("log")
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(ylim=(0, 100), xlabel="training tracks", ylabel="clips correct (%)")
        axes.grid(axis="y", color=GREY, lw=0.5)

    ends = "; ".join(
        f"{row['name']} {percent(row['clip_accuracy'])} with {row['tracks']} tracks"
        for row in found.learning
    )
    return Picture(paint, COLUMN, 3.2, name, f"Learning curves: {ends}")


def robustness(found: Comparison, colours: dict, name: str) -> Picture:
    """Difference in accuracy under every condition, with its interval, by model."""
    conditions = list(dict.fromkeys(row["condition"] for row in found.robustness))
    labels = {r["condition"]: f"{r['kind']} {r['size']:g} {r['unit']}" for r in found.robustness}
    step = 1 / (len(found.names) + GAP)

    def paint(axes):
        for row in found.robustness:
            colour, marker, _ = colours[row["name"]]
            y = conditions.index(row["condition"]) + step * found.names.index(row["name"])
            _dot(axes, [100 * row[key] for key in ("difference", "low", "high")], y, colour, marker)
        middle = step * (len(found.names) - 1) / 2
        axes.axvline(0, color=INK, lw=0.8, zorder=0.5)
        axes.set_yticks([i + middle for i in range(len(conditions))], list(labels.values()))
        axes.set(ylim=(len(conditions) - step / 2, -step))
        axes.set_xlabel("points lost or won, of 100 clips, 95\N{NO-BREAK SPACE}% interval")
        axes.grid(axis="x", color=GREY, lw=0.5)

    spoken = "; ".join(
        f"{r['name']}, {labels[r['condition']]}: {decimal(r['difference'])}"
        for r in found.robustness
    )
    height = 0.8 + len(conditions) * max(0.3, 0.13 * len(found.names))
    return Picture(paint, COLUMN, height, name, f"Change in accuracy on disturbed clips: {spoken}")


def similarity(found: Comparison, name: str) -> list[tuple[str, Picture]]:
    """A heat map of the layers of every two models, with its caption."""
    maps = []
    for first, second in dict.fromkeys((r["first"], r["second"]) for r in found.similarity):
        own = [r for r in found.similarity if (r["first"], r["second"]) == (first, second)]
        layers = list(dict.fromkeys(r["first_layer"] for r in own))
        columns = list(dict.fromkeys(r["second_layer"] for r in own))
        values = {(r["first_layer"], r["second_layer"]): r["cka"] for r in own}
        rows = [(layer, [values[layer, column] for column in columns]) for layer in layers]
        spoken = "; ".join(
            f"{r['first_layer']} and {r['second_layer']} {decimal(r['cka'])}" for r in own
        )
        picture = heat_map(
            {first: rows}, columns, (0, 1), "debiased CKA", f"{name}-{len(maps)}",
            f"Similarity of layers of {first} and {second}: {spoken}",
        )  # fmt: skip
        maps.append((f"{first} (rows) and {second} (columns).", picture))
    return maps


def brain(found: Comparison, colours: dict, name: str) -> list[tuple[str, Picture]]:
    """Variance unique to every model in every region, a picture for each subject."""
    pictures = []
    for subject in dict.fromkeys(row["subject"] for row in found.brain):
        own = [row for row in found.brain if row["subject"] == subject]
        slug = f"{name}-{len(pictures)}"
        pictures.append((f"{subject}.", _unique(own, found.names, colours, slug, subject)))
    return pictures


def _unique(rows, names, colours, slug, subject) -> Picture:
    regions = list(dict.fromkeys(row["region"] for row in rows))
    step = 1 / (len(names) + GAP)

    def paint(axes):
        for row in rows:
            colour, marker, _ = colours[row["name"]]
            y = regions.index(row["region"]) + step * names.index(row["name"])
            ends = [row[key] for key in ("unique", "unique_low", "unique_high")]
            _dot(axes, ends, y, colour, marker)
        middle = step * (len(names) - 1) / 2
        axes.axvline(0, color=INK, lw=0.8, zorder=0.5)
        axes.set_yticks(
            [i + middle for i in range(len(regions))], [shortened(r, 14) for r in regions]
        )
        axes.set(ylim=(len(regions) - step / 2, -step))
        axes.set_xlabel("unique R², 95\N{NO-BREAK SPACE}% interval")
        axes.grid(axis="x", color=GREY, lw=0.5)

    spoken = "; ".join(f"{r['region']}, {r['name']} {decimal(r['unique'])}" for r in rows)
    height = 0.8 + len(regions) * max(0.3, 0.15 * len(names))
    return Picture(paint, COLUMN, height, slug, f"Variance unique to models, {subject}: {spoken}")


def _dot(axes, value_low_high: Iterable[float], y: float, colour: str, marker: str) -> None:
    value, low, high = value_low_high
    axes.plot([low, high], [y, y], color=colour, lw=1.2)
    axes.plot(value, y, marker, color=colour, ms=4)
