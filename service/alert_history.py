"""An alert as it stood at an earlier moment, told from its events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from db.rows import AlertEventRow, AlertRow, EventKind
from service.answers import Json, alert_with_events, event_json, instant

_UNACKNOWLEDGED = {"acknowledged_by": None, "acknowledged_at": None, "acknowledgement_expires_at": None}
_UNSHELVED = {"suppression": "none", "shelved_until": None, "shelved_reason": None}
_BEGINNING = {**_UNACKNOWLEDGED, **_UNSHELVED, "evaluation": "pending", "closed_at": None}


def alert_as_of(alert: AlertRow, as_of: datetime) -> Json | None:
    """The alert with what had happened to it by `as_of`; None if it had not been raised."""
    events = [event for event in alert.events if event.at <= as_of]
    if not events:
        return None
    told = alert_with_events(alert) | _BEGINNING | {"events": [event_json(event) for event in events]}
    for event in events:
        told |= _CHANGES[event.kind](event)
    return told


def _fired(event: AlertEventRow) -> Json:
    value = {"value": event.detail["value"]} if "value" in event.detail else {}
    return {"condition": "active", **value}


def _acknowledged(event: AlertEventRow) -> Json:
    return {
        "acknowledged_by": event.who,
        "acknowledged_at": instant(event.at),
        "acknowledgement_expires_at": _moment(event.detail["until"]),
    }


def _shelved(event: AlertEventRow) -> Json:
    return {
        "suppression": "shelved",
        "shelved_until": _moment(event.detail["until"]),
        "shelved_reason": event.detail["reason"],
    }


def _moment(text: str) -> str | None:
    return instant(datetime.fromisoformat(text))


_CHANGES: dict[EventKind, Callable[[AlertEventRow], Json]] = {
    EventKind.RAISED: _fired,
    EventKind.REFIRED: _fired,
    EventKind.RELEASED: lambda _: {"condition": "latched"},
    EventKind.ACKNOWLEDGED: _acknowledged,
    EventKind.ACKNOWLEDGEMENT_EXPIRED: lambda _: _UNACKNOWLEDGED,
    EventKind.EVALUATED: lambda event: {"evaluation": event.detail["evaluation"]},
    EventKind.SHELVED: _shelved,
    EventKind.UNSHELVED: lambda _: _UNSHELVED,
    EventKind.NOTED: lambda _: {},
    EventKind.CLOSED: lambda event: {"condition": "inactive", "closed_at": instant(event.at)},
}
