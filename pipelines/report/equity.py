"""Subgroups: the table with intervals, and the figure that shows them beside one another."""

from __future__ import annotations

from itertools import pairwise
from textwrap import fill
from typing import Any

import numpy as np

from pipelines.report.material import Material
from pipelines.report.style import COLOURS, INK, SOFT, Drawing, drawing, saved
from pipelines.report.words import between, count, number, percent

TITLES = {"age_band": "Age, years", "sex": "Sex", "care_unit": "Unit", "site": "Site"}
_PANELS = (
    ("sensitivity", "Sensitivity", True),
    ("precision", "Precision (PPV)", True),
    ("delay_hours", "Delay, hours", False),
    ("alarms_per_100_patient_days", "Alarms per\n100 patient-days", False),
)
_LONGEST = 22  # letters of a group's name on one line, so that panels stay wide enough for their titles


def groups(material: Material) -> list[dict[str, Any]]:
    """The first model's groups, as the record holds them."""
    found: list[dict[str, Any]] = material.record["subgroups"][material.first["model"]]
    return found


def title_of(by: str) -> str:
    """What a fact is called for people."""
    return TITLES.get(by, by.replace("_", " ").capitalize())


def rows(material: Material) -> list[dict[str, Any]]:
    """The table's rows: text in every cell, and whether the row opens a new fact."""
    found, before = [], None
    for one in groups(material):
        shown = {
            "title": title_of(one["by"]) if one["by"] != before else "",
            "group": one["group"],
            "stays": count(one["stays"]),
            "events": count(one["events"]),
            "note": one["note"],
            "sensitivity": _cell(one["sensitivity"], share=True),
            "precision": _cell(one["precision"], share=True),
            "delay_hours": _cell(one["delay_hours"], decimals=1),
            "alarms": _cell(one["alarms_per_100_patient_days"], decimals=0),
            "auroc": _cell(one["auroc"], decimals=3),
        }
        found.append(shown)
        before = one["by"]
    return found


def _cell(figure: dict[str, Any], decimals: int = 1, *, share: bool = False) -> tuple[str, str]:
    if share:
        return percent(figure["value"]), between(figure["interval"], 0, share=True)
    return number(figure["value"], decimals), between(figure["interval"], decimals)


def draw(material: Material) -> Drawing:
    """Each figure of each group as a point with its interval; the line is that of all stays."""
    told = groups(material)
    whole = material.first["warnings"][0]["figures"]
    reference = {
        "sensitivity": whole["outside"]["recall"],
        "precision": whole["outside"]["precision"],
        "delay_hours": None
        if whole["outside"]["lead_time_hours"] is None
        else material.settings["window_hours"] - whole["outside"]["lead_time_hours"],
        "alarms_per_100_patient_days": 100 * (whole["alarms_per_bed_day"] or 0),
    }
    names = [fill(one["group"], _LONGEST) for one in told]
    place = _places(told, names)
    with drawing(1, len(_PANELS), 9.4, 1.1 + 0.27 * (max(place) + 1)) as (figure, axes):
        for panel, (key, title, share) in zip(axes, _PANELS, strict=True):
            scale = 100 if share else 1
            if reference[key] is not None:
                panel.axvline(scale * reference[key], color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)))
            for at, one in zip(place, told, strict=True):
                _point(panel, at, one[key], scale)
            panel.set_title(title + (", %" if share else ""), fontsize=9.8)
            panel.set_ylim(max(place) + 0.7, -0.7)
            panel.set_yticks(place, names if panel is axes[0] else [""] * len(told), color=INK)
            panel.set_xlim(left=0)
            panel.grid(visible=True, axis="x")
            panel.tick_params(length=0)
            panel.spines["left"].set_visible(False)
        return saved(
            figure,
            material.figures,
            "subgroups",
            title="Subgroups",
            caption="Points with their intervals over subjects; the dotted line is the figure of all stays. "
            "Groups without a point are too small or lack events.",
        )


def _places(told: list[dict[str, Any]], names: list[str]) -> list[float]:
    """Rows down the page, as far apart as the lines of their names need, with a gap between facts."""
    lines = [name.count("\n") + 1 for name in names]
    places = [0.0]
    for (one, ours), (other, theirs) in pairwise(zip(told, lines, strict=True)):
        gap = 0.4 if one["by"] == other["by"] else 1.0
        places.append(places[-1] + gap + 0.3 * (ours + theirs))
    return places


def _point(panel: Any, at: float, figure: dict[str, Any], scale: float) -> None:
    if figure["value"] is None:
        return
    low, high = figure["interval"]["low"], figure["interval"]["high"]
    if low is not None:
        panel.plot(np.array([low, high]) * scale, [at, at], color=COLOURS[0], linewidth=1.4, alpha=0.55)
    panel.plot([figure["value"] * scale], [at], marker="o", markersize=5, color=COLOURS[0])
