"""Engines and transactions: everything that differs between SQLite and PostgreSQL outside a query.

SQLite runs with the rollback journal and synchronous=FULL (WAL before 3.51.3 can corrupt a file that two
processes write), foreign keys on, and BEGIN IMMEDIATE for writers: a writer that starts as a reader can lose
the race for the lock after it has read. PostgreSQL readers see one snapshot, as SQLite's do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.orm import Session

from models.clinical.errors import InvalidInput

_BUSY_SECONDS = 30
_READ_OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite": {"read_only": True},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://…` (with the psycopg 3 driver).

    Raises InvalidInput for another kind of database and for SQLite in memory, which several connections
    cannot share.
    """
    parsed = _with_driver(make_url(url))
    engine = create_engine(
        parsed,
        pool_pre_ping=parsed.get_backend_name() == "postgresql",  # the server may have restarted
        connect_args={"timeout": _BUSY_SECONDS} if parsed.get_backend_name() == "sqlite" else {},
        json_serializer=partial(json.dumps, allow_nan=False),  # PostgreSQL refuses NaN: so does SQLite
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session in one read-only transaction, on one snapshot; rows stay usable after it."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        session.connection(execution_options=_READ_OPTIONS[engine.dialect.name])
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session in one write transaction: commits at the end, rolls back on any exception."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


def _with_driver(url: URL) -> URL:
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise InvalidInput(f"database {backend!r} unsupported", value=backend, bound="sqlite, postgresql")
    if url.database in (None, "", ":memory:"):
        raise InvalidInput("SQLite needs a file: web and worker share it", value=url.database, bound="a path")
    return url


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 would begin late and without IMMEDIATE: see _begin_sqlite
    for pragma in ("journal_mode = DELETE", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql(f"PRAGMA query_only = {int(read_only)}")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
