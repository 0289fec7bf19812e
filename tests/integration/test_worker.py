"""The worker on a real database: what it scores, whom it tells, and what a failure leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from db.queries import alerts
from db.queries.observations import append_observations
from db.queries.stays import StayFacts, upsert_stay
from db.rows import AlertEventRow, AlertRow, AuditRow, Condition, EventKind, OutboxRow, ScoreRow, StayRow
from db.session import reading, writing
from models.clinical.alarm import AlarmPolicy
from models.clinical.ledger import ObservationFacts
from models.clinical.score import ScoreSeries, ScoreStatus
from models.clinical.stay import Stay
from models.rules import NEWS2, CarryForward
from pipelines.metrics.alarms import Watched
from pipelines.metrics.burden import decide
from service.settings import Settings
from service.worker import Worker

ADMITTED = datetime(2026, 11, 22, 8, tzinfo=UTC)
WELL = {"heart_rate": 75.0, "respiratory_rate": 14.0, "systolic_pressure": 121.0, "temperature": 36.8,
        "oxygen_saturation": 97.0}  # fmt: skip
ILL = WELL | {"heart_rate": 135.0, "respiratory_rate": 27.0, "systolic_pressure": 88.0}

WorkerAt = Callable[..., Worker]


def at(hours: float) -> datetime:
    """Hours after the admission."""
    return ADMITTED + timedelta(hours=hours)


class Fragile(NEWS2):
    """A rule that fails on the stays of `broken`."""

    broken: set[str] = set()  # noqa: RUF012

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """Score, or fail as numerics do."""
        if stay.stay_id in self.broken:
            raise ZeroDivisionError("no pivot")
        return super().score(stay, end)


@pytest.fixture
def worker_at(settings: Settings) -> Iterator[WorkerAt]:
    """Workers whose clock stands at so many hours after the admission; `facts` change the settings."""
    made: list[Worker] = []

    def make(hours: float, model: NEWS2 | None = None, **facts: object) -> Worker:
        change = {"clock_start": at(hours), "clock_anchor": datetime.now(UTC), **facts}
        made.append(Worker(settings.model_copy(update=change), model or NEWS2()))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


def admit(engine: Engine, name: str = "icu-7") -> None:
    """Announce a stay."""
    with writing(engine) as session:
        upsert_stay(session, StayFacts(name, name, ADMITTED))


def observe(
    engine: Engine, signs: dict[str, float], hours: float, name: str = "icu-7", known: float | None = None
) -> None:
    """Store vital signs measured at `hours`, known then or at `known`."""
    facts = [
        ObservationFacts(at(hours), at(known if known is not None else hours), variable, value)
        for variable, value in signs.items()
    ]
    with writing(engine) as session:
        stay = session.scalars(select(StayRow).where(StayRow.external_id == name)).one()
        append_observations(session, stay, facts, at(hours))


def history(engine: Engine) -> list[tuple[str, str | None]]:
    """What happened to the alerts, with the grid hour of an alarm."""
    with reading(engine) as session:
        events = session.scalars(select(AlertEventRow).order_by(AlertEventRow.id)).all()
    return [(event.kind.value, event.detail.get("time", "")[11:16] or None) for event in events]


def end_leases(engine: Engine) -> None:
    """Let time pass for every claim."""
    with writing(engine) as session:
        session.execute(update(StayRow).values(claimed_by=None, claimed_until=None))


def score_rows(engine: Engine) -> list[ScoreRow]:
    """Every stored score by time and revision."""
    with reading(engine) as session:
        return list(session.scalars(select(ScoreRow).order_by(ScoreRow.time, ScoreRow.revision)))


def test_hours_are_scored_to_the_clock_and_not_beyond(engine: Engine, worker_at: WorkerAt) -> None:
    admit(engine)
    observe(engine, WELL, 2.5)
    assert worker_at(2.6).step()
    assert [row.time for row in score_rows(engine)] == [at(1), at(2)]
    assert not worker_at(2.9).step()  # nothing new
    assert worker_at(3.0).step()
    assert worker_at(50).step()
    assert [row.time for row in score_rows(engine)] == [at(hour) for hour in range(1, 51)]
    statuses = [row.status.value for row in score_rows(engine)]
    assert (statuses[:2], statuses[2], statuses[-1]) == (["absent"] * 2, "present", "indeterminate")
    assert not worker_at(51.0).step()  # silent for more than 48 h


def test_a_discharged_stay_is_not_scored_on(engine: Engine, worker_at: WorkerAt) -> None:
    admit(engine)
    observe(engine, WELL, 2.5)
    with writing(engine) as session:
        upsert_stay(session, StayFacts("icu-7", "icu-7", ADMITTED, discharged_at=at(4)))
    assert worker_at(10).step()
    assert [row.time for row in score_rows(engine)] == [at(1), at(2), at(3)]
    assert not worker_at(11).step()


class Scripted(NEWS2):
    """Scores that were written down beforehand, NaN for none."""

    def __init__(self, values: npt.NDArray[np.float64]) -> None:
        super().__init__()
        self.values = values

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """The scores up to `end`."""
        time = stay.grid(end)
        value = self.values[: len(time)]
        status = tuple(ScoreStatus.ABSENT if np.isnan(one) else ScoreStatus.PRESENT for one in value)
        reason = tuple("nothing known" if np.isnan(one) else "" for one in value)
        return ScoreSeries(stay.stay_id, self.name, time, value, status, reason)


def test_what_the_worker_raises_is_what_the_simulator_says(
    engine: Engine, worker_at: WorkerAt, tmp_path: Path
) -> None:
    rng = np.random.default_rng(7)
    values = np.where(rng.random(16) < 0.15, np.nan, rng.random(16).round(1))
    delays = {"on_delay": timedelta(hours=1), "off_delay": timedelta(hours=1)}
    policy = AlarmPolicy(0.5, 0.3, 2, 3, timedelta(hours=4), **delays)  # type: ignore[arg-type]
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy.as_json()), encoding="utf-8")
    admit(engine)
    observe(engine, WELL, 0.5)
    for hour in range(1, 17):
        worker_at(hour + 0.1, Scripted(values), policy_file=str(file)).step()
    watched = Watched.hourly(np.array([16]), np.arange(1, 17), values)
    alarm, active = decide(watched, policy)
    told = [hour for kind, hour in history(engine) if kind == "raised" or (kind == "refired" and hour)]
    assert told == [at(int(hour)).strftime("%H:%M") for hour in np.flatnonzero(alarm) + 1]
    assert len(told) >= 2
    with reading(engine) as session:
        (alert,) = session.scalars(select(AlertRow)).all()
    assert (alert.condition is Condition.ACTIVE) == bool(active[-1])


def test_the_life_of_an_alert(engine: Engine, worker_at: WorkerAt) -> None:
    admit(engine)
    observe(engine, ILL, 0.5)
    for hours in (1.1, 1.2):
        worker_at(hours).step()
    assert history(engine) == [("raised", "09:00")]
    observe(engine, WELL, 1.5)
    worker_at(2.1).step()
    assert history(engine)[1:] == [("released", None)]
    observe(engine, ILL, 2.5)
    worker_at(3.1).step()  # met again, and silenced by the refractory time
    assert history(engine)[2:] == [("refired", None)]
    worker_at(6.9).step()
    assert len(history(engine)) == 3
    worker_at(7.1).step()  # the refractory time has passed and it is still met
    assert history(engine)[3:] == [("refired", "15:00")]
    with reading(engine) as session:
        alert = session.scalars(select(AlertRow)).one()
    assert (alert.condition.value, alert.raised_at, alert.fired_at) == ("active", at(1), at(7))


def test_late_data_call_for_the_present_and_not_for_the_past(engine: Engine, worker_at: WorkerAt) -> None:
    admit(engine)
    observe(engine, WELL, 0.5)
    observe(engine, WELL, 4.5)
    worker_at(6.1).step()
    observe(engine, ILL, 2.5)  # sent late: ill at hours 3 and 4, well again since
    worker_at(6.2).step()
    assert [row.revision for row in score_rows(engine)].count(2) == 2
    assert history(engine) == []
    observe(engine, ILL, 5.6)  # met now, and silenced by an alarm that nobody was told
    worker_at(6.3).step()
    assert history(engine) == [("raised", "11:00")]
    observe(engine, ILL, 1.6)  # moves that alarm by an hour: everybody has been told
    worker_at(6.4).step()
    assert history(engine) == [("raised", "11:00")]


def test_a_history_that_is_sent_at_once_tells_its_alarms(engine: Engine, worker_at: WorkerAt) -> None:
    admit(engine)
    for hours, signs in ((0.5, WELL), (2.5, ILL), (5.5, WELL)):
        observe(engine, signs, hours)
    worker_at(8.1).step()
    assert history(engine) == [("raised", "11:00"), ("released", None)]
    with reading(engine) as session:
        assert session.scalars(select(AlertRow)).one().condition.value == "latched"


def test_a_discharge_closes_the_alert_and_says_why(engine: Engine, worker_at: WorkerAt) -> None:
    admit(engine)
    observe(engine, ILL, 0.5)
    worker_at(1.1).step()
    with writing(engine) as session:
        session.scalars(select(StayRow)).one().discharged_at = at(2)
    worker_at(1.9).step()
    assert history(engine) == [("raised", "09:00")]
    worker_at(2.1).step()
    assert history(engine)[-1] == ("closed", None)
    with reading(engine) as session:
        messages = session.scalars(select(OutboxRow).where(OutboxRow.kind == "alert")).all()
    assert messages[-1].payload["closed_at"] is not None


def test_an_acknowledgement_expires_and_is_published(engine: Engine, worker_at: WorkerAt) -> None:
    admit(engine)
    observe(engine, ILL, 0.5)
    worker_at(1.1).step()
    with writing(engine) as session:
        alerts.acknowledge(session, 1, "JK", until=at(2), at=at(1.2))
    worker_at(1.9).step()
    assert history(engine)[-1] == ("acknowledged", None)
    worker_at(2.0).step()
    assert ("acknowledgement_expired", None) in history(engine)
    with reading(engine) as session:
        messages = session.scalars(select(OutboxRow).where(OutboxRow.kind == "alert")).all()
    assert messages[-1].payload["acknowledged_by"] is None


def test_a_failing_model_says_so_and_is_tried_again(engine: Engine, worker_at: WorkerAt) -> None:
    for name in ("icu-7", "icu-8"):
        admit(engine, name)
        observe(engine, ILL, 0.5, name)
    model = Fragile()
    model.broken = {"icu-7"}
    worker = worker_at(3.1, model)
    assert worker.step()
    failed = [row for row in score_rows(engine) if row.status.value == "absent"]
    assert [(row.time, row.reason) for row in failed] == [(at(3), "the model failed (ZeroDivisionError)")]
    with reading(engine) as session:
        assert session.scalars(select(AuditRow.what)).all().count("scoring failed") == 1
        tiles = {stay.external_id: stay.tile for stay in session.scalars(select(StayRow))}
        assert [stay.external_id for stay in session.scalars(select(StayRow)) if stay.claimed_by] == ["icu-7"]
    assert tiles["icu-7"] is not None
    assert tiles["icu-7"]["score"]["status"] == "absent"
    assert not worker.step()  # its lease keeps the failed stay from being tried at once
    model.broken = set()
    end_leases(engine)
    assert worker.step()
    mended = [row for row in score_rows(engine) if row.time == at(3)]
    assert [row.value is None for row in mended].count(False) == 2
    assert history(engine).count(("raised", "09:00")) == 2


def test_another_model_scores_everything_and_repeats_nothing(engine: Engine, worker_at: WorkerAt) -> None:
    admit(engine)
    for hours, signs in ((0.5, ILL), (2.5, WELL)):
        observe(engine, signs, hours)
    worker_at(4.1).step()
    told = history(engine)
    assert worker_at(4.2, NEWS2(CarryForward(vital_hours=11.0))).step()
    assert len(score_rows(engine)) == 8
    assert history(engine) == told
    assert not worker_at(4.3, NEWS2(CarryForward(vital_hours=11.0))).step()


def test_workers_share_the_ward_and_score_each_stay_once(engine: Engine, worker_at: WorkerAt) -> None:
    names = [f"icu-{number}" for number in range(12)]
    for name in names:
        admit(engine, name)
        observe(engine, ILL, 0.5, name)
    workers = [worker_at(3.1), worker_at(3.1)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda worker: [worker.step() for _ in range(5)], workers))
    with reading(engine) as session:
        scored = session.scalars(select(AuditRow).where(AuditRow.what == "scored")).all()
    assert sorted(row.detail["stay_id"] for row in scored) == sorted(names)
    assert history(engine) == [("raised", "09:00")] * 12


@contextmanager
def without_outbox(engine: Engine) -> Iterator[None]:
    """What a worker stores last finds no table."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE outbox RENAME TO elsewhere"))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO outbox"))


def test_an_outcome_is_stored_whole_or_not_at_all(engine: Engine, worker_at: WorkerAt) -> None:
    admit(engine)
    observe(engine, ILL, 0.5)
    worker = worker_at(3.1)
    with without_outbox(engine), pytest.raises(SQLAlchemyError):
        worker.step()
    assert (score_rows(engine), history(engine)) == ([], [])
    with reading(engine) as session:
        assert session.scalars(select(AuditRow.what)).all() == ["model activated"]
        assert session.scalars(select(StayRow)).one().scored_through is None
    end_leases(engine)
    assert worker.step()
    assert len(score_rows(engine)) == 3
    assert history(engine) == [("raised", "09:00")]
    with reading(engine) as session:
        assert [row.kind for row in session.scalars(select(OutboxRow).order_by(OutboxRow.id))] == [
            "alert",
            "stay",
        ]


def test_a_stay_that_seems_endless_fills_no_memory(engine: Engine, worker_at: WorkerAt) -> None:
    admit(engine)
    observe(engine, WELL, 24 * 400)
    worker_at(24 * 400 + 1).step()
    [row] = score_rows(engine)
    assert "check its admission time" in row.reason
    assert EventKind.RAISED.value not in [kind for kind, _ in history(engine)]
