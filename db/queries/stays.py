"""Subjects and stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from db.queries.conflict import insert_new
from db.rows import StayRow, SubjectRow
from models.clinical.errors import EarlyWarningError, InvalidInput

if TYPE_CHECKING:
    from models.clinical.stay import Sex  # pandas comes with it, and the web process starts without

_OLDEST_YEARS = 150


class StayConflict(EarlyWarningError):
    """A stay is described otherwise than it is stored, in a fact that cannot change."""


@dataclass(frozen=True)
class StayFacts:
    """What a caller says of a stay; `stay_id` and `subject_id` are the caller's own (external) ids.

    Raises InvalidInput for an age outside [0, 150] years or a discharge before the admission.
    """

    stay_id: str
    subject_id: str
    admitted_at: datetime
    bed: str | None = None
    care_unit: str | None = None
    age_years: float | None = None
    sex: Sex | None = None
    hospital_admitted_at: datetime | None = None
    discharged_at: datetime | None = None
    synthetic: bool = False

    def __post_init__(self) -> None:
        if self.age_years is not None and not 0 <= self.age_years <= _OLDEST_YEARS:
            bound = f"[0, {_OLDEST_YEARS}]"
            raise InvalidInput(
                f"stay {self.stay_id}: age {self.age_years} years is outside {bound}",
                value=self.age_years,
                bound=bound,
                unit="years",
            )
        if self.discharged_at is not None and self.discharged_at < self.admitted_at:
            raise InvalidInput(
                f"stay {self.stay_id}: discharged at {self.discharged_at}, admitted at {self.admitted_at}",
                value=self.discharged_at,
                bound=f">= {self.admitted_at}",
            )


def upsert_stay(session: Session, facts: StayFacts) -> tuple[StayRow, bool]:
    """The stay's row, and whether it is new. A known stay takes over everything that may change.

    Raises StayConflict where subject, admission or the synthetic mark contradict what is stored.
    """
    changeable = asdict(facts)
    external_id, subject_id = changeable.pop("stay_id"), changeable.pop("subject_id")
    subject = _subject(session, subject_id)
    new = insert_new(session, StayRow).values(external_id=external_id, subject_id=subject.id, **changeable)
    created = session.scalar(new.returning(StayRow.id)) is not None
    stay = stays_for_update(session, [external_id])[external_id]
    if not created:
        _refuse_contradiction(stay, facts)
        for name, value in changeable.items():
            setattr(stay, name, value)
        session.flush()
    return stay, created


def stay_by_external_id(session: Session, external_id: str) -> StayRow | None:
    """The stay a caller knows by that id."""
    return session.scalar(select(StayRow).where(StayRow.external_id == external_id))


def stays_for_update(session: Session, external_ids: Iterable[str]) -> dict[str, StayRow]:
    """The stays among `external_ids` that exist, locked until the transaction ends.

    The order of locking is fixed, so two batches that share stays wait for each other instead of deadlocking:
    call it once for a batch, before `append_observations`.
    """
    chosen = select(StayRow).where(StayRow.external_id.in_(set(external_ids))).order_by(StayRow.id)
    locked = chosen.with_for_update(of=StayRow, key_share=True).execution_options(populate_existing=True)
    return {stay.external_id: stay for stay in session.scalars(locked)}


def stays_of_ward(session: Session, now: datetime, care_unit: str | None = None) -> Sequence[StayRow]:
    """The stays that are not discharged at `now`, of one care unit or of all, by bed."""
    chosen = select(StayRow).where(not_discharged(now))
    if care_unit is not None:
        chosen = chosen.where(StayRow.care_unit == care_unit)
    return session.scalars(chosen.order_by(StayRow.bed, StayRow.external_id)).all()


def keep_tile(session: Session, stay_id: int, tile: Mapping[str, Any]) -> None:
    """Remember the stay's tile as it was last put on the feed, for the board's first paint."""
    session.execute(update(StayRow).where(StayRow.id == stay_id).values(tile=dict(tile)))


def care_units(session: Session, now: datetime) -> list[str]:
    """The care units that hold a stay which is not discharged at `now`, in order."""
    units = session.scalars(select(StayRow.care_unit).where(not_discharged(now)).distinct())
    return sorted(unit for unit in units if unit is not None)


def not_discharged(now: datetime) -> ColumnElement[bool]:
    """The condition that a stay is not discharged at `now`: a planned discharge hides nobody."""
    return or_(StayRow.discharged_at.is_(None), StayRow.discharged_at > now)


def _subject(session: Session, external_id: str) -> SubjectRow:
    session.execute(insert_new(session, SubjectRow).values(external_id=external_id))
    return session.scalars(select(SubjectRow).where(SubjectRow.external_id == external_id)).one()


def _refuse_contradiction(stay: StayRow, facts: StayFacts) -> None:
    stored = {
        "subject_id": (stay.subject.external_id, facts.subject_id),
        "admitted_at": (stay.admitted_at, facts.admitted_at),
        "synthetic": (stay.synthetic, facts.synthetic),
    }
    for name, (held, given) in stored.items():
        if held != given:
            raise StayConflict(f"stay {facts.stay_id}: {name} {given} contradicts the stored {held}")
