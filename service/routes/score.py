"""Stateless scoring and posteriors: checked here, answered by the worker, which holds the models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from db.queries.observations import ObservationFacts
from models.clinical.quarantine import Quarantined, check_value
from service.answers import Json, instant
from service.context import Parts
from service.intake import check_times, read_row, refusal
from service.schemas import Instant, ObservationIn, ScoreRequest

router = APIRouter(prefix="/v1", tags=["score"])


@router.post("/score", responses={503: {"description": "No worker answers"}})
def score(parts: Parts, body: ScoreRequest) -> Json:
    """Hourly scores of a stay that is not stored; a row without `known_at` is known when it was measured."""
    now = parts.clock.now()
    good: list[Json] = []
    rejected: list[Json] = []
    for position, raw in enumerate(body.observations):
        verdict = _verdict(raw, body.stay.admitted_at, now)
        if isinstance(verdict, Quarantined):
            rejected.append(refusal(verdict, position))
        else:
            good.append(_canonical(verdict))
    question = {"stay": body.stay.model_dump(mode="json"), "observations": good, "model": body.model}
    return {**parts.scoring.ask("score", question), "rejected": rejected}


@router.get("/stays/{stay_id:path}/posterior", responses={503: {"description": "No worker answers"}})
def posterior(
    parts: Parts,
    stay_id: str,
    variable: Annotated[list[str] | None, Query()] = None,
    as_of: Instant | None = None,
) -> Json:
    """The Gaussian process mean and 95 % band of some or all observed variables, in canonical units."""
    return parts.scoring.ask(
        "posterior", {"stay_id": stay_id, "variables": variable or [], "as_of": instant(as_of)}
    )


def _verdict(raw: object, admitted_at: datetime, now: datetime) -> ObservationFacts | Quarantined:
    row = read_row(ObservationIn, raw)
    if isinstance(row, Quarantined):
        return row
    value = check_value(row.variable, row.value, row.unit)
    if isinstance(value, Quarantined):
        return value
    return check_times(row, value, admitted_at=admitted_at, known_at=row.time, now=now)


def _canonical(facts: ObservationFacts) -> Json:
    return {
        "time": instant(facts.time),
        "known_at": instant(facts.known_at),
        "variable": facts.variable,
        "value": facts.value,
    }
