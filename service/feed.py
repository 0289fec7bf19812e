"""The live feed: the outbox, tailed once a process and sent to every client as server-sent events.

One poller reads new messages and encodes each once; the newest stay in memory. A client is nothing but a
cursor: it is sent what the memory holds after its cursor and, where it is further behind, what the outbox
holds. So a slow client costs no memory, and one that takes nothing is dropped: it resumes by its last id.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from db.queries.outbox import messages_after, newest_message_id, oldest_message_id
from db.rows import OutboxRow
from db.session import reading
from service.answers import instant
from service.clock import Clock
from service.metrics import Metrics

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
HEARTBEAT_SECONDS = 5.0
_MEMORY_MESSAGES = 1000  # about 3 MB
_PAGE_MESSAGES = 200

OPENING = b"retry: 1000\n\n"


@dataclass(frozen=True)
class Event:
    """One message as it goes over the wire; `id` is the cursor of a client that has it."""

    id: int
    wire: bytes


class Feed:
    """The outbox of one web process as a stream that any number of clients read at their own pace."""

    def __init__(self, engine: Engine, clock: Clock, metrics: Metrics) -> None:
        self._engine, self._clock, self._metrics = engine, clock, metrics
        self._memory: deque[Event] = deque(maxlen=_MEMORY_MESSAGES)
        self._cursor: int | None = None
        self._forgotten = 0  # the memory holds every message after this id
        self._news = asyncio.Event()
        self._polled_at = -float("inf")
        self.closed = False

    async def run(self) -> None:
        """Tail the outbox until the feed is closed. A storage failure is logged and tried again."""
        failing = False
        while not self.closed:
            try:
                self._take(await asyncio.to_thread(self._poll))
                failing = False
            except SQLAlchemyError:
                if not failing:
                    _log.exception("the feed cannot read the outbox; heartbeats stop until it can")
                failing = True
            await asyncio.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """End every open stream; the clients come back to the next process."""
        self.closed = True
        self._wake()

    async def start_of(self, last_event_id: int | None) -> tuple[int, bytes]:
        """The cursor for a client that last saw `last_event_id`, and what it must be told first."""
        oldest, newest = await asyncio.to_thread(self._held)
        if last_event_id is None:
            return newest, b""
        if oldest - 1 <= last_event_id <= newest:
            return last_event_id, b""
        return newest, encode("reset", {"now": instant(self._clock.now())}, newest)

    async def after(self, cursor: int) -> Sequence[Event]:
        """Messages after `cursor`, from memory or a page of the outbox; empty when there are none."""
        if cursor >= self._forgotten:
            return [event for event in self._memory if event.id > cursor]
        return await asyncio.to_thread(self._page, cursor)

    async def wait(self, seconds: float) -> None:
        """Return when there may be news, when the feed closes, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    def heartbeat(self) -> bytes:
        """The sign that the feed lives; nothing while the outbox cannot be read: boards turn stale."""
        if time.monotonic() - self._polled_at > HEARTBEAT_SECONDS:
            return b""
        return encode("heartbeat", {"now": instant(self._clock.now())})

    def _poll(self) -> Sequence[OutboxRow]:
        with reading(self._engine) as session:
            if self._cursor is None:
                self._cursor = self._forgotten = newest_message_id(session)
            return messages_after(session, self._cursor)

    def _take(self, messages: Sequence[OutboxRow]) -> None:
        self._polled_at = time.monotonic()
        for message in messages:
            if len(self._memory) == _MEMORY_MESSAGES:
                self._forgotten = self._memory[0].id
            self._memory.append(Event(message.id, encode(message.kind, message.payload, message.id)))
            self._cursor = message.id
            self._count(message)
        if messages:
            self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _count(self, message: OutboxRow) -> None:
        if message.kind == "stay":
            self._metrics.tiles.labels(message.payload["score"]["status"]).inc()
        elif message.kind == "alert":
            self._metrics.alerts.labels(message.payload["condition"]).inc()

    def _held(self) -> tuple[int, int]:
        with reading(self._engine) as session:
            return oldest_message_id(session), newest_message_id(session)

    def _page(self, cursor: int) -> Sequence[Event]:
        with reading(self._engine) as session:
            messages = messages_after(session, cursor, _PAGE_MESSAGES)
        return [Event(row.id, encode(row.kind, row.payload, row.id)) for row in messages]


def encode(kind: str, payload: Mapping[str, object], message_id: int | None = None) -> bytes:
    """One server-sent event; without an id it does not move the client's cursor."""
    data = json.dumps(payload, separators=(",", ":"), allow_nan=False)
    line = "" if message_id is None else f"id: {message_id}\n"
    return f"{line}event: {kind}\ndata: {data}\n\n".encode()
