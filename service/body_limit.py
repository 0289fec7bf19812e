"""Refuses a body above the limit by counting what arrives, and never holds more of it than the limit."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import problem

# a client that is still sending when the connection closes may never read the answer
_DRAIN_SECONDS = 10


class BodyTooLarge(HTTPException):
    """A body above the limit. An HTTPException, because a route's body reader hides any other error."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(413, _sentence(limit_bytes))


class BodyLimit:
    """ASGI middleware: 413 as soon as the declared or the counted length of a body passes `limit_bytes`."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a counted body, or refuse it at once."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._limit_bytes:
            await _drain(receive)
            refusal = problem(413, _sentence(self._limit_bytes), bound=f"<= {self._limit_bytes}", unit="byte")
            await refusal(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit_bytes:
                if message.get("more_body"):
                    await _drain(receive)
                raise BodyTooLarge(self._limit_bytes)
            return message

        return counted


async def _drain(receive: Receive) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while (await receive()).get("more_body"):
                pass


def _sentence(limit_bytes: int) -> str:
    return f"the body is larger than {limit_bytes} bytes; send smaller batches"
