"""Pictures of signal over real HTTP: kept for the newest five minutes, checked, and forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from db.rows import SegmentTracesRow

from .test_service_segments import CALM, NEWEST, body, count

SCORES, SIGNAL = "/v1/stays/icu-7/segment-scores", "/v1/stays/icu-7/signal"


def trace(channel: str = "LA3", **changed: Any) -> dict[str, Any]:
    return {"channel": channel, "low": [-3.5, None], "high": [2.0, None], "surprise": 0.4} | changed


def pictured(ago: list[int], traces: list[dict[str, Any]]) -> dict[str, Any]:
    """Calm segments with a picture each."""
    sent = body(dict.fromkeys(ago, CALM))
    for segment in sent["segments"]:
        segment["signal"] = traces
    return sent


def test_pictures_of_five_minutes_are_kept_and_told_from_a_time_on(
    api: httpx.Client, engine: Engine, stay_id: int
) -> None:
    assert api.get(SIGNAL).json()["segments"] == []
    sent = pictured(list(range(600, 0, -5)), [trace(), trace("LA4", surprise=None)])
    assert api.post(SCORES, json=sent).json()["accepted"] == 120
    told = api.get(SIGNAL).json()["segments"]
    assert len(told) == count(engine, SegmentTracesRow) == 60
    assert told[-1] == {"time": "2026-11-22T18:29:55Z", "channels": [trace(), trace("LA4", surprise=None)]}
    after = (NEWEST - timedelta(seconds=15)).isoformat()
    assert [one["time"] for one in api.get(SIGNAL, params={"after": after}).json()["segments"]] == [
        "2026-11-22T18:29:50Z",
        "2026-11-22T18:29:55Z",
    ]


def test_what_is_newer_pushes_old_pictures_out_and_a_repeat_adds_none(
    api: httpx.Client, engine: Engine, stay_id: int
) -> None:
    old = pictured([400, 395], [trace()])
    api.post(SCORES, json=old)
    assert count(engine, SegmentTracesRow) == 2
    assert api.post(SCORES, json=old).json()["duplicate"] == 2
    assert count(engine, SegmentTracesRow) == 2
    api.post(SCORES, json=body({0: CALM}))
    assert count(engine, SegmentTracesRow) == 0
    assert len(api.get(SCORES).json()["segments"]) == 3


@pytest.mark.parametrize(
    ("traces", "said"),
    [
        ([trace(low=[-1.0])], "1 lowest values and 2 highest"),
        ([trace(low=[3.0, None])], "low <= high"),
        ([trace(low=[None, None])], "both or neither"),
        ([trace(surprise=2.1)], "less than or equal to 2"),
        ([trace(low=[-1.0] * 61, high=[1.0] * 61)], "at most 60"),
        ([trace(), trace()], "two pictures"),
    ],
)
def test_a_picture_that_cannot_be_is_refused(
    api: httpx.Client, engine: Engine, stay_id: int, traces: list[dict[str, Any]], said: str
) -> None:
    refused = api.post(SCORES, json=pictured([5], traces))
    assert refused.status_code == 422
    assert said in refused.text
    assert count(engine, SegmentTracesRow) == 0


def test_the_signal_of_no_stay_is_not_found(api: httpx.Client) -> None:
    assert api.get("/v1/stays/nobody/signal").status_code == 404
