"""The tables: one class a table, one instance a row.

What must always hold is a constraint here, so that no code path can store its opposite. Times are UTC
(`UtcDateTime`), values float64 (`Float64`). The scoring watermark and the lease of a stay live on its row:
`last_observation_id > scored_observation_id` says that something arrived since the last scoring,
`withdrawals > scored_withdrawals` that something no longer stands.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from db.columns import Float64, Identifier, UtcDateTime, words
from models.clinical.score import ScoreStatus

# both sides are finite float64; NaN is above every number in PostgreSQL and NULL in SQLite
_FINITE = "BETWEEN -1e308 AND 1e308"

# a stay that holds data no score covers; a partial index is used where a query has its very text, with the
# column on the left of a comparison (SQLite turns it round in the query, but not in the index)
UNSCORED_DATA = text(
    "(last_observation_id > scored_observation_id OR withdrawals > scored_withdrawals"
    " OR last_known_at > coalesce(scored_through, admitted_at))"
)


_STANDING, _NAMED = text("known_until IS NULL"), text("identifier <> ''")


class Condition(StrEnum):
    """Whether the alert's condition is met now; latched: no longer met, and nobody has acknowledged it."""

    ACTIVE = "active"
    LATCHED = "latched"
    INACTIVE = "inactive"


class Priority(StrEnum):
    """How soon somebody should look (IEC 60601-1-8)."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Evaluation(StrEnum):
    """What a clinician judged the alert to be."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNSURE = "unsure"


class Suppression(StrEnum):
    """Whether the alert is kept from the board for a time."""

    NONE = "none"
    SHELVED = "shelved"
    OUT_OF_SERVICE = "out_of_service"


class EventKind(StrEnum):
    """What happened to an alert."""

    RAISED = "raised"
    REFIRED = "refired"
    RELEASED = "released"
    ACKNOWLEDGED = "acknowledged"
    ACKNOWLEDGEMENT_EXPIRED = "acknowledgement_expired"
    EVALUATED = "evaluated"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    NOTED = "noted"
    CLOSED = "closed"


class Row(DeclarativeBase):
    """The base of every table."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, float: Float64, str: Text, dict[str, Any]: JSON}  # noqa: RUF012


class SubjectRow(Row):
    """A person."""

    __tablename__ = "subjects"

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    external_id: Mapped[str] = mapped_column(unique=True)


class StayRow(Row):
    """One monitored admission, with its scoring watermark and the lease of the worker that scores it."""

    __tablename__ = "stays"
    __table_args__ = (
        CheckConstraint("sex IN ('female', 'male')", name="sex"),
        CheckConstraint("age_years BETWEEN 0 AND 150", name="age_years"),
        CheckConstraint("discharged_at >= admitted_at", name="discharge"),
        CheckConstraint("scored_observation_id <= last_observation_id", name="watermark"),
        CheckConstraint("(claimed_by IS NULL) = (claimed_until IS NULL)", name="claim"),
        Index("ix_stays_unscored", "id", sqlite_where=UNSCORED_DATA, postgresql_where=UNSCORED_DATA),
        Index(None, "last_known_at"),
        Index(None, "discharged_at"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    external_id: Mapped[str] = mapped_column(unique=True)
    subject_id: Mapped[int] = mapped_column(ForeignKey("subjects.id"), index=True)
    admitted_at: Mapped[datetime]
    discharged_at: Mapped[datetime | None]
    hospital_admitted_at: Mapped[datetime | None]
    bed: Mapped[str | None]
    care_unit: Mapped[str | None]
    age_years: Mapped[float | None]
    sex: Mapped[Literal["female", "male"] | None] = mapped_column(Text)
    synthetic: Mapped[bool] = mapped_column(default=False)
    last_known_at: Mapped[datetime | None]
    last_observation_id: Mapped[int] = mapped_column(Identifier, default=0)
    scored_observation_id: Mapped[int] = mapped_column(Identifier, default=0)
    # how often its observations were corrected or withdrawn, and how much of that the last scoring knew
    withdrawals: Mapped[int] = mapped_column(default=0, server_default="0")
    scored_withdrawals: Mapped[int] = mapped_column(default=0, server_default="0")
    scored_through: Mapped[datetime | None]
    tile: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # as last put on the feed
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[datetime | None]

    subject: Mapped[SubjectRow] = relationship(lazy="joined", innerjoin=True)


class ObservationRow(Row):
    """One version of one observation; never deleted. A higher id arrived later in its stay.

    It stands in [known_at, known_until); only `known_until` ever changes, and `identifier` where a name comes
    later. Of one content and name at most one version stands.
    """

    __tablename__ = "observations"
    __table_args__ = (
        CheckConstraint("known_at >= time", name="known_at"),
        CheckConstraint("known_until >= known_at", name="known_until"),
        CheckConstraint(f"value {_FINITE}", name="finite"),
        CheckConstraint("censored IN ('', '<', '>')", name="censored"),
        CheckConstraint("status IN ('preliminary', 'final', 'amended', 'corrected')", name="status"),
        Index("uq_observations_standing", "stay_id", "variable", "time", "value", "censored", "identifier",
              unique=True, sqlite_where=_STANDING, postgresql_where=_STANDING),
        Index("ix_observations_named", "stay_id", "identifier", sqlite_where=_NAMED, postgresql_where=_NAMED),
        Index(None, "stay_id", "known_at"),
        {"sqlite_autoincrement": True},
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    stay_id: Mapped[int] = mapped_column(ForeignKey("stays.id"))
    time: Mapped[datetime]
    known_at: Mapped[datetime]
    known_until: Mapped[datetime | None]
    received_at: Mapped[datetime]
    variable: Mapped[str]
    value: Mapped[float]
    censored: Mapped[str] = mapped_column(default="", server_default="")
    identifier: Mapped[str] = mapped_column(default="", server_default="")
    status: Mapped[str] = mapped_column(default="final", server_default="final")


class QuarantineRow(Row):
    """One rejected input, as it came: the stay may be unknown and the value may be no number."""

    __tablename__ = "quarantine"
    __table_args__ = (Index(None, "received_at"),)

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    received_at: Mapped[datetime]
    stay_external_id: Mapped[str | None] = mapped_column(index=True)
    reason: Mapped[str]
    detail: Mapped[str]
    input: Mapped[str]
    bound: Mapped[str]
    unit: Mapped[str]


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


class AlertRow(Row):
    """One alert: condition, acknowledgement, evaluation and suppression are independent facts.

    `raised_at` and `fired_at` are the grid times of the first and of the newest alarm, `value` the score that
    decided the newest. The acknowledgement columns hold the one in force; the events hold the past ones.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint("value BETWEEN 0 AND 1", name="value"),
        CheckConstraint("fired_at >= raised_at", name="fired_at"),
        CheckConstraint("(closed_at IS NOT NULL) = (condition = 'inactive')", name="closed"),
        CheckConstraint(
            "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)"
            " AND (acknowledged_at IS NULL) = (acknowledgement_expires_at IS NULL)",
            name="acknowledgement",
        ),
        CheckConstraint(
            "(suppression = 'shelved') = (shelved_until IS NOT NULL)"
            " AND (shelved_until IS NULL) = (shelved_reason IS NULL)",
            name="shelf",
        ),
        Index("uq_alerts_open", "stay_id", "condition_name", unique=True,
              sqlite_where=text("closed_at IS NULL"), postgresql_where=text("closed_at IS NULL")),
        Index(None, "stay_id"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    stay_id: Mapped[int] = mapped_column(ForeignKey("stays.id"))
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"), index=True)
    condition_name: Mapped[str]
    condition: Mapped[Condition] = mapped_column(words(Condition, "condition"))
    priority: Mapped[Priority] = mapped_column(words(Priority, "priority"))
    raised_at: Mapped[datetime]
    fired_at: Mapped[datetime]
    value: Mapped[float]
    acknowledged_by: Mapped[str | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledgement_expires_at: Mapped[datetime | None]
    evaluation: Mapped[Evaluation] = mapped_column(
        words(Evaluation, "evaluation"), default=Evaluation.PENDING
    )
    suppression: Mapped[Suppression] = mapped_column(
        words(Suppression, "suppression"), default=Suppression.NONE
    )
    shelved_until: Mapped[datetime | None]
    shelved_reason: Mapped[str | None]
    closed_at: Mapped[datetime | None]

    stay: Mapped[StayRow] = relationship(lazy="joined", innerjoin=True)
    events: Mapped[list[AlertEventRow]] = relationship(order_by="AlertEventRow.id")


class AlertEventRow(Row):
    """One thing that happened to an alert; `who` is a person's name or `prodrome`."""

    __tablename__ = "alert_events"

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id"), index=True)
    kind: Mapped[EventKind] = mapped_column(words(EventKind, "kind"))
    who: Mapped[str]
    at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]


class OutboxRow(Row):
    """One message for the feed. Ids rise in the order of commits and are never used twice."""

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "created_at"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class AuditRow(Row):
    """One recorded action."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    who: Mapped[str]
    what: Mapped[str]
    detail: Mapped[dict[str, Any]]


class WorkerHeartbeatRow(Row):
    """When a worker last said that it is alive, by the wall clock."""

    __tablename__ = "worker_heartbeats"

    worker_id: Mapped[str] = mapped_column(primary_key=True)
    beat_at: Mapped[datetime]
