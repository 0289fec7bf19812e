"""Observations: every row gets its verdict, and an answer means that the good ones are on the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fastapi import APIRouter
from sqlalchemy.orm import Session

from db.queries.audit import record
from db.queries.observations import append_observations, quarantine_rows
from db.queries.stays import stays_for_update
from db.rows import StayRow
from models.clinical.ledger import ObservationFacts, Receipt
from models.clinical.quarantine import Quarantined, Reason
from service.answers import Json
from service.context import Context, Parts
from service.intake import (
    Said,
    check_times,
    nothing_to_withdraw,
    quarantine_facts,
    read_row,
    read_value,
    refusal,
)
from service.schemas import ObservationBatch, StayObservationIn

router = APIRouter(prefix="/v1/observations", tags=["observations"])

_STATUSES = ("accepted", "corrected", "withdrawn", "duplicate", "rejected")


@dataclass(frozen=True)
class _ReadRow:
    """A row of the batch at its position, as it came, and what it says apart from its stay."""

    position: int
    raw: object
    row: StayObservationIn | None
    said: Said | Quarantined

    @classmethod
    def of(cls, position: int, raw: object) -> _ReadRow:
        """Read and convert a row; this needs no storage, so it holds no lock."""
        row = read_row(StayObservationIn, raw)
        if isinstance(row, Quarantined):
            return cls(position, raw, None, row)
        return cls(position, raw, row, read_value(row))


@dataclass(frozen=True)
class _CheckedRow:
    """A row of the batch at its position, as it came, and what it is."""

    position: int
    raw: object
    stay_id: str | None
    verdict: ObservationFacts | Quarantined
    receipt: Receipt | None = None


@router.post("", responses={413: {"description": "A body above the limit"}})
def take(parts: Parts, body: ObservationBatch) -> Json:
    """Store the good rows and the rejected ones in one transaction, and answer row by row."""
    rows = [_ReadRow.of(position, raw) for position, raw in enumerate(body.observations)]
    named = {read.row.stay_id for read in rows if read.row is not None}
    now = parts.clock.now()
    with parts.writing() as session:
        stays = stays_for_update(session, named)
        checked = [_check(read, stays, now) for read in rows]
        checked = _append(session, checked, stays, now)
        rejected = _quarantine(session, checked, now)
    return _counted(parts, [_answer(row, rejected) for row in checked])


def _check(read: _ReadRow, stays: Mapping[str, StayRow], now: datetime) -> _CheckedRow:
    stay_id = None if read.row is None else read.row.stay_id
    return _CheckedRow(read.position, read.raw, stay_id, _verdict(read, stays, now))


def _verdict(read: _ReadRow, stays: Mapping[str, StayRow], now: datetime) -> ObservationFacts | Quarantined:
    row, said = read.row, read.said
    if row is not None and row.stay_id not in stays:
        detail = f"no stay {row.stay_id!r}; announce it with POST /v1/stays"
        return Quarantined(Reason.UNKNOWN_STAY, detail, value=row.stay_id)
    if row is None or isinstance(said, Quarantined):
        assert isinstance(said, Quarantined)
        return said
    # a monitor's clock may run a little ahead of ours, and nothing is known before it is measured
    admitted_at = stays[row.stay_id].admitted_at
    return check_times(row, said, admitted_at=admitted_at, known_at=max(now, row.time), now=now)


def _append(
    session: Session, checked: Sequence[_CheckedRow], stays: Mapping[str, StayRow], now: datetime
) -> list[_CheckedRow]:
    """The rows with what became of the good ones; a withdrawal of what was never reported is none of them."""
    good: dict[str, dict[int, ObservationFacts]] = {}
    for row in checked:
        if isinstance(row.verdict, ObservationFacts) and row.stay_id is not None:
            good.setdefault(row.stay_id, {})[row.position] = row.verdict
    receipts: dict[int, Receipt] = {}
    for stay_id, facts in good.items():
        received = append_observations(session, stays[stay_id], list(facts.values()), now)
        receipts |= dict(zip(facts, received, strict=True))
        _record(session, stay_id, Counter(received), now)
    return [_received(row, receipts.get(row.position)) for row in checked]


def _received(row: _CheckedRow, receipt: Receipt | None) -> _CheckedRow:
    if receipt is Receipt.NOT_FOUND and isinstance(row.verdict, ObservationFacts):
        return replace(row, verdict=nothing_to_withdraw(row.verdict))
    return replace(row, receipt=receipt)


def _record(session: Session, stay_id: str, received: Counter[Receipt], now: datetime) -> None:
    """What changes the past of a stay is audited; what only adds to it is told by the rows themselves."""
    changed = {str(kind): received[kind] for kind in (Receipt.CORRECTED, Receipt.WITHDRAWN) if received[kind]}
    if changed:
        record(session, "api", "observations corrected", {"stay_id": stay_id, **changed}, now)


def _quarantine(session: Session, checked: Sequence[_CheckedRow], now: datetime) -> dict[int, Json]:
    answers, facts = {}, []
    for row in checked:
        if isinstance(row.verdict, Quarantined):
            answers[row.position] = refusal(row.verdict, row.position)
            facts.append(quarantine_facts(row.verdict, row.raw, row.stay_id))
    quarantine_rows(session, facts, now)
    return answers


def _answer(row: _CheckedRow, rejected: Mapping[int, Json]) -> Json:
    return rejected.get(row.position) or {"row": row.position, "status": str(row.receipt)}


def _counted(parts: Context, answers: Sequence[Json]) -> Json:
    counts = Counter(answer["status"] for answer in answers)
    for answer in answers:
        parts.metrics.observations.labels(answer["status"], answer.get("reason", "")).inc()
    totals = {status: counts[status] for status in _STATUSES}
    return {**totals, "rows": answers}
