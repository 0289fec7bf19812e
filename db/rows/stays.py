"""What was told: subjects, their stays, observations, and input that must not become one.

The scoring watermark and the lease of a stay live on its row: `last_observation_id > scored_observation_id`
says that something arrived since the last scoring, `withdrawals > scored_withdrawals` that something no
longer stands.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.columns import Identifier
from db.rows.base import Row

# both sides are finite float64; NaN is above every number in PostgreSQL and NULL in SQLite
_FINITE = "BETWEEN -1e308 AND 1e308"

# a stay that holds data no score covers; a partial index is used where a query has its very text, with the
# column on the left of a comparison (SQLite turns it round in the query, but not in the index)
UNSCORED_DATA = text(
    "(last_observation_id > scored_observation_id OR withdrawals > scored_withdrawals"
    " OR last_known_at > coalesce(scored_through, admitted_at))"
)

_STANDING, _NAMED = text("known_until IS NULL"), text("identifier <> ''")


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
