"""What people were told and what they did about it: alerts, and all that happened to them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.columns import Identifier, words
from db.rows.base import Row
from db.rows.stays import StayRow


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
