"""The outbox: messages for the feed, written in the transaction that they tell of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.rows import OutboxRow

_OUTBOX_LOCK = 0x4F5554424F58  # any fixed number that no other user of the server locks


def publish(session: Session, kind: str, payload: Mapping[str, Any], at: datetime) -> int:
    """Add a message and return its id. Call it after the transaction's other writes.

    PostgreSQL hands ids out before commit: without a lock a reader of "id > last" could see 8, and never 7,
    whose transaction commits later. So from its first message to its end a transaction publishes alone. What
    it would wait for while it holds that lock may itself wait to publish: hence last.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_OUTBOX_LOCK)))
    message = OutboxRow(kind=kind, payload=dict(payload), created_at=at)
    session.add(message)
    session.flush()
    return message.id


def messages_after(session: Session, message_id: int, limit: int = 500) -> Sequence[OutboxRow]:
    """The messages with a higher id, in order: none is ever added later before one that was seen."""
    later = select(OutboxRow).where(OutboxRow.id > message_id).order_by(OutboxRow.id)
    return session.scalars(later.limit(limit)).all()


def newest_message_id(session: Session) -> int:
    """The id of the newest message; 0 when nothing was ever published."""
    return session.scalar(select(func.max(OutboxRow.id))) or 0


def oldest_message_id(session: Session) -> int:
    """The id of the oldest message still held; 0 when nothing was ever published."""
    return session.scalar(select(func.min(OutboxRow.id))) or 0


def prune_outbox(session: Session, older_than: datetime) -> None:
    """Forget messages from before `older_than`, but never the newest: its id is where the feed stands."""
    newest = select(func.max(OutboxRow.id)).scalar_subquery()
    session.execute(delete(OutboxRow).where(OutboxRow.created_at < older_than, OutboxRow.id < newest))
