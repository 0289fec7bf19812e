"""The figures of many models as Markdown tables and as a plot of AUPRC against hours before onset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.evidence.figures import Figures
from pipelines.metrics.bootstrap import Interval

CALIBRATION = ("slope", "intercept", "error", "brier")
ASKED = range(8)  # hours before onset, as in the paper
LONG_BEFORE = 7  # of the summary: time enough to act
Row = Callable[[str, Figures], list[str]]


def tables(rows: Mapping[str, Figures], milliseconds: Mapping[str, float]) -> str:
    """Five tables of `rows` by model; `milliseconds` of processor time a stay scored."""
    counts = next(iter(rows.values()))
    ahead = [f"{hours} h" for hours in ASKED]
    return "\n\n".join(
        [
            f"{counts.stays:,} stays, {counts.septic_stays:,} septic; {counts.hours:,} hours, "
            f"{counts.positive_hours:,} positive. Before onset: {counts.horizons[0].cases:,} cases and "
            f"{counts.horizons[0].controls:,} controls ({counts.distinct_controls:,} stays); left out are "
            f"{counts.untold_onsets} cases positive from their first row and {counts.late_onsets} that fewer "
            f"than ten controls outlast.",
            _table(
                rows,
                ["hourly AUROC", "hourly AUPRC", "utility", "ms a stay"],
                lambda name, one: [*_hourly(one), f"{milliseconds[name]:.1f}"],
            ),
            _table(
                rows, ["slope", "intercept", "calibration error", "Brier"], lambda _, one: _calibration(one)
            ),
            *(
                f"{title} before onset\n\n{_table(rows, ahead, _ahead(name))}"
                for title, name in (("AUPRC", "auprc"), ("AUROC", "auroc"), ("Concordance", "concordance"))
            ),
        ]
    )


def summary(settings: Mapping[str, Mapping[str, Figures]]) -> str:
    """One table of every model in every setting, without intervals: AUROC, AUPRC, utility, AUPRC at 7 h."""
    names = sorted({name for rows in settings.values() for name in rows}, key=_first_seen(settings))
    lines = [f"| model | {' | '.join(settings)} |", "|---" * (len(settings) + 1) + "|"]
    told = [[_in_short(rows.get(name)) for rows in settings.values()] for name in names]
    return "\n".join(
        [*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in zip(names, told, strict=True))]
    )


def _in_short(one: Figures | None) -> str:
    if one is None:
        return "-"
    ahead = next(horizon.auprc for horizon in one.horizons if horizon.hours == LONG_BEFORE)
    figures = (one.hourly.auroc, one.hourly.auprc, one.hourly.utility, ahead)
    return " · ".join("-" if figure is None else f"{figure:.3f}" for figure in figures)


def cell(value: float | None, ends: Interval) -> str:
    """A figure with its interval; a dash where it is undefined."""
    if value is None:
        return "-"
    if ends.low is None or ends.high is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({ends.low:.3f} to {ends.high:.3f})"


def plot(settings: Mapping[str, Mapping[str, Figures]], path: Path) -> None:
    """One panel a setting: AUPRC by hours before onset, a line and its interval a model."""
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(4.6 * len(settings), 4.2), layout="constrained")
        panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
        names = sorted({name for rows in settings.values() for name in rows}, key=_first_seen(settings))
        shades = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
        colours = dict(zip(names, [*shades[::2], *shades[1::2]], strict=False))
        for panel, (setting, rows) in zip(panels, settings.items(), strict=True):
            for name, one in rows.items():
                _line(panel, name, one, colours[name])
            _dress(panel, setting, next(iter(rows.values())))
        panels[0].set_ylabel("AUPRC, ten controls a case")
        panels[0].set_ylim(bottom=0)  # of all, once everything is drawn
        handles = {line.get_label(): line for panel in panels for line in panel.get_lines()}
        handles["chance"] = handles.pop("chance")  # last
        figure.legend(
            handles.values(), [str(label) for label in handles], loc="outside lower center", ncols=5
        )
        figure.savefig(path, dpi=150)


def _hourly(one: Figures) -> list[str]:
    hourly, ends = one.hourly, one.hourly_intervals
    return [cell(getattr(hourly, name), getattr(ends, name)) for name in ("auroc", "auprc", "utility")]


def _calibration(one: Figures) -> list[str]:
    if one.calibration is None or one.calibration_intervals is None:
        return ["-"] * 4
    figures, ends = one.calibration, one.calibration_intervals
    return [cell(getattr(figures, name), getattr(ends, name)) for name in CALIBRATION]


def _ahead(name: str) -> Row:
    """Cells of one figure at each hour before onset."""
    return lambda _, one: [
        cell(getattr(horizon, name), getattr(horizon, f"{name}_interval"))
        for horizon in one.horizons
        if horizon.hours in ASKED
    ]


def _table(rows: Mapping[str, Figures], columns: list[str], cells: Row) -> str:
    lines = [f"| model | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join(
        [*lines, *(f"| {name} | {' | '.join(cells(name, one))} |" for name, one in rows.items())]
    )


def _line(panel: Axes, name: str, one: Figures, colour: object) -> None:
    hours = [horizon.hours for horizon in one.horizons]
    area = np.array([horizon.auprc for horizon in one.horizons], dtype=np.float64)
    low = np.array([horizon.auprc_interval.low for horizon in one.horizons], dtype=np.float64)
    high = np.array([horizon.auprc_interval.high for horizon in one.horizons], dtype=np.float64)
    panel.fill_between(hours, low, high, color=colour, alpha=0.08, linewidth=0)
    panel.plot(hours, area, color=colour, marker="o", markersize=3, label=name)


def _dress(panel: Axes, setting: str, counts: Figures) -> None:
    chance = [one.cases / (one.cases + one.controls) for one in counts.horizons]
    panel.plot([one.hours for one in counts.horizons], chance, "k:", linewidth=1, label="chance")
    panel.set_title(f"{setting}: {counts.horizons[0].cases} cases")
    panel.set_xlabel("hours before onset")
    panel.invert_xaxis()


def _first_seen(settings: Mapping[str, Mapping[str, Figures]]) -> Callable[[str], int]:
    order = [name for rows in settings.values() for name in rows]
    return order.index
