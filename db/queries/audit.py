"""The audit trail, and the workers' heartbeats."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.rows import AuditRow, WorkerHeartbeatRow


def record(session: Session, who: str, what: str, detail: Mapping[str, Any], at: datetime) -> None:
    """Note an action in the transaction that does it."""
    session.add(AuditRow(who=who, what=what, detail=dict(detail), at=at))
    session.flush()


def beat(session: Session, worker_id: str, at: datetime) -> None:
    """Note that a worker is alive; `at` is wall clock."""
    session.merge(WorkerHeartbeatRow(worker_id=worker_id, beat_at=at))
    session.flush()


def last_beat(session: Session) -> datetime | None:
    """When any worker last beat, by the wall clock."""
    return session.scalar(select(func.max(WorkerHeartbeatRow.beat_at)))
