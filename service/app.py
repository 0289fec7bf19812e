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
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access import Access
from service.body_limit import BodyLimit
from service.context import Context, log_to_stderr, prepare_database
from service.problems import PROBLEM_ANSWERS, install_problem_details
from service.routes import alerts, feed, health, observations, score, segments, stays
from service.settings import Settings

DASHBOARD = Path(__file__).parent / "dashboard"
API_PAGE = Path(__file__).parent / "api_page"

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
        docs_url=None,  # FastAPI's own pages load their viewer from elsewhere: wards are closed networks
        redoc_url=None,
        responses=PROBLEM_ANSWERS,
    )
    app.state.context = parts
    install_problem_details(app)
    app.add_middleware(BodyLimit, limit_bytes=settings.body_limit_bytes)
    app.add_middleware(Access, metrics=parts.metrics)
    # stays last: a stay id may hold a slash, so its path takes whatever no other route has taken
    for noun in (observations, score, segments, alerts, feed, health, stays):
        app.include_router(noun.router)
    app.mount("/docs", StaticFiles(directory=API_PAGE, html=True), name="api page")
    # not a mount, which would take the routes' wrong methods as well and answer 404 for 405
    app.router.default = _board(StaticFiles(directory=DASHBOARD, html=True))
    return app


def _board(files: StaticFiles) -> ASGIApp:
    """The board's files, for every path that no route knows and that is not the API's."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/v1/"):
            raise HTTPException(404)
        await files(scope, receive, send)

    return answer


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
