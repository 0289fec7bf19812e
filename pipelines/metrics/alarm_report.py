"""The alarm figures as the command line gives them: a record with fixed keys, and lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from pipelines.metrics.alarms import AlarmFigures

KEYS = (
    "alarms",
    "true_alarms",
    "precision",
    "events",
    "events_detected",
    "recall",
    "lead_time_hours",
    "false_alarms_per_patient_day",
    "alerts_per_100_patient_days",
)


def as_record(found: AlarmFigures) -> dict[str, float | None]:
    """The figures by `KEYS`; the lead time is the median."""
    all_of_them = asdict(found)
    return {key: all_of_them[key] for key in KEYS}


def sentences(found: AlarmFigures, before_recognition: AlarmFigures | None) -> Iterator[str]:
    """The figures in lines, and once more for what came before clinicians acted, where that is known."""
    yield from _lines(found)
    if before_recognition is not None:
        yield "before clinical recognition"
        yield from (f"  {line}" for line in _lines(before_recognition))


def _lines(found: AlarmFigures) -> Iterator[str]:
    quartiles = found.lead_time_hours_quartiles
    spread = "" if quartiles is None else f" (quartiles {quartiles[0]:.2f} to {quartiles[1]:.2f})"
    yield f"{'alarms':<32} {found.alarms}, {found.true_alarms} true"
    yield f"{'precision':<32} {_figure(found.precision)}"
    yield f"{'events':<32} {found.events}, {found.events_detected} detected"
    yield f"{'recall':<32} {_figure(found.recall)}"
    yield f"{'lead time, hours, median':<32} {_figure(found.lead_time_hours)}{spread}"
    yield f"{'false alarms a patient-day':<32} {_figure(found.false_alarms_per_patient_day)}"
    yield f"{'alerts a 100 patient-days':<32} {_figure(found.alerts_per_100_patient_days)}"
    yield f"{'alarms looked into for one true':<32} {_figure(found.workup_to_detection)}"
    yield f"{'precision of first alarms':<32} {_figure(found.first_alarm_precision)}"
    yield f"{'patient-days watched':<32} {_figure(found.patient_days)}"


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"
