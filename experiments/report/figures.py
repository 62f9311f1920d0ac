"""Pictures of classification: accuracy, confusion, training."""

import numpy as np

from experiments.report.records import Classifier
from experiments.report.svg import INK, Picture
from experiments.report.wording import decimal, percent, percent_range

# Okabe & Ito (2008), told apart by all common kinds of colour vision; markers tell them apart too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = (("o", "●"), ("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"))
COLUMN = 4.2  # inches; two fit beside each other on a desk, one on a telephone
GREY = "#d9d9d9"


def palette(models: list[str]) -> dict[str, tuple[str, str, str]]:
    """Colour, matplotlib marker and printed marker of each model."""
    return {
        model: (COLOURS[i % len(COLOURS)], *MARKERS[i % len(MARKERS)])
        for i, model in enumerate(models)
    }


def ink_on(shade: float) -> str:
    """Text colour that is legible on a shade (0 to 1) of viridis."""
    return "white" if shade < 0.55 else INK


def shortened(name: str, length: int = 18) -> str:
    """A name that fits beside an axis."""
    return name if len(name) <= length else f"{name[: length - 6]}…{name[-5:]}"


def accuracy(classifiers: list[Classifier], colours: dict, name: str) -> Picture:
    """Clip accuracy of each model with its interval, and chance.

    Parameters
    ----------
    classifiers : list of Classifier, drawn from top to bottom
    colours : from `palette`
    name : str, prefix of ids
    """

    def paint(axes):
        for row, c in enumerate(classifiers):
            colour, marker, _ = colours[c.model]
            axes.plot([100 * v for v in c.interval], [row, row], color=colour, lw=1.6)
            axes.plot(100 * c.clip_accuracy, row, marker, color=colour, ms=6)
            axes.plot([100 * c.chance] * 2, [row - 0.5, row + 0.5], color=INK, lw=1, ls="--")
        axes.text(100 * classifiers[0].chance, -0.55, " chance", va="bottom", ha="left")
        axes.set_yticks(range(len(classifiers)), [shortened(c.label) for c in classifiers])
        axes.set(xlim=(0, 100), ylim=(len(classifiers) - 0.5, -1.1))
        axes.set_xlabel("clips classified correctly (%), 95\N{NO-BREAK SPACE}% interval")
        axes.grid(axis="x", color=GREY, lw=0.5)
        axes.set_axisbelow(True)

    spoken = "; ".join(
        f"{c.label} {percent(c.clip_accuracy)} ({percent_range(*c.interval)}), "
        f"chance {percent(c.chance)}"
        for c in classifiers
    )
    height = 0.95 + 0.34 * len(classifiers)
    return Picture(paint, COLUMN, height, name, f"Clip accuracy: {spoken}")


def confusion(classifier: Classifier, name: str) -> Picture:
    """Confusion matrix: counts of clips, coloured by their share of the row."""
    counts = np.array(classifier.matrix, float)
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    labels = [shortened(label, 12) for label in classifier.labels]
    n = len(labels)

    def paint(axes):
        axes.pcolormesh(shares, cmap="viridis", vmin=0, vmax=1, edgecolors="white", lw=0.5)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                axes.text(
                    column + 0.5,
                    row + 0.5,
                    f"{count:g}",
                    ha="center",
                    va="center",
                    color=ink_on(shares[row, column]),
                )
        axes.set_xticks(np.arange(n) + 0.5, labels, rotation=90)
        axes.set_yticks(np.arange(n) + 0.5, labels)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set(ylim=(n, 0), aspect="equal", xlabel="predicted", ylabel="true")

    longest = max(map(len, labels))
    spoken = ", ".join(
        f"{label} {row[i]:g} of {sum(row):g}"
        for i, (label, row) in enumerate(zip(classifier.labels, classifier.matrix, strict=True))
    )
    side = max(2.4, 0.28 * n + 0.085 * longest + 0.45)
    return Picture(
        paint,
        side,
        side,
        name,
        f"Confusion matrix of {classifier.label}; clips right by class: {spoken}",
    )


def training_curve(classifier: Classifier, name: str) -> Picture:
    """Training and validation loss by epoch, and the epoch that was kept."""
    curve = classifier.curve
    lines = (
        ("train_loss", "training", "#0072B2", "-"),
        ("valid_loss", "validation", "#D55E00", "--"),
    )

    def paint(axes):
        for column, label, colour, style in lines:
            axes.plot(curve["epoch"], curve[column], style, color=colour, lw=1.4, label=label)
        if classifier.best_epoch is not None:
            axes.axvline(classifier.best_epoch, color=INK, lw=0.8, ls=":", label="weights kept")
        axes.legend(frameon=False, fontsize=9)
        axes.set(xlabel="epoch", ylabel="loss (nats)")
        axes.xaxis.get_major_locator().set_params(integer=True)

    last = curve.iloc[-1]
    return Picture(
        paint,
        3.2,
        2.2,
        name,
        f"Loss of {classifier.label} over {len(curve)} epochs; at the end training "
        f"{decimal(last['train_loss'])}, validation {decimal(last['valid_loss'])} nats",
    )
