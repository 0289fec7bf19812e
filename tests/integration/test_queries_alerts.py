"""Alerts: what people wrote stays, what they did expires, and one alert is open at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.queries.alerts import (
    AlertClosed,
    UnknownAlert,
    acknowledge,
    alert_by_id,
    alerts_in_state,
    evaluate,
    expire_acknowledgements,
    expire_shelves,
    note,
    open_alert,
    raise_alert,
    refire,
    release,
    resume,
    shelve,
)
from db.queries.stays import StayFacts, upsert_stay
from db.rows import AlertEventRow, AlertRow, Condition, Evaluation, Priority, Suppression
from db.session import reading, writing
from models.clinical.alarm import Alarm
from models.clinical.errors import InvalidInput

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
Act = Callable[[Session, int], AlertRow]


def _acknowledge(session: Session, alert_id: int) -> AlertRow:
    return acknowledge(session, alert_id, "JK", until=NOW + 4 * HOUR, at=NOW + HOUR)


def _evaluate(session: Session, alert_id: int) -> AlertRow:
    return evaluate(session, alert_id, "JK", Evaluation.REFUTED, NOW + HOUR)


def _shelve(session: Session, alert_id: int) -> AlertRow:
    return shelve(session, alert_id, "JK", reason="in theatre", until=NOW + 2 * HOUR, at=NOW + HOUR)


def _note(session: Session, alert_id: int) -> AlertRow:
    return note(session, alert_id, "JK", "looks well", NOW + HOUR)


def _refire(session: Session, alert_id: int) -> AlertRow:
    return refire(session, alert_id, Alarm("icu-7", "sepsis", NOW + 6 * HOUR, 0.8), NOW + HOUR)


def _release(session: Session, alert_id: int) -> AlertRow:
    return release(session, alert_id, NOW + HOUR)


def _resume(session: Session, alert_id: int) -> AlertRow:
    return resume(session, alert_id, NOW + HOUR)


@pytest.fixture
def alert_id(engine: Engine, stay_id: int, model_version_id: int) -> int:
    """An alert raised at noon for stay `icu-7`."""
    with writing(engine) as session:
        return _raise(session, stay_id, model_version_id).id


def test_an_alarm_raises_an_alert_with_its_first_event(engine: Engine, alert_id: int) -> None:
    alert, events = _read(engine, alert_id)
    assert (alert.condition, alert.priority, alert.value) == (Condition.ACTIVE, Priority.HIGH, 0.7)
    assert (alert.raised_at, alert.fired_at, alert.closed_at) == (NOW, NOW, None)
    assert (alert.evaluation, alert.suppression) == (Evaluation.PENDING, Suppression.NONE)
    assert alert.stay.external_id == "icu-7"
    assert [(event.kind, event.who, event.at, event.detail) for event in events] == [
        ("raised", "prodrome", NOW, {"time": NOW.isoformat(), "value": 0.7, "priority": "high"})
    ]


def test_a_stay_and_condition_have_one_open_alert(
    engine: Engine, stay_id: int, model_version_id: int, alert_id: int
) -> None:
    with pytest.raises(IntegrityError), writing(engine) as session:
        _raise(session, stay_id, model_version_id)
    with writing(engine) as session:
        other_condition = _raise(session, stay_id, model_version_id, condition="shock").id
    _act(engine, alert_id, _release, _acknowledge)
    with writing(engine) as session:
        again = _raise(session, stay_id, model_version_id, hours=5).id
    with writing(engine) as session:
        found = open_alert(session, stay_id, "sepsis")
        assert found is not None
        assert found.id == again
        assert open_alert(session, stay_id, "seizure") is None
        assert {alert.id for alert in alerts_in_state(session)} == {again, other_condition}
        assert [alert.id for alert in alerts_in_state(session, "closed")] == [alert_id]
        assert len(alerts_in_state(session, "all", "icu-7")) == 3
        assert alerts_in_state(session, "all", "icu-8") == []


def test_a_refire_never_wipes_what_people_wrote(engine: Engine, alert_id: int) -> None:
    _act(engine, alert_id, _acknowledge, _shelve, _note, _refire)
    alert, events = _read(engine, alert_id)
    assert (alert.acknowledged_by, alert.acknowledgement_expires_at) == ("JK", NOW + 4 * HOUR)
    assert (alert.shelved_until, alert.shelved_reason) == (NOW + 2 * HOUR, "in theatre")
    assert (alert.condition, alert.value, alert.fired_at) == (Condition.ACTIVE, 0.8, NOW + 6 * HOUR)
    assert alert.raised_at == NOW
    assert [event.kind for event in events] == ["raised", "acknowledged", "shelved", "noted", "refired"]


def test_an_alert_that_nobody_handled_latches_and_a_refire_makes_it_active(
    engine: Engine, alert_id: int
) -> None:
    _act(engine, alert_id, _release, _release)
    alert, events = _read(engine, alert_id)
    assert (alert.condition, alert.closed_at) == (Condition.LATCHED, None)
    assert [event.kind for event in events] == ["raised", "released"]
    _act(engine, alert_id, _refire)
    assert _read(engine, alert_id)[0].condition is Condition.ACTIVE


@pytest.mark.parametrize("handle", [_acknowledge, _evaluate])
@pytest.mark.parametrize("released_first", [True, False])
def test_an_alert_closes_when_it_is_over_and_handled(
    engine: Engine, alert_id: int, handle: Act, released_first: bool
) -> None:
    first, second = (_release, handle) if released_first else (handle, _release)
    _act(engine, alert_id, first)
    assert _read(engine, alert_id)[0].closed_at is None
    _act(engine, alert_id, second)
    alert, events = _read(engine, alert_id)
    assert (alert.condition, alert.closed_at) == (Condition.INACTIVE, NOW + HOUR)
    assert [event.kind for event in events][-1] == "closed"


@pytest.mark.parametrize(
    "act",
    [_acknowledge, _evaluate, _shelve, _note, _refire, _resume, _release],
)
def test_a_closed_alert_takes_nothing_more(engine: Engine, alert_id: int, act: Act) -> None:
    _act(engine, alert_id, _release, _acknowledge)
    before = len(_read(engine, alert_id)[1])
    with pytest.raises(AlertClosed):
        _act(engine, alert_id, act)
    assert len(_read(engine, alert_id)[1]) == before


def test_an_unknown_alert_is_named(engine: Engine) -> None:
    with pytest.raises(UnknownAlert, match="99"), writing(engine) as session:
        _note(session, 99)
    with pytest.raises(UnknownAlert, match="99"), reading(engine) as session:
        alert_by_id(session, 99)


def test_an_acknowledgement_expires_and_is_remembered(engine: Engine, alert_id: int) -> None:
    _act(engine, alert_id, _acknowledge)
    assert _expire(engine, expire_acknowledgements, NOW + 4 * HOUR - timedelta(microseconds=1)) == []
    assert _expire(engine, expire_acknowledgements, NOW + 4 * HOUR) == [alert_id]
    assert _expire(engine, expire_acknowledgements, NOW + 5 * HOUR) == []
    alert, events = _read(engine, alert_id)
    assert (alert.acknowledged_by, alert.acknowledged_at, alert.acknowledgement_expires_at) == (None,) * 3
    assert [(event.kind, event.who) for event in events][1:] == [
        ("acknowledged", "JK"),
        ("acknowledgement_expired", "prodrome"),
    ]
    assert events[-1].detail == {"by": "JK"}


def test_an_acknowledgement_that_has_expired_closes_nothing_even_before_it_is_swept(
    engine: Engine, alert_id: int
) -> None:
    _act(engine, alert_id, _acknowledge)
    with writing(engine) as session:
        release(session, alert_id, NOW + 4 * HOUR)
    assert _read(engine, alert_id)[0].condition is Condition.LATCHED


def test_a_shelf_expires(engine: Engine, alert_id: int) -> None:
    _act(engine, alert_id, _shelve)
    assert _read(engine, alert_id)[0].suppression is Suppression.SHELVED
    assert _expire(engine, expire_shelves, NOW + 2 * HOUR - timedelta(microseconds=1)) == []
    assert _expire(engine, expire_shelves, NOW + 2 * HOUR) == [alert_id]
    alert, events = _read(engine, alert_id)
    assert (alert.suppression, alert.shelved_until, alert.shelved_reason) == (Suppression.NONE, None, None)
    assert [event.kind for event in events] == ["raised", "shelved", "unshelved"]


@pytest.mark.parametrize("until", [NOW, NOW - HOUR])
def test_what_ends_before_it_begins_is_refused(engine: Engine, alert_id: int, until: datetime) -> None:
    with pytest.raises(InvalidInput), writing(engine) as session:
        acknowledge(session, alert_id, "JK", until=until, at=NOW)
    with pytest.raises(InvalidInput), writing(engine) as session:
        shelve(session, alert_id, "JK", reason="in theatre", until=until, at=NOW)


def test_a_condition_that_is_met_again_before_it_may_fire_is_active(engine: Engine, alert_id: int) -> None:
    _act(engine, alert_id, _release, _resume)
    alert, events = _read(engine, alert_id)
    assert (alert.condition, alert.fired_at, alert.value) == (Condition.ACTIVE, NOW, 0.7)
    assert (events[-1].kind, events[-1].detail) == ("refired", {"silenced": True})


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_worker_that_looked_at_an_open_alert_holds_it(engine: Engine, stay_id: int, alert_id: int) -> None:
    """Or a nurse could close it between the look and the change, and the worker would fail."""
    looked, acknowledged = Event(), Event()
    _act(engine, alert_id, _release)

    def nurse() -> None:
        assert looked.wait(10)
        with writing(engine) as session:
            _acknowledge(session, alert_id)
        acknowledged.set()

    with ThreadPoolExecutor() as threads:
        acknowledging = threads.submit(nurse)
        with writing(engine) as session:
            alert = open_alert(session, stay_id, "sepsis")
            looked.set()
            assert not acknowledged.wait(0.3)
            assert alert is not None
            _refire(session, alert.id)
        acknowledging.result()
    alert, _ = _read(engine, alert_id)
    assert (alert.condition, alert.acknowledged_by) == (Condition.ACTIVE, "JK")


def test_the_worker_and_the_nurse_at_once_never_lose_each_other(engine: Engine, alert_id: int) -> None:
    """The release must see the acknowledgement that commits while it waits, or the alert would stay open."""
    acknowledged = Event()

    def nurse() -> None:
        with writing(engine) as session:
            _acknowledge(session, alert_id)
            acknowledged.set()
            time.sleep(0.2)  # meanwhile the worker reaches the alert

    def worker() -> None:
        assert acknowledged.wait(10)
        with writing(engine) as session:
            _release(session, alert_id)

    with ThreadPoolExecutor() as threads:
        for one in [threads.submit(nurse), threads.submit(worker)]:
            one.result()
    alert, events = _read(engine, alert_id)
    assert (alert.condition, alert.acknowledged_by) == (Condition.INACTIVE, "JK")
    assert [event.kind for event in events] == ["raised", "acknowledged", "released", "closed"]


def test_alerts_of_two_stays_are_listed_newest_first(
    engine: Engine, stay_id: int, model_version_id: int, alert_id: int
) -> None:
    with writing(engine) as session:
        other = upsert_stay(session, StayFacts("icu-8", "s-8", NOW))[0].id
        newer = _raise(session, other, model_version_id, hours=1).id
    with reading(engine) as session:
        assert [alert.id for alert in alerts_in_state(session)] == [newer, alert_id]
        assert [alert.id for alert in alerts_in_state(session, limit=1)] == [newer]


def _raise(
    session: Session, stay_id: int, model_version_id: int, *, condition: str = "sepsis", hours: int = 0
) -> AlertRow:
    alarm = Alarm("icu-7", condition, NOW + hours * HOUR, 0.7)
    return raise_alert(
        session, stay_id, alarm, model_version_id=model_version_id, priority=Priority.HIGH, at=alarm.time
    )


def _act(engine: Engine, alert_id: int, *acts: Act) -> None:
    for act in acts:
        with writing(engine) as session:
            act(session, alert_id)


def _expire(
    engine: Engine, sweep: Callable[[Session, datetime], Sequence[AlertRow]], now: datetime
) -> list[int]:
    with writing(engine) as session:
        return [alert.id for alert in sweep(session, now)]


def _read(engine: Engine, alert_id: int) -> tuple[AlertRow, list[AlertEventRow]]:
    with reading(engine) as session:
        alert = alert_by_id(session, alert_id)
        return alert, list(alert.events)
