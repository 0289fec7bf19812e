"""An alert told from its events is the alert, and at an earlier moment what it was then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db.queries import alerts
from db.rows import Evaluation, Priority
from db.session import writing
from models.clinical.alarm import Alarm
from service.alert_history import alert_as_of
from service.answers import alert_with_events

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
Act = Callable[[Session, int, datetime], object]

ACTS: dict[str, Act] = {
    "acknowledge": lambda session, alert_id, at: alerts.acknowledge(
        session, alert_id, "JK", until=at + timedelta(hours=2), at=at
    ),
    "expire": lambda session, _, at: alerts.expire_acknowledgements(session, at),
    "shelve": lambda session, alert_id, at: alerts.shelve(
        session, alert_id, "JK", reason="theatre", until=at + timedelta(hours=1), at=at
    ),
    "unshelve": lambda session, _, at: alerts.expire_shelves(session, at),
    "evaluate": lambda session, alert_id, at: alerts.evaluate(session, alert_id, "ML", Evaluation.UNSURE, at),
    "note": lambda session, alert_id, at: alerts.note(session, alert_id, "ML", "cultures", at),
    "refire": lambda session, alert_id, at: alerts.refire(
        session, alert_id, Alarm("icu-7", "sepsis", at, 0.9), at
    ),
    "resume": alerts.resume,
    "release": alerts.release,
}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.sampled_from(sorted(ACTS)), max_size=8))
def test_an_alert_told_from_its_events_is_the_alert(
    engine: Engine, stay_id: int, model_version_id: int, names: list[str]
) -> None:
    with writing(engine) as session:
        alarm = Alarm("icu-7", "sepsis", NOON, 0.7)
        alert = alerts.raise_alert(
            session, stay_id, alarm, model_version_id=model_version_id, priority=Priority.HIGH, at=NOON
        )
        stood = [(NOON, alert_with_events(alert))]
        for number, name in enumerate(names, 1):
            at = NOON + timedelta(hours=number)
            if alert.closed_at is None:
                ACTS[name](session, alert.id, at)
                session.refresh(alert)
            stood.append((at, alert_with_events(alert)))
        for at, then in stood:
            assert alert_as_of(alert, at) == then
        assert alert_as_of(alert, NOON - timedelta(seconds=1)) is None
        session.rollback()
