"""Replay equals batch: the same stays through the real service, as processes, and through the model alone."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from threading import Timer

import httpx
import numpy as np
import pandas as pd
import pytest

from models import registry
from models.clinical.stay import Stay, observation_table
from pipelines.bedside import BedsideStay
from pipelines.ingest.cinc2019 import open_source
from pipelines.replay import AtSpeed, Progress, WithService, connect, replay
from pipelines.simulate.checked import checked
from pipelines.simulate.course import CourseKind
from pipelines.simulate.stays import EPOCH, Seed, Wish, simulate_stay
from pipelines.timeline import from_stay
from tests.ports import HOST, free_port

WEB = "from service.app import serve as run"
WORKER = "from service.worker import run"
START_IT = "; from service.settings import Settings; run(Settings.from_environment())"
SECONDS = 90.0
FAST = AtSpeed(math.inf)

Row = tuple[datetime, float | None, float | None, float | None, str, str]


@dataclass
class Service:
    """A web and a worker process on one temporary database."""

    environment: dict[str, str]
    log: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.environment['PRODROME_PORT']}"

    def start(self, code: str) -> None:
        with self.log.open("ab") as output:
            self.processes[code] = subprocess.Popen(
                [sys.executable, "-c", code + START_IT],
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def restart(self, code: str) -> None:
        self.processes[code].kill()
        self.processes[code].wait()
        self.start(code)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30).raise_for_status()

    def rows(self, stay_id: str) -> list[Row]:
        """The newest revision of each score."""
        return [
            (
                datetime.fromisoformat(row["time"]),
                *(row[name] for name in ("value", "low", "high", "status", "reason")),
            )
            for row in self.get(f"/v1/stays/{stay_id}/scores").json()["scores"]
        ]


@contextmanager
def running(folder: Path, model: str, **settings: str) -> Iterator[Service]:
    port = free_port()
    environment = {
        "PRODROME_DATABASE_URL": f"sqlite:///{folder / 'prodrome.db'}",
        "PRODROME_PORT": str(port),
        "PRODROME_SCORING_URL": f"http://{HOST}:{free_port()}",
        "PRODROME_MODEL": model,
        **settings,
    }
    service = Service(environment, folder / "service.log")
    try:
        service.start(WEB)
        service.start(WORKER)
        wait_until(lambda: httpx.get(service.url + "/health/ready").is_success, service)
        yield service
    finally:
        for process in service.processes.values():
            process.terminate()
        for process in service.processes.values():
            process.wait(20)


def wait_until(done: Callable[[], bool], service: Service) -> None:
    """Ask until it is so; after `SECONDS` the test fails with what the service wrote."""
    gives_up = time.monotonic() + SECONDS
    while time.monotonic() < gives_up:
        with suppress(httpx.TransportError):
            if done():
                return
        time.sleep(0.3)
    pytest.fail(f"not within {SECONDS} s; the service wrote:\n{service.log.read_text()[-3000:]}")


def assert_equals_batch(service: Service, model: str, stays: Sequence[Stay]) -> None:
    """Every hour that either has, to the last bit of every float."""
    loaded = registry.load(model)
    wait_until(lambda: "prodrome_due_stays 0.0" in service.get("/metrics").text, service)
    for stay in stays:
        served = service.rows(stay.stay_id)
        batch = loaded.score(stay, end=max(served[-1][0], stay.last_known_at))
        assert served == [
            (score.time, score.value, score.low, score.high, score.status.value, score.reason)
            for score in batch
        ]
        assert any(value is not None for _, value, *_ in served)


def scored_to_the_end(service: Service, stay: BedsideStay) -> bool:
    """Whether the hour that covers the end has a score; a worker that is slow to begin has none yet."""
    rows = service.rows(stay.stay_id)
    return bool(rows) and rows[-1][0] >= stay.ends_at


def simulated(number: int, admitted_at: datetime = EPOCH) -> list[BedsideStay]:
    """Stays with laboratory lags, artefacts and each kind of course."""
    kinds = [CourseKind.SEPTIC, CourseKind.RECOVERING, CourseKind.STABLE]
    return [
        simulate_stay(f"sim-{i}", Seed(4, (9, i)), admitted_at, Wish(kinds[i % 3], length_hours=20.0))
        for i in range(number)
    ]


def revised(stay: Stay, name: str) -> Stay:
    """The stay under another name, with every tenth row withdrawn after 40 minutes, and as many corrected."""
    table = stay.observations
    number = np.arange(len(table))
    later = table["known_at"] + timedelta(minutes=40)
    ends = later.where((number % 10 < 2) & table["known_until"].isna(), table["known_until"])
    ended = table.assign(known_until=ends)
    corrected = ended[(number % 10 == 1) & (ends == later)]
    right = corrected.assign(known_at=corrected["known_until"], known_until=pd.NaT)
    right["value"] = [round(value * 0.99 - 0.001, 4) for value in right["value"]]
    none = corrected["known_until"].where(corrected["value"].isna())
    both = pd.concat([ended, right.assign(known_until=none)])
    return replace(stay, stay_id=name, observations=observation_table(**{name: both[name] for name in both}))


@pytest.fixture(scope="module", params=["news2", "mgp-tcn"])
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def service(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service under the wall clock, for past stays."""
    with running(tmp_path_factory.mktemp("service"), model) as started:
        yield started


def test_simulated_stays_as_recorded(service: Service, model: str) -> None:
    """Through the API go the raw readings, artefacts and all; the batch reads what passed the quarantine."""
    stays = simulated(4)
    with connect(service.url) as client:
        progress = replay(stays, client, FAST)
    ingested = [checked(stay) for stay in stays]
    assert progress.accepted + progress.corrected == sum(stay.cells_kept for stay in ingested)
    set_aside = progress.rejected.total() + progress.withdrawn
    assert set_aside == sum(len(stay.quarantine) for stay in ingested)
    assert_equals_batch(service, model, [stay.stay for stay in ingested])


def test_corrected_and_withdrawn_rows(service: Service, model: str) -> None:
    """A past stay whose rows have ends is sent with the corrections and withdrawals that ended them."""
    stays = [revised(checked(raw).stay, f"revised-{number}") for number, raw in enumerate(simulated(2))]
    with connect(service.url) as client:
        progress = replay(map(from_stay, stays), client, FAST)
        again = replay(map(from_stay, stays), client, FAST)
    assert progress.accepted + progress.corrected == sum(len(stay.observations) for stay in stays)
    assert progress.corrected > 10
    assert progress.withdrawn > 10
    assert again.duplicate == again.rows == progress.rows
    assert_equals_batch(service, model, stays)
    told = service.get(f"/v1/stays/{stays[0].stay_id}").json()["observations"]
    ends = sum(one["known_until"] is not None for rows in told.values() for one in rows)
    assert ends == stays[0].observations["known_until"].notna().sum()


@pytest.mark.data
def test_real_stays_as_recorded(service: Service, model: str, data_folder: Path) -> None:
    source = open_source(data_folder / "icu" / "cinc2019" / "training_setA.zip")
    stays = [ingested.stay for ingested in islice(source.stays(), 5)]
    with connect(service.url) as client:
        progress = replay(map(from_stay, stays), client, FAST)
    assert progress.accepted == sum(len(stay.observations) for stay in stays)
    assert_equals_batch(service, model, stays)


def test_live_stays_with_the_service_clock(tmp_path: Path, model: str) -> None:
    """Scored hour by hour while rows arrive, not in one go at the end: late ones make new revisions."""
    now = datetime.now(UTC).isoformat()
    clock = {"CLOCK_START": now, "CLOCK_ANCHOR": now, "CLOCK_SPEED": "7200"}
    settings = {f"PRODROME_{name}": value for name, value in clock.items()}
    with running(tmp_path, model, **settings) as service:
        with connect(service.url) as client:
            live = WithService(client)
            stays = simulated(2, admitted_at=live.now)  # now that it is ready: all of it is still to come
            replay(stays, client, live)
        wait_until(lambda: all(scored_to_the_end(service, stay) for stay in stays), service)
        written = {
            row["created_at"] for row in service.get(f"/v1/stays/{stays[0].stay_id}/scores").json()["scores"]
        }
        assert len(written) > 1
        assert_equals_batch(service, model, [checked(stay).stay for stay in stays])


def test_the_web_process_dies_in_between_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kill comes while the next request is under way; the worker scores on."""
    monkeypatch.setattr("pipelines.replay.ROWS_PER_REQUEST", 60)
    monkeypatch.setattr("pipelines.client.LONGEST_WAIT_SECONDS", 0.5)
    stays = simulated(3)
    with running(tmp_path, "news2") as service:
        kills = [Timer(0.02 * number, service.restart, [WEB]) for number in range(2)]

        def kill_sometimes(progress: Progress) -> None:
            pending = [timer for timer in kills if timer.ident is None]
            if pending and progress.rows > 250 * (len(kills) - len(pending) + 1):
                pending[0].start()

        with connect(service.url) as client:
            progress = replay(stays, client, FAST, kill_sometimes)
        for timer in kills:
            timer.join(20)
        ingested = [checked(stay) for stay in stays]
        taken = progress.corrected + progress.withdrawn + progress.duplicate
        assert progress.accepted + taken + progress.rejected.total() == sum(
            stay.cells_read for stay in ingested
        )
        assert_equals_batch(service, "news2", [stay.stay for stay in ingested])
