"""What stands behind a score, asked over real HTTP of a real worker's model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest

from models.base import Influence, Inquiry, Measurement
from models.clinical.stay import Stay
from models.rules import NEWS2
from service.settings import Settings
from service.worker import Worker

STAY = {"stay_id": "icu/7", "subject_id": "s-7", "admitted_at": "2026-11-22T08:00:00Z"}
PATH = "/v1/stays/icu%2F7/explanation"
UNITS = {"respiratory_rate": "1/min", "systolic_pressure": "mmHg", "heart_rate": "1/min"}
MORNING = {"respiratory_rate": 27.0, "systolic_pressure": 88.0, "heart_rate": 135.0}

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

Served = Callable[[NEWS2], httpx.Client]


class Curious(NEWS2):
    """A rule that knows its observations by leaving each out, and what nobody has measured yet."""

    def inquire(self, stay: Stay, time: datetime) -> Inquiry:
        """Shares by scoring again without each observation."""
        table = stay.until(time).standing(time).observations
        whole = self._value(stay, time)
        found = []
        columns = (table[name].tolist() for name in ("variable", "time", "value", "censored"))
        for position, (name, measured, value, censored) in enumerate(zip(*columns, strict=True)):
            left_out = replace(stay, observations=table.drop(position).reset_index(drop=True))
            share = whole - self._value(left_out, time)
            found.append(Influence(name, measured.to_pydatetime(), value, share, censored))
        found.sort(key=lambda one: -abs(one.share))
        lacking = [
            name for name in ("temperature", "oxygen_saturation") if name not in set(table["variable"])
        ]
        return Inquiry(time, tuple(found), tuple(Measurement(name, 0.15) for name in lacking))

    def _value(self, stay: Stay, time: datetime) -> float:
        return list(self.score(stay, time))[-1].value or 0.0


@contextmanager
def working(api: httpx.Client, settings: Settings, model: NEWS2) -> Iterator[httpx.Client]:
    """The API with a working worker, and a stay with two sets of vital signs that it has scored."""
    stop = threading.Event()
    thread = threading.Thread(target=Worker(settings, model).work, args=(stop,))
    thread.start()
    while api.get("/health/ready").status_code != 200:
        time.sleep(0.02)
    api.post("/v1/stays", json=STAY)
    rows = [*vital_signs("08:30:00", **MORNING), *vital_signs("16:45:00", heart_rate=80.0)]
    assert api.post("/v1/observations", json={"observations": rows}).json()["accepted"] == 4
    while len(api.get("/v1/stays/icu%2F7/scores").json()["scores"]) < 10:
        time.sleep(0.01)
    yield api
    stop.set()
    thread.join()


@pytest.fixture
def served(api: httpx.Client, settings: Settings) -> Iterator[Served]:
    """Starts a worker that scores with a model."""
    with ExitStack() as running:
        yield lambda model: running.enter_context(working(api, settings, model))


def vital_signs(clock: str, **values: float) -> list[dict[str, Any]]:
    """Rows measured and known at a time of 2026-11-22."""
    moment = {"time": f"2026-11-22T{clock}Z", "known_at": f"2026-11-22T{clock}Z"}
    return [
        {"stay_id": "icu/7", "variable": name, "value": value, "unit": UNITS[name], **moment}
        for name, value in values.items()
    ]


def test_the_newest_score_is_explained_by_its_observations(served: Served) -> None:
    answer = served(Curious()).get(PATH).json()
    assert answer["time"] == "2026-11-22T18:00:00Z"
    assert set(answer) == {"time", "contributions", "influences", "next_measurements"}
    heart = {one["time"]: one["share"] for one in answer["influences"] if one["variable"] == "heart_rate"}
    # without the calm heart rate of the afternoon that of the morning would stand, worth three points of 20
    assert heart == {"2026-11-22T16:45:00Z": pytest.approx(-0.15), "2026-11-22T08:30:00Z": 0}
    shares = [abs(one["share"]) for one in answer["influences"]]
    assert shares == sorted(shares, reverse=True)
    assert answer["influences"][0].keys() == answer["contributions"][0].keys()
    assert len(answer["contributions"]) == 6  # a tile tells three
    first, second = answer["next_measurements"]
    assert first == {"variable": "temperature", "short": "Temp", "label": "Body temperature", "unit": "degC",
                     "normal": [36, 38], "narrows": 0.15}  # fmt: skip
    assert second["variable"] == "oxygen_saturation"


def test_a_past_score_is_explained_by_what_its_hour_knew(served: Served) -> None:
    api = served(Curious())
    # at 16:50 the afternoon's rate is known, but the newest score, of 16:00, was made without it
    for asked in ("2026-11-22T16:50:00Z", "2026-11-22T16:00:00Z", "2026-11-22T17:00:00+01:00"):
        answer = api.get(PATH, params={"time": asked}).json()
        assert answer["time"] == "2026-11-22T16:00:00Z"
        heart = [one for one in answer["influences"] if one["variable"] == "heart_rate"]
        assert [(one["value"], one["share"]) for one in heart] == [(135.0, pytest.approx(0.15))]
        told = [one["value"] for one in answer["contributions"] if one["variable"] == "heart_rate"]
        assert told == [135.0]


def test_a_time_to_come_is_explained_by_the_newest_score(served: Served) -> None:
    answer = served(Curious()).get(PATH, params={"time": "2026-11-23T08:00:00Z"}).json()
    assert answer["time"] == "2026-11-22T18:00:00Z"


def test_a_model_that_cannot_tell_names_its_variables_alone(served: Served) -> None:
    answer = served(NEWS2()).get(PATH).json()
    assert (answer["influences"], answer["next_measurements"]) == ([], [])
    assert answer["contributions"][0]["share"] == pytest.approx(0.15)


def test_what_cannot_be_explained_is_a_problem(served: Served) -> None:
    api = served(Curious())
    asked = {
        "/v1/stays/nobody/explanation": (404, "no stay 'nobody'"),
        f"{PATH}?time=2026-11-22T08:59:00Z": (404, "no score by 2026-11-22T08:59:00Z"),
        f"{PATH}?time=2026-11-21T08:00:00Z": (404, "no score by"),
        f"{PATH}?time=noon": (422, "query.time"),
    }
    for path, (status, said) in asked.items():
        answer = api.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert said in answer.json()["detail"]


def test_without_a_worker_nothing_is_explained(api: httpx.Client) -> None:
    answer = api.get(PATH)
    assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")
