"""Alerts: the record of an alarm and what people did about it.

Every change appends an event in the same transaction, under a lock on the alert's row, so a worker that
releases and a nurse who acknowledges never overwrite each other. The acknowledgement and the shelf in force
are columns; what was in force before is told by the events. A re-fire changes neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from db.rows import (
    AlertEventRow,
    AlertRow,
    Condition,
    Evaluation,
    EventKind,
    Priority,
    StayRow,
    Suppression,
)
from models.clinical.alarm import Alarm
from models.clinical.errors import EarlyWarningError, InvalidInput

SERVICE = "prodrome"  # who did it, when no person did


class UnknownAlert(EarlyWarningError):
    """No alert has that id."""


class AlertClosed(EarlyWarningError):
    """The alert is closed: nothing more can be done about it."""


def alert_by_id(session: Session, alert_id: int) -> AlertRow:
    """One alert. Raises UnknownAlert."""
    alert = session.get(AlertRow, alert_id)
    if alert is None:
        raise UnknownAlert(f"no alert {alert_id}")
    return alert


def open_alert(session: Session, stay_id: int, condition_name: str) -> AlertRow | None:
    """The open alert of a stay and condition, if any; locked until the transaction ends, to decide on it."""
    of_condition = (AlertRow.stay_id == stay_id) & (AlertRow.condition_name == condition_name)
    return next(iter(_open_alerts_to_update(session, of_condition)), None)


def alerts_in_state(
    session: Session,
    state: Literal["open", "closed", "all"] = "open",
    stay_external_id: str | None = None,
    limit: int = 1000,
) -> Sequence[AlertRow]:
    """Alerts by state, and of one stay or of all: newest first."""
    chosen = select(AlertRow).order_by(AlertRow.raised_at.desc(), AlertRow.id.desc()).limit(limit)
    if state != "all":
        is_open = AlertRow.closed_at.is_(None)
        chosen = chosen.where(is_open if state == "open" else ~is_open)
    if stay_external_id is not None:
        chosen = chosen.join(StayRow).where(StayRow.external_id == stay_external_id)
    return session.scalars(chosen).all()


def raise_alert(
    session: Session, stay_id: int, alarm: Alarm, *, model_version_id: int, priority: Priority, at: datetime
) -> AlertRow:
    """A new alert for an alarm. The database refuses a second open one (IntegrityError)."""
    alert = AlertRow(
        stay_id=stay_id,
        model_version_id=model_version_id,
        condition_name=alarm.condition,
        condition=Condition.ACTIVE,
        priority=priority,
        raised_at=alarm.time,
        fired_at=alarm.time,
        value=alarm.value,
    )
    session.add(alert)
    session.flush()
    _note(session, alert, EventKind.RAISED, SERVICE, at, **_alarm_detail(alarm), priority=priority)
    return alert


def refire(session: Session, alert_id: int, alarm: Alarm, at: datetime) -> AlertRow:
    """The open alert fires again: its condition is active; what people wrote stays. Raises AlertClosed."""
    alert = _open_for_update(session, alert_id)
    alert.condition = Condition.ACTIVE
    alert.fired_at = max(alert.fired_at, alarm.time)
    alert.value = alarm.value
    _note(session, alert, EventKind.REFIRED, SERVICE, at, **_alarm_detail(alarm))
    return alert


def resume(session: Session, alert_id: int, at: datetime) -> AlertRow:
    """The condition is met again before it may fire: active without an alarm. Raises AlertClosed."""
    alert = _open_for_update(session, alert_id)
    alert.condition = Condition.ACTIVE
    _note(session, alert, EventKind.REFIRED, SERVICE, at, silenced=True)
    return alert


def release(session: Session, alert_id: int, at: datetime) -> AlertRow:
    """The condition is no longer met: the alert closes if somebody handled it, else it latches.

    Nothing happens to an alert that is latched already. Raises AlertClosed.
    """
    alert = _open_for_update(session, alert_id)
    if alert.condition is Condition.ACTIVE:
        alert.condition = Condition.LATCHED
        _note(session, alert, EventKind.RELEASED, SERVICE, at)
        _close_if_finished(session, alert, SERVICE, at)
    return alert


def acknowledge(session: Session, alert_id: int, by: str, *, until: datetime, at: datetime) -> AlertRow:
    """Somebody has seen it, for now. Raises AlertClosed, UnknownAlert, InvalidInput unless `until` > `at`."""
    _refuse_past(until, at)
    alert = _open_for_update(session, alert_id)
    alert.acknowledged_by, alert.acknowledged_at, alert.acknowledgement_expires_at = by, at, until
    _note(session, alert, EventKind.ACKNOWLEDGED, by, at, until=until.isoformat())
    _close_if_finished(session, alert, by, at)
    return alert


def evaluate(session: Session, alert_id: int, by: str, evaluation: Evaluation, at: datetime) -> AlertRow:
    """Somebody judged it. Raises AlertClosed, UnknownAlert."""
    alert = _open_for_update(session, alert_id)
    alert.evaluation = evaluation
    _note(session, alert, EventKind.EVALUATED, by, at, evaluation=evaluation)
    _close_if_finished(session, alert, by, at)
    return alert


def shelve(
    session: Session, alert_id: int, by: str, *, reason: str, until: datetime, at: datetime
) -> AlertRow:
    """Keep it from the board until a time. Raises as `acknowledge` does."""
    _refuse_past(until, at)
    alert = _open_for_update(session, alert_id)
    alert.suppression, alert.shelved_until, alert.shelved_reason = Suppression.SHELVED, until, reason
    _note(session, alert, EventKind.SHELVED, by, at, reason=reason, until=until.isoformat())
    return alert


def note(session: Session, alert_id: int, by: str, text: str, at: datetime) -> AlertRow:
    """Somebody wrote something beside it. Raises AlertClosed, UnknownAlert."""
    alert = _open_for_update(session, alert_id)
    _note(session, alert, EventKind.NOTED, by, at, text=text)
    return alert


def expire_acknowledgements(session: Session, now: datetime) -> Sequence[AlertRow]:
    """End the acknowledgements whose time is up, and return those open alerts."""
    expired = _open_alerts_to_update(session, AlertRow.acknowledgement_expires_at <= now)
    for alert in expired:
        _note(session, alert, EventKind.ACKNOWLEDGEMENT_EXPIRED, SERVICE, now, by=alert.acknowledged_by)
        alert.acknowledged_by = alert.acknowledged_at = alert.acknowledgement_expires_at = None
    session.flush()
    return expired


def expire_shelves(session: Session, now: datetime) -> Sequence[AlertRow]:
    """End the shelves whose time is up, and return those open alerts."""
    expired = _open_alerts_to_update(session, AlertRow.shelved_until <= now)
    for alert in expired:
        alert.suppression, alert.shelved_until, alert.shelved_reason = Suppression.NONE, None, None
        _note(session, alert, EventKind.UNSHELVED, SERVICE, now)
    session.flush()
    return expired


def close_discharged(session: Session, now: datetime) -> Sequence[AlertRow]:
    """Close the open alerts of stays discharged by `now`, and return them: nobody is in that bed any more."""
    discharged = select(StayRow.id).where(StayRow.discharged_at <= now)
    closed = _open_alerts_to_update(session, AlertRow.stay_id.in_(discharged))
    for alert in closed:
        alert.condition, alert.closed_at = Condition.INACTIVE, now
        _note(session, alert, EventKind.CLOSED, SERVICE, now, reason="discharged")
    session.flush()
    return closed


def is_handled(alert: AlertRow, at: datetime) -> bool:
    """Whether somebody judged the alert, or acknowledged it and the acknowledgement is in force at `at`."""
    expires = alert.acknowledgement_expires_at
    return alert.evaluation is not Evaluation.PENDING or (expires is not None and at < expires)


def _close_if_finished(session: Session, alert: AlertRow, who: str, at: datetime) -> None:
    if alert.condition is Condition.LATCHED and is_handled(alert, at):
        alert.condition, alert.closed_at = Condition.INACTIVE, at
        _note(session, alert, EventKind.CLOSED, who, at)


def _open_for_update(session: Session, alert_id: int) -> AlertRow:
    chosen = select(AlertRow).where(AlertRow.id == alert_id).with_for_update(of=AlertRow)
    alert = session.scalar(chosen.execution_options(populate_existing=True))
    if alert is None:
        raise UnknownAlert(f"no alert {alert_id}")
    if alert.closed_at is not None:
        raise AlertClosed(f"alert {alert_id} was closed at {alert.closed_at.isoformat()}")
    return alert


def _open_alerts_to_update(session: Session, condition: ColumnElement[bool]) -> Sequence[AlertRow]:
    chosen = select(AlertRow).where(AlertRow.closed_at.is_(None), condition).order_by(AlertRow.id)
    locked = chosen.with_for_update(of=AlertRow).execution_options(populate_existing=True)
    return session.scalars(locked).all()


def _note(session: Session, alert: AlertRow, kind: EventKind, who: str, at: datetime, **detail: Any) -> None:
    session.add(AlertEventRow(alert_id=alert.id, kind=kind, who=who, at=at, detail=detail))
    session.flush()


def _alarm_detail(alarm: Alarm) -> dict[str, Any]:
    return {"time": alarm.time.isoformat(), "value": alarm.value}


def _refuse_past(until: datetime, at: datetime) -> None:
    if until <= at:
        raise InvalidInput(
            f"{until.isoformat()} is not after {at.isoformat()}", value=until, bound=f"> {at.isoformat()}"
        )
