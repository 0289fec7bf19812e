"""The outbox: a reader that remembers the last id it saw misses nothing and sees nothing twice."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from sqlalchemy import Engine

from db.queries.outbox import messages_after, newest_message_id, oldest_message_id, prune_outbox, publish
from db.session import reading, writing

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


def test_messages_come_in_order_after_an_id(engine: Engine) -> None:
    ids = [_publish(engine, number) for number in range(5)]
    assert ids == sorted(set(ids))
    with reading(engine) as session:
        rest = messages_after(session, ids[1])
        assert [(row.kind, row.payload, row.created_at) for row in rest] == [
            ("stay", {"number": number}, NOW + timedelta(minutes=number)) for number in (2, 3, 4)
        ]
        assert [row.id for row in messages_after(session, 0, limit=2)] == ids[:2]
        assert messages_after(session, ids[-1]) == []
        assert (oldest_message_id(session), newest_message_id(session)) == (ids[0], ids[-1])


def test_an_outbox_that_never_held_anything_stands_at_zero(engine: Engine) -> None:
    with reading(engine) as session:
        assert (oldest_message_id(session), newest_message_id(session)) == (0, 0)


def test_pruning_keeps_the_newest_and_never_frees_an_id(engine: Engine) -> None:
    ids = [_publish(engine, number) for number in range(4)]
    with writing(engine) as session:
        prune_outbox(session, older_than=NOW + timedelta(minutes=2))
    with reading(engine) as session:
        assert [row.id for row in messages_after(session, 0)] == ids[2:]
    with writing(engine) as session:
        prune_outbox(session, older_than=NOW + timedelta(days=1))
    with reading(engine) as session:
        assert (oldest_message_id(session), newest_message_id(session)) == (ids[3], ids[3])
    assert _publish(engine, 4) > ids[3]


def test_a_message_of_a_failed_transaction_is_never_seen(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), writing(engine) as session:
        publish(session, "stay", {"number": 1 / publish(session, "stay", {}, NOW) - 1 / 0}, NOW)
    with reading(engine) as session:
        assert messages_after(session, 0) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_fast_transaction_waits_for_the_message_of_a_slow_one(engine: Engine) -> None:
    """Without the lock the reader would see the second message, and then never the first."""
    published, read = Event(), Event()

    def slow() -> None:
        with writing(engine) as session:
            publish(session, "stay", {"number": 1}, NOW)
            published.set()
            assert read.wait(10)

    with ThreadPoolExecutor() as threads:
        first = threads.submit(slow)
        assert published.wait(10)
        second = threads.submit(_publish, engine, 2)
        time.sleep(0.2)
        assert not second.done()
        with reading(engine) as session:
            assert messages_after(session, 0) == []
        read.set()
        first.result()
        second.result()
    with reading(engine) as session:
        assert [row.payload["number"] for row in messages_after(session, 0)] == [1, 2]


def test_a_tail_misses_nothing_while_many_write(engine: Engine) -> None:
    writers, messages = 4, 8

    def write(writer: int) -> None:
        moods = random.Random(writer)
        for number in range(messages):
            with writing(engine) as session:
                publish(session, "stay", {"number": writer * messages + number}, NOW)
                time.sleep(moods.random() * 0.01)

    with ThreadPoolExecutor() as threads:
        running = [threads.submit(write, writer) for writer in range(writers)]
        seen: list[int] = []
        last, deadline = 0, time.monotonic() + 30
        while len(seen) < writers * messages and time.monotonic() < deadline:
            all_written = all(one.done() for one in running)
            with reading(engine) as session:
                fresh = messages_after(session, last)
            seen += [row.payload["number"] for row in fresh]
            last = fresh[-1].id if fresh else last
            if all_written and not fresh:
                break
    assert sorted(seen) == list(range(writers * messages))


def _publish(engine: Engine, number: int) -> int:
    with writing(engine) as session:
        return publish(session, "stay", {"number": number}, NOW + timedelta(minutes=number))
