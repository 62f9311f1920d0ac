"""A matplotlib figure as inline SVG (deterministic, no links, ids of its own), PDF and PNG."""

import html
import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from stimuli.provenance import whole_file

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


@dataclass(frozen=True)
class Picture:
    """A picture that is painted when it is shown or saved.

    Attributes
    ----------
    paint : callable
        Given the matplotlib axes.
    width, height : float
        Inches of 96 CSS pixels on the page.
    name : str
        Prefix of the picture's ids, unique on the page, and the name of its files.
    description : str
        Read aloud in place of the picture.
    """

    paint: Callable
    width: float
    height: float
    name: str
    description: str

    def __html__(self) -> str:
        """An ``<svg>`` element, for templates."""
        text = io.StringIO()
        self._write(text, format="svg", metadata=NO_METADATA, transparent=True)
        return inline(text.getvalue(), self)

    def save(self, folder: Path) -> list[Path]:
        """Write ``<name>.pdf`` and ``<name>.png`` (300 dots an inch) and return their paths."""
        paths = []
        for ending, more in (("pdf", {"metadata": {"CreationDate": None}}), ("png", {"dpi": 300})):
            path = Path(folder) / f"{self.name}.{ending}"
            with whole_file(path) as partial, partial.open("wb") as file:
                self._write(file, format=ending, **more)
            paths.append(path)
        return paths

    def _write(self, file, **more) -> None:
        with matplotlib.rc_context(STYLE), warnings.catch_warnings():
            # The browser has the scripts that matplotlib's own font lacks.
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            figure = Figure(figsize=(self.width, self.height))
            axes = figure.add_subplot()
            self.paint(axes)
            for inside in (*axes.texts, *axes.patches):
                inside.set_in_layout(False)  # to measure each would take most of the time
            figure.savefig(file, **more)


def inline(picture: str, of: Picture) -> str:
    """matplotlib's SVG as an element of a page: no style sheet, ids of its own, a spoken text."""
    name, width, height = of.name, of.width, of.height
    picture = re.sub(r"<style.*?</style>", "", picture, flags=re.DOTALL)
    picture = re.sub(r'(<text style="[^"]*?) ?font-family: [^";]*;?', r"\1", picture)
    picture = re.sub(r"(<[^<>]* id=\")", rf"\1{name}-", picture)
    picture = picture.replace('xlink:href="#', f'href="#{name}-')
    picture = picture.replace('clip-path="url(#', f'clip-path="url(#{name}-')
    body = picture[picture.index("<svg") :].partition(">")[2]
    points = f"{72 * width:g} {72 * height:g}"
    label = html.escape(of.description, quote=True)
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {points}" '
        f'style="width:{96 * width:.0f}px;min-width:{0.8 * 96 * width:.0f}px">{body}'
    )
