"""Figure: what the first model's alarms cost and give at every threshold, with the budget marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from matplotlib.axes import Axes

from models.clinical.alarm import AlarmPolicy
from pipelines.metrics.burden import burden_figures, simulate
from pipelines.report.material import Material
from pipelines.report.style import ALARM, COLOURS, SOFT, Drawing, drawing, quiet, saved

_THRESHOLDS = 64
_WIDE = 4.0  # from end to end of a logarithmic axis: its ticks do not all have room for their numbers
_FEWEST = 20  # alarms in all, or precision and lead time are those of a few stays


@dataclass(frozen=True)
class AtThreshold:
    """What the policy gives at one threshold; None where a figure is undefined."""

    threshold: float
    alarms_per_bed_day: float
    recall: float | None
    precision: float | None
    lead_time_hours: float | None


def swept(material: Material) -> list[AtThreshold]:
    """The first policy at thresholds from where most hours outside events alarm to where none does."""
    model = material.first["model"]
    ward, window = material.evidence.ward(model), timedelta(hours=material.settings["window_hours"])
    scored = ward.watched.score[np.isfinite(ward.watched.score) & ~ward.inside]
    if not len(scored):
        return []
    tried = np.unique(np.quantile(scored, 1 - np.geomspace(2e-5, 0.6, _THRESHOLDS)))
    found = []
    for threshold in tried.tolist():
        policy: AlarmPolicy = replace(material.policy, threshold=threshold, release=None)
        one = burden_figures(simulate(ward, policy, window))
        if one.alarms_per_bed_day and one.outside.alarms >= _FEWEST:
            outside = one.outside
            found.append(
                AtThreshold(
                    threshold,
                    one.alarms_per_bed_day,
                    outside.recall,
                    outside.precision,
                    outside.lead_time_hours,
                )
            )
    return found


def draw(material: Material) -> Drawing:
    """Alarms against threshold; sensitivity, precision and lead time against alarms."""
    points = swept(material)
    few = "" if points else f"Not drawn: fewer than {_FEWEST} alarms at every threshold. "
    with drawing(1, 3, 9.4, 3.6) as (figure, (cost, gain, lead)):
        _cost(cost, material, points)
        _gain(gain, points)
        _lead(lead, points, material.settings["window_hours"])
        for panel in (gain, lead):
            _against_alarms(panel, material)
        for panel in (cost, gain, lead):
            quiet(panel)
        return saved(
            figure,
            material.figures,
            "burden",
            title="Alarm burden against threshold",
            caption=f"{few}The first policy at other thresholds. Orange: the budget. Dotted: the model's own "
            "threshold. Alarms during an event are counted, but are neither true nor false. Where more "
            "alarms foretell fewer events, a first alarm came too early, and the condition was still active "
            "when the window opened.",
        )


def _cost(panel: Axes, material: Material, points: Sequence[AtThreshold]) -> None:
    budget = material.settings["alarms_per_bed_day"]
    panel.plot(
        [one.threshold for one in points], [one.alarms_per_bed_day for one in points], color=COLOURS[0]
    )
    panel.set(xscale="log", yscale="log", title="Alarms a bed and day", xlabel="threshold")
    panel.axvline(material.first["threshold"], color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)))
    panel.axhline(budget, color=ALARM, linewidth=1.1)
    panel.annotate(
        f"budget {budget:g}",
        (1, budget),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        color=ALARM,
        fontsize=8.5,
    )
    for axis in (panel.xaxis, panel.yaxis):
        low, high = axis.get_view_interval()
        told = one_two_five if high > _WIDE * low else lambda at, _: f"{at:g}"
        axis.set_major_formatter(told)
        axis.set_minor_formatter(told)


def one_two_five(at: float, _: object) -> str:
    """The number in full where it begins with 1, 2 or 5; nothing for the others, which have no room."""
    return f"{at:g}" if f"{at:e}"[0] in "125" else ""


def _gain(panel: Axes, points: Sequence[AtThreshold]) -> None:
    recall = [(one.alarms_per_bed_day, one.recall) for one in points if one.recall is not None]
    precision = [(one.alarms_per_bed_day, one.precision) for one in points if one.precision is not None]
    for points_of, colour, style, label in (
        (recall, COLOURS[0], "-", "sensitivity"),
        (precision, COLOURS[2], "--", "precision (PPV)"),
    ):
        panel.plot(*_columns(points_of), color=colour, linestyle=style, label=label)
    panel.set(title="What they give", xlabel="alarms a bed and day", ylim=(0, 1))
    panel.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none")


def _lead(panel: Axes, points: Sequence[AtThreshold], window_hours: float) -> None:
    told = [
        (one.alarms_per_bed_day, one.lead_time_hours) for one in points if one.lead_time_hours is not None
    ]
    panel.plot(*_columns(told), color=COLOURS[3])
    panel.set(title="Median lead time, hours", xlabel="alarms a bed and day", ylim=(0, window_hours))


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _against_alarms(panel: Axes, material: Material) -> None:
    """As far as anybody would go, with the budget and what the model's own threshold costs."""
    budget = material.settings["alarms_per_bed_day"]
    panel.set_xlim(0, max(2.5 * budget, 1.2 * _own(material)))
    panel.axvline(budget, color=ALARM, linewidth=1.1)
    panel.axvline(_own(material), color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)))


def _own(material: Material) -> float:
    return float(material.first["warnings"][0]["figures"]["alarms_per_bed_day"] or 0.0)
