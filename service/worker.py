"""The worker process: scores due stays, runs the alarm policy and commits the whole outcome at once."""

from __future__ import annotations

from service.settings import Settings


def run(settings: Settings) -> None:
    """Score due stays until SIGTERM or SIGINT; blocking. A pass that has begun is finished."""
    raise NotImplementedError
