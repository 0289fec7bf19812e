"""Alerts over real HTTP: what people do is recorded, published, and refused where it makes no sense."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, select

from db.queries.alerts import raise_alert, release
from db.rows import AuditRow, OutboxRow, Priority
from db.session import reading, writing
from models.clinical.alarm import Alarm

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def alert_id(engine: Engine, stay_id: int, model_version_id: int) -> int:
    """An open alert of `icu-7`, raised at noon."""
    with writing(engine) as session:
        return raise_alert(
            session,
            stay_id,
            Alarm("icu-7", "sepsis", AT, 0.7),
            model_version_id=model_version_id,
            priority=Priority.HIGH,
            at=AT,
        ).id


def test_a_night_of_one_alert(api: httpx.Client, engine: Engine, alert_id: int) -> None:
    path = f"/v1/alerts/{alert_id}"
    seen = api.post(f"{path}/acknowledge", json={"by": "JK", "expires_minutes": 240}).json()
    assert (seen["acknowledged_by"], seen["condition"]) == ("JK", "active")
    lasts = datetime.fromisoformat(seen["acknowledgement_expires_at"]) - datetime.fromisoformat(
        seen["acknowledged_at"]
    )
    assert lasts.total_seconds() == 240 * 60
    shelved = api.post(f"{path}/shelve", json={"by": "JK", "reason": "in theatre", "minutes": 30}).json()
    assert (shelved["suppression"], shelved["shelved_reason"]) == ("shelved", "in theatre")
    api.post(f"{path}/note", json={"by": "ML", "text": "cultures taken"})
    judged = api.post(f"{path}/evaluate", json={"by": "ML", "evaluation": "confirmed"}).json()
    kinds = ["raised", "acknowledged", "shelved", "noted", "evaluated"]
    assert [event["kind"] for event in judged["events"]] == kinds
    assert (judged["evaluation"], judged["acknowledged_by"]) == ("confirmed", "JK")
    assert api.get("/v1/alerts").json()["alerts"][0] == {
        name: judged[name] for name in judged if name != "events"
    }
    with reading(engine) as session:
        audited = [(row.who, row.what) for row in session.scalars(select(AuditRow).order_by(AuditRow.id))]
        published = [row.payload["evaluation"] for row in session.scalars(select(OutboxRow))]
    assert audited == [
        ("JK", "alert acknowledged"),
        ("JK", "alert shelved"),
        ("ML", "alert noted"),
        ("ML", "alert evaluated"),
    ]
    assert published == ["pending", "pending", "pending", "confirmed"]


def test_a_closed_alert_is_closed(api: httpx.Client, engine: Engine, alert_id: int) -> None:
    with writing(engine) as session:
        release(session, alert_id, AT)
    answer = api.post(f"/v1/alerts/{alert_id}/acknowledge", json={"by": "JK"}).json()
    assert (answer["condition"], answer["closed_at"] is None) == ("inactive", False)
    refused = api.post(f"/v1/alerts/{alert_id}/note", json={"by": "JK", "text": "late"})
    assert (refused.status_code, refused.json()["title"]) == (409, "Conflict")
    assert api.get("/v1/alerts").json()["alerts"] == []
    closed = api.get("/v1/alerts", params={"state": "closed", "stay_id": "icu-7"}).json()["alerts"]
    assert [alert["alert_id"] for alert in closed] == [alert_id]


def test_what_makes_no_sense_is_refused(api: httpx.Client, engine: Engine, alert_id: int) -> None:
    bodies: dict[str, list[dict[str, Any]]] = {
        "acknowledge": [
            {},
            {"by": ""},
            {"by": "JK", "expires_minutes": 0},
            {"by": "JK", "expires_minutes": 1e9},
        ],
        "evaluate": [{"by": "JK"}, {"by": "JK", "evaluation": "perhaps"}],
        "shelve": [{"by": "JK", "reason": "x"}, {"by": "JK", "reason": "", "minutes": 5}],
        "note": [{"by": "JK", "text": "\x00"}],
    }
    for action, refused in bodies.items():
        for body in refused:
            answer = api.post(f"/v1/alerts/{alert_id}/{action}", json=body)
            assert (answer.status_code, answer.json()["status"]) == (422, 422), body
    assert api.post("/v1/alerts/4711/acknowledge", json={"by": "JK"}).status_code == 404
    assert api.post(f"/v1/alerts/{2**63}/acknowledge", json={"by": "JK"}).status_code == 422
    assert api.get("/v1/alerts", params={"state": "some"}).status_code == 422
    with reading(engine) as session:
        assert session.scalars(select(AuditRow)).all() == []
