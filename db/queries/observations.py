"""Observations and what was rejected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.queries.conflict import insert_new
from db.rows import ObservationRow, QuarantineRow, StayRow


@dataclass(frozen=True)
class ObservationFacts:
    """One good observation: catalogue name of the variable, `value` finite in its canonical unit."""

    time: datetime
    known_at: datetime
    variable: str
    value: float


@dataclass(frozen=True)
class QuarantineFacts:
    """One rejected input as it came (`input` is its text), why, and what would have been accepted."""

    reason: str
    detail: str
    input: str
    bound: str = ""
    unit: str = ""
    stay_id: str | None = None


class Receipt(StrEnum):
    """What became of an observation that was handed in."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"


def append_observations(
    session: Session, stay: StayRow, facts: Sequence[ObservationFacts], received_at: datetime
) -> list[Receipt]:
    """Store what is new and say for each fact, in order, whether it was.

    The stay's row is locked first, so within a stay ids rise in the order of commits and a scoring watermark
    never passes an observation that is still under way. Raises InvalidInput for a time without an offset.
    """
    session.refresh(stay, with_for_update={"of": StayRow, "key_share": True})
    first_at = _first_positions(facts)
    new = insert_new(session, ObservationRow).returning(ObservationRow)
    rows = [
        # not asdict: it copies every time deeply, and the lock is held meanwhile
        {"stay_id": stay.id, "received_at": received_at, **vars(facts[position])}
        for position in first_at.values()
    ]
    stored = session.scalars(new, rows).all() if rows else []
    accepted = {first_at[_key(row)] for row in stored}
    _note_newest(stay, stored)
    session.flush()
    return [Receipt.ACCEPTED if i in accepted else Receipt.DUPLICATE for i in range(len(facts))]


def observations_of(
    session: Session, stay_id: int, known_by: datetime | None = None
) -> Sequence[ObservationRow]:
    """A stay's observations (those known by a time), ordered by (known_at, time, variable, value)."""
    chosen = select(ObservationRow).where(ObservationRow.stay_id == stay_id)
    if known_by is not None:
        chosen = chosen.where(ObservationRow.known_at <= known_by)
    order = (ObservationRow.known_at, ObservationRow.time, ObservationRow.variable, ObservationRow.value)
    return session.scalars(chosen.order_by(*order)).all()


def quarantine_rows(session: Session, facts: Iterable[QuarantineFacts], received_at: datetime) -> None:
    """Keep rejected inputs."""
    rows = []
    for fact in facts:
        columns = dict(vars(fact))
        columns["stay_external_id"] = columns.pop("stay_id")
        rows.append({"received_at": received_at, **columns})
    if rows:
        session.execute(insert(QuarantineRow), rows)


def _key(fact: ObservationFacts | ObservationRow) -> tuple[str, datetime, float]:
    return fact.variable, fact.time, fact.value


def _first_positions(facts: Sequence[ObservationFacts]) -> dict[tuple[str, datetime, float], int]:
    first_at: dict[tuple[str, datetime, float], int] = {}
    for position, fact in enumerate(facts):
        first_at.setdefault(_key(fact), position)
    return first_at


def _note_newest(stay: StayRow, stored: Sequence[ObservationRow]) -> None:
    for row in stored:
        stay.last_observation_id = max(stay.last_observation_id, row.id)
        stay.last_known_at = max(stay.last_known_at or row.known_at, row.known_at)
