"""The summary: what would have happened, in words and numbers, before any figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from pipelines.report.equity import groups, title_of
from pipelines.report.material import Material
from pipelines.report.words import (
    NOTHING,
    between,
    count,
    every,
    model_name,
    number,
    one_in,
    percent,
    plural,
)

_CHANCE, _DEVIATIONS = 0.03, 3.0  # how far above 0.5 a mean AUROC may lie: by itself, in standard errors


@dataclass(frozen=True)
class KeyFigure:
    """One number a committee remembers, what it is, and its interval."""

    value: str
    name: str
    aside: str


def key_figures(material: Material) -> list[KeyFigure]:
    """Six numbers of the first model at its first policy."""
    first = material.first
    ranking, warnings = first["ranking"], first["warnings"][0]
    outside, spread = warnings["figures"]["outside"], warnings["intervals"]
    lead = outside["lead_time_hours_quartiles"]
    per_day = warnings["figures"]["alarms_per_bed_day"]
    window, prevalence = material.settings["window_hours"], material.whole["counts"]["prevalence"]
    return [
        KeyFigure(
            percent(outside["recall"]),
            f"of events had an alarm in the {window:g} h before",
            between(spread["recall"], 0, share=True),
        ),
        _true_alarms(outside["precision"], spread["precision"], window),
        KeyFigure(
            number(per_day),
            "alarms a bed and day",
            _joined(between(spread["alarms_per_bed_day"]), f"one {every(per_day)}")
            if per_day
            else "no alarm at all",
        ),
        KeyFigure(
            f"{number(outside['lead_time_hours'], 1)} h" if lead else NOTHING,
            "median lead time of detected events",
            f"quartiles {number(lead[0], 1)} to {number(lead[1], 1)} h" if lead else "no event was detected",
        ),
        KeyFigure(
            number(ranking["metrics"]["auroc"], 3),
            "hourly AUROC",
            between(_interval(ranking, "auroc"), 3),
        ),
        KeyFigure(
            number(ranking["metrics"]["auprc"], 3),
            "hourly AUPRC",
            _joined(between(_interval(ranking, "auprc"), 3), f"chance {number(prevalence, 3)}"),
        ),
    ]


def _joined(*parts: str) -> str:
    """What is told, apart by semicolons."""
    return "; ".join(filter(None, parts))


def _true_alarms(precision: float | None, spread: dict[str, Any], window: float) -> KeyFigure:
    """How many alarms staff look into for one that comes true."""
    followed = f"followed by an event within {window:g} h"
    if precision is None:
        return KeyFigure(NOTHING, f"alarms {followed}", "no alarm outside an event")
    told = f"PPV {percent(precision, 1)} {between(spread, 1, share=True)}"
    if not precision:
        return KeyFigure("None", f"of the alarms was {followed}", told)
    return KeyFigure(one_in(precision), f"alarms was {followed}", told)


def sentences(material: Material) -> list[str]:
    """What the figures say, a paragraph each."""
    return [
        _who(material),
        _what(material),
        *_beside_rules(material),
        *_external(material),
        *_fairness(material),
        _leakage(material),
    ]


def _interval(ranking: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = ranking["intervals"][name]
    return found


def _who(material: Material) -> str:
    counts, sites = material.whole["counts"], [one["site"] for one in material.record["sources"]]
    where = f"site {sites[0]}" if len(sites) == 1 else "sites " + " and ".join(sites)
    return (
        f"{plural(counts['stays'], 'past stay')} of {plural(counts['subjects'], 'subject')} at {where}, "
        f"{count(counts['septic_stays'])} of them with an event, were replayed hour by hour: "
        f"{plural(counts['hours'], 'hour')}. Each hour was scored from what was known by then, by the "
        "code that scores at the bedside, and alarms were decided as the live service does."
    )


def _what(material: Material) -> str:
    first, warnings = material.first, material.first["warnings"][0]
    figures, outside = warnings["figures"], warnings["figures"]["outside"]
    missed = outside["events"] - outside["events_detected"]
    alarms, events = outside["alarms"] + figures["late"], plural(outside["events"], "event")
    begin = f"With {model_name(first['model'])} at a threshold of {number(warnings['threshold'], 4)}, staff"
    if not alarms:
        return f"{begin} would have had no alarm at all, and no warning of {events}."
    window = material.settings["window_hours"]
    return (
        f"{begin} would have had {plural(alarms, 'alarm')}, one {every(figures['alarms_per_bed_day'])} in "
        f"each bed. Of {events}, {count(outside['events_detected'])} would have been foretold within "
        f"{window:g} h and {count(missed)} missed; {_looked_into(outside)}."
    )


def _looked_into(outside: dict[str, Any]) -> str:
    if not outside["alarms"]:
        return "every alarm came after the onset"
    if not outside["true_alarms"]:
        return "no alarm came true"
    looked_into = number(outside["workup_to_detection"], 1)
    return f"{looked_into} alarms would have been looked into for one that came true"


def _beside_rules(material: Material) -> list[str]:
    told = [
        (model_name(one["model"]), one["at_budget"]["warnings"]["figures"]["outside"]["recall"])
        for one in material.whole["models"]
        if one["at_budget"] is not None
    ]
    if len(told) < 2:  # noqa: PLR2004
        return []
    budget = material.settings["alarms_per_bed_day"]
    listed = ", ".join(f"{name} {percent(recall)}" for name, recall in told)
    unable = [model_name(one["model"]) for one in material.whole["models"] if one["at_budget"] is None]
    rest = f" Any alarm of {' or '.join(unable)} would exceed it." if unable else ""
    return [f"At no more than {budget:g} alarms a bed and day, events foretold: {listed}.{rest}"]


def _external(material: Material) -> list[str]:
    parts = [
        f"site {one['cohort']} ({'not seen in training' if one['external'] else 'where it was trained'}) "
        f"{number(one['models'][0]['ranking']['metrics']['auroc'], 3)} "
        f"{between(_interval(one['models'][0]['ranking'], 'auroc'), 3)}"
        for one in material.record["cohorts"][1:]
        if one["external"] is not None
    ]
    return [f"Hourly AUROC by site: {'; '.join(parts)}."] if parts else []


def _fairness(material: Material) -> list[str]:
    said = []
    for by in dict.fromkeys(one["by"] for one in groups(material)):
        told = [
            (one["sensitivity"]["value"], one["group"])
            for one in groups(material)
            if one["by"] == by and one["sensitivity"]["value"] is not None
        ]
        if len(told) > 1 and max(told)[0] > 0:
            low, high = min(told), max(told)
            said.append(
                f"{title_of(by).partition(',')[0].lower()} "
                f"{percent(low[0])} ({low[1]}) to {percent(high[0])} ({high[1]})"
            )
    return (
        [f"Sensitivity by group: {'; '.join(said)}. Look at the intervals before the differences."]
        if said
        else []
    )


def _leakage(material: Material) -> str:
    leakage = material.record["leakage"]
    floor = leakage["floor"]["metrics"]["auroc"]
    own = material.first["ranking"]["metrics"]["auroc"]
    text = (
        "A model that knows only when things were measured, and no value, reaches an AUROC of "
        f"{number(floor, 3)}, where {model_name(material.first['model'])} has {number(own, 3)}."
    )
    if None not in (floor, own) and own <= floor:
        text += " What staff chose to measure tells as much here."
    shuffled = leakage["shuffled_auroc"]
    if not shuffled:
        return text
    mean = sum(shuffled) / len(shuffled)
    verdict = "not above chance, as it must be" if at_chance(shuffled) else "above chance: look for a leak"
    return f"{text} Fitted to shuffled labels the same learner has {number(mean, 3)}: {verdict}."


def at_chance(shuffled: Sequence[float]) -> bool:
    """Whether AUROCs of shuffled labels lie about 0.5 as widely as they scatter.

    A learner of nothing leans some way by chance, and what it leans on may go with the risk either way.
    """
    mean = sum(shuffled) / len(shuffled)
    spread = stdev(shuffled) if len(shuffled) > 1 else 0.0
    return bool(mean - 0.5 <= max(_CHANCE, _DEVIATIONS * spread / math.sqrt(len(shuffled))))
