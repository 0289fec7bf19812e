"""Values, times and transactions come back as they went in, on both databases."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from db.queries.audit import beat, last_beat, record
from db.queries.observations import append_observations
from db.queries.stays import StayFacts, stay_by_external_id, upsert_stay
from db.rows import AuditRow, ObservationRow, ScoreRow, StayRow, SubjectRow
from db.session import make_engine, reading, writing
from models.clinical.errors import InvalidInput
from models.clinical.ledger import ObservationFacts

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)

HARD_VALUES = (0.1 + 0.2, 5e-324, -0.0, 92.0, -1e-300, 1e308, 2.0**53 + 2, 1 / 3)


def bits(value: float) -> str:
    return struct.pack(">d", value).hex()


@pytest.mark.parametrize("value", HARD_VALUES, ids=repr)
def test_a_value_comes_back_bit_for_bit(engine: Engine, stay_id: int, value: float) -> None:
    _append(engine, stay_id, ObservationFacts(NOW, NOW, "base_excess", value))
    with reading(engine) as session:
        stored = session.scalars(select(ObservationRow.value)).one()
    assert bits(stored) == bits(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_is_refused(engine: Engine, stay_id: int, value: float) -> None:
    with pytest.raises(IntegrityError):
        _append(engine, stay_id, ObservationFacts(NOW, NOW, "lactate", value))


def test_an_integer_comes_back_as_a_float(engine: Engine, stay_id: int) -> None:
    _append(engine, stay_id, ObservationFacts(NOW, NOW, "lactate", 92))
    with reading(engine) as session:
        assert type(session.scalars(select(ObservationRow.value)).one()) is float


@pytest.mark.parametrize("offset_hours", [-9.5, 0, 5.75, 14])
def test_a_time_comes_back_in_utc_to_the_microsecond(engine: Engine, offset_hours: float) -> None:
    local = NOW.astimezone(timezone(timedelta(hours=offset_hours)))
    with writing(engine) as session:
        upsert_stay(session, StayFacts("icu-1", "s-1", local))
    with reading(engine) as session:
        stored = session.scalars(select(StayRow.admitted_at)).one()
    assert stored == NOW
    assert stored.utcoffset() == timedelta(0)


def test_times_compare_and_order_as_moments_whatever_their_offset(engine: Engine) -> None:
    east, west = timezone(timedelta(hours=10)), timezone(timedelta(hours=-8))
    moments = [NOW + timedelta(microseconds=step) for step in (-1, 0, 1)]
    with writing(engine) as session:
        for number, moment in enumerate(moments):
            upsert_stay(session, StayFacts(str(number), "s", moment.astimezone(west if number % 2 else east)))
    with reading(engine) as session:
        ordered = session.scalars(select(StayRow.admitted_at).order_by(StayRow.admitted_at)).all()
        later = session.scalars(select(StayRow).where(StayRow.admitted_at >= NOW.astimezone(west))).all()
    assert list(ordered) == moments
    assert len(later) == 2


def test_a_time_without_an_offset_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="no time zone"), writing(engine) as session:
        upsert_stay(session, StayFacts("icu-1", "s-1", NOW.replace(tzinfo=None)))


def test_a_failed_transaction_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(IntegrityError), writing(engine) as session:
        _store_a_stay_and_fail(session)
    with reading(engine) as session:
        assert stay_by_external_id(session, "icu-1") is None
        assert session.scalars(select(AuditRow)).all() == []


def test_a_reader_cannot_write_and_the_next_writer_can(engine: Engine) -> None:
    with pytest.raises(DBAPIError, match=r"readonly|read-only"), reading(engine) as session:
        record(session, "test", "never stored", {}, NOW)
    with writing(engine) as session:
        record(session, "test", "stored", {"value": 0.1 + 0.2}, NOW)
    with reading(engine) as session:
        stored = session.scalars(select(AuditRow)).one()
    assert (stored.who, stored.what, stored.detail, stored.at) == (
        "test",
        "stored",
        {"value": 0.1 + 0.2},
        NOW,
    )


def test_a_detail_that_is_no_json_is_refused(engine: Engine) -> None:
    with pytest.raises((StatementError, ValueError), match="JSON compliant"), writing(engine) as session:
        record(session, "test", "never stored", {"value": float("nan")}, NOW)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_postgresql_reader_sees_one_snapshot(engine: Engine) -> None:
    """As on SQLite, where a writer's commit waits for the readers."""
    with reading(engine) as session:
        before = session.scalars(select(AuditRow)).all()
        with writing(engine) as writer:
            record(writer, "test", "meanwhile", {}, NOW)
        assert session.scalars(select(AuditRow)).all() == before


def test_sqlite_runs_with_the_rollback_journal_and_full_synchronisation(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        found = {
            pragma: connection.execute(text(f"PRAGMA {pragma}")).scalar()
            for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert found == {"journal_mode": "delete", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        make_engine(url)


def test_a_foreign_key_must_exist(engine: Engine) -> None:
    with pytest.raises(IntegrityError), writing(engine) as session:
        session.add(
            ObservationRow(stay_id=99, time=NOW, known_at=NOW, received_at=NOW, variable="x", value=1)
        )


def test_an_observation_known_before_it_was_measured_is_refused(engine: Engine, stay_id: int) -> None:
    with pytest.raises(IntegrityError, match="known_at"):
        _append(engine, stay_id, ObservationFacts(NOW, NOW - timedelta(microseconds=1), "lactate", 1.0))


@pytest.mark.parametrize(
    "score",
    [(1.01, "present", ""), (None, "present", ""), (0.5, "absent", "no data"), (None, "absent", "")],
)
def test_a_score_is_a_number_or_a_reason(
    engine: Engine, stay_id: int, model_version_id: int, score: tuple[float | None, str, str]
) -> None:
    row = {"stay_id": stay_id, "model_version_id": model_version_id, "time": NOW, "revision": 1}
    row |= dict(zip(("value", "status", "reason"), score, strict=True))
    row |= {"observation_watermark": 0, "created_at": NOW}
    with pytest.raises(IntegrityError, match="ck_scores"), writing(engine) as session:
        session.add(ScoreRow(**row))


def test_the_newest_beat_of_any_worker_counts(engine: Engine) -> None:
    with reading(engine) as session:
        assert last_beat(session) is None
    for worker, minute in (("a", 0), ("b", 5), ("a", 3), ("b", 4)):
        with writing(engine) as session:
            beat(session, worker, NOW + timedelta(minutes=minute))
    with reading(engine) as session:
        assert last_beat(session) == NOW + timedelta(minutes=4)


def _store_a_stay_and_fail(session: Session) -> None:
    upsert_stay(session, StayFacts("icu-1", "s-1", NOW))
    record(session, "test", "stay stored", {}, NOW)
    session.execute(insert(SubjectRow).values(external_id="s-1"))


def _append(engine: Engine, stay_id: int, *facts: ObservationFacts) -> None:
    with writing(engine) as session:
        append_observations(session, session.get_one(StayRow, stay_id), facts, NOW)
