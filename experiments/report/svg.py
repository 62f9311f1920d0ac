"""A matplotlib figure as inline SVG: deterministic, no links, ids of its own."""

import html
import io
import re
import warnings
from collections.abc import Callable

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

INK = "#222222"
STYLE = {
    "svg.fonttype": "none",  # text stays text: searchable, in the page's own font
    "svg.hashsalt": "report",
    "text.parse_math": False,  # a class may be called "$1"
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "figure.constrained_layout.use": True,
}
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def draw(paint: Callable, width: float, height: float, name: str, description: str) -> Markup:
    """Let a function paint on axes and return the picture.

    Parameters
    ----------
    paint : callable
        Given the matplotlib axes.
    width, height : float
        Inches of 96 CSS pixels on the page.
    name : str
        Prefix of the picture's ids, unique on the page.
    description : str
        Read aloud in place of the picture.

    Returns
    -------
    Markup, an ``<svg>`` element
    """
    text = io.StringIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # The browser has the scripts that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(width, height))
        axes = figure.add_subplot()
        paint(axes)
        for inside in (*axes.texts, *axes.patches):
            inside.set_in_layout(False)  # to measure each would take most of the time
        figure.savefig(text, format="svg", metadata=NO_METADATA, transparent=True)
    picture = text.getvalue()
    picture = re.sub(r"<style.*?</style>", "", picture, flags=re.DOTALL)
    picture = re.sub(r'(<text style="[^"]*?) ?font-family: [^";]*;?', r"\1", picture)
    picture = re.sub(r"(<[^<>]* id=\")", rf"\1{name}-", picture)
    picture = picture.replace('xlink:href="#', f'href="#{name}-')
    picture = picture.replace('clip-path="url(#', f'clip-path="url(#{name}-')
    body = picture[picture.index("<svg") :].partition(">")[2]
    points = f"{72 * width:g} {72 * height:g}"
    label = html.escape(description, quote=True)
    return Markup(
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {points}" '
        f'style="width:{96 * width:.0f}px;min-width:{0.8 * 96 * width:.0f}px">{body}'
    )
