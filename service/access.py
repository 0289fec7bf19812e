"""Around every request: how long it took, and the headers that keep the board's page to itself."""

from __future__ import annotations

import logging
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import Metrics

_log = logging.getLogger("prodrome.access")

# nothing but our own files, no inline script, in nobody's frame
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Access:
    """ASGI middleware: measures, logs, and adds the security headers."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and look at its answer when it starts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                _guard(scope["path"], message)
                self._observe(scope, message["status"], time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, watched)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.latency.labels(scope["method"], route, str(status)).observe(seconds)
        asked_all_the_time = scope["path"].startswith("/health/") or scope["path"] == "/metrics"
        level = logging.DEBUG if asked_all_the_time else logging.INFO
        _log.log(level, "%s %s %d %.1f ms", scope["method"], scope["path"], status, 1000 * seconds)


def _guard(path: str, message: Message) -> None:
    headers = MutableHeaders(scope=message)
    headers["x-content-type-options"] = "nosniff"
    headers["referrer-policy"] = "no-referrer"
    headers["content-security-policy"] = _POLICY
    # patients' data are kept nowhere; the board's files are asked for again each time
    headers.setdefault("cache-control", "no-store" if path.startswith("/v1/") else "no-cache")
