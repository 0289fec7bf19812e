"""How every figure of the report looks: one font, few colours that the colour-blind tell apart, no frames.

A figure is written as PNG and as SVG; the SVG's text stays text, and goes into the page as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pipelines.prediction_files import replacing

INK, SOFT, LINE, PAPER = "#1c2430", "#5d6775", "#dfe3e8", "#ffffff"
# Okabe and Ito 2008, darkened where it stands on white
COLOURS = ("#00628f", "#c8590a", "#007f5f", "#8d4f86", "#6b7480", "#a6761d")
MARKS = ("-", "--", (0, (4, 1.2, 1, 1.2)), (0, (1, 1.1)), (0, (6, 2, 1, 2, 1, 2)), "-")
LARGEST = 1.6  # pixels a point: text as large as that of the page
ONSET, ALARM, BAND = "#b3261e", "#c8590a", "#9cc3d8"

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.7,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 8.8,
    "ytick.labelsize": 8.8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Drawing:
    """A figure as it goes into the page: `svg`, what it shows in one sentence, and what it is called."""

    name: str
    title: str
    caption: str
    svg: str


@contextmanager
def drawing(rows: int, columns: int, width: float, height: float) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of `rows` x `columns` axes, inches, in the report's style."""
    with mpl.rc_context(_RC):
        spaced = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.04, hspace=0.06)
        figure = Figure(figsize=(width, height), layout=spaced)
        axes = figure.subplots(rows, columns, squeeze=False)
        yield figure, [one for row in axes for one in row]


def saved(figure: Figure, folder: Path, name: str, *, title: str, caption: str) -> Drawing:
    """Write `name`.png and `name`.svg to `folder`, and give the drawing for the page."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_RC | {"svg.hashsalt": name}):
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": "Prodrome"})
        with replacing(folder / f"{name}.png") as unfinished:
            figure.savefig(unfinished, format="png", dpi=160, metadata={"Software": None})
    svg = text.getvalue()
    with replacing(folder / f"{name}.svg") as unfinished:
        unfinished.write_text(svg, encoding="utf-8")
    return Drawing(name, title, caption, _inline(svg, title))


def _inline(svg: str, title: str) -> str:
    """The drawing without what only a file of its own needs, as wide as the page lets it."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]*)"', body)
    assert box is not None  # matplotlib always writes one
    width = float(box[1].split()[2])
    head = (
        f'<svg viewBox="{box[1]}" style="max-width: {width * LARGEST:.0f}px" role="img" aria-label="{title}" '
    )
    links = 'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns="http://www.w3.org/2000/svg">'
    return head + links + body[body.index(">") + 1 :]


def named(names: Sequence[str]) -> dict[str, tuple[str, object]]:
    """A colour and a line style for each model, in the order in which they were evaluated."""
    return {name: (COLOURS[at % len(COLOURS)], MARKS[at % len(MARKS)]) for at, name in enumerate(names)}


def quiet(axes: Axes, *, grid: str = "y") -> None:
    """A light grid behind, no ticks that stick out."""
    axes.grid(visible=True, axis=grid)  # type: ignore[arg-type]
    axes.tick_params(length=0)
