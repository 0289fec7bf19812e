"""From the policy's decisions to alerts: which alarms are still to be told, and what becomes of the alert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from db.queries import alerts
from db.rows import AlertRow, Condition, EventKind, Priority
from models.clinical.alarm import Alarm, AlarmDecision


@dataclass(frozen=True)
class Told:
    """What people were told of a stay before: alarm times, and the last hour they were shown a number for."""

    alarm_times: frozenset[datetime]
    shown_through: datetime | None


def told_before(known: Sequence[AlertRow], condition: str, shown_through: datetime | None) -> Told:
    """What the events of the stay's alerts tell."""
    times = (
        event.detail["time"]
        for alert in known
        if alert.condition_name == condition
        for event in alert.events
        if event.kind in (EventKind.RAISED, EventKind.REFIRED) and "time" in event.detail
    )
    return Told(frozenset(datetime.fromisoformat(time) for time in times), shown_through)


def alarms_to_tell(decisions: Sequence[AlarmDecision], told: Told) -> list[Alarm]:
    """The alarms nobody was told of: those of new hours, and the one behind a condition that is active now.

    Late data may put an alarm into the past. When its episode is over it is history and calls nobody; but it
    may silence, by its refractory time, an episode that goes on now, and somebody must hear of that.
    """
    alarms = [decision.alarm for decision in decisions if decision.alarm is not None]
    active_now = bool(decisions) and decisions[-1].active
    behind_now = alarms[-1].time if active_now and alarms else None
    return [
        alarm
        for alarm in alarms
        if alarm.time not in told.alarm_times and (_is_new_hour(alarm, told) or alarm.time == behind_now)
    ]


def _is_new_hour(alarm: Alarm, told: Told) -> bool:
    return told.shown_through is None or alarm.time > told.shown_through


def update_alert(
    session: Session,
    stay_id: int,
    model_version_id: int,
    decisions: Sequence[AlarmDecision],
    *,
    condition: str,
    told: Told,
    at: datetime,
) -> AlertRow | None:
    """Raise, refire, resume or release as the decisions ask; returns the alert if it changed."""
    alert = alerts.open_alert(session, stay_id, condition)
    before = alert and (alert.condition, alert.fired_at)
    for alarm in alarms_to_tell(decisions, told):
        if alert is None:
            alert = alerts.raise_alert(
                session, stay_id, alarm, model_version_id=model_version_id, priority=Priority.HIGH, at=at
            )
        elif _is_news(alert, alarm, told):
            alert = alerts.refire(session, alert.id, alarm, at)
    if alert is None:
        return None
    active_now = bool(decisions) and decisions[-1].active
    if active_now and alert.condition is Condition.LATCHED:
        alert = alerts.resume(session, alert.id, at)
    elif not active_now and alert.condition is Condition.ACTIVE:
        alert = alerts.release(session, alert.id, at)
    return alert if (alert.condition, alert.fired_at) != before else None


def _is_news(alert: AlertRow, alarm: Alarm, told: Told) -> bool:
    """Late data may move an alarm by an hour: an alert that is active has told of its episode already."""
    return _is_new_hour(alarm, told) or alert.condition is not Condition.ACTIVE
