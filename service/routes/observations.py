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
from models.clinical.quarantine import Accepted, Quarantined, Reason, check_value
from service.answers import Json
from service.context import Context, Parts
from service.intake import check_times, quarantine_facts, read_row, refusal
from service.schemas import ObservationBatch, StayObservationIn

router = APIRouter(prefix="/v1/observations", tags=["observations"])


@dataclass(frozen=True)
class _ReadRow:
    """A row of the batch at its position, as it came, and what it says apart from its stay."""

    position: int
    raw: object
    row: StayObservationIn | None
    value: Accepted | Quarantined

    @classmethod
    def of(cls, position: int, raw: object) -> _ReadRow:
        """Read and convert a row; this needs no storage, so it holds no lock."""
        row = read_row(StayObservationIn, raw)
        if isinstance(row, Quarantined):
            return cls(position, raw, None, row)
        return cls(position, raw, row, check_value(row.variable, row.value, row.unit))


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
    rows = [_ReadRow.of(position, raw) for position, raw in enumerate(body.observations)]
    named = {read.row.stay_id for read in rows if read.row is not None}
    now = parts.clock.now()
    with parts.writing() as session:
        stays = stays_for_update(session, named)
        checked = [_check(read, stays, now) for read in rows]
        answers = _append(session, checked, stays, now) | _quarantine(session, checked, now)
    return _counted(parts, [answers[position] for position in range(len(rows))])


def _check(read: _ReadRow, stays: Mapping[str, StayRow], now: datetime) -> _CheckedRow:
    stay_id = None if read.row is None else read.row.stay_id
    return _CheckedRow(read.position, read.raw, stay_id, _verdict(read, stays, now))


def _verdict(read: _ReadRow, stays: Mapping[str, StayRow], now: datetime) -> ObservationFacts | Quarantined:
    row, value = read.row, read.value
    if row is not None and row.stay_id not in stays:
        detail = f"no stay {row.stay_id!r}; announce it with POST /v1/stays"
        return Quarantined(Reason.UNKNOWN_STAY, detail, value=row.stay_id)
    if row is None or isinstance(value, Quarantined):
        assert isinstance(value, Quarantined)
        return value
    # a monitor's clock may run a little ahead of ours, and nothing is known before it is measured
    admitted_at = stays[row.stay_id].admitted_at
    return check_times(row, value, admitted_at=admitted_at, known_at=max(now, row.time), now=now)


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
