"""SIGKILL of web or worker at any moment loses no acknowledged observation and halves no score."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import Engine, select, text

from db.queries.clinical import clinical_stay
from db.queries.due import count_due_stays
from db.queries.observations import observations_of
from db.queries.scores import latest_scores
from db.rows import (
    AlertEventRow,
    AlertRow,
    AuditRow,
    EventKind,
    ModelVersionRow,
    ObservationRow,
    OutboxRow,
    ScoreRow,
    StayRow,
)
from db.session import make_engine, reading
from models import registry
from models.clinical.score import GRID_STEP
from service.clock import Clock
from service.policy import policy_of
from service.settings import Settings
from service.stay_view import scores_of

ADMITTED = datetime(2026, 11, 22, 8, tzinfo=UTC)
STAYS = ("icu-1", "icu-2", "icu-3")
HOURS = 10
KILLS = ("worker", "web", "worker", "web")
RANDOM = random.Random(20261122)

PROGRAMS = {
    "web": "from service.app import serve as main",
    "worker": "from service.worker import run as main",
}


def start(name: str, settings: Settings) -> subprocess.Popen[bytes]:
    """A real process of the service."""
    environment = os.environ | {
        f"PRODROME_{field.upper()}": str(value)
        for field, value in settings.model_dump(mode="json", exclude_none=True).items()
    }
    program = f"{PROGRAMS[name]}\nfrom service.settings import Settings\nmain(Settings.from_environment())"
    return subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL)


@contextmanager
def running(settings: Settings) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Web and worker; whatever runs at the end is stopped."""
    processes = {name: start(name, settings) for name in PROGRAMS}
    try:
        yield processes
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait(20)


def batches() -> list[list[dict[str, Any]]]:
    """Three stays' vital signs, an hour's rows of a stay a batch, in the order in which they became known."""
    rows: list[list[dict[str, Any]]] = []
    for hour in range(HOURS):
        for number, stay_id in enumerate(STAYS):
            at = ADMITTED + timedelta(hours=hour, minutes=7 + number)
            ill = number > 0 and hour >= 4 + number
            signs = (
                ("heart_rate", 135 if ill else 75, "1/min"),
                ("respiratory_rate", 27 if ill else 14, "1/min"),
                ("systolic_pressure", 88 if ill else 121, "mmHg"),
                ("temperature", 39.3 if ill else 36.8, "degC"),
                ("oxygen_saturation", 91 if ill else 97, "%"),
            )
            rows.append(
                [
                    {"stay_id": stay_id, "time": at.isoformat(), "known_at": at.isoformat(),
                     "variable": variable, "value": value + RANDOM.randint(0, 2), "unit": unit}
                    for variable, value, unit in signs
                ]
            )  # fmt: skip
    return rows


def insist(client: httpx.Client, path: str, body: Any) -> dict[str, Any]:
    """Post until the answer is a 2xx, as an integrator must."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            answer = client.post(path, json=body)
        except httpx.TransportError:
            time.sleep(0.02)
            continue
        if answer.is_success:
            taken: dict[str, Any] = answer.json()
            return taken
        assert answer.status_code == 503, answer.text
    raise AssertionError(f"{path} was never acknowledged")


def send(client: httpx.Client, chunk: list[list[dict[str, Any]]]) -> None:
    """Post a chunk, batch by batch; every batch is acknowledged in the end, and no row is refused."""
    for rows in chunk:
        taken = insist(client, "/v1/observations", {"observations": rows})
        assert taken["accepted"] + taken["duplicate"] == len(rows), taken


def await_calm(engine: Engine, clock: Clock) -> None:
    """Wait until nothing is due."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with reading(engine) as session:
            if count_due_stays(session, clock.now())[0] == 0:
                return
        time.sleep(0.1)
    raise AssertionError("stays are still due")


def test_kill_at_any_moment_loses_nothing_and_halves_nothing(settings: Settings) -> None:
    settings = settings.model_copy(update={"lease_seconds": 1.0})
    plan = batches()
    size = -(-len(plan) // len(KILLS))
    engine = make_engine(settings.database_url)
    with (
        running(settings) as processes,
        httpx.Client(base_url=f"http://127.0.0.1:{settings.port}", timeout=60) as client,
        ThreadPoolExecutor(1) as poster,
    ):
        for stay_id in STAYS:
            facts = {"stay_id": stay_id, "subject_id": stay_id, "admitted_at": ADMITTED.isoformat()}
            insist(client, "/v1/stays", facts)
        for number, victim in enumerate(KILLS):
            sending = poster.submit(send, client, plan[number * size : (number + 1) * size])
            time.sleep(RANDOM.uniform(0.0, 0.3))
            processes[victim].kill()
            processes[victim].wait(10)
            processes[victim] = start(victim, settings)
            sending.result(90)
        await_calm(engine, Clock.of(settings))
    prove_observations(engine, plan)
    prove_scores(engine, settings)
    prove_records(engine)
    if engine.dialect.name == "sqlite":
        with reading(engine) as session:
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"
    engine.dispose()


def prove_observations(engine: Engine, plan: list[list[dict[str, Any]]]) -> None:
    """Every acknowledged row is stored exactly once, and nothing else is."""
    sent = Counter(
        (row["stay_id"], row["variable"], datetime.fromisoformat(row["time"]), float(row["value"]))
        for rows in plan
        for row in rows
    )
    with reading(engine) as session:
        names = {stay.id: stay.external_id for stay in session.scalars(select(StayRow))}
        stored = Counter(
            (names[row.stay_id], row.variable, row.time, row.value)
            for row in session.scalars(select(ObservationRow))
        )
    assert stored == sent


def prove_scores(engine: Engine, settings: Settings) -> None:
    """Each stay's scores and alarms are those of an undisturbed run, with no hour missing."""
    model = registry.load(settings.model)
    policy = policy_of(settings, model.threshold)
    with reading(engine) as session:
        version = session.scalars(select(ModelVersionRow)).one()
        for row in session.scalars(select(StayRow)):
            end = ADMITTED + (Clock.of(settings).now() - ADMITTED) // GRID_STEP * GRID_STEP
            series = model.score(clinical_stay(row, observations_of(session, row.id)), end)
            stored = latest_scores(session, row.id, version.id)
            assert scores_of(stored) == list(series)
            assert row.scored_observation_id == row.last_observation_id
            assert (row.scored_through, row.claimed_by) == (end, None)
            events = select(AlertEventRow).join(AlertRow).where(AlertRow.stay_id == row.id)
            fired = [
                datetime.fromisoformat(event.detail["time"])
                for event in session.scalars(events.order_by(AlertEventRow.id))
                if event.kind in (EventKind.RAISED, EventKind.REFIRED)
            ]
            assert fired == [alarm.time for alarm in policy.alarms(series)]


def prove_records(engine: Engine) -> None:
    """Every commit of scores has its audit record and its message, and every alert change its own."""
    with reading(engine) as session:
        names = {stay.id: stay.external_id for stay in session.scalars(select(StayRow))}
        written: dict[tuple[str, datetime], list[str]] = {}
        for row in session.scalars(select(ScoreRow).order_by(ScoreRow.id)):
            line = (
                f"{row.time.isoformat()} {row.revision} {row.value!r} {row.low!r} {row.high!r} {row.status}"
            )
            line += f" {row.reason}"
            written.setdefault((names[row.stay_id], row.created_at), []).append(line)
        audits = session.scalars(select(AuditRow).where(AuditRow.what == "scored")).all()
        digests = {
            (audit.detail["stay_id"], audit.at): audit.detail["scores_sha256"]
            for audit in audits
            if audit.detail["scores_written"]
        }
        messages = Counter(message.kind for message in session.scalars(select(OutboxRow)))
        raised = session.scalars(select(AlertEventRow).where(AlertEventRow.kind == EventKind.RAISED)).all()
    told = {key: hashlib.sha256("\n".join(lines).encode()).hexdigest() for key, lines in written.items()}
    assert digests == told
    assert messages["stay"] >= len(audits)
    assert messages["alert"] >= len(raised) == 2
