"""A worker's claims: kept while it works, however long, and free seconds after it was killed or hangs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from db.queries.audit import last_beat
from db.queries.due import claim_due_stays
from db.queries.observations import append_observations
from db.rows import StayRow
from db.session import reading, writing
from models.clinical.ledger import ObservationFacts
from service import heartbeat
from service.clock import wall_now
from service.heartbeat import Heartbeat

LEASE = timedelta(seconds=0.6)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def due_stay(engine: Engine, stay_id: int) -> int:
    """A stay with an observation that no score covers."""
    with writing(engine) as session:
        stay = session.get_one(StayRow, stay_id)
        append_observations(session, stay, [ObservationFacts(NOW, NOW, "heart_rate", 92.0)], NOW)
    return stay_id


def claim(engine: Engine, worker_id: str) -> list[int]:
    """What a worker gets."""
    with writing(engine) as session:
        stays = claim_due_stays(session, worker_id, now=NOW, wall_now=wall_now(), limit=4, lease=LEASE)
        return [stay.id for stay in stays]


def test_a_stay_that_takes_longer_than_its_lease_is_not_taken_away(engine: Engine, due_stay: int) -> None:
    assert claim(engine, "a") == [due_stay]
    beats = Heartbeat(engine, "a", LEASE)
    beats.hold([due_stay])
    with beats.beside():
        time.sleep(2 * LEASE.total_seconds())
        assert claim(engine, "b") == []
    time.sleep(1.2 * LEASE.total_seconds())  # as after a kill: nothing was given back
    assert claim(engine, "b") == [due_stay]


def test_what_is_done_or_failed_or_taken_is_not_renewed(engine: Engine, due_stay: int) -> None:
    assert claim(engine, "a") == [due_stay]
    for worker_id, held in (("a", []), ("c", [due_stay])):
        beats = Heartbeat(engine, worker_id, timedelta(hours=1))
        beats.hold(held)
        beats.beat()
    time.sleep(1.2 * LEASE.total_seconds())
    assert claim(engine, "b") == [due_stay]


def test_a_worker_that_hangs_falls_silent(
    engine: Engine, due_stay: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_HANGS_AFTER_SECONDS", -1.0)
    assert claim(engine, "a") == [due_stay]
    beats = Heartbeat(engine, "a", LEASE)
    beats.hold([due_stay])
    with beats.beside():
        time.sleep(1.5 * LEASE.total_seconds())
    with reading(engine) as session:
        assert last_beat(session) is None
    assert claim(engine, "b") == [due_stay]
