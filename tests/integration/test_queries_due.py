"""Which stays are due, and that no two workers hold one stay."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, event

from db.queries.due import LeaseLost, claim_due_stays, count_due_stays, mark_scored, rescore_ward
from db.queries.observations import append_observations
from db.queries.stays import StayFacts, upsert_stay
from db.rows import StayRow
from db.session import reading, writing
from models.clinical.ledger import ObservationFacts

ADMITTED = datetime(2026, 11, 22, 8, tzinfo=UTC)
WALL = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=30)


def test_a_stay_without_data_is_not_due(engine: Engine, stay_id: int) -> None:
    assert _claim(engine, now=ADMITTED + 5 * HOUR) == []


def test_new_data_make_a_stay_due_until_it_is_scored(engine: Engine, stay_id: int) -> None:
    newest = _observe(engine, stay_id, ADMITTED + 2.2 * HOUR)
    now = ADMITTED + 2.5 * HOUR
    assert _claim(engine, now=now) == [stay_id]
    _mark(engine, stay_id, newest, ADMITTED + 2 * HOUR)
    assert _claim(engine, now=now) == []
    _observe(engine, stay_id, ADMITTED + 2.3 * HOUR)
    assert _claim(engine, now=now) == [stay_id]


def test_late_data_make_a_scored_stay_due_even_after_discharge(engine: Engine, stay_id: int) -> None:
    newest = _observe(engine, stay_id, ADMITTED + 2 * HOUR)
    _discharge(engine, ADMITTED + 3 * HOUR)
    _scored(engine, stay_id, newest, ADMITTED + 2 * HOUR)
    assert _claim(engine, now=ADMITTED + 9 * HOUR) == []
    _observe(engine, stay_id, ADMITTED + HOUR)
    assert _claim(engine, now=ADMITTED + 9 * HOUR) == [stay_id]


@pytest.mark.parametrize(("hours", "due"), [(2.99, False), (3.0, True), (49.9, True), (50.0, False)])
def test_a_silent_stay_is_due_each_hour_for_48_hours(
    engine: Engine, stay_id: int, hours: float, due: bool
) -> None:
    newest = _observe(engine, stay_id, ADMITTED + 2 * HOUR)
    _scored(engine, stay_id, newest, ADMITTED + 2 * HOUR)
    assert _claim(engine, now=ADMITTED + hours * HOUR) == ([stay_id] if due else [])


def test_a_silent_stay_is_no_longer_due_once_discharged(engine: Engine, stay_id: int) -> None:
    newest = _observe(engine, stay_id, ADMITTED + 2 * HOUR)
    _scored(engine, stay_id, newest, ADMITTED + 2 * HOUR)
    _discharge(engine, ADMITTED + 3 * HOUR)
    assert _claim(engine, now=ADMITTED + 4 * HOUR) == []


def test_the_first_grid_hour_makes_a_stay_due_that_was_looked_at_before_it(
    engine: Engine, stay_id: int
) -> None:
    newest = _observe(engine, stay_id, ADMITTED + 0.2 * HOUR)
    _scored(engine, stay_id, newest, None)
    assert _claim(engine, now=ADMITTED + 0.9 * HOUR) == []
    assert _claim(engine, now=ADMITTED + HOUR) == [stay_id]


def test_the_hour_that_covers_the_newest_data_is_scored_however_long_the_worker_was_down(
    engine: Engine, stay_id: int
) -> None:
    newest = _observe(engine, stay_id, ADMITTED + 2.2 * HOUR)
    _scored(engine, stay_id, newest, ADMITTED + 2 * HOUR)
    assert _claim(engine, now=ADMITTED + 100 * HOUR) == [stay_id]


def test_a_claimed_stay_is_free_again_when_the_lease_runs_out_by_the_wall_clock(
    engine: Engine, stay_id: int
) -> None:
    newest = _observe(engine, stay_id, ADMITTED + 2 * HOUR)
    now = ADMITTED + 2 * HOUR
    assert _claim(engine, now=now) == [stay_id]
    assert _claim(engine, now=now + 40 * HOUR, worker="b") == []
    assert _claim(engine, now=now, worker="b", wall=WALL + LEASE) == [stay_id]
    with pytest.raises(LeaseLost):
        _mark(engine, stay_id, newest, now)
    _mark(engine, stay_id, newest, now, worker="b")


def test_the_stays_furthest_behind_come_first(engine: Engine) -> None:
    ids = {}
    for name, hours in (("new", 3), ("old", 1), ("middle", 2)):
        with writing(engine) as session:
            ids[name] = upsert_stay(session, StayFacts(name, name, ADMITTED + hours * HOUR))[0].id
        _observe(engine, ids[name], ADMITTED + 4 * HOUR)
    assert _claim(engine, now=ADMITTED + 4 * HOUR, limit=2) == [ids["old"], ids["middle"]]
    assert _claim(engine, now=ADMITTED + 4 * HOUR, limit=2) == [ids["new"]]


def test_workers_that_claim_at_once_never_hold_one_stay_together(engine: Engine) -> None:
    with writing(engine) as session:
        stays = [upsert_stay(session, StayFacts(str(n), "s", ADMITTED))[0].id for n in range(12)]
    for stay_id in stays:
        _observe(engine, stay_id, ADMITTED)
    barrier = Barrier(3, timeout=20)

    def work(worker: str) -> list[int]:
        claimed: list[int] = []
        for _ in range(6):
            barrier.wait()
            claimed += _claim(engine, now=ADMITTED + HOUR, worker=worker, limit=2)
        return claimed

    with ThreadPoolExecutor() as threads:
        claimed = [stay for worker in threads.map(work, "abc") for stay in worker]
    assert sorted(claimed) == stays


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_look_for_due_stays_reads_indexes_and_not_every_stay(engine: Engine) -> None:
    looks: list[tuple[str, Any]] = []
    event.listen(
        engine, "before_cursor_execute", lambda _c, _cursor, sql, values, *_: looks.append((sql, values))
    )
    with reading(engine) as session:
        count_due_stays(session, ADMITTED)
    sql, values = looks[-1]
    with engine.connect() as connection:
        plan = [step[-1] for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert "SCAN stays USING INDEX ix_stays_unscored" in plan
    assert "SCAN stays" not in plan


def test_due_stays_are_counted_with_the_hour_of_the_last(engine: Engine, stay_id: int) -> None:
    with reading(engine) as session:
        assert count_due_stays(session, ADMITTED) == (0, None)
    newest = _observe(engine, stay_id, ADMITTED + 2 * HOUR)
    with reading(engine) as session:
        assert count_due_stays(session, ADMITTED + 2 * HOUR) == (1, ADMITTED)
    _scored(engine, stay_id, newest, ADMITTED + 2 * HOUR)
    with reading(engine) as session:
        assert count_due_stays(session, ADMITTED + 2 * HOUR) == (0, None)
        assert count_due_stays(session, ADMITTED + 3 * HOUR) == (1, ADMITTED + 2 * HOUR)


def test_another_model_makes_the_ward_due_from_its_first_hour(engine: Engine, stay_id: int) -> None:
    newest = _observe(engine, stay_id, ADMITTED + 2 * HOUR)
    _scored(engine, stay_id, newest, ADMITTED + 2 * HOUR)
    now = ADMITTED + 2.5 * HOUR
    assert _claim(engine, now=now) == []
    with writing(engine) as session:
        rescore_ward(session, now)
    assert _claim(engine, now=now) == [stay_id]


def _observe(engine: Engine, stay_id: int, at: datetime) -> int:
    with writing(engine) as session:
        stay = session.get_one(StayRow, stay_id)
        append_observations(session, stay, [ObservationFacts(at, at, "heart_rate", 92.0)], at)
        return stay.last_observation_id


def _discharge(engine: Engine, at: datetime) -> None:
    with writing(engine) as session:
        upsert_stay(session, StayFacts("icu-7", "s-7", ADMITTED, discharged_at=at))


def _claim(
    engine: Engine, *, now: datetime, worker: str = "a", wall: datetime = WALL, limit: int = 10
) -> list[int]:
    with writing(engine) as session:
        stays = claim_due_stays(session, worker, now=now, wall_now=wall, limit=limit, lease=LEASE)
        return [stay.id for stay in stays]


def _mark(
    engine: Engine, stay_id: int, observation_id: int, through: datetime | None, worker: str = "a"
) -> None:
    with writing(engine) as session:
        mark_scored(session, stay_id, worker, observation_id=observation_id, withdrawals=0, through=through)


def _scored(engine: Engine, stay_id: int, observation_id: int, through: datetime | None) -> None:
    assert _claim(engine, now=through or ADMITTED) == [stay_id]
    _mark(engine, stay_id, observation_id, through)
    with reading(engine) as session:
        assert session.get_one(StayRow, stay_id).claimed_by is None
