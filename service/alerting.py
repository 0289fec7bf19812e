"""From the policy's decisions to alerts: which alarms are still to be told, and what becomes of the alert."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from db.queries import alerts
from db.rows import AlertRow, Condition, Evaluation, EventKind, Priority
from models.clinical.alarm import Alarm, AlarmDecision

# a stay that arrives with its history is told of what a shift may still act on, not of last week
HISTORY_TOLD = timedelta(hours=6)


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

    Late data, or a stay that arrives with days of history, put alarms into the past. When its episode is
    over such an alarm is history and calls nobody; but it may silence, by its refractory time, an episode
    that goes on now, and somebody must hear of that.
    """
    if not decisions:
        return []
    alarms = [decision.alarm for decision in decisions if decision.alarm is not None]
    new_after = _new_after(decisions, told)
    behind_now = alarms[-1].time if decisions[-1].active and alarms else None
    return [
        alarm
        for alarm in alarms
        if alarm.time not in told.alarm_times and (alarm.time > new_after or alarm.time == behind_now)
    ]


def _new_after(decisions: Sequence[AlarmDecision], told: Told) -> datetime:
    """Hours after this are new: the last one shown, or at first sight the last but a few."""
    return told.shown_through or decisions[-1].time - HISTORY_TOLD


def foremost(open_alerts: Iterable[AlertRow]) -> AlertRow | None:
    """The alert that a bed's tile shows: one that nobody answered before others, then the newest."""
    found = sorted(open_alerts, key=lambda alert: (alert.raised_at, alert.id))
    waiting = [
        alert
        for alert in found
        if alert.acknowledged_at is None
        and alert.evaluation is Evaluation.PENDING
        and alert.shelved_until is None
    ]
    return next(reversed(waiting or found), None)


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
        elif alarm.time > _new_after(decisions, told) or alert.condition is not Condition.ACTIVE:
            # late data may move an alarm by an hour: an active alert has told of its episode already
            alert = alerts.refire(session, alert.id, alarm, at)
    if alert is None:
        return None
    active_now = bool(decisions) and decisions[-1].active
    if active_now and alert.condition is Condition.LATCHED:
        alert = alerts.resume(session, alert.id, at)
    elif not active_now and alert.condition is Condition.ACTIVE:
        alert = alerts.release(session, alert.id, at)
    return alert if (alert.condition, alert.fired_at) != before else None
