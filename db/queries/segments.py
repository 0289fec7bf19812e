"""Scores of live recordings, a segment each: what came first stands, what is old is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.rows import SegmentScoreRow


def segments_between(
    session: Session, stay_id: int, after: datetime, until: datetime, *, model_version_id: int | None = None
) -> Sequence[SegmentScoreRow]:
    """A stay's segments with `after` < time <= `until`, by time; of one detector or of all."""
    chosen = select(SegmentScoreRow).where(
        SegmentScoreRow.stay_id == stay_id, SegmentScoreRow.time > after, SegmentScoreRow.time <= until
    )
    if model_version_id is not None:
        chosen = chosen.where(SegmentScoreRow.model_version_id == model_version_id)
    return session.scalars(chosen.order_by(SegmentScoreRow.time, SegmentScoreRow.id)).all()


def newest_segment_time(
    session: Session, stay_id: int, *, model_version_id: int | None = None, numbers_only: bool = False
) -> datetime | None:
    """When the newest segment ended; None where there is none."""
    chosen = select(func.max(SegmentScoreRow.time)).where(SegmentScoreRow.stay_id == stay_id)
    if model_version_id is not None:
        chosen = chosen.where(SegmentScoreRow.model_version_id == model_version_id)
    if numbers_only:
        chosen = chosen.where(SegmentScoreRow.value.is_not(None))
    return session.scalar(chosen)


def forget_segments(session: Session, stay_id: int, until: datetime) -> None:
    """Delete a stay's segments of `until` and before."""
    old = delete(SegmentScoreRow).where(SegmentScoreRow.stay_id == stay_id, SegmentScoreRow.time <= until)
    session.execute(old.execution_options(synchronize_session=False))
