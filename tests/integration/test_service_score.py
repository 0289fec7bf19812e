"""Stateless scoring over real HTTP, through a real worker; readiness says who is missing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from models.clinical.stay import Stay, observation_table
from models.rules import NEWS2, QSOFA
from service.schemas import read_instant
from service.settings import Settings
from service.worker import Worker

STAY = {"stay_id": "icu-7", "subject_id": "s-7", "admitted_at": "2026-11-22T08:00:00Z"}
SIGNS = {
    "heart_rate": (135.0, "1/min"),
    "respiratory_rate": (27.0, "1/min"),
    "systolic_pressure": (88.0, "mmHg"),
    "temperature": (39.3, "degC"),
    "oxygen_saturation": (91.0, "%"),
}
ROWS = [
    {"time": "2026-11-22T09:30:00Z", "variable": name, "value": value, "unit": unit}
    for name, (value, unit) in SIGNS.items()
]

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def with_worker(api: httpx.Client, settings: Settings) -> Iterator[httpx.Client]:
    """The API with a working worker."""
    stop = threading.Event()
    worker = Worker(settings, NEWS2())
    thread = threading.Thread(target=worker.work, args=(stop,))
    thread.start()
    while api.get("/health/ready").status_code != 200:
        time.sleep(0.02)
    yield api
    stop.set()
    thread.join()


def ask(api: httpx.Client, **change: Any) -> httpx.Response:
    """A stateless request."""
    return api.post("/v1/score", json={"stay": STAY, "observations": ROWS, **change})


def test_the_scores_are_the_models_own(with_worker: httpx.Client) -> None:
    moments = [read_instant(row["time"]) for row in ROWS]
    table = observation_table(moments, moments, list(SIGNS), [value for value, _ in SIGNS.values()])
    stay = Stay("icu-7", "s-7", read_instant(STAY["admitted_at"]), table)
    bad = {**ROWS[0], "value": "<4"}
    for name, model in (("default", NEWS2()), ("qsofa", QSOFA())):
        answer = ask(with_worker, model=name, observations=[bad, *ROWS]).json()
        told = [(score["hour"], score["value"], score["status"]) for score in answer["scores"]]
        expected = [(hour, score.value, score.status) for hour, score in enumerate(model.score(stay), 1)]
        assert told == expected
        assert (answer["model"], answer["version"]) == (model.name, model.version)
        assert [(row["row"], row["reason"]) for row in answer["rejected"]] == [(0, "implausible")]
    assert with_worker.get("/v1/stays").json()["stays"] == []  # nothing was stored


def test_a_stay_without_observations_has_no_scores(with_worker: httpx.Client) -> None:
    assert ask(with_worker, observations=[]).json()["scores"] == []


def test_what_cannot_be_scored_is_a_problem(with_worker: httpx.Client) -> None:
    refused: dict[str, dict[str, Any]] = {
        "a model nobody registered": {"model": "crystal-ball"},
        "a folder of the server": {"model": "/tmp"},
        "a stay of centuries": {"stay": {**STAY, "admitted_at": "1901-01-01T00:00:00Z"}},
        "no stay": {"stay": None},
    }
    for what, change in refused.items():
        answer = ask(with_worker, **change)
        assert (answer.status_code, answer.json()["status"]) == (422, 422), what
        assert answer.headers["content-type"] == "application/problem+json"
    assert with_worker.get("/v1/stays/icu-7/posterior").status_code == 404  # a rule has none


def test_without_a_worker_the_answer_says_so(api: httpx.Client) -> None:
    for answer in (ask(api), api.get("/v1/stays/icu-7/posterior")):
        assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")
        assert "worker" in answer.json()["detail"]
    ready = api.get("/health/ready")
    assert (ready.status_code, ready.json()["detail"]) == (503, "no worker has ever run")
    assert api.get("/health/live").status_code == 200


def test_a_new_observation_is_scored_within_a_moment(with_worker: httpx.Client) -> None:
    with_worker.post("/v1/stays", json=STAY)
    rows = [{**row, "stay_id": "icu-7", "known_at": row["time"]} for row in ROWS]
    sent_at = time.monotonic()
    with_worker.post("/v1/observations", json={"observations": rows})
    while not with_worker.get("/v1/stays/icu-7/scores").json()["scores"]:
        time.sleep(0.01)
        assert time.monotonic() - sent_at < 10
