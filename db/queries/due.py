"""Which stays a worker must score, and the lease that keeps two workers from one stay.

A stay is due when something arrived or was withdrawn since its last scoring; or when its next grid hour has
passed and either that hour still covers data or the newest data are younger than 48 h in a stay that goes on.
A lease is held by wall clock, because the service's clock may run faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from db.queries.stays import not_discharged
from db.rows import UNSCORED_DATA, StayRow
from models.clinical.errors import EarlyWarningError
from models.clinical.score import GRID_STEP

SILENCE_SCORED = timedelta(hours=48)


class LeaseLost(EarlyWarningError):
    """The stay was claimed by another worker, because this one took longer than its lease."""


def claim_due_stays(
    session: Session,
    worker_id: str,
    *,
    now: datetime,
    wall_now: datetime,
    limit: int,
    lease: timedelta,
) -> Sequence[StayRow]:
    """Claim up to `limit` due stays for a worker, those furthest behind first.

    `now` is the service's time, `wall_now` the wall clock's. A claim ends with `mark_scored` or, after a
    failure, when its lease runs out: a stay that cannot be scored is tried again then, not at once. A dead
    worker's stays wait that long; one that lives renews (`renew_claims`).
    """
    free = or_(StayRow.claimed_until.is_(None), StayRow.claimed_until <= wall_now)
    behind = func.coalesce(StayRow.scored_through, StayRow.admitted_at)
    chosen = select(StayRow.id).where(_is_due(now), free).order_by(behind, StayRow.id).limit(limit)
    # PostgreSQL checks `free` again on a row that another worker has just claimed, and leaves it
    claim = update(StayRow).where(StayRow.id.in_(chosen.scalar_subquery()), free)
    claim = claim.values(claimed_by=worker_id, claimed_until=wall_now + lease)
    claimed = session.scalars(claim.returning(StayRow.id)).all()
    rows = select(StayRow).where(StayRow.id.in_(claimed)).order_by(behind, StayRow.id)
    return session.scalars(rows.execution_options(populate_existing=True)).all()


def renew_claims(session: Session, worker_id: str, stay_ids: Iterable[int], until: datetime) -> None:
    """Prolong a worker's claims on those of the stays that it still holds; `until` is wall clock."""
    held = update(StayRow).where(StayRow.id.in_(set(stay_ids)), StayRow.claimed_by == worker_id)
    session.execute(held.values(claimed_until=until))


def count_due_stays(session: Session, now: datetime) -> tuple[int, datetime | None]:
    """How many stays are due, claimed or not, and through which hour the one furthest behind is scored."""
    behind = func.min(func.coalesce(StayRow.scored_through, StayRow.admitted_at))
    count, oldest = session.execute(select(func.count(), behind).where(_is_due(now))).one()
    return count, oldest


def mark_scored(
    session: Session,
    stay_id: int,
    worker_id: str,
    *,
    observation_id: int,
    withdrawals: int,
    through: datetime | None,
) -> None:
    """Move the watermarks to the newest observation and withdrawal used and the hour scored; end the claim.

    Call it first in the transaction that stores the scores: from then on nobody else can claim the stay.
    Raises LeaseLost when somebody else has.
    """
    done = update(StayRow).where(StayRow.id == stay_id, StayRow.claimed_by == worker_id)
    marked = done.values(
        scored_observation_id=observation_id,
        scored_withdrawals=withdrawals,
        scored_through=through,
        claimed_by=None,
        claimed_until=None,
    )
    if session.scalar(marked.returning(StayRow.id)) is None:
        raise LeaseLost(f"worker {worker_id} no longer holds stay {stay_id}")


def rescore_ward(session: Session, now: datetime) -> None:
    """Make every stay that is not discharged due from its first hour, for a model that has not scored it."""
    session.execute(
        update(StayRow).where(not_discharged(now)).values(scored_observation_id=0, scored_through=None)
    )


def _is_due(now: datetime) -> ColumnElement[bool]:
    scored_through = func.coalesce(StayRow.scored_through, StayRow.admitted_at)
    hour_passed = scored_through <= now - GRID_STEP
    covers_data = scored_through < StayRow.last_known_at
    silent_but_watched = and_(StayRow.last_known_at > now - SILENCE_SCORED, not_discharged(now))
    # by two indexes: a look costs the stays that go on, not all that ever were
    candidates = select(StayRow.id).where(UNSCORED_DATA).union(select(StayRow.id).where(silent_but_watched))
    return and_(
        StayRow.id.in_(candidates),
        or_(
            StayRow.last_observation_id > StayRow.scored_observation_id,
            StayRow.withdrawals > StayRow.scored_withdrawals,
            and_(hour_passed, or_(covers_data, silent_but_watched)),
        ),
    )
