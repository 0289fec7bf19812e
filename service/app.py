"""The web process: the REST API, the live feed and the board."""

from __future__ import annotations

from fastapi import FastAPI

from service.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The web application over these settings; it opens the database when it starts, not when it is made."""
    raise NotImplementedError


def serve(settings: Settings) -> None:
    """Serve the API until SIGTERM or SIGINT; open feeds are ended, not waited for."""
    raise NotImplementedError
