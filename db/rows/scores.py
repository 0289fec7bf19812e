"""What the models said: of hours of a stay, and of segments of a live recording."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.columns import Identifier, words
from db.rows.base import Row
from models.clinical.score import ScoreStatus


class ModelVersionRow(Row):
    """A model that scored here; of a condition, the one activated last is the one that scores now."""

    __tablename__ = "model_versions"
    __table_args__ = (
        UniqueConstraint("name", "version"),
        CheckConstraint("threshold BETWEEN 0 AND 1", name="threshold"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str]
    version: Mapped[str]
    condition: Mapped[str] = mapped_column(default="sepsis", server_default="sepsis")
    threshold: Mapped[float]
    policy: Mapped[dict[str, Any]]
    activated_at: Mapped[datetime]


class ScoreRow(Row):
    """One revision of one score: made from the observations with ids up to `observation_watermark`.

    `low` and `high` are its spread, null where the model states none.
    """

    __tablename__ = "scores"
    __table_args__ = (
        UniqueConstraint("stay_id", "model_version_id", "time", "revision"),
        CheckConstraint("value BETWEEN 0 AND 1", name="value"),
        CheckConstraint("(status = 'present') = (value IS NOT NULL)", name="present"),
        CheckConstraint("status = 'present' OR reason <> ''", name="reason"),
        # on its own, because a check that comes to NULL passes
        CheckConstraint("(low IS NULL) = (high IS NULL)", name="spread_whole"),
        CheckConstraint("low IS NULL OR value IS NOT NULL", name="spread_of_value"),
        CheckConstraint("low >= 0 AND low <= high AND high <= 1", name="spread"),
        CheckConstraint("revision >= 1", name="revision"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    stay_id: Mapped[int] = mapped_column(ForeignKey("stays.id"))
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"), index=True)
    time: Mapped[datetime]
    revision: Mapped[int]
    value: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    status: Mapped[ScoreStatus] = mapped_column(words(ScoreStatus, "status"))
    reason: Mapped[str] = mapped_column(default="")
    observation_watermark: Mapped[int] = mapped_column(Identifier)
    created_at: Mapped[datetime]


class SegmentScoreRow(Row):
    """A detector's score of one segment of a live recording; the first that came stands.

    `time` is the end of the segment, `channels` those that the detector names.
    """

    __tablename__ = "segment_scores"
    __table_args__ = (
        UniqueConstraint("stay_id", "model_version_id", "time"),
        CheckConstraint("value BETWEEN 0 AND 1", name="value"),
        CheckConstraint("(status = 'present') = (value IS NOT NULL)", name="present"),
        CheckConstraint("status = 'present' OR reason <> ''", name="reason"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    stay_id: Mapped[int] = mapped_column(ForeignKey("stays.id"))
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"), index=True)
    time: Mapped[datetime]
    value: Mapped[float | None]
    status: Mapped[ScoreStatus] = mapped_column(words(ScoreStatus, "status"))
    reason: Mapped[str] = mapped_column(default="")
    channels: Mapped[list[str]] = mapped_column(JSON)
    received_at: Mapped[datetime]


class SegmentTracesRow(Row):
    """A picture of a segment's signal, a channel each; only of a recording's last minutes."""

    __tablename__ = "segment_traces"

    segment_id: Mapped[int] = mapped_column(ForeignKey("segment_scores.id"), primary_key=True)
    traces: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
