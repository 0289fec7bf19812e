"""The attrition of a cohort, as a table for the terminal and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.label.cohorts import Step

_HEADER = ("step", "removed", "stays", "subjects", "cases")
_CASE, _OTHER, _INK, _QUIET = "#b4532a", "#9db4c0", "#22303a", "#6b7a85"


def attrition_text(steps: Sequence[Step]) -> str:
    """The steps as aligned text, one line each."""
    rows = [_HEADER, *((s.name, f"-{s.removed}", s.stays, s.subjects, s.cases) for s in steps)]
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(_HEADER))]
    return "\n".join(
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in texts
    )


def plot_attrition(steps: Sequence[Step], title: str, path: Path) -> Path:
    """Write the figure (its format by the suffix of `path`): a bar a step, cases in another colour."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second, for those who plot
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"font.family": "DejaVu Sans", "svg.hashsalt": "attrition"}):
        figure = Figure(figsize=(9.5, 0.9 + 0.62 * len(steps)), layout="constrained")
        axes = figure.add_subplot()
        whole = max(steps[0].stays, 1)
        for place, step in enumerate(steps):
            axes.barh(place, step.stays - step.cases, left=step.cases, color=_OTHER, height=0.62)
            axes.barh(place, step.cases, color=_CASE, height=0.62)
            left = f"{step.stays} stays, {step.cases} with sepsis"
            axes.text(step.stays + whole * 0.012, place - 0.13, left, va="center", color=_INK, fontsize=9.5)
            gone = f"{step.removed} left out" if step.removed else ""
            axes.text(step.stays + whole * 0.012, place + 0.2, gone, va="center", color=_QUIET, fontsize=8.5)
        axes.set_yticks(range(len(steps)), [step.name for step in steps], color=_INK, fontsize=9.5)
        axes.invert_yaxis()
        axes.set_xlim(0, whole * 1.6)
        axes.tick_params(length=0)
        axes.xaxis.set_visible(False)
        axes.spines[:].set_visible(False)
        figure.suptitle(title, x=0.01, ha="left", color=_INK, fontsize=12)
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path
