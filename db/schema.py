"""The schema of a database: whether it is the newest, and bringing it there.

Alembic is imported only when there is work for it: it would cost a fifth of the API's start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, MetaData, String, Table, func, inspect, select
from sqlalchemy.schema import Column

from db.session import reading

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST = "0005"  # the head of db/migrations/versions; a test holds them together
_MIGRATION_LOCK = 0x50524F44524F  # any fixed number that no other user of the server locks
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String))


def migrated(engine: Engine) -> bool:
    """Whether the database has the newest schema."""
    with reading(engine) as session:
        if not inspect(session.connection()).has_table(_VERSION.name):
            return False
        return session.scalar(select(_VERSION.c.version_num)) == NEWEST


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema; processes that start together wait for each other."""
    if migrated(engine):
        return
    from alembic import command  # noqa: PLC0415  see above

    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        command.upgrade(migration_config(connection), "head")


def migration_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for the migrations of this package, run inside `connection`'s transaction."""
    from alembic.config import Config  # noqa: PLC0415  see above

    config = Config()
    config.set_main_option("script_location", "db:migrations")
    config.attributes["connection"] = connection
    return config
