"""From a matplotlib figure to SVG inside the page: real text, colours that follow the page's light or dark theme, unique ids."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colours are drawn as these and replaced by the page's variables, which change with the theme.
INK, MUTED, LINE, PAPER = "#101112", "#606162", "#d0d1d2", "#fdfefc"
ACCENT, SOFT, GOOD, BAD = "#2055c1", "#a9bfe9", "#1c7c41", "#bd2b31"
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    PAPER: "--card",
    ACCENT: "--accent",
    SOFT: "--soft",
    GOOD: "--good",
    BAD: "--bad",
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "promoloop",
    "font.size": 9,
    "font.family": "sans-serif",
    "text.color": INK,
    "text.parse_math": False,  # two dollar signs are money
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "figure.facecolor": "none",
}
_WIDTH = 6.6  # inches; the page scales it


class Drawing:
    """A chart being drawn; `svg` holds the result once the block that made it has ended."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.svg = ""


@contextmanager
def drawn(rows: int, label: str, name: str, width: float = _WIDTH) -> Iterator[Drawing]:
    """Yield axes for a chart of `rows` horizontal rows, `width` inches wide.

    `label` is what a screen reader says of it, `name` makes its ids unique on the page.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, 0.30 * rows + 0.55), layout="constrained")
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        drawing = Drawing(axes)
        yield drawing
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawing.svg = _inline(text.getvalue(), label, name)


def _inline(svg: str, label: str, name: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{escape(label)}">', svg, count=1)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"font: ?([\d.]+)px [^;\"]+", r"font: \1px var(--font)", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg
