"""Scores of live recordings, a segment each: what came first stands, what is old is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.rows import SegmentScoreRow, SegmentTracesRow

Traces = list[dict[str, Any]]  # a channel each, as `service.schemas.TraceIn`


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


def traces_after(session: Session, stay_id: int, after: datetime) -> list[tuple[datetime, Traces]]:
    """The ends of a stay's segments that end later than `after` and have a picture, with it, by time."""
    chosen = (
        select(SegmentScoreRow.time, SegmentTracesRow.traces)
        .join(SegmentTracesRow, SegmentTracesRow.segment_id == SegmentScoreRow.id)
        .where(SegmentScoreRow.stay_id == stay_id, SegmentScoreRow.time > after)
        .order_by(SegmentScoreRow.time, SegmentScoreRow.id)
    )
    return [(time, traces) for time, traces in session.execute(chosen)]


def forget_traces(session: Session, stay_id: int, until: datetime) -> None:
    """Delete the pictures of a stay's segments of `until` and before."""
    segments = select(SegmentScoreRow.id).where(
        SegmentScoreRow.stay_id == stay_id, SegmentScoreRow.time <= until
    )
    old = delete(SegmentTracesRow).where(SegmentTracesRow.segment_id.in_(segments))
    session.execute(old.execution_options(synchronize_session=False))


def forget_segments(session: Session, stay_id: int, until: datetime) -> None:
    """Delete a stay's segments of `until` and before, with their pictures."""
    forget_traces(session, stay_id, until)
    old = delete(SegmentScoreRow).where(SegmentScoreRow.stay_id == stay_id, SegmentScoreRow.time <= until)
    session.execute(old.execution_options(synchronize_session=False))
