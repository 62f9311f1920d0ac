"""Pictures of an analysis of dissimilarities."""

import numpy as np
from matplotlib import colormaps
from matplotlib.patches import Rectangle
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from experiments.report.figures import COLUMN, GREY, palette, shortened
from experiments.report.heatmap import heat_map
from experiments.report.records import split_layer
from experiments.report.rsa_records import RSA
from experiments.report.scaling import plane
from experiments.report.svg import INK, Picture
from experiments.report.wording import decimal, decimal_range, listed

LEVEL = 0.05
N_REGIONS = 3  # of whose dissimilarities pictures are shown


def matrix(found: RSA, name: str) -> Picture:
    """Mean similarity of every layer in every region; a star where p_max is at most .05."""
    groups = {
        model: [
            (split_layer(la)[1], [found.fits[la, region].mean for region in found.regions])
            for la in found.layers
            if split_layer(la)[0] == model
        ]
        for model in found.models
    }
    fits = found.fits
    marks = {
        split_layer(la): ["*" if _clear(fits[la, region]) else "" for region in found.regions]
        for la in found.layers
    }
    means = [fit.mean for fit in fits.values() if fit.mean is not None]
    lower = [found.ceilings.get(region, (None, None))[0] for region in found.regions]
    spoken = "; ".join(
        f"{region} {layer} {decimal(fits[layer, region].mean)}"
        for region in found.regions
        if (layer := found.best(region))
    )
    return heat_map(
        groups,
        found.regions,
        (min([0.0, *means]), max([0.01, *means])),
        f"{found.method}, mean over subjects",
        name,
        f"Similarity of every layer and region, {found.label}. Best stages: {spoken}",
        ("ceiling", lower) if found.ceilings else None,
        marks,
    )


def _clear(fit) -> bool:
    return fit.p_max is not None and fit.p_max <= LEVEL


def subjects(found: RSA, colours: dict, name: str) -> Picture:
    """The best stage of each model in each region: subjects, mean, interval, ceiling as a band."""
    step = 0.8 / len(found.models)

    def paint(axes):
        for slot, region in enumerate(found.regions):
            if region in found.ceilings:
                low, high = found.ceilings[region]
                axes.add_patch(Rectangle((slot - 0.44, low), 0.88, high - low, color="#dedede"))
            for i, model in enumerate(found.models):
                layer = found.best(region, model)
                if layer is None:
                    continue
                fit, (colour, marker, _) = found.fits[layer, region], colours[model]
                x = slot - 0.4 + (i + 0.5) * step
                own = [value for value in fit.subjects.values() if value is not None]
                axes.plot([x - 0.15 * step] * len(own), own, marker, color=colour, ms=3, mfc="none")
                x += 0.15 * step
                if fit.low is not None and fit.high is not None:
                    axes.plot([x, x], [fit.low, fit.high], color=colour, lw=1.5)
                axes.plot(x, fit.mean, marker, color=colour, ms=5)
        axes.axhline(0, color=INK, lw=0.7)
        axes.set_xticks(range(len(found.regions)), [shortened(r, 10) for r in found.regions])
        axes.tick_params(axis="x", length=0)
        axes.set(xlim=(-0.5, len(found.regions) - 0.5), ylim=_limits(found), ylabel=found.method)
        axes.grid(axis="y", color=GREY, lw=0.5)
        axes.set_axisbelow(True)

    spoken = "; ".join(
        f"{region}: "
        + ", ".join(
            f"{layer} {decimal(fit.mean)} ({decimal_range(fit.low, fit.high)})"
            for model in found.models
            if (layer := found.best(region, model))
            for fit in [found.fits[layer, region]]
        )
        for region in found.regions
    )
    width = max(COLUMN, 0.6 + max(0.2 * len(found.models), 0.7) * len(found.regions))
    return Picture(paint, width, 2.8, name, f"Best stage of each model in each region. {spoken}")


def _limits(found: RSA) -> tuple[float, float]:
    """Of the axis: means, subjects and ceilings fit in; intervals as far as twice that."""
    fits = found.fits.values()
    inner = [v for f in fits for v in (f.mean, *f.subjects.values()) if v is not None]
    inner += [v for bounds in found.ceilings.values() for v in bounds]
    low, high = min([0.0, *inner]), max([0.01, *inner])
    room = high - low
    ends = [v for f in fits for v in (f.low, f.high) if v is not None]
    low = max(min([low, *ends]), low - room) - 0.05 * room
    return low, min(max([high, *ends]), high + room) + 0.05 * room


def order(found: RSA, labels: dict[str, str]) -> np.ndarray:
    """Clips by label where all are known, else by run, else as they are."""
    clips = found.rdms.clips
    if all(clip in labels for clip in clips):
        return np.argsort([labels[clip] for clip in clips], kind="stable")
    return np.argsort(found.rdms.runs or [""] * len(clips), kind="stable")


def rdms(found: RSA, labels: dict[str, str], name: str) -> list[tuple[str, Picture]]:
    """(caption, picture) of a few regions, each followed by its best stage."""
    shown, where = [], order(found, labels)
    for i, region in enumerate(found.rdms.regions[:N_REGIONS]):
        shown.append((region, found.rdms.data[i], f"{name}-region{i}"))
        layer = found.best(region)
        if layer in found.rdms.layers:
            row = found.rdms.models[found.rdms.layers.index(layer)]
            shown.append((f"{layer}, best stage of {region}", row, f"{name}-layer{i}"))
    return [(f"{what}.", rdm_picture(row, where, what, slug)) for what, row, slug in shown]


def rdm_picture(rdm: np.ndarray, where: np.ndarray, what: str, name: str) -> Picture:
    """One RDM as percentiles of its pairs; pairs that were left out are grey."""
    known = ~np.isnan(rdm)
    share = np.full(len(rdm), np.nan)
    share[known] = 100 * (rankdata(rdm[known]) - 0.5) / known.sum()
    square = squareform(share, checks=False)
    np.fill_diagonal(square, np.nan)
    square = square[np.ix_(where, where)]

    def paint(axes):
        colours = colormaps["viridis"].with_extremes(bad="#d0d0d0")
        image = axes.imshow(square, cmap=colours, vmin=0, vmax=100, interpolation="none")
        axes.set(xlabel="clip", ylabel="clip", xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        bar = axes.figure.colorbar(image, ax=axes, shrink=0.8)
        bar.set_label("dissimilarity (percentile)")
        bar.outline.set_visible(False)

    spoken = f"Dissimilarities of {len(where)} clips in {what}, {int(known.sum())} pairs"
    return Picture(paint, 2.9, 2.4, name, spoken)


def maps(found: RSA, labels: dict[str, str], name: str) -> list[tuple[str, Picture]]:
    """(caption, picture) of the clips of a few regions in a plane."""
    rows = zip(found.rdms.regions[:N_REGIONS], found.rdms.data, strict=False)
    return [
        scatter(rdm, found.rdms.clips, labels, region, f"{name}{i}")
        for i, (region, rdm) in enumerate(rows)
    ]


def scatter(rdm, clips, labels, what: str, name: str) -> tuple[str, Picture]:
    """Clips as points whose distances are near their dissimilarities, marked by label."""
    points, stress = plane(rdm)
    of_clip = np.array([labels.get(clip, "") for clip in clips])
    known = sorted(set(of_clip) - {""})
    styles = palette(known) | {"": ("#7f7f7f", "o", "")}

    def paint(axes):
        for label in sorted(set(of_clip)):
            colour, marker, _ = styles[label]
            x, y = points[of_clip == label].T
            axes.plot(x, y, marker, ls="", color=colour, ms=4.5, label=shortened(label, 14) or None)
        unit = "square root of dissimilarity"
        axes.set(aspect="equal", xlabel=f"first axis ({unit})", ylabel="second axis")
        axes.locator_params(nbins=4)
        if known:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9)

    spoken = f"{len(clips)} clips of {what} in a plane, stress {decimal(stress, 2)}"
    if known:
        spoken += f"; labels {listed(known)}"
    width = 3.1 + (1.2 if known else 0)
    caption = f"{what}. Stress {decimal(stress, 2)}."
    return caption, Picture(paint, width, 2.9, name, spoken)
