"""The figure of a sweep as files."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from experiments.report.figures import COLUMN
from experiments.report.parse import parse, read_json
from experiments.report.records import Sweep
from experiments.report.svg import NO_METADATA, STYLE
from experiments.report.sweep_figures import paint_panel, panel_height, panels
from stimuli.provenance import whole_file


def write_figures(out: Path) -> list[Path]:
    """Write ``sweep.svg`` and ``sweep.png`` beside ``sweep.json``.

    Parameters
    ----------
    out : Path
        Folder of `experiments.sweep.run_sweep`.

    Returns
    -------
    list of Path
    """
    source = Path(out) / "sweep.json"
    figure = picture(parse(source, read_json(source)))
    paths = []
    for suffix, options in (("svg", {"metadata": NO_METADATA}), ("png", {"dpi": 150})):
        paths.append(source.with_suffix(f".{suffix}"))
        with whole_file(paths[-1]) as partial, matplotlib.rc_context(STYLE):
            figure.savefig(partial, format=suffix, **options)
    return paths


def picture(sweep: Sweep) -> Figure:
    """A panel a model beside each other."""
    shown = panels(sweep)
    height = max(panel_height(sweep, cells) for cells in shown.values())
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN * len(shown), height + 0.55))
        figure.suptitle(sweep.label, fontsize=10)
        for axes, (model, cells) in zip(
            figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True
        ):
            paint_panel(axes, sweep, cells)
            axes.set_title(model, fontsize=10)
        figure.supxlabel(
            "ring: first by "
            + ("validation loss" if sweep.ranked_by == "validation" else "test accuracy")
            + "; *: differs from it beyond noise; circles: seeds",
            fontsize=8,
        )
    return figure
