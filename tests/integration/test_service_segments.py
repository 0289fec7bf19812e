"""Segment scores over real HTTP: stored once, judged once, told like every other alert."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, func, select

from db.rows import AlertEventRow, AuditRow, OutboxRow, SegmentScoreRow
from db.session import reading
from service.settings import Settings
from tests.integration.conftest import Serving

NEWEST = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)  # the service clock of `settings` stands there
PATH = "/v1/stays/icu-7/segment-scores"
CALM, SEIZURE = 0.3, 0.9


def body(values: dict[int, float | None], detector: str = "line-length") -> dict[str, Any]:
    """Scores of segments that end so many seconds before `NEWEST`."""
    return {
        "detector": detector,
        "version": "1",
        "segment_seconds": 5,
        "channels": [{"name": "LA3"}, {"name": "LA4"}, {"name": "LB1", "bad": True, "reason": "flat"}],
        "segments": [
            {
                "time": (NEWEST - timedelta(seconds=ago)).isoformat(),
                "value": value,
                "status": "indeterminate" if value is None else "present",
                "reason": "3 of 3 channels without signal" if value is None else "",
                "channels": ["LA4", "LA3"] if value == SEIZURE else [],
            }
            for ago, value in values.items()
        ],
    }


def count(engine: Engine, row: type[Any]) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(row)) or 0


def test_a_seizure_alerts_once_whatever_is_sent_again(
    api: httpx.Client, engine: Engine, stay_id: int
) -> None:
    sent = body({25: CALM, 20: CALM, 15: SEIZURE, 10: SEIZURE, 5: SEIZURE})
    first = api.post(PATH, json=sent).json()
    assert (first["accepted"], first["duplicate"]) == (5, 0)
    alert = api.get("/v1/alerts").json()["alerts"][0]
    assert (alert["condition_name"], alert["condition"], alert["priority"]) == ("seizure", "active", "high")
    assert alert["raised_at"] == "2026-11-22T18:29:55Z"
    tile = api.get("/v1/stays").json()["stays"][0]
    assert tile["alert"]["alert_id"] == alert["alert_id"]
    assert tile["recording"]["episode"]["channels"] == ["LA3\N{EN DASH}LA4"]
    assert tile["score"]["value"] == SEIZURE

    held = [count(engine, row) for row in (AlertEventRow, OutboxRow, AuditRow, SegmentScoreRow)]
    again = api.post(PATH, json=sent).json()
    assert (again["accepted"], again["duplicate"]) == (0, 5)
    assert [count(engine, row) for row in (AlertEventRow, OutboxRow, AuditRow, SegmentScoreRow)] == held

    changed = api.post(PATH, json=body({15: CALM})).json()
    assert changed["segments"] == [{"status": "conflict"}]
    stored = api.get(PATH).json()["segments"]
    assert [one["value"] for one in stored] == [CALM, CALM, SEIZURE, SEIZURE, SEIZURE]
    assert [one["active"] for one in stored] == [False] * 4 + [True]

    acknowledged = api.post(f"/v1/alerts/{alert['alert_id']}/acknowledge", json={"by": "JK"})
    assert acknowledged.json()["acknowledged_by"] == "JK"
    api.post(PATH, json=body({0: CALM, -5: CALM, -10: CALM}))
    assert api.get("/v1/alerts?state=closed").json()["alerts"][0]["alert_id"] == alert["alert_id"]
    with reading(engine) as session:
        kinds = Counter(row.kind for row in session.scalars(select(OutboxRow)))
    assert kinds == {"alert": 3, "stay": 2}


def test_a_segment_that_comes_late_completes_the_seizure_that_goes_on(
    api: httpx.Client, stay_id: int
) -> None:
    api.post(PATH, json=body({20: CALM, 15: SEIZURE, 5: SEIZURE}))
    assert api.get("/v1/alerts").json()["alerts"] == []
    assert api.post(PATH, json=body({10: SEIZURE})).json()["accepted"] == 1
    assert [alert["condition_name"] for alert in api.get("/v1/alerts").json()["alerts"]] == ["seizure"]


def test_missing_signal_is_technical_and_neither_raises_nor_releases(api: httpx.Client, stay_id: int) -> None:
    api.post(PATH, json=body({20: SEIZURE, 15: SEIZURE, 10: SEIZURE}))
    api.post(PATH, json=body({5: None, 0: None}))
    tile = api.get("/v1/stays").json()["stays"][0]
    assert (tile["score"]["value"], tile["score"]["status"]) == (None, "indeterminate")
    assert tile["alert"]["condition"] == "active"


def test_what_cannot_be_is_refused_and_the_rest_is_taken(api: httpx.Client, stay_id: int) -> None:
    mixed = api.post(PATH, json=body({5: CALM, -600: CALM, 25 * 3600: CALM, 11 * 3600: CALM})).json()
    assert [one["status"] for one in mixed["segments"]] == ["accepted", "rejected", "rejected", "rejected"]
    reasons = [one["reason"].split(":")[0] for one in mixed["segments"][1:]]
    assert reasons == ["in the future", "before the admission", "before the admission"]
    assert api.post("/v1/stays/nobody/segment-scores", json=body({5: CALM})).status_code == 404
    contradictory = body({5: CALM})
    contradictory["segments"][0]["status"] = "absent"
    assert api.post(PATH, json=contradictory).status_code == 422


def test_a_detector_is_not_the_model_of_the_ward(
    api: httpx.Client, stay_id: int, model_version_id: int
) -> None:
    api.post(PATH, json=body({5: CALM}))
    assert api.get("/v1/stays").json()["model"] == {"name": "news2", "version": "abc"}
    refused = body({0: CALM}, detector="news2") | {"version": "abc"}
    assert api.post(PATH, json=refused).status_code == 422


def test_a_detector_is_judged_at_the_threshold_it_states(api: httpx.Client, stay_id: int) -> None:
    stated = {"threshold": 0.957}
    api.post(PATH, json=body({25: 0.95, 20: 0.95, 15: 0.95}) | stated)
    assert api.get("/v1/alerts").json()["alerts"] == []
    assert not any(one["active"] for one in api.get(PATH).json()["segments"])
    api.post(PATH, json=body({10: 0.97, 5: 0.97}) | stated)
    api.post(PATH, json=body({0: 0.97}))  # what was stated before holds
    (alert,) = api.get("/v1/alerts").json()["alerts"]
    assert alert["raised_at"] == "2026-11-22T18:30:00Z"
    assert api.get("/v1/stays").json()["stays"][0]["recording"]["threshold"] == 0.957
    assert [one["active"] for one in api.get(PATH).json()["segments"]] == [False] * 5 + [True]


def test_a_threshold_is_within_bounds_and_the_same_for_one_version(api: httpx.Client, stay_id: int) -> None:
    for wrong in (0.0, 1.01, -1):
        assert api.post(PATH, json=body({5: CALM}) | {"threshold": wrong}).status_code == 422
    assert api.post(PATH, json=body({5: CALM}) | {"threshold": 0.8}).status_code == 200
    changed = api.post(PATH, json=body({0: CALM}) | {"threshold": 0.7})
    assert changed.status_code == 422
    assert "states the threshold 0.7, before 0.8" in changed.text
    other = body({0: CALM}) | {"threshold": 0.7, "version": "2"}
    assert api.post(PATH, json=other).status_code == 200


def test_the_operators_policy_comes_before_the_threshold_that_is_stated(
    settings: Settings, serving: Serving, tmp_path: Path, stay_id: int
) -> None:
    path = tmp_path / "seizures.json"
    path.write_text(json.dumps({"threshold": 0.9, "k": 2, "n": 2}))
    with serving(settings.model_copy(update={"seizure_policy_file": str(path)})) as api:
        api.post(PATH, json=body({10: 0.92, 5: 0.92}) | {"threshold": 0.957})
        (alert,) = api.get("/v1/alerts").json()["alerts"]
    assert alert["raised_at"] == "2026-11-22T18:29:55Z"


def test_a_policy_that_was_chosen_for_another_detector_judges_nothing_and_that_is_told(
    settings: Settings, serving: Serving, engine: Engine, tmp_path: Path, stay_id: int
) -> None:
    path, sent = tmp_path / "seizures.json", body({10: 0.92, 5: 0.92, 0: 0.92}) | {"threshold": 0.9}
    path.write_text(json.dumps({"threshold": 0.99, "chosen": {"model": "mvpa", "version": "a1"}}))
    with serving(settings) as api:
        api.post(PATH, json=sent)
    with serving(settings.model_copy(update={"seizure_policy_file": str(path)})) as api:
        api.post(PATH, json=body({-5: 0.92}))
        assert len(api.get("/v1/alerts").json()["alerts"]) == 1
        assert [one["active"] for one in api.get(PATH).json()["segments"]] == [False, False, True, True]
    with reading(engine) as session:
        activated = select(AuditRow).where(AuditRow.what == "detector activated").order_by(AuditRow.id)
        told = [row.detail for row in session.scalars(activated)]
    assert [one.get("operators_policy_is_for") for one in told] == [None, "mvpa a1"]
