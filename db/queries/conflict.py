"""INSERT … ON CONFLICT DO NOTHING, which SQLite and PostgreSQL share and SQLAlchemy spells twice."""

from __future__ import annotations

from sqlalchemy import Insert
from sqlalchemy.orm import Session

from db.rows import Row


def insert_new(session: Session, row: type[Row]) -> Insert:
    """An insert into the table of `row` that leaves alone what a unique key already holds."""
    # a dialect brings its drivers along: the service starts with the one it uses
    if session.get_bind().dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert  # noqa: PLC0415

        return sqlite_insert(row).on_conflict_do_nothing()
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert  # noqa: PLC0415

    return postgresql_insert(row).on_conflict_do_nothing()
