"""Stays and their observations: what is stored once stays so, whoever sends it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine, func, select

from db.queries.clinical import clinical_stay
from db.queries.observations import (
    QuarantineFacts,
    append_observations,
    observations_of,
    quarantine_rows,
)
from db.queries.stays import (
    StayConflict,
    StayFacts,
    care_units,
    keep_tile,
    stay_by_external_id,
    stays_for_update,
    stays_of_ward,
    upsert_stay,
)
from db.rows import ObservationRow, QuarantineRow, StayRow
from db.session import reading, writing
from models.clinical.errors import InvalidInput
from models.clinical.ledger import ObservationFacts, Receipt

Result = TypeVar("Result")

ADMITTED = datetime(2026, 11, 22, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
FACTS = StayFacts("icu-7", "s-7", ADMITTED, bed="07", care_unit="4B", age_years=71.0, sex="female")


def test_a_stay_is_new_once_and_then_takes_over_what_may_change(engine: Engine) -> None:
    moved = replace(FACTS, bed="09", care_unit="5A", age_years=72.5, discharged_at=ADMITTED + HOUR)
    with writing(engine) as session:
        first, created = upsert_stay(session, FACTS)
        again, created_again = upsert_stay(session, moved)
    assert (created, created_again, first.id) == (True, False, again.id)
    with reading(engine) as session:
        stay = stay_by_external_id(session, "icu-7")
    assert stay is not None
    assert (stay.bed, stay.care_unit, stay.age_years, stay.sex) == ("09", "5A", 72.5, "female")
    assert (stay.discharged_at, stay.subject.external_id) == (ADMITTED + HOUR, "s-7")


@pytest.mark.parametrize(
    "contradiction", [{"subject_id": "s-8"}, {"admitted_at": ADMITTED + HOUR}, {"synthetic": True}]
)
def test_what_cannot_change_is_refused_and_nothing_changes(
    engine: Engine, contradiction: dict[str, Any]
) -> None:
    with writing(engine) as session:
        upsert_stay(session, FACTS)
    with pytest.raises(StayConflict, match=next(iter(contradiction))), writing(engine) as session:
        upsert_stay(session, replace(FACTS, bed="99", **contradiction))
    with reading(engine) as session:
        assert [stay.bed for stay in session.scalars(select(StayRow))] == ["07"]


def test_the_same_admission_in_another_offset_is_no_contradiction(engine: Engine) -> None:
    with writing(engine) as session:
        upsert_stay(session, FACTS)
        _, created = upsert_stay(session, replace(FACTS, admitted_at=ADMITTED.astimezone()))
    assert not created


@pytest.mark.parametrize("facts", [{"age_years": 151}, {"discharged_at": ADMITTED - HOUR}])
def test_impossible_facts_are_refused_with_their_bound(facts: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        replace(FACTS, **facts)
    assert refusal.value.bound


def test_threads_that_send_one_new_stay_create_it_once(engine: Engine) -> None:
    def send() -> bool:
        with writing(engine) as session:
            return upsert_stay(session, FACTS)[1]

    assert sorted(_at_once(3, send)) == [False, False, True]


def test_the_ward_holds_who_is_not_discharged_now_by_care_unit(engine: Engine) -> None:
    now = ADMITTED + 5 * HOUR
    with writing(engine) as session:
        upsert_stay(session, replace(FACTS, stay_id="gone", discharged_at=now))
        upsert_stay(session, replace(FACTS, stay_id="planned", bed="2", discharged_at=now + HOUR))
        upsert_stay(session, replace(FACTS, stay_id="here", bed="1", care_unit=None))
    with reading(engine) as session:
        assert [stay.external_id for stay in stays_of_ward(session, now)] == ["here", "planned"]
        assert [stay.external_id for stay in stays_of_ward(session, now, "4B")] == ["planned"]
        assert stays_of_ward(session, now, "none") == []
        assert care_units(session, now) == ["4B"]


def test_a_tile_is_kept_for_the_first_paint(engine: Engine, stay_id: int) -> None:
    with reading(engine) as session:
        assert session.get_one(StayRow, stay_id).tile is None
    with writing(engine) as session:
        keep_tile(session, stay_id, {"bed": "07", "score": {"value": 0.1 + 0.2}})
    with reading(engine) as session:
        assert session.get_one(StayRow, stay_id).tile == {"bed": "07", "score": {"value": 0.1 + 0.2}}


def test_an_observation_is_accepted_once_within_and_across_batches(engine: Engine, stay_id: int) -> None:
    heart, lactate = _fact(10), replace(_fact(10), variable="lactate")
    late_copy = replace(heart, known_at=heart.known_at + HOUR)
    assert _append(engine, stay_id, [heart, lactate, heart, late_copy]) == [
        Receipt.ACCEPTED,
        Receipt.ACCEPTED,
        Receipt.DUPLICATE,
        Receipt.DUPLICATE,
    ]
    corrected = replace(heart, value=91.0)
    assert _append(engine, stay_id, [heart, corrected]) == [Receipt.DUPLICATE, Receipt.ACCEPTED]
    assert _append(engine, stay_id, []) == []
    with reading(engine) as session:
        stored = [(row.variable, row.value, row.known_at) for row in observations_of(session, stay_id)]
    known_at = heart.known_at
    assert stored == [
        ("heart_rate", 91.0, known_at),
        ("heart_rate", 92.0, known_at),
        ("lactate", 92.0, known_at),
    ]


def test_the_same_moment_in_another_offset_is_a_duplicate(engine: Engine, stay_id: int) -> None:
    _append(engine, stay_id, [_fact(10)])
    assert _append(engine, stay_id, [replace(_fact(10), time=_fact(10).time.astimezone())]) == [
        Receipt.DUPLICATE
    ]


def test_a_batch_of_thousands_is_answered_in_its_order(engine: Engine, stay_id: int) -> None:
    _append(engine, stay_id, [_fact(minute) for minute in range(0, 3000, 3)])
    receipts = _append(engine, stay_id, [_fact(minute) for minute in range(3000)])
    assert [receipt is Receipt.DUPLICATE for receipt in receipts] == [n % 3 == 0 for n in range(3000)]


def test_threads_that_send_one_batch_store_it_once(engine: Engine, stay_id: int) -> None:
    facts = [_fact(minute) for minute in range(50)]
    receipts = _at_once(3, lambda: _append(engine, stay_id, facts))
    accepted = [sum(one[n] is Receipt.ACCEPTED for one in receipts) for n in range(50)]
    assert accepted == [1] * 50
    with reading(engine) as session:
        assert session.scalar(select(func.count(ObservationRow.id))) == 50


def test_batches_that_share_stays_in_opposite_order_do_not_deadlock(engine: Engine) -> None:
    with writing(engine) as session:
        for name in ("a", "b"):
            upsert_stay(session, replace(FACTS, stay_id=name))
    barrier = Barrier(2, timeout=20)

    def send(names: Sequence[str]) -> None:
        for minute in range(5):
            barrier.wait()
            with writing(engine) as session:
                stays = stays_for_update(session, [*names, "unknown"])
                for name in names:
                    append_observations(session, stays[name], [_fact(minute)], ADMITTED)

    with ThreadPoolExecutor() as threads:
        list(threads.map(send, [("a", "b"), ("b", "a")]))
    with reading(engine) as session:
        assert session.scalar(select(func.count(ObservationRow.id))) == 10


def test_appends_to_one_stay_wait_for_each_other(engine: Engine, stay_id: int) -> None:
    """Or a scoring watermark could pass an observation under way, and the newest time could go back."""
    stored, seen = Event(), Event()

    def slow() -> None:
        with writing(engine) as session:
            append_observations(session, session.get_one(StayRow, stay_id), [_fact(30)], ADMITTED)
            stored.set()
            seen.wait(0.3)

    def fast() -> int:
        assert stored.wait(10)
        _append(engine, stay_id, [_fact(10)])
        seen.set()
        with reading(engine) as session:
            return len(observations_of(session, stay_id))

    with ThreadPoolExecutor() as threads:
        first, second = threads.submit(slow), threads.submit(fast)
        assert second.result() == 2, "the second was committed while the first was under way"
        first.result()
    with reading(engine) as session:
        assert session.get_one(StayRow, stay_id).last_known_at == ADMITTED + timedelta(minutes=35)


def test_the_newest_data_of_a_stay_never_goes_back(engine: Engine, stay_id: int) -> None:
    _append(engine, stay_id, [_fact(30)])
    _append(engine, stay_id, [_fact(10)])
    with reading(engine) as session:
        stay = session.get_one(StayRow, stay_id)
        newest_id = session.scalar(select(func.max(ObservationRow.id)))
    assert (stay.last_known_at, stay.last_observation_id) == (ADMITTED + timedelta(minutes=35), newest_id)


def test_observations_come_in_total_order_and_as_known_by(engine: Engine, stay_id: int) -> None:
    facts = [_fact(20), _fact(10), replace(_fact(10), variable="base_excess"), replace(_fact(10), value=-1.0)]
    _append(engine, stay_id, facts)
    with reading(engine) as session:
        rows = observations_of(session, stay_id)
        early = observations_of(session, stay_id, known_by=ADMITTED + timedelta(minutes=15))
        none = observations_of(session, stay_id, known_by=ADMITTED + timedelta(minutes=14, seconds=59))
    order = [(row.known_at, row.time, row.variable, row.value) for row in rows]
    assert order == sorted(order)
    assert (len(rows), len(early), len(none)) == (4, 3, 0)


def test_the_models_read_what_was_stored(engine: Engine, stay_id: int) -> None:
    _append(engine, stay_id, [_fact(20), _fact(10)])
    with reading(engine) as session:
        stay = clinical_stay(session.get_one(StayRow, stay_id), observations_of(session, stay_id))
        empty = clinical_stay(session.get_one(StayRow, stay_id), [])
    assert (stay.stay_id, stay.subject_id, stay.admitted_at) == ("icu-7", "s-7", ADMITTED)
    assert stay.observations["value"].tolist() == [92.0, 92.0]
    assert stay.last_known_at == ADMITTED + timedelta(minutes=25)
    assert empty.observations.empty


def test_a_rejected_input_is_kept_as_it_came(engine: Engine) -> None:
    facts = QuarantineFacts(
        "censored", "<0.01 is no number", '{"value": "<0.01"}', "[0, 1]", "ng/mL", "icu-7"
    )
    with writing(engine) as session:
        quarantine_rows(session, [facts, replace(facts, stay_id=None)], ADMITTED)
        quarantine_rows(session, [], ADMITTED)
    with reading(engine) as session:
        rows = session.scalars(select(QuarantineRow).order_by(QuarantineRow.id)).all()
    assert [row.stay_external_id for row in rows] == ["icu-7", None]
    assert (rows[0].reason, rows[0].input, rows[0].bound) == ("censored", '{"value": "<0.01"}', "[0, 1]")


def _fact(minute: int) -> ObservationFacts:
    measured = ADMITTED + timedelta(minutes=minute)
    return ObservationFacts(measured, measured + timedelta(minutes=5), "heart_rate", 92.0)


def _append(engine: Engine, stay_id: int, facts: Sequence[ObservationFacts]) -> list[Receipt]:
    with writing(engine) as session:
        return append_observations(session, session.get_one(StayRow, stay_id), facts, ADMITTED + HOUR)


def _at_once(count: int, action: Callable[[], Result]) -> list[Result]:
    barrier = Barrier(count, timeout=20)

    def act(_: int) -> Result:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(act, range(count)))
