"""Figure: what the first model's alarms cost and give at every threshold, with the budget marked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from models.clinical.alarm import AlarmPolicy
from pipelines.metrics.burden import burden_figures, simulate
from pipelines.report.material import Material
from pipelines.report.style import ALARM, COLOURS, SOFT, Drawing, drawing, quiet, saved

_THRESHOLDS = 64
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
    """The first policy at thresholds from where every hour alarms to where none does."""
    model = material.first["model"]
    ward, window = material.evidence.ward(model), timedelta(hours=material.settings["window_hours"])
    scored = ward.watched.score[np.isfinite(ward.watched.score)]
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
    points, budget = swept(material), material.settings["alarms_per_bed_day"]
    alarms = [one.alarms_per_bed_day for one in points]
    with drawing(1, 3, 11.2, 3.7) as (figure, (cost, gain, lead)):
        cost.plot([one.threshold for one in points], alarms, color=COLOURS[0])
        cost.set(xscale="log", yscale="log", title="Alarms a bed and day", xlabel="threshold")
        cost.axvline(material.first["threshold"], color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)))
        cost.axhline(budget, color=ALARM, linewidth=1.1)
        cost.annotate(
            f"budget {budget:g}",
            (1, budget),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            color=ALARM,
            fontsize=8.5,
        )
        for key, label, colour, mark in (
            ("recall", "sensitivity", COLOURS[0], "-"),
            ("precision", "precision (PPV)", COLOURS[2], "--"),
        ):
            told = [
                (one.alarms_per_bed_day, getattr(one, key)) for one in points if getattr(one, key) is not None
            ]
            gain.plot(*zip(*told, strict=True), color=colour, linestyle=mark, label=label)
        gain.set(title="What they give", xlabel="alarms a bed and day", ylim=(0, 1))
        gain.legend(loc="upper left")
        told = [
            (one.alarms_per_bed_day, one.lead_time_hours) for one in points if one.lead_time_hours is not None
        ]
        lead.plot(*zip(*told, strict=True), color=COLOURS[3])
        lead.set(title="Median lead time, hours", xlabel="alarms a bed and day")
        lead.set_ylim(0, material.settings["window_hours"])
        for panel in (gain, lead):
            panel.set_xlim(0, max(2.5 * budget, 1.2 * _own(material)))
            panel.axvline(budget, color=ALARM, linewidth=1.1)
            panel.axvline(_own(material), color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)))
        for panel in (cost, gain, lead):
            quiet(panel)
        return saved(
            figure,
            material.figures,
            "burden",
            title="Alarm burden against threshold",
            caption="The first policy at other thresholds. Orange: the budget. Dotted: the model's own "
            "threshold. Alarms during an event are counted, but are neither true nor false. Where more "
            "alarms foretell fewer events, a first alarm came too early, and the condition was still active "
            "when the window opened.",
        )


def _own(material: Material) -> float:
    return float(material.first["warnings"][0]["figures"]["alarms_per_bed_day"] or 0.0)
