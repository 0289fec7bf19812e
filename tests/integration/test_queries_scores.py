"""Scores: every revision stays, the newest counts, and the past can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from db.queries.scores import (
    activate_model_version,
    active_model_version,
    latest_scores,
    score_revisions,
    shown_through,
    store_scores,
)
from db.rows import ScoreRow
from db.session import reading, writing
from models.clinical.score import ScoreSeries, ScoreStatus

ADMITTED = datetime(2026, 11, 22, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_only_new_and_changed_scores_are_written(engine: Engine, stay_id: int, model_version_id: int) -> None:
    first = _store(engine, stay_id, model_version_id, [0.1, None], at=2)
    again = _store(engine, stay_id, model_version_id, [0.1, None], at=3)
    late_data = _store(engine, stay_id, model_version_id, [0.1 + 0.2, None, 0.3], at=4)
    assert [(row.time, row.value, row.revision) for row in first] == [
        (ADMITTED + HOUR, 0.1, 1),
        (ADMITTED + 2 * HOUR, None, 1),
    ]
    assert again == []
    assert [(row.time, row.value, row.revision) for row in late_data] == [
        (ADMITTED + HOUR, 0.1 + 0.2, 2),
        (ADMITTED + 3 * HOUR, 0.3, 1),
    ]
    assert {row.observation_watermark for row in late_data} == {4}


@pytest.mark.parametrize("change", [np.nextafter(0.5, 1), None])
def test_the_smallest_change_is_a_revision(
    engine: Engine, stay_id: int, model_version_id: int, change: float | None
) -> None:
    _store(engine, stay_id, model_version_id, [0.5], at=1)
    assert [row.revision for row in _store(engine, stay_id, model_version_id, [change], at=2)] == [2]
    assert [row.value for row in _latest(engine, stay_id, model_version_id)] == [change]


def test_another_spread_is_a_revision_and_the_same_is_none(
    engine: Engine, stay_id: int, model_version_id: int
) -> None:
    first, wider = (0.1 + 0.2, 0.7), (0.1 + 0.2, np.nextafter(0.7, 1))
    for at, spread in enumerate((None, first, first, wider, None), start=1):
        _store(engine, stay_id, model_version_id, [0.5, None], at=at, spread=spread)
    with reading(engine) as session:
        rows = score_revisions(session, stay_id, model_version_id)
    nothing = (None, None)
    assert [(row.low, row.high) for row in rows] == [nothing, first, wider, nothing, nothing]
    assert [row.revision for row in rows] == [1, 2, 3, 4, 1]


@pytest.mark.parametrize(
    "spread",
    [
        {"low": 0.4},
        {"high": 0.6},
        {"low": 0.6, "high": 0.4},
        {"low": -0.1, "high": 0.4},
        {"low": 0.1, "high": 1.1},
        {"low": 0.1, "high": 0.2, "value": None, "status": ScoreStatus.ABSENT, "reason": "no data"},
    ],
)
def test_an_impossible_spread_cannot_be_stored(
    engine: Engine, stay_id: int, model_version_id: int, spread: dict[str, Any]
) -> None:
    row = _store(engine, stay_id, model_version_id, [0.5], at=1)[0]
    kept = {
        column.key: getattr(row, column.key) for column in ScoreRow.__table__.columns if column.key != "id"
    }
    with pytest.raises(IntegrityError), writing(engine) as session:
        session.add(ScoreRow(**kept | {"revision": 2} | spread))


def test_another_reason_for_no_score_is_a_revision(
    engine: Engine, stay_id: int, model_version_id: int
) -> None:
    _store(engine, stay_id, model_version_id, [None], at=1, reason="no lactate")
    _store(engine, stay_id, model_version_id, [None], at=2, reason="no pressure")
    newest = _latest(engine, stay_id, model_version_id)
    assert [(row.reason, row.status, row.revision) for row in newest] == [
        ("no pressure", ScoreStatus.INDETERMINATE, 2)
    ]


def test_as_of_gives_what_was_known_then(engine: Engine, stay_id: int, model_version_id: int) -> None:
    _store(engine, stay_id, model_version_id, [0.1, 0.2], at=2)
    _store(engine, stay_id, model_version_id, [0.1, 0.9, 0.3], at=4)
    before = _latest(engine, stay_id, model_version_id, as_of=ADMITTED + 2 * HOUR - timedelta(microseconds=1))
    then = _latest(engine, stay_id, model_version_id, as_of=ADMITTED + 2 * HOUR)
    now = _latest(engine, stay_id, model_version_id)
    assert [row.value for row in before] == []
    assert [row.value for row in then] == [0.1, 0.2]
    assert [row.value for row in now] == [0.1, 0.9, 0.3]


def test_the_last_hour_with_a_number_is_told_across_models(
    engine: Engine, stay_id: int, model_version_id: int
) -> None:
    with reading(engine) as session:
        assert shown_through(session, stay_id) is None
    _store(engine, stay_id, _activate(engine, "sirs", at=1)[0], [0.1, 0.2, None], at=3)
    _store(engine, stay_id, model_version_id, [0.1], at=3)
    with reading(engine) as session:
        assert shown_through(session, stay_id) == ADMITTED + 2 * HOUR


def test_every_revision_can_be_read(engine: Engine, stay_id: int, model_version_id: int) -> None:
    for at, value in enumerate([0.1, 0.2, 0.3], start=1):
        _store(engine, stay_id, model_version_id, [value, 0.5], at=at)
    with reading(engine) as session:
        rows = score_revisions(session, stay_id, model_version_id)
        then = score_revisions(session, stay_id, model_version_id, as_of=ADMITTED + 2 * HOUR)
    assert [(row.value, row.revision) for row in rows] == [(0.1, 1), (0.2, 2), (0.3, 3), (0.5, 1)]
    assert len(then) == 3


def test_two_models_score_one_stay_side_by_side(engine: Engine, stay_id: int, model_version_id: int) -> None:
    other = _activate(engine, "sirs", at=1)[0]
    _store(engine, stay_id, model_version_id, [0.1], at=1)
    assert [row.revision for row in _store(engine, stay_id, other, [0.9], at=1)] == [1]
    assert [row.value for row in _latest(engine, stay_id, model_version_id)] == [0.1]


def test_a_revision_is_written_once(engine: Engine, stay_id: int, model_version_id: int) -> None:
    row = _store(engine, stay_id, model_version_id, [0.1], at=1)[0]
    copy = {
        column.key: getattr(row, column.key) for column in ScoreRow.__table__.columns if column.key != "id"
    }
    with pytest.raises(IntegrityError), writing(engine) as session:
        session.add(ScoreRow(**copy))


def test_the_model_activated_last_scores_and_tells_whether_it_is_another(engine: Engine) -> None:
    with reading(engine) as session:
        assert active_model_version(session) is None
    news, changed = _activate(engine, "news2", at=0)
    assert changed
    assert _activate(engine, "news2", at=1) == (news, False)
    sirs, changed = _activate(engine, "sirs", at=2)
    assert changed
    assert _activate(engine, "news2", at=3) == (news, True)
    with reading(engine) as session:
        active = active_model_version(session)
    assert active is not None
    assert (active.id, active.activated_at, active.policy) == (news, ADMITTED + 3 * HOUR, {"k": 3})
    assert sirs != news


def _series(values: Sequence[float | None], reason: str, spread: tuple[float, float] | None) -> ScoreSeries:
    low, high = (
        np.array([np.nan if value is None or spread is None else spread[side] for value in values])
        for side in (0, 1)
    )
    return ScoreSeries(
        stay_id="icu-7",
        model="news2",
        time=pd.date_range(ADMITTED + HOUR, periods=len(values), freq=HOUR, unit="us"),
        value=np.array([np.nan if value is None else value for value in values]),
        status=tuple(ScoreStatus.INDETERMINATE if value is None else ScoreStatus.PRESENT for value in values),
        reason=tuple(reason if value is None else "" for value in values),
        low=low,
        high=high,
    )


def _store(
    engine: Engine,
    stay_id: int,
    model_version_id: int,
    values: Sequence[float | None],
    *,
    at: int,
    reason: str = "too little data",
    spread: tuple[float, float] | None = None,
) -> list[ScoreRow]:
    series = _series(values, reason, spread)
    created_at = ADMITTED + at * HOUR
    with writing(engine) as session:
        return store_scores(
            session, stay_id, model_version_id, series, observation_watermark=at, created_at=created_at
        )


def _latest(
    engine: Engine,
    stay_id: int,
    model_version_id: int,
    *,
    as_of: datetime | None = None,
) -> Sequence[ScoreRow]:
    with reading(engine) as session:
        return latest_scores(session, stay_id, model_version_id, as_of=as_of)


def _activate(engine: Engine, name: str, *, at: int) -> tuple[int, bool]:
    with writing(engine) as session:
        row, changed = activate_model_version(
            session, name, "abc", threshold=0.5, policy={"k": at}, at=ADMITTED + at * HOUR
        )
        return row.id, changed
