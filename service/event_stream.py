"""One client of the feed, written straight to the connection: no queue between the feed and the socket."""

from __future__ import annotations

import asyncio
import time

from fastapi import Response
from starlette.types import Receive, Scope, Send

from service.feed import HEARTBEAT_SECONDS, OPENING, Feed
from service.metrics import Metrics

_SEND_SECONDS = 30.0


class EventStream(Response):
    """Sends the feed from a cursor on, until the client leaves, stops reading or the feed closes."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, metrics: Metrics, last_event_id: int | None) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._feed, self._metrics, self._last_event_id = feed, metrics, last_event_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until there is a reason to stop."""
        del scope  # the cursor was read from it before
        cursor, first = await self._feed.start_of(self._last_event_id)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        gone = asyncio.create_task(_disconnect(receive))
        self._metrics.feed_clients.inc()
        try:
            await _write(send, OPENING + first + self._feed.heartbeat())
            await self._follow(cursor, gone, send)
            await _write(send, b"", more=False)
        except TimeoutError:
            return  # the client takes nothing: an unfinished answer makes the server close the connection
        finally:
            self._metrics.feed_clients.dec()
            gone.cancel()

    async def _follow(self, cursor: int, gone: asyncio.Task[None], send: Send) -> None:
        beat_at = time.monotonic() + HEARTBEAT_SECONDS
        while not self._feed.closed and not gone.done():
            events = await self._feed.after(cursor)
            if events:
                await _write(send, b"".join(event.wire for event in events))
                cursor = events[-1].id
            elif (left := beat_at - time.monotonic()) > 0:
                await self._feed.wait(min(left, 1.0))
            if time.monotonic() >= beat_at:
                await _write(send, self._feed.heartbeat())
                beat_at = time.monotonic() + HEARTBEAT_SECONDS


async def _write(send: Send, chunk: bytes, *, more: bool = True) -> None:
    if chunk or not more:
        async with asyncio.timeout(_SEND_SECONDS):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
