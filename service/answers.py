"""The JSON that leaves the service: tiles, alerts and scores, the same on the REST API and on the feed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from db.rows import AlertEventRow, AlertRow, ModelVersionRow, ScoreRow, StayRow
from models.clinical.score import Score, ScoreStatus
from models.clinical.variables import CATALOGUE

Json = dict[str, Any]

_TREND = timedelta(hours=3)
_SPARKLINE = timedelta(hours=12)
_RECENT_READINGS = 24
_NO_NUMBER = {"value": None, "low": None, "high": None}


def instant(moment: datetime | None) -> str | None:
    """A UTC time as ISO 8601 text with `Z`."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def tile(
    stay: StayRow,
    scores: Sequence[Score],
    *,
    last_data_at: datetime | None,
    usual_gap_minutes: float | None,
    drivers: Sequence[Json],
    alert: Json | None,
) -> Json:
    """One bed on the board: `scores` are the stay's, by time, at least those of the last 12 h."""
    newest = scores[-1] if scores else None
    return {
        **stay_facts(stay),
        "last_data_at": instant(last_data_at),
        "usual_gap_minutes": usual_gap_minutes,
        "score": _score_now(newest, last_data_at),
        "change": _change(scores),
        "sparkline": [
            [instant(score.time), score.value]
            for score in scores
            if newest is not None and score.time > newest.time - _SPARKLINE
        ],
        "drivers": list(drivers),
        "alert": alert,
        "recording": None,
    }


def held_tile(stay: StayRow, alert: Json | None) -> Json:
    """The tile as it was last made, with what may have changed since."""
    held = stay.tile or tile(
        stay, [], last_data_at=stay.last_known_at, usual_gap_minutes=None, drivers=[], alert=None
    )
    score = _NO_NUMBER | held["score"]  # one kept before scores had a spread has no such members
    kept = {"recording": None, **held, **stay_facts(stay), "score": score, "alert": alert}
    return kept if kept["recording"] else kept | {"last_data_at": instant(stay.last_known_at)}


def stay_facts(stay: StayRow) -> Json:
    """What identifies a bed on the board."""
    return {
        "stay_id": stay.external_id,
        "bed": stay.bed,
        "care_unit": stay.care_unit,
        "admitted_at": instant(stay.admitted_at),
        "discharged_at": instant(stay.discharged_at),
        "synthetic": stay.synthetic,
    }


def _score_now(newest: Score | None, last_data_at: datetime | None) -> Json:
    if newest is None:
        reason = "no observation yet" if last_data_at is None else "the first hour has not passed yet"
        return _NO_NUMBER | {"time": None, "status": str(ScoreStatus.ABSENT), "reason": reason}
    return {
        "time": instant(newest.time),
        "value": newest.value,
        "low": newest.low,
        "high": newest.high,
        "status": str(newest.status),
        "reason": newest.reason,
    }


def _change(scores: Sequence[Score]) -> float | None:
    if not scores or scores[-1].value is None:
        return None
    before = next((score for score in scores if score.time == scores[-1].time - _TREND), None)
    return None if before is None or before.value is None else scores[-1].value - before.value


def usual_gap_minutes(times: Iterable[datetime]) -> float | None:
    """The median minutes between a stay's recent readings; None before there are three."""
    recent = sorted(set(times))[-_RECENT_READINGS:]
    gaps = [(after - before).total_seconds() / 60 for before, after in pairwise(recent)]
    return median(gaps) if len(gaps) > 1 else None


def driver(
    variable_name: str, value: float | None, time: datetime | None, share: float, censored: str = ""
) -> Json:
    """What moves the score, a variable with its last value or one observation; `censored` says on which side
    the value is a limit.
    """
    measured = {"value": value, "censored": censored, "time": instant(time), "share": share}
    return named(variable_name) | measured


def named(variable_name: str) -> Json:
    """A variable as people know it."""
    variable = CATALOGUE[variable_name]
    return {
        "variable": variable.name,
        "short": variable.short,
        "label": variable.label,
        "unit": variable.unit,
        "normal": list(variable.normal),
    }


def alert_json(alert: AlertRow) -> Json:
    """One alert with its independent facts."""
    return {
        "alert_id": alert.id,
        "stay_id": alert.stay.external_id,
        "bed": alert.stay.bed,
        "condition_name": alert.condition_name,
        "condition": str(alert.condition),
        "priority": str(alert.priority),
        "raised_at": instant(alert.raised_at),
        "value": alert.value,
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_at": instant(alert.acknowledged_at),
        "acknowledgement_expires_at": instant(alert.acknowledgement_expires_at),
        "evaluation": str(alert.evaluation),
        "suppression": str(alert.suppression),
        "shelved_until": instant(alert.shelved_until),
        "shelved_reason": alert.shelved_reason,
        "closed_at": instant(alert.closed_at),
        "synthetic": alert.stay.synthetic,
    }


def alert_with_events(alert: AlertRow) -> Json:
    """One alert with everything that happened to it."""
    return alert_json(alert) | {"events": [event_json(event) for event in alert.events]}


def event_json(event: AlertEventRow) -> Json:
    """One thing that happened to an alert."""
    return {"kind": str(event.kind), "by": event.who, "at": instant(event.at), "detail": event.detail}


def score_json(score: ScoreRow) -> Json:
    """One revision of one score."""
    return {
        "time": instant(score.time),
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "status": str(score.status),
        "reason": score.reason,
        "revision": score.revision,
        "created_at": instant(score.created_at),
    }


def model_json(version: ModelVersionRow | None, asked_for: str) -> Json:
    """The model that scores now; before a worker has started, the one that was asked for."""
    if version is None:
        return {"name": asked_for, "version": None}
    return {"name": version.name, "version": version.version}


def policy_json(version: ModelVersionRow | None) -> Mapping[str, Any] | None:
    """The alarm policy in force, or None before a worker has started."""
    return None if version is None else version.policy
