"""Stays over real HTTP: announce, the ward's first paint, one stay now and as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest

from models import registry
from models.clinical.score import ScoreSeries
from models.clinical.stay import Stay
from models.rules import NEWS2
from service.settings import Settings
from service.worker import Worker

STAY = {
    "stay_id": "icu-7",
    "subject_id": "s-7",
    "admitted_at": "2026-11-22T08:00:00Z",
    "bed": "07",
    "care_unit": "4B",
    "age_years": 71,
    "sex": "female",
}


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    """A worker over the same database; tests take its steps one by one."""
    working = Worker(settings, registry.load(settings.model))
    yield working
    working.close()


def vital_signs(clock: str, **values: float) -> list[dict[str, Any]]:
    """Rows of `icu-7`, measured and known at a time of 2026-11-22."""
    units = {"heart_rate": "1/min", "respiratory_rate": "1/min", "systolic_pressure": "mmHg",
             "temperature": "degC", "oxygen_saturation": "%"}  # fmt: skip
    moment = f"2026-11-22T{clock}Z"
    return [
        {"stay_id": "icu-7", "time": moment, "known_at": moment, "variable": name, "value": value,
         "unit": units[name]}
        for name, value in values.items()
    ]  # fmt: skip


WELL = {"heart_rate": 75, "respiratory_rate": 14, "systolic_pressure": 121, "temperature": 36.8,
        "oxygen_saturation": 97}  # fmt: skip
ILL = {"heart_rate": 135, "respiratory_rate": 27, "systolic_pressure": 88, "temperature": 39.3,
       "oxygen_saturation": 91}  # fmt: skip


def test_an_admission_in_the_future_is_refused_by_name(api: httpx.Client) -> None:
    refused = api.post("/v1/stays", json={**STAY, "admitted_at": "2062-11-22T08:00:00Z"})
    assert refused.status_code == 422
    assert (refused.json()["value"], refused.json()["bound"][:2]) == ("2062-11-22T08:00:00Z", "<=")
    assert api.get("/v1/stays").json()["stays"] == []


def test_a_stay_is_new_then_known_and_never_contradicted(api: httpx.Client) -> None:
    assert api.post("/v1/stays", json=STAY).status_code == 201
    moved = api.post("/v1/stays", json={**STAY, "admitted_at": "2026-11-22T10:00:00+02:00", "bed": "12"})
    assert (moved.status_code, moved.json()["bed"]) == (200, "12")
    for change in ({"subject_id": "s-8"}, {"admitted_at": "2026-11-22T09:00:00Z"}):
        refused = api.post("/v1/stays", json={**STAY, **change})
        assert (refused.status_code, refused.json()["title"]) == (409, "Conflict")
        assert next(iter(change)) in refused.json()["detail"]
    assert [bed["bed"] for bed in api.get("/v1/stays").json()["stays"]] == ["12"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"admitted_at": "2026-11-22T08:00:00"}, "body.admitted_at: the time has no offset"),
        ({"stay_id": ""}, "body.stay_id"),
        ({"age_years": 400}, "body.age_years"),
        ({"sex": "unknown"}, "body.sex"),
        ({"discharged_at": "2026-11-22T07:00:00Z"}, "discharge"),
    ],
)
def test_impossible_facts_of_a_stay_are_refused(api: httpx.Client, change: dict[str, Any], said: str) -> None:
    refused = api.post("/v1/stays", json={**STAY, **change})
    assert refused.status_code == 422
    assert said in refused.json()["detail"]


def test_the_ward_before_any_worker_and_any_data(api: httpx.Client) -> None:
    api.post("/v1/stays", json=STAY)
    ward = api.get("/v1/stays").json()
    assert (ward["model"], ward["policy"]) == ({"name": "news2", "version": None}, None)
    assert ward["clock"] == {"speed": 1.0, "simulated": True}
    assert ward["care_units"] == ["4B"]
    [tile] = ward["stays"]
    nothing = {"time": None, "value": None, "low": None, "high": None}
    assert tile["score"] == nothing | {"status": "absent", "reason": "no observation yet"}
    assert api.get("/v1/stays", params={"care_unit": "5A"}).json()["stays"] == []


def test_a_scored_stay_on_the_ward_and_by_itself(api: httpx.Client, worker: Worker) -> None:
    api.post("/v1/stays", json=STAY)
    rows = [*vital_signs("08:30:00", **WELL), *vital_signs("13:30:00", **ILL)]
    api.post("/v1/observations", json={"observations": rows})
    assert worker.step()
    ward = api.get("/v1/stays").json()
    assert ward["model"]["name"] == "news2"
    assert (ward["policy"]["k"], ward["policy"]["refractory_hours"]) == (1, 6.0)
    [tile] = ward["stays"]
    assert tile["last_data_at"] == "2026-11-22T13:30:00Z"
    assert tile["score"]["time"] == "2026-11-22T18:00:00Z"
    assert tile["score"]["value"] == tile["sparkline"][-1][1] > ward["policy"]["threshold"]
    assert [time for time, _ in tile["sparkline"]] == [
        f"2026-11-22T{hour:02}:00:00Z" for hour in range(9, 19)
    ]
    assert {part["variable"] for part in tile["drivers"]} < set(ILL)
    assert len(tile["drivers"]) == 3
    assert tile["alert"]["condition"] == "active"
    view = api.get("/v1/stays/icu-7").json()
    assert view["stay"] == tile | {"subject_id": "s-7", "age_years": 71.0, "sex": "female"}
    assert view["variables"]["heart_rate"]["normal"] == [60, 100]
    assert [point["value"] for point in view["observations"]["heart_rate"]] == [75.0, 135.0]
    assert [event["kind"] for event in view["alerts"][0]["events"]] == ["raised"]


class Spread(NEWS2):
    """A rule that is unsure by as much as it is far from its ends."""

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """What the rule says, with a spread."""
        plain = super().score(stay, end)
        return replace(plain, low=plain.value / 2, high=(1 + plain.value) / 2)


def test_a_score_is_told_with_its_spread_everywhere(api: httpx.Client, settings: Settings) -> None:
    api.post("/v1/stays", json=STAY)
    rows = vital_signs("08:30:00", **ILL)
    api.post("/v1/observations", json={"observations": rows})
    unsure = Worker(settings, Spread())
    assert unsure.step()
    tile = api.get("/v1/stays").json()["stays"][0]
    view = api.get("/v1/stays/icu-7").json()
    early = api.get("/v1/stays/icu-7", params={"as_of": "2026-11-22T09:10:00Z"}).json()
    stored = api.get("/v1/stays/icu-7/scores").json()["scores"]
    body = {"stay": STAY, "observations": [dict(row, stay_id=None) for row in rows]}
    stateless = api.post("/v1/score", json=body).json()["scores"]
    unsure.close()
    value = stored[0]["value"]
    told = [tile["score"], view["stay"]["score"], view["scores"][0], early["stay"]["score"], stateless[0]]
    assert [(one["low"], one["value"], one["high"]) for one in [*told, stored[0]]] == [
        (value / 2, value, (1 + value) / 2)
    ] * 6


def test_the_past_as_it_was_known_then(api: httpx.Client, worker: Worker) -> None:
    api.post("/v1/stays", json=STAY)
    rows = [*vital_signs("08:30:00", **WELL), *vital_signs("13:30:00", **ILL)]
    api.post("/v1/observations", json={"observations": rows})
    worker.step()
    past = api.get("/v1/stays/icu-7", params={"as_of": "2026-11-22T12:10:00Z"}).json()
    assert [point["value"] for point in past["observations"]["heart_rate"]] == [75.0]
    assert past["scores"][-1]["time"] == past["stay"]["score"]["time"] == "2026-11-22T12:00:00Z"
    assert past["stay"]["score"]["value"] == 0.0
    assert past["stay"]["last_data_at"] == "2026-11-22T08:30:00Z"
    assert past["alerts"] == []
    early = api.get("/v1/stays/icu-7", params={"as_of": "2026-11-22T08:10:00Z"}).json()
    assert early["stay"]["score"]["status"] == "absent"


def test_a_late_result_makes_a_revision_and_the_old_one_stays(api: httpx.Client, worker: Worker) -> None:
    api.post("/v1/stays", json=STAY)
    api.post("/v1/observations", json={"observations": vital_signs("08:30:00", **WELL)})
    worker.step()
    api.post("/v1/observations", json={"observations": vital_signs("16:30:00", heart_rate=140)})
    worker.step()
    path = "/v1/stays/icu-7/scores"
    newest = api.get(path).json()["scores"]
    assert [score["revision"] for score in newest] == [1] * 8 + [2, 2]
    every = api.get(path, params={"revisions": True}).json()["scores"]
    assert [score["value"] for score in every if score["time"] == "2026-11-22T17:00:00Z"] == [0.0, 0.15]
    assert len(every) == 12


def test_a_discharged_stay_leaves_the_ward(api: httpx.Client) -> None:
    api.post("/v1/stays", json=STAY)
    api.post("/v1/stays", json={**STAY, "discharged_at": "2026-11-22T18:00:00Z"})
    assert api.get("/v1/stays").json()["stays"] == []
    assert api.get("/v1/stays/icu-7").json()["stay"]["discharged_at"] == "2026-11-22T18:00:00Z"


def test_an_unknown_stay_is_not_found(api: httpx.Client) -> None:
    for path in ("/v1/stays/nobody", "/v1/stays/nobody/scores"):
        answer = api.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert api.get("/v1/stays/icu-7", params={"as_of": "noon"}).status_code == 422
