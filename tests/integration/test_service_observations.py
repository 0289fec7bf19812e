"""POST /v1/observations over real HTTP: every row its verdict, nothing lost beside a bad one."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, select

from db.rows import ObservationRow, QuarantineRow
from db.session import reading

STAY = {"stay_id": "icu-7", "subject_id": "s-7", "admitted_at": "2026-11-22T08:00:00Z", "bed": "07"}
ROW = {
    "stay_id": "icu-7",
    "time": "2026-11-22T09:05:00Z",
    "variable": "heart_rate",
    "value": 92,
    "unit": "1/min",
}


@pytest.fixture
def ward(api: httpx.Client) -> httpx.Client:
    """The API with one announced stay."""
    assert api.post("/v1/stays", json=STAY).status_code == 201
    return api


def send(ward: httpx.Client, *rows: Any) -> dict[str, Any]:
    """Post rows as JSON, NaN and all, and return the answer of a batch that was taken."""
    content = json.dumps({"observations": rows})
    answer = ward.post("/v1/observations", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    taken: dict[str, Any] = answer.json()
    return taken


BAD_ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({"stay_id": "nobody"}, "unknown_stay", "nobody"),
    ({"variable": "pulse"}, "unknown_variable", "pulse"),
    ({"unit": "furlong"}, "unaccepted_unit", "furlong"),
    ({"unit": None}, "missing_unit", "without a unit"),
    ({"value": float("nan")}, "not_a_number", "nan"),
    ({"value": float("inf")}, "not_a_number", "inf"),
    ({"value": "NEG"}, "not_a_number", "NEG"),
    ({"value": None}, "no_value", "nothing"),
    ({"value": "___"}, "no_value", "___"),
    ({"value": "<0.01"}, "implausible", "<0.01"),
    ({"value": "HEMOLYZED", "status": "entered-in-error"}, "not_a_number", "HEMOLYZED"),
    ({"variable": "pulse", "status": "cancelled"}, "unknown_variable", "pulse"),
    ({"status": "cancelled", "value": 93}, "withdrawn", "nothing to withdraw"),
    ({"status": "cancelled", "identifier": "m-1", "time": "2026-11-22T09:06:00Z"}, "withdrawn", "'m-1'"),
    ({"status": "wrong"}, "malformed", "entered-in-error"),
    ({"value": 900}, "implausible", "[10, 300] 1/min"),
    ({"value": int("9" * 400)}, "not_a_number", "inf"),
    ({"time": "2026-11-22T18:45:00Z"}, "in_future", "18:45"),
    ({"time": "2026-11-22T07:59:59Z"}, "before_admission", "07:59:59"),
    ({"known_at": "2026-11-22T09:04:59Z"}, "known_before_measured", "09:04:59"),
    ({"time": "2026-11-22T09:05:00"}, "malformed", "no offset"),
    ({"time": 1763800000}, "malformed", "time"),
    ({"value": [92]}, "malformed", "value"),
    ({"stay_id": "\ud800"}, "malformed", "stay_id"),
    ({"variable": "heart\x00rate"}, "malformed", "variable"),
]


def test_every_bad_row_is_named_and_the_good_ones_are_stored(ward: httpx.Client, engine: Engine) -> None:
    rows: list[Any] = [{**ROW, **change} for change, _, _ in BAD_ROWS]
    shapeless: list[Any] = [{}, None, 7, "row", [ROW], {"stay_id": "icu-7"}]
    taken = send(ward, ROW, *rows, *shapeless, {**ROW, "time": "2026-11-22T10:05:00Z"})
    answers = taken["rows"]
    assert [answer["row"] for answer in answers] == list(range(len(answers)))
    for answer, (change, reason, said) in zip(answers[1:], BAD_ROWS, strict=False):
        assert (answer["status"], answer["reason"]) == ("rejected", reason), change
        assert said in answer["detail"]
    assert {answer["reason"] for answer in answers[-7:-1]} == {"malformed"}
    assert answers[0]["status"] == answers[-1]["status"] == "accepted"
    assert (taken["accepted"], taken["rejected"]) == (2, len(rows) + len(shapeless))
    with reading(engine) as session:
        assert len(session.scalars(select(ObservationRow)).all()) == 2
        quarantined = session.scalars(select(QuarantineRow).order_by(QuarantineRow.id)).all()
    assert [row.reason for row in quarantined][: len(BAD_ROWS)] == [reason for _, reason, _ in BAD_ROWS]
    assert "'value': 'NEG'" in next(
        row.input for row in quarantined if row.reason == "not_a_number" and "NEG" in row.input
    )


def test_an_implausible_row_says_value_bound_and_unit(ward: httpx.Client) -> None:
    assert send(ward, ROW, ROW, ROW, {**ROW, "value": 900})["rows"][3] == {
        "row": 3,
        "status": "rejected",
        "reason": "implausible",
        "detail": "heart_rate 900 1/min is outside [10, 300] 1/min",
        "value": 900,
        "bound": "[10, 300]",
        "unit": "1/min",
    }


def test_a_retry_stores_nothing_twice(ward: httpx.Client, engine: Engine) -> None:
    fahrenheit = {**ROW, "variable": "8310-5", "value": 98.6, "unit": "degF"}
    first = send(ward, ROW, fahrenheit, ROW)
    assert [row["status"] for row in first["rows"]] == ["accepted", "accepted", "duplicate"]
    again = send(ward, ROW, {**fahrenheit, "value": 37, "unit": "degC"})
    assert [row["status"] for row in again["rows"]] == ["duplicate", "duplicate"]
    with reading(engine) as session:
        stored = session.scalars(select(ObservationRow)).all()
    assert {(row.variable, row.value) for row in stored} == {("heart_rate", 92.0), ("temperature", 37.0)}


def test_a_row_without_known_at_is_known_when_it_arrives(ward: httpx.Client, engine: Engine) -> None:
    send(ward, ROW, {**ROW, "value": 93, "known_at": "2026-11-22T11:00:00+01:00"})
    with reading(engine) as session:
        known = {row.value: row.known_at for row in session.scalars(select(ObservationRow))}
    assert known[92.0].isoformat() >= "2026-11-22T18:30:00"
    assert known[93.0].isoformat() == "2026-11-22T10:00:00+00:00"


NO_BATCHES = [
    (b"", 422),
    (b"{", 400),
    (b"[]", 422),
    (b'{"observations": {}}', 422),
    (b'{"observations": null}', 422),
    (b"\xff\xfe", 400),
    (b'{"observations": ' + b"[" * 100_000, 400),
    (b'{"observations": [' + b"9" * 5000 + b"]}", 400),
    (b"NaN", 422),
]


def test_a_body_that_is_no_batch_is_a_problem(ward: httpx.Client) -> None:
    for content, status in NO_BATCHES:
        answer = ward.post("/v1/observations", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["status"]) == (status, status), content[:30]
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
    assert ward.get("/health/live").status_code == 200


def test_what_is_counted_is_told(ward: httpx.Client) -> None:
    none = dict.fromkeys(("accepted", "corrected", "withdrawn", "duplicate", "rejected"), 0)
    assert send(ward) == {**none, "rows": []}
    send(ward, ROW, ROW, {**ROW, "value": 900})
    told = ward.get("/metrics").text
    assert 'prodrome_observations_total{reason="",status="accepted"} 1.0' in told
    assert 'prodrome_observations_total{reason="implausible",status="rejected"} 1.0' in told
    assert "prodrome_due_stays 1.0" in told
