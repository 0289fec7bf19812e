"""What no route can take, over real HTTP: always problem details that say what was wrong."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

JSON = {"content-type": "application/json"}
DEEP = b'{"observations":' + b"[" * 100_000
LONG = b'{"observations":[{"value":' + b"1" * 6000 + b"}]}"
STAY = {"stay_id": "4711/2026", "subject_id": "s-7", "admitted_at": "2026-11-22T08:00:00Z"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/observations", 405),
        ("HEAD", "/v1/stays", 405),
        ("DELETE", "/v1/stays/icu-7", 405),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/nothing", 404),
        ("GET", "/nothing", 404),
        ("POST", "/", 405),
    ],
)
def test_an_unknown_route_is_404_and_a_wrong_method_405(
    api: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = api.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b'{"observations":[]}', "text/plain", 415, "'text/plain'"),
        (b'{"observations":[]}', "", 415, "''"),
        (b"", "", 422, "Field required"),
        (b"no json", "application/json", 400, "at character 0"),
        (b"\xff", "application/json", 400, "not UTF-8 at byte 0"),
        (DEEP, "application/json", 400, "nested too deeply"),
        (LONG, "application/json", 400, "too many digits"),
    ],
)
def test_a_body_that_cannot_be_read_says_why(
    api: httpx.Client, body: bytes, kind: str, status: int, said: str
) -> None:
    answer = api.post("/v1/observations", content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]
    assert api.get("/health/live").is_success


@pytest.mark.parametrize(
    ("change", "value", "bound"),
    [
        ({"age_years": 131}, 131, "<= 130"),
        ({"sex": "x"}, "x", "'female' or 'male'"),
        ({"stay_id": "x" * 201}, "x" * 200, "<= 200 characters"),
        (
            {"discharged_at": "2000-01-01T00:00:00Z"},
            "2000-01-01T00:00:00+00:00",
            ">= 2026-11-22 08:00:00+00:00",
        ),
    ],
)
def test_a_member_out_of_bounds_names_value_and_bound(
    api: httpx.Client, change: dict[str, Any], value: object, bound: str
) -> None:
    refused = api.post("/v1/stays", json=STAY | change)
    assert refused.status_code == 422
    assert (refused.json()["value"], refused.json()["bound"]) == (value, bound)


def test_nobody_acknowledges_with_a_blank(api: httpx.Client) -> None:
    assert api.post("/v1/alerts/1/acknowledge", json={"by": " "}).status_code == 422
    assert api.post("/v1/stays", json=STAY | {"stay_id": " "}).status_code == 422


@pytest.mark.parametrize(
    "stay_id", ["4711/2026", "../../etc/passwd", "a'); DROP TABLE stays;--", "Bett 7 ä😀"]
)
def test_a_stay_can_be_asked_for_whatever_its_id_holds(api: httpx.Client, stay_id: str) -> None:
    assert api.post("/v1/stays", json=STAY | {"stay_id": stay_id}).status_code == 201
    path = f"/v1/stays/{quote(stay_id, safe='')}"
    assert api.get(path).json()["stay"]["stay_id"] == stay_id
    assert api.get(f"{path}/scores").json() == {
        "stay_id": stay_id, "model": "news2", "version": None, "scores": [],
    }  # fmt: skip
    assert api.get(f"{path}/posterior").status_code == 503  # asked for, and no worker runs


def test_the_description_says_that_errors_are_problem_details(api: httpx.Client) -> None:
    for operations in api.get("/openapi.json").json()["paths"].values():
        for operation in operations.values():
            assert set(operation["responses"]["4XX"]["content"]) == {"application/problem+json"}
            assert "422" not in operation["responses"]
