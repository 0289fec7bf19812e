"""Scores of what is not stored, posteriors, explanations, similar stays: the worker answers, we check."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from models.clinical.ledger import Ledger, ObservationFacts, Receipt, Version
from models.clinical.quarantine import Quarantined
from service.answers import Json, instant
from service.context import Parts
from service.intake import check_times, nothing_to_withdraw, read_row, read_value, refusal
from service.schemas import Instant, ObservationIn, ScoreRequest

router = APIRouter(prefix="/v1", tags=["score"])


@router.post("/score", responses={503: {"description": "No worker answers"}})
def score(parts: Parts, body: ScoreRequest) -> Json:
    """Hourly scores of a stay that is not stored; a row without `known_at` is known when it was measured."""
    now = parts.clock.now()
    verdicts = [_verdict(raw, body.stay.admitted_at, now) for raw in body.observations]
    good, rejected = _sorted_out(verdicts)
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


@router.get("/stays/{stay_id:path}/explanation", responses={503: {"description": "No worker answers"}})
def explanation(
    parts: Parts,
    stay_id: str,
    time: Annotated[Instant | None, Query(description="Of the newest score at this time")] = None,
) -> Json:
    """What moved a score: which variables, which observations; and what would make it surer."""
    return parts.scoring.ask("inquire", {"stay_id": stay_id, "time": instant(time)})


@router.get("/stays/{stay_id:path}/similar", responses={503: {"description": "No worker answers"}})
def similar(
    parts: Parts,
    stay_id: str,
    time: Annotated[Instant | None, Query(description="At the hour of the newest score at this time")] = None,
) -> Json:
    """The past stays most like this one, and what became of them."""
    return parts.scoring.ask("liken", {"stay_id": stay_id, "time": instant(time)})


def _verdict(raw: object, admitted_at: datetime, now: datetime) -> ObservationFacts | Quarantined:
    row = read_row(ObservationIn, raw)
    if isinstance(row, Quarantined):
        return row
    said = read_value(row)
    if isinstance(said, Quarantined):
        return said
    return check_times(row, said, admitted_at=admitted_at, known_at=row.time, now=now)


def _sorted_out(verdicts: Sequence[ObservationFacts | Quarantined]) -> tuple[list[Json], list[Json]]:
    """The versions that the rows make, in whichever order they come, and the rejected rows."""
    rejected = {row: verdict for row, verdict in enumerate(verdicts) if isinstance(verdict, Quarantined)}
    good = {row: verdict for row, verdict in enumerate(verdicts) if isinstance(verdict, ObservationFacts)}
    ledger = Ledger()
    for row, facts in sorted(good.items(), key=lambda item: item[1].known_at):
        if ledger.take(facts) is Receipt.NOT_FOUND:
            rejected[row] = nothing_to_withdraw(facts)
    return [_canonical(one) for one in ledger.new], [refusal(rejected[row], row) for row in sorted(rejected)]


def _canonical(version: Version) -> Json:
    return {
        "time": instant(version.time),
        "known_at": instant(version.known_at),
        "known_until": instant(version.known_until),
        "variable": version.variable,
        "value": version.value,
        "censored": version.censored,
    }
