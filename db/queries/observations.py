"""Observations and what was rejected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, insert, select, update
from sqlalchemy.orm import Session

from db.rows import ObservationRow, QuarantineRow, StayRow
from models.clinical.ledger import Ledger, ObservationFacts, Receipt, ReportStatus, Version

_IN_A_QUERY = 1000  # a statement has a bounded number of parameters
# in the order of the fields of Version
_VERSION = (
    ObservationRow.time,
    ObservationRow.known_at,
    ObservationRow.variable,
    ObservationRow.value,
    ObservationRow.censored,
    ObservationRow.identifier,
    ObservationRow.status,
    ObservationRow.known_until,
    ObservationRow.id,
)


@dataclass(frozen=True)
class QuarantineFacts:
    """One rejected input as it came (`input` is its text), why, and what would have been accepted."""

    reason: str
    detail: str
    input: str
    bound: str = ""
    unit: str = ""
    stay_id: str | None = None


def append_observations(
    session: Session, stay: StayRow, facts: Sequence[ObservationFacts], received_at: datetime
) -> list[Receipt]:
    """Enter reports by when they were known, and say what became of each, in the order in which they come.

    The stay's row is locked first, so within a stay ids rise in the order of commits and a scoring watermark
    never passes an observation that is still under way. Raises InvalidInput for a time without an offset.
    """
    if not facts:
        return []
    session.refresh(stay, with_for_update={"of": StayRow, "key_share": True})
    ledger = Ledger(_concerned(session, stay.id, facts))
    by_known_at = sorted(range(len(facts)), key=lambda row: facts[row].known_at)
    receipts = {row: ledger.take(facts[row]) for row in by_known_at}
    if ledger.changed:
        _update(session, ledger.changed.values())
        stay.withdrawals += 1
    if ledger.new:
        _insert(session, stay, ledger.new, received_at)
    session.flush()
    return [receipts[row] for row in range(len(facts))]


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


def _concerned(session: Session, stay_id: int, facts: Sequence[ObservationFacts]) -> Iterator[Version]:
    """The stored versions that reports may repeat, correct or withdraw: of their moments and their names."""
    times = sorted({report.time for report in facts})
    names = sorted({report.identifier for report in facts if report.identifier})
    span = ObservationRow.known_at >= times[0], ObservationRow.time.between(times[0], times[-1])
    # an old and a new row together span a whole stay, of which two moments are asked for
    exact = [ObservationRow.time.in_(times)] if len(times) <= _IN_A_QUERY else []
    conditions = [and_(*span, *exact)]
    conditions += [
        ObservationRow.identifier.in_(names[first : first + _IN_A_QUERY])
        for first in range(0, len(names), _IN_A_QUERY)
    ]
    found: dict[int, Version] = {}
    for condition in conditions:
        for row in session.execute(select(*_VERSION).where(ObservationRow.stay_id == stay_id, condition)):
            *_, status, known_until, row_id = row
            found[row_id] = Version(*row[:6], ReportStatus(status), known_until, row_id)
    return iter(found.values())


def _update(session: Session, versions: Iterable[Version]) -> None:
    """Before what replaces them is stored: at most one version of a content stands."""
    columns = [
        {"id": one.row_id, "known_until": one.known_until, "identifier": one.identifier} for one in versions
    ]
    session.execute(update(ObservationRow), columns)


def _insert(session: Session, stay: StayRow, versions: Sequence[Version], received_at: datetime) -> None:
    rows = [
        {
            "stay_id": stay.id,
            "received_at": received_at,
            "time": one.time,
            "known_at": one.known_at,
            "known_until": one.known_until,
            "variable": one.variable,
            "value": one.value,
            "censored": one.censored,
            "identifier": one.identifier,
            "status": str(one.status),
        }
        for one in versions
    ]
    newest = max(session.scalars(insert(ObservationRow).returning(ObservationRow.id), rows))
    known_at = max(one.known_at for one in versions)
    stay.last_observation_id = max(stay.last_observation_id, newest)
    stay.last_known_at = max(stay.last_known_at or known_at, known_at)
