"""The web process: the REST API, the live feed and the board."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from service.access import Access
from service.body_limit import BodyLimit
from service.context import Context, log_to_stderr, prepare_database
from service.problems import install_problem_details
from service.routes import alerts, feed, health, observations, score, stays
from service.settings import Settings

DASHBOARD = Path(__file__).parent / "dashboard"

# open feeds end themselves; this is for a client that is stuck in the middle of an answer
_GRACEFUL_SECONDS = 5


def create_app(settings: Settings) -> FastAPI:
    """The web application over these settings; nothing connects before it starts."""
    parts = Context.of(settings)
    app = FastAPI(
        title="Prodrome",
        version="1",
        summary="Clinical early warning: observations in, scores and alerts out",
        description="Decision support under evaluation; not a certified medical device.",
        lifespan=_lifespan,
    )
    app.state.context = parts
    install_problem_details(app)
    app.add_middleware(BodyLimit, limit_bytes=settings.body_limit_bytes)
    app.add_middleware(Access, metrics=parts.metrics)
    for noun in (stays, observations, score, alerts, feed, health):
        app.include_router(noun.router)
    app.mount("/", StaticFiles(directory=DASHBOARD, html=True), name="board")
    return app


def server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """A server of `app` that ends open feeds before it waits for its connections."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        access_log=False,
        log_config=None,
    )
    return _Server(config)


def serve(settings: Settings) -> None:
    """Bring the database up to date and serve the API until SIGTERM or SIGINT."""
    log_to_stderr()
    prepare_database(settings)
    with contextlib.suppress(KeyboardInterrupt):
        server(create_app(settings), settings).run()


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.context.feed.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Context = app.state.context
    tail = asyncio.create_task(parts.feed.run())
    logging.getLogger(__name__).info("Prodrome web process started")
    yield
    parts.feed.close()
    await tail
    parts.scoring.close()
    parts.engine.dispose()
