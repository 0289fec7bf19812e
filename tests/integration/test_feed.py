"""The feed over real HTTP: live, resumed, reset, and ended with its server."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from db.queries.outbox import prune_outbox, publish
from db.session import writing
from service.app import create_app, server
from service.settings import Settings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def told(engine: Engine, number: int, at: datetime = NOW) -> int:
    """Publish message `number` as a stay's tile."""
    with writing(engine) as session:
        payload = {"stay_id": f"icu-{number}", "score": {"status": "present"}}
        return publish(session, "stay", payload, at)


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """The server-sent events of a stream, one by one."""
    event: dict[str, Any] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value
        elif "event" in event:
            yield event
            event = {}


def stays(stream: Iterator[dict[str, Any]], count: int) -> list[tuple[str, str]]:
    """The next `count` stay messages as (id, stay)."""
    found: list[tuple[str, str]] = []
    while len(found) < count:
        event = next(stream)
        if event["event"] == "stay":
            found.append((event["id"], event["data"]["stay_id"]))
    return found


def test_news_reach_every_client_at_once(api: httpx.Client, engine: Engine) -> None:
    told(engine, 1)
    with api.stream("GET", "/v1/feed") as one, api.stream("GET", "/v1/feed") as other:
        streams = events(one), events(other)
        assert [next(stream)["event"] for stream in streams] == ["heartbeat", "heartbeat"]
        sent_at = time.monotonic()
        number = told(engine, 2)
        for stream in streams:
            assert stays(stream, 1) == [(str(number), "icu-2")]  # and nothing from before
        assert time.monotonic() - sent_at < 5
    assert re.search(r'prodrome_scores_total{status="present"} [12]\.0', api.get("/metrics").text)


def test_a_client_resumes_after_its_last_id(api: httpx.Client, engine: Engine) -> None:
    ids = [told(engine, number) for number in range(5)]
    with api.stream("GET", f"/v1/feed?last_event_id={ids[0]}", headers={"Last-Event-ID": str(ids[2])}) as one:
        assert [stay for _, stay in stays(events(one), 2)] == ["icu-3", "icu-4"]
    with api.stream("GET", f"/v1/feed?last_event_id={ids[0]}") as other:
        assert [stay for _, stay in stays(events(other), 4)] == ["icu-1", "icu-2", "icu-3", "icu-4"]


def test_a_client_far_behind_gets_every_message(api: httpx.Client, engine: Engine) -> None:
    first = told(engine, 0)
    with writing(engine) as session:
        for number in range(1, 1300):
            publish(session, "stay", {"stay_id": f"icu-{number}", "score": {"status": "absent"}}, NOW)
    with api.stream("GET", f"/v1/feed?last_event_id={first}") as one:
        found = stays(events(one), 1299)
    assert [stay for _, stay in found] == [f"icu-{number}" for number in range(1, 1300)]


def test_an_id_that_is_no_longer_held_resets_the_board(api: httpx.Client, engine: Engine) -> None:
    old = [told(engine, number, NOW - timedelta(days=1)) for number in range(3)]
    newest = told(engine, 3)
    with writing(engine) as session:
        prune_outbox(session, NOW)
    for unknown in (old[0], newest + 1000):
        with api.stream("GET", f"/v1/feed?last_event_id={unknown}") as one:
            stream = events(one)
            reset = next(stream)
            assert (reset["event"], reset["id"]) == ("reset", str(newest))
            after = told(engine, 9)
            assert stays(stream, 1) == [(str(after), "icu-9")]
            newest = after
    with api.stream("GET", f"/v1/feed?last_event_id={old[-1]}") as one:
        assert stays(events(one), 1)[0][1] == "icu-3"  # the next id is still held: nothing was missed


def test_a_bad_id_is_refused(api: httpx.Client) -> None:
    assert api.get("/v1/feed", params={"last_event_id": "x"}).status_code == 422
    assert api.get("/v1/feed", headers={"Last-Event-ID": str(2**63)}).status_code == 422


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_open_feed_does_not_keep_the_server_alive(settings: Settings) -> None:
    served = server(create_app(settings), settings)
    thread = threading.Thread(target=served.run)
    thread.start()
    while not served.started:
        time.sleep(0.005)
    with httpx.stream("GET", f"http://127.0.0.1:{settings.port}/v1/feed", timeout=20) as one:
        stream = events(one)
        next(stream)
        asked_at = time.monotonic()
        served.should_exit = True
        assert list(stream) == []  # a complete answer, not a broken connection
    thread.join()
    assert time.monotonic() - asked_at < 4
