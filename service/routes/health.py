"""Is the process alive, can it do its work, and what has it counted."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from db.queries.audit import last_beat
from db.queries.due import count_due_stays
from db.schema import migrated
from db.session import reading
from service.clock import wall_now
from service.context import Context, Parts
from service.problems import problem

router = APIRouter(tags=["health"])

_SILENT_AFTER = timedelta(seconds=30)


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/health/ready", responses={503: {"description": "What is missing"}})
def ready(parts: Parts) -> JSONResponse:
    """The database is migrated and a worker has beaten within 30 s."""
    missing = _missing(parts)
    return problem(503, missing) if missing else JSONResponse({"status": "ready"})


def _missing(parts: Context) -> str:
    try:
        if not migrated(parts.engine):
            return "the database is not migrated"
        with reading(parts.engine) as session:
            beat_at = last_beat(session)
    except SQLAlchemyError as error:
        return f"the database does not answer ({type(error).__name__})"
    if beat_at is None:
        return "no worker has ever run"
    silence = wall_now() - beat_at
    return f"no worker has beaten for {silence.total_seconds():.0f} s" if silence > _SILENT_AFTER else ""


@router.get("/metrics", response_class=Response)
def metrics(parts: Parts) -> Response:
    """Counters, gauges and histograms as Prometheus text."""
    now = parts.clock.now()
    with reading(parts.engine) as session:
        due, scored_through = count_due_stays(session, now)
    parts.metrics.due.set(due)
    parts.metrics.score_age.set((now - scored_through).total_seconds() if scored_through else 0)
    return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)
