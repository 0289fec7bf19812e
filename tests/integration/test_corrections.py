"""Corrections and withdrawals from the API to the scores: nothing is lost, and nothing past is rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from alembic import command
from sqlalchemy import Engine, select, text

from db.queries.observations import append_observations
from db.queries.stays import StayFacts, upsert_stay
from db.rows import AlertEventRow, AuditRow, ObservationRow, QuarantineRow, StayRow
from db.schema import migrate, migration_config
from db.session import make_engine, reading, writing
from models import registry
from models.clinical.ledger import ObservationFacts, Receipt, ReportStatus
from models.rules import NEWS2
from service.settings import Settings
from service.worker import Worker

ADMITTED = datetime(2026, 11, 22, 8, tzinfo=UTC)
WELL = {"respiratory_rate": (14, "1/min"), "heart_rate": (75, "1/min"), "temperature": (36.8, "degC"),
        "oxygen_saturation": (97, "%"), "systolic_pressure": (121, "mmHg")}  # fmt: skip
ILL = WELL | {"respiratory_rate": (28, "1/min"), "heart_rate": (135, "1/min"),
              "systolic_pressure": (85, "mmHg")}  # fmt: skip
STAY = {"stay_id": "icu-7", "subject_id": "s-7", "admitted_at": "2026-11-22T08:00:00Z", "bed": "07"}

Send = Callable[..., dict[str, Any]]
Json = dict[str, Any]


def at(hours: float) -> str:
    return (ADMITTED + timedelta(hours=hours)).isoformat()


def signs(values: dict[str, tuple[float, str]], hours: float) -> list[Json]:
    return [said(name, value, hours, unit=unit) for name, (value, unit) in values.items()]


def said(name: str, value: object, hours: float, known: float | None = None, **members: object) -> Json:
    """A row measured at `hours` after the admission, known then or at `known`."""
    known_at = at(hours if known is None else known)
    return {"stay_id": "icu-7", "time": at(hours), "known_at": known_at, "variable": name, "value": value,
            "unit": WELL.get(name, (0, ""))[1], **members}  # fmt: skip


@pytest.fixture
def send(api: httpx.Client) -> Send:
    """Posts rows of an announced stay; the answer of a batch that was taken."""
    assert api.post("/v1/stays", json=STAY).status_code == 201

    def post(*rows: Json) -> Json:
        answer = api.post("/v1/observations", json={"observations": rows})
        assert answer.status_code == 200, answer.text
        taken: Json = answer.json()
        return taken

    return post


@pytest.fixture
def work(settings: Settings) -> Iterator[Callable[[], bool]]:
    """One look of a worker whose clock stands with the API's, ten and a half hours after the admission."""
    worker = Worker(settings, NEWS2())
    yield worker.step
    worker.close()


def statuses(answer: Json) -> list[str]:
    return [row["status"] for row in answer["rows"]]


def test_a_correction_and_a_withdrawal_are_answered_row_by_row_and_idempotent(
    send: Send, engine: Engine
) -> None:
    rows = [
        said("heart_rate", 180, 1, identifier="m-1"),
        said("heart_rate", 80, 1, 1.5, identifier="m-1", status="corrected"),
        said("temperature", 39.5, 1),
        said("temperature", 36.9, 1, 2, status="amended"),
        said("oxygen_saturation", 71, 1),
        said("oxygen_saturation", None, 1, 3, status="entered-in-error", unit=None),
    ]
    first = send(*rows)
    assert statuses(first) == ["accepted", "corrected", "accepted", "corrected", "accepted", "withdrawn"]
    assert (first["accepted"], first["corrected"], first["withdrawn"], first["rejected"]) == (3, 2, 1, 0)
    assert set(statuses(send(*rows))) == {"duplicate"}
    with reading(engine) as session:
        stored = session.scalars(select(ObservationRow).order_by(ObservationRow.id)).all()
        assert [(row.value, row.known_until and row.known_until.isoformat()) for row in stored] == [
            (180, at(1.5)), (39.5, at(2)), (71, at(3)), (80, None), (36.9, None),
        ]  # fmt: skip
        audited = session.scalars(
            select(AuditRow.detail).where(AuditRow.who == "api", AuditRow.what != "stay created")
        )
        assert audited.all() == [{"stay_id": "icu-7", "corrected": 2, "withdrawn": 1}]


def test_a_batch_is_read_in_the_order_in_which_things_became_known(send: Send) -> None:
    error = said("heart_rate", None, 1, 3, identifier="m-1", status="cancelled")
    answer = send(
        error, said("heart_rate", 99, 1, 2, identifier="m-1"), said("heart_rate", 180, 1, identifier="m-1")
    )
    assert statuses(answer) == ["withdrawn", "corrected", "accepted"]


def test_what_was_withdrawn_may_be_reported_again(send: Send) -> None:
    row = said("heart_rate", 91, 1)
    send(row, said("heart_rate", 91, 1, 2, status="cancelled"))
    assert statuses(send(row, said("heart_rate", 91, 1, 3), said("heart_rate", 91, 1, 4))) == [
        "duplicate",
        "accepted",
        "duplicate",
    ]


def test_a_withdrawal_of_nothing_is_refused_and_kept(send: Send, engine: Engine) -> None:
    (row,) = send(said("heart_rate", None, 1, identifier="m-9", status="entered-in-error"))["rows"]
    assert (row["status"], row["reason"], row["value"]) == ("rejected", "withdrawn", "m-9")
    assert "nothing to withdraw" in row["detail"]
    with reading(engine) as session:
        kept = session.scalars(select(QuarantineRow)).one()
    assert (kept.reason, kept.stay_external_id) == ("withdrawn", "icu-7")
    assert "m-9" in kept.input


def test_a_withdrawal_is_scored_from_its_hour_on_and_the_past_stays(
    send: Send, work: Callable[[], bool], api: httpx.Client, engine: Engine
) -> None:
    send(*signs(WELL, 0.5), *signs(ILL, 5.5))
    assert work()
    before = {row["time"]: row["value"] for row in api.get("/v1/stays/icu-7/scores").json()["scores"]}
    assert not work()
    alert = api.get("/v1/alerts").json()["alerts"][0]
    withdrawn = [said(name, None, 5.5, 8.2, status="entered-in-error") for name in ILL]
    assert set(statuses(send(*withdrawn))) == {"withdrawn"}
    assert work()
    assert not work()
    after = {row["time"]: row["value"] for row in api.get("/v1/stays/icu-7/scores").json()["scores"]}
    hours = sorted(after)
    assert [before[hour] for hour in hours[:8]] == [after[hour] for hour in hours[:8]]
    assert all(before[hour] > 0.25 > after[hour] for hour in hours[8:])
    revised = api.get("/v1/stays/icu-7/scores", params={"revisions": True}).json()["scores"]
    assert {row["time"] for row in revised if row["revision"] == 2} == set(hours[8:])
    left = api.get("/v1/alerts", params={"state": "all"}).json()["alerts"]
    assert [(one["alert_id"], one["condition"], one["closed_at"]) for one in left] == [
        (alert["alert_id"], "latched", None)
    ]
    with reading(engine) as session:
        assert [str(event.kind) for event in session.scalars(select(AlertEventRow))] == ["raised", "released"]


def test_the_stay_shows_every_version_and_the_past_as_it_was_known(send: Send, api: httpx.Client) -> None:
    send(
        said("troponin_i", "<0.3", 1, 2, unit="ng/mL", identifier="L-1"),
        said("troponin_i", 0.5, 1, 4, unit="ng/mL", identifier="L-1", status="corrected"),
    )
    now = api.get("/v1/stays/icu-7").json()["observations"]["troponin_i"]
    told = [(one["value"], one["censored"], one["known_until"] and one["known_until"][11:16]) for one in now]
    assert told == [(0.3, "<", "12:00"), (0.5, "", None)]
    assert [(one["identifier"], one["status"]) for one in now] == [("L-1", "final"), ("L-1", "corrected")]
    (then,) = api.get("/v1/stays/icu-7", params={"as_of": at(3)}).json()["observations"]["troponin_i"]
    assert (then["value"], then["known_until"]) == (0.3, None)


def test_a_withdrawal_that_comes_while_its_stay_is_scored_is_scored_next(
    send: Send, settings: Settings
) -> None:
    class Meanwhile(NEWS2):
        """A rule during whose first scoring somebody withdraws."""

        def score(self, *asked: Any) -> Any:
            if not taken:
                taken.append(send(said("heart_rate", None, 0.5, 1, status="entered-in-error")))
            return super().score(*asked)

    taken: list[Json] = []
    send(*signs(ILL, 0.5))
    worker = Worker(settings, Meanwhile())
    assert worker.step()
    assert worker.step()
    assert not worker.step()
    worker.close()


def test_the_posterior_as_of_a_time_ends_there_and_knows_no_later_withdrawal(
    send: Send, settings: Settings, api: httpx.Client
) -> None:
    send(
        *(said("heart_rate", 80 + hour, hour + 0.2) for hour in range(8)),
        said("heart_rate", None, 2.2, 6.5, status="entered-in-error"),
    )
    worker = Worker(settings, registry.load("mgp-tcn"))
    while worker.step():
        pass
    path, asked = "/v1/stays/icu-7/posterior", {"variable": "heart_rate"}
    now = api.get(path, params=asked).json()
    then = api.get(path, params=asked | {"as_of": at(5.5)}).json()
    early = api.get(path, params=asked | {"as_of": at(-1)}).json()
    worker.close()
    assert then["time"] == now["time"][:5]
    assert then["variables"]["heart_rate"]["mean"] == now["variables"]["heart_rate"]["mean"][:5]
    assert early["time"] == []


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


def test_a_database_of_the_first_release_goes_up_and_down_again(empty: Engine) -> None:
    engine = empty
    with engine.begin() as connection:
        command.upgrade(migration_config(connection), "0001")
        _old_rows(connection)
    migrate(engine)
    facts = ObservationFacts(ADMITTED, ADMITTED, "heart_rate", 90.0)
    with writing(engine) as session:
        stay, _ = upsert_stay(session, StayFacts("icu-7", "s-7", ADMITTED))
        error = ObservationFacts(
            ADMITTED, ADMITTED + timedelta(hours=1), "heart_rate", None, status=ReportStatus.ENTERED_IN_ERROR
        )
        again = ObservationFacts(ADMITTED, ADMITTED + timedelta(hours=2), "heart_rate", 90.0)
        limit = ObservationFacts(ADMITTED, ADMITTED, "troponin_i", 0.3, "<")
        received = append_observations(session, stay, [facts, error, again, limit], ADMITTED)
    assert [str(one) for one in received] == ["duplicate", "withdrawn", "accepted", "accepted"]
    with engine.begin() as connection:
        command.downgrade(migration_config(connection), "0001")
        left = connection.execute(text("SELECT id, value FROM observations")).all()
        aside = connection.execute(text("SELECT reason, input, stay_external_id FROM quarantine ORDER BY id"))
        found = aside.all()
    assert [tuple(row) for row in left] == [(3, 90.0)]
    assert [row[0] for row in found] == ["withdrawn", "censored"]
    assert "troponin_i <0.3" in found[1][1]
    assert {row[2] for row in found} == {"icu-7"}
    migrate(engine)
    with reading(engine) as session:
        assert session.scalars(select(StayRow)).one().withdrawals == 0
        assert session.scalars(select(ObservationRow.status)).all() == ["final"]


def _old_rows(connection: Any) -> None:
    """What the first release stored: a person, a stay, an observation."""
    for statement in (
        "INSERT INTO subjects (external_id) VALUES ('s-7')",
        "INSERT INTO stays (external_id, subject_id, admitted_at, synthetic, last_observation_id,"
        " scored_observation_id) VALUES ('icu-7', 1, :at, false, 1, 0)",
        "INSERT INTO observations (stay_id, time, known_at, received_at, variable, value)"
        " VALUES (1, :at, :at, :at, 'heart_rate', 90.0)",
    ):
        connection.execute(
            text(statement), {"at": "2026-11-22 08:00:00.000000"} if ":at" in statement else {}
        )


@pytest.mark.parametrize("batch", [1, 7])
def test_receipts_are_those_of_one_ledger_however_reports_are_batched(
    engine: Engine, stay_id: int, batch: int
) -> None:
    corrected, error = ReportStatus.CORRECTED, ReportStatus.ENTERED_IN_ERROR
    told = [
        (10, 7.9, "", ReportStatus.FINAL), (20, 7.9, "L1", ReportStatus.FINAL), (30, 4.1, "L1", corrected),
        (40, None, "L1", error), (50, 4.1, "", ReportStatus.FINAL), (60, 4.0, "", corrected),
        (60, 4.0, "", corrected),
    ]  # fmt: skip
    facts = [
        ObservationFacts(ADMITTED, ADMITTED + timedelta(minutes=known), "potassium", value, "", name, status)
        for known, value, name, status in told
    ]
    received: list[Receipt] = []
    for first in range(0, len(facts), batch):
        with writing(engine) as session:
            stay = session.get_one(StayRow, stay_id)
            received += append_observations(session, stay, facts[first : first + batch], ADMITTED)
    assert [str(one) for one in received] == [
        "accepted", "duplicate", "corrected", "withdrawn", "accepted", "corrected", "duplicate"
    ]  # fmt: skip
    with reading(engine) as session:
        rows = session.scalars(select(ObservationRow).order_by(ObservationRow.id)).all()
    assert [(row.value, row.identifier, row.known_until is None) for row in rows] == [
        (7.9, "L1", False), (4.1, "L1", False), (4.1, "", False), (4.0, "", True)
    ]  # fmt: skip
