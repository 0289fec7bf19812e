"""Observations: every row gets its verdict, and an answer means that the good ones are on the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from sqlalchemy.orm import Session

from db.queries.observations import ObservationFacts, append_observations, quarantine_rows
from db.queries.stays import stays_for_update
from db.rows import StayRow
from db.session import writing
from models.clinical.quarantine import Quarantined, Reason
from service.answers import Json
from service.context import Context, Parts
from service.intake import check_row, quarantine_facts, read_row, refusal
from service.schemas import ObservationBatch, StayObservationIn

router = APIRouter(prefix="/v1/observations", tags=["observations"])


@dataclass(frozen=True)
class _CheckedRow:
    """A row of the batch at its position, as it came, and what it is."""

    position: int
    raw: object
    stay_id: str | None
    verdict: ObservationFacts | Quarantined


@router.post("", responses={413: {"description": "A body above the limit"}})
def take(parts: Parts, body: ObservationBatch) -> Json:
    """Store the good rows and the rejected ones in one transaction, and answer row by row."""
    rows = [read_row(StayObservationIn, raw) for raw in body.observations]
    named = {row.stay_id for row in rows if isinstance(row, StayObservationIn)}
    now = parts.clock.now()
    with writing(parts.engine) as session:
        stays = stays_for_update(session, named)
        checked = [
            _check(position, raw, row, stays, now)
            for position, (raw, row) in enumerate(zip(body.observations, rows, strict=True))
        ]
        answers = _append(session, checked, stays, now) | _quarantine(session, checked, now)
    return _counted(parts, [answers[position] for position in range(len(rows))])


def _check(
    position: int,
    raw: object,
    row: StayObservationIn | Quarantined,
    stays: Mapping[str, StayRow],
    now: datetime,
) -> _CheckedRow:
    if isinstance(row, Quarantined):
        return _CheckedRow(position, raw, None, row)
    stay = stays.get(row.stay_id)
    if stay is None:
        detail = f"no stay {row.stay_id!r}; announce it with POST /v1/stays"
        unknown = Quarantined(Reason.UNKNOWN_STAY, detail, value=row.stay_id)
        return _CheckedRow(position, raw, row.stay_id, unknown)
    # a monitor's clock may run a little ahead of ours, and nothing is known before it is measured
    verdict = check_row(row, admitted_at=stay.admitted_at, known_at=max(now, row.time), now=now)
    return _CheckedRow(position, raw, row.stay_id, verdict)


def _append(
    session: Session, checked: Sequence[_CheckedRow], stays: Mapping[str, StayRow], now: datetime
) -> dict[int, Json]:
    good: dict[str, dict[int, ObservationFacts]] = {}
    for row in checked:
        if isinstance(row.verdict, ObservationFacts) and row.stay_id is not None:
            good.setdefault(row.stay_id, {})[row.position] = row.verdict
    answers = {}
    for stay_id, facts in good.items():
        receipts = append_observations(session, stays[stay_id], list(facts.values()), now)
        for position, receipt in zip(facts, receipts, strict=True):
            answers[position] = {"row": position, "status": str(receipt)}
    return answers


def _quarantine(session: Session, checked: Sequence[_CheckedRow], now: datetime) -> dict[int, Json]:
    answers, facts = {}, []
    for row in checked:
        if isinstance(row.verdict, Quarantined):
            answers[row.position] = refusal(row.verdict, row.position)
            facts.append(quarantine_facts(row.verdict, row.raw, row.stay_id))
    quarantine_rows(session, facts, now)
    return answers


def _counted(parts: Context, answers: Sequence[Json]) -> Json:
    counts = Counter(answer["status"] for answer in answers)
    for answer in answers:
        parts.metrics.observations.labels(answer["status"], answer.get("reason", "")).inc()
    totals = {status: counts[status] for status in ("accepted", "duplicate", "rejected")}
    return {**totals, "rows": answers}
