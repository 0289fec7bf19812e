"""Patients like this one, asked over real HTTP of a real worker that scores with another model."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from models import registry
from models.base import Likening
from models.rules import NEWS2
from models.warm import example
from service.settings import Settings

from .test_service_explanation import working

PATH = "/v1/stays/icu%2F7/similar"

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """So that no question waits for the compiler."""
    model, stay = registry.load("dtw"), example()
    assert isinstance(model, Likening)
    model.patients_like(stay, stay.last_known_at)


@pytest.fixture
def ward(api: httpx.Client, settings: Settings) -> Iterator[httpx.Client]:
    """A worker that scores with a rule, and a scored stay with three vital signs."""
    with working(api, settings, NEWS2()) as client:
        yield client


def test_past_stays_are_told_at_the_newest_score(ward: httpx.Client) -> None:
    answer = ward.get(PATH).json()
    assert set(answer) == {"time", "model", "references", "summary", "hours", "similar"}
    assert (answer["time"], answer["model"]["name"]) == ("2026-11-22T18:00:00Z", "dtw")
    assert (answer["hours"][0], len(answer["hours"])) == ("2026-11-22T11:00:00Z", 8)
    told = answer["similar"]
    assert len(told) == answer["summary"]["count"] == 5
    assert [one["distance"] for one in told] == sorted(one["distance"] for one in told)
    for one in told:
        # nothing that could name a person
        assert set(one) == {
            *("septic", "hours_to_onset", "stays", "distance", "shares", "alignment", "course")
        }
        assert set(one["course"]) == {"heart_rate", "respiratory_rate", "systolic_pressure"}
        assert {name: len(course) for name, course in one["course"].items()} == dict.fromkeys(
            one["course"], 8
        )
        assert 0.0 < sum(share["share"] for share in one["shares"]) <= 1.0


def test_a_past_hour_is_compared_by_what_it_knew(ward: httpx.Client) -> None:
    then = ward.get(PATH, params={"time": "2026-11-22T16:50:00Z"}).json()
    assert then["time"] == then["hours"][-1] == "2026-11-22T16:00:00Z"
    later = ward.get(PATH, params={"time": "2026-11-23T08:00:00Z"}).json()
    assert later == ward.get(PATH).json()
    # the calm heart rate of 16:45 makes it like others
    assert later["similar"] != then["similar"]


def test_a_stay_of_which_too_little_is_known_is_like_nobody(ward: httpx.Client) -> None:
    stay = {"stay_id": "icu-8", "subject_id": "s-8", "admitted_at": "2026-11-22T08:00:00Z"}
    seen = {"stay_id": "icu-8", "variable": "heart_rate", "value": 80, "unit": "1/min"}
    ward.post("/v1/stays", json=stay)
    ward.post("/v1/observations", json={"observations": [seen | {"time": "2026-11-22T17:30:00Z"}]})
    while not ward.get("/v1/stays/icu-8/scores").json()["scores"]:
        time.sleep(0.01)
    answer = ward.get("/v1/stays/icu-8/similar")
    assert (answer.status_code, answer.json()["similar"]) == (200, [])


def test_what_cannot_be_compared_is_a_problem(ward: httpx.Client) -> None:
    asked = {
        "/v1/stays/nobody/similar": (404, "no stay 'nobody'"),
        f"{PATH}?time=2026-11-22T08:59:00Z": (404, "no score by 2026-11-22T08:59:00Z"),
        f"{PATH}?time=noon": (422, "query.time"),
    }
    for path, (status, said) in asked.items():
        answer = ward.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert said in answer.json()["detail"]


def test_a_setting_that_names_no_past_stays_is_a_problem(api: httpx.Client, settings: Settings) -> None:
    forgetful = settings.model_copy(update={"likeness_model": "qsofa"})
    with working(api, forgetful, NEWS2()) as client:
        answer = client.get(PATH)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "PRODROME_LIKENESS_MODEL" in answer.json()["detail"]


def test_without_a_worker_nobody_is_compared(api: httpx.Client) -> None:
    answer = api.get(PATH)
    assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")
