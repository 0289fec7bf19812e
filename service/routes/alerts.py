"""Alerts: read them, and record what people did about them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from sqlalchemy.orm import Session

from db.queries import alerts
from db.queries.audit import record
from db.queries.outbox import publish
from db.rows import AlertRow, Evaluation
from db.session import reading
from service.answers import Json, alert_json, alert_with_events, instant
from service.clock import wall_now
from service.context import Context, Parts
from service.schemas import AcknowledgeIn, EvaluateIn, NoteIn, ShelveIn

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

AlertId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("")
def list_alerts(
    parts: Parts, state: Literal["open", "closed", "all"] = "open", stay_id: str | None = None
) -> Json:
    """Alerts by state, newest first."""
    with reading(parts.engine) as session:
        found = alerts.alerts_in_state(session, state, stay_id)
        return {"now": instant(parts.clock.now()), "alerts": [alert_json(alert) for alert in found]}


@router.post("/{alert_id}/acknowledge")
def acknowledge(parts: Parts, alert_id: AlertId, body: AcknowledgeIn) -> Json:
    """Somebody has seen the alert; it is quiet until the acknowledgement expires."""

    def change(session: Session, at: datetime) -> AlertRow:
        until = at + timedelta(minutes=body.expires_minutes)
        return alerts.acknowledge(session, alert_id, body.by, until=until, at=at)

    return _changed(parts, "acknowledged", body.by, change)


@router.post("/{alert_id}/evaluate")
def evaluate(parts: Parts, alert_id: AlertId, body: EvaluateIn) -> Json:
    """Somebody judged the alert."""

    def change(session: Session, at: datetime) -> AlertRow:
        return alerts.evaluate(session, alert_id, body.by, Evaluation(body.evaluation), at)

    return _changed(parts, "evaluated", body.by, change)


@router.post("/{alert_id}/shelve")
def shelve(parts: Parts, alert_id: AlertId, body: ShelveIn) -> Json:
    """Keep the alert out of the way for a stated reason and time."""

    def change(session: Session, at: datetime) -> AlertRow:
        until = at + timedelta(minutes=body.minutes)
        return alerts.shelve(session, alert_id, body.by, reason=body.reason, until=until, at=at)

    return _changed(parts, "shelved", body.by, change)


@router.post("/{alert_id}/note")
def note(parts: Parts, alert_id: AlertId, body: NoteIn) -> Json:
    """Write a remark into the alert's history."""

    def change(session: Session, at: datetime) -> AlertRow:
        return alerts.note(session, alert_id, body.by, body.text, at)

    return _changed(parts, "noted", body.by, change)


def _changed(
    parts: Context, what: str, by: str, change: Callable[[Session, datetime], AlertRow]
) -> dict[str, Any]:
    """Change, audit and publish in one transaction; the answer is what the board must now show."""
    at = parts.clock.now()
    with parts.writing() as session:
        alert = change(session, at)
        session.refresh(alert)
        answer = alert_with_events(alert)
        record(session, by, f"alert {what}", {"alert_id": alert.id, "stay_id": answer["stay_id"]}, at)
        publish(session, "alert", alert_json(alert), wall_now())
    return answer
