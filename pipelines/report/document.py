"""An evaluation as one HTML file that a committee can read, on a screen or printed, and its figures as files.

The page needs nothing from outside: styles and drawings are in it, and there is no script.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipelines.prediction_files import replacing
from pipelines.report import burden, calibrated, drift, equity, horizon, ranking, trajectories
from pipelines.report.markup import html_of
from pipelines.report.material import Material, read_material
from pipelines.report.style import Drawing
from pipelines.report.summary import key_figures, sentences
from pipelines.report.words import between, count, model_name, number, one_in, percent

PAGE = "report.html"


def write_report(folder: Path, step: Callable[[], None] = lambda: None) -> Path:
    """Write `report.html` and `figures/` into the folder of an evaluation; `step` is called a section.

    Raises UnreadableSource if the folder holds no evaluation, or files that do not belong together.
    """
    material = read_material(folder)
    page = _environment().get_template("report.html.j2").render(**_content(material, step))
    path = folder / PAGE
    with replacing(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return path


SECTIONS = 8  # how often `step` is called


def _content(material: Material, step: Callable[[], None]) -> dict[str, Any]:
    drawn: dict[str, Drawing | None] = {}

    def draw(name: str, made: Callable[[Material], Drawing], *, where: bool = True) -> None:
        drawn[name] = made(material) if where else None
        step()

    draw("horizon", horizon.draw)
    draw("ranking", ranking.draw)
    draw("calibration", calibrated.draw_reliability, where=calibrated.has_probabilities(material))
    draw("decision", calibrated.draw_decision, where=calibrated.has_probabilities(material))
    draw("burden", burden.draw)
    draw("subgroups", equity.draw, where=bool(equity.groups(material)))
    draw("drift", drift.draw, where=len(drift.sites(material)) > 1)
    worst = trajectories.draw_all(material)
    step()
    return {
        "record": material.record,
        "whole": material.whole,
        "first": material.first,
        "key_figures": key_figures(material),
        "sentences": sentences(material),
        "drawn": drawn,
        "worst": worst,
        "banded": trajectories.banded(material),
        "groups": equity.rows(material),
        "attrition": _attrition(material),
        "score_drift": _score_drift(material),
        "card": html_of(material.card()),
        "settings_text": json.dumps(material.settings, indent=2, ensure_ascii=False),
    }


def _attrition(material: Material) -> list[dict[str, Any]]:
    """Of each source, how many stays were there, left out for which reason, and evaluated."""
    rows = []
    for one in material.record["sources"]:
        site = material.evidence.stays[material.evidence.stays["site"] == one["site"]]
        events = site["onset_hour"].notna()
        rows.append(
            one
            | {
                "unread": len(one["unreadable"]),
                "events": int(events.sum()),
                "untold": int((events & ~site["onset_told"].astype(bool)).sum()),
                "hours": int(site["hours"].sum()),
            }
        )
    return rows


def _score_drift(material: Material) -> float | None:
    sites = drift.sites(material)
    if len(sites) < 2:  # noqa: PLR2004
        return None
    return drift.score_stability(material.evidence, material.first["model"], sites[0], sites[1])


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipelines.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "percent": percent,
        "count": count,
        "between": between,
        "one_in": one_in,
        "model_name": model_name,
        "drawn": Markup,  # our own drawing, not text of a record
    }
    return environment
