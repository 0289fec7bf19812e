"""The live feed as server-sent events."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from service.context import Parts
from service.event_stream import EventStream

router = APIRouter(prefix="/v1", tags=["feed"])

# the identifiers of the database are 64-bit integers
EventId = Annotated[int | None, Query(ge=0, le=2**63 - 1)]
ResumeId = Annotated[int | None, Header(ge=0, le=2**63 - 1, alias="Last-Event-ID")]


@router.get(
    "/feed",
    response_class=Response,
    responses={
        200: {
            "description": "`stay` and `alert` messages with ids, `heartbeat` every 5 s, `reset` when the id "
            "asked for is no longer held",
            "content": {
                "text/event-stream": {"example": 'id: 812\nevent: stay\ndata: {"stay_id":"icu-7"}\n\n'}
            },
        }
    },
)
async def feed(parts: Parts, last_event_id: EventId = None, resume: ResumeId = None) -> Response:
    """Everything that changes on the ward, from now on or from after an id; the header wins."""
    start = resume if resume is not None else last_event_id
    return EventStream(parts.feed, parts.metrics, start)
