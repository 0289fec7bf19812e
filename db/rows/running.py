"""How the service runs: messages to the feed, what was done by whom, and which workers are alive."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from db.columns import Identifier
from db.rows.base import Row


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
