"""INSERT … ON CONFLICT DO NOTHING, which SQLite and PostgreSQL share and SQLAlchemy spells twice."""

from __future__ import annotations

from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from db.rows import Row


def insert_new(session: Session, row: type[Row]) -> Insert:
    """An insert into the table of `row` that leaves alone what a unique key already holds."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(row).on_conflict_do_nothing()
    return postgresql.insert(row).on_conflict_do_nothing()
