"""The migrations build exactly the tables that the rows describe, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine.interfaces import ReflectedIndex
from sqlalchemy.exc import IntegrityError

from db.rows import Row
from db.schema import NEWEST, migrate, migrated, migration_config
from db.session import make_engine


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


def test_migrations_and_rows_agree(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Row.metadata) == []


def test_constraints_are_those_of_the_rows(empty: Engine) -> None:
    """Alembic compares neither checks nor the conditions of partial indexes."""
    migrate(empty)
    from_migrations = _constraints(empty)
    with empty.begin() as connection:
        Row.metadata.drop_all(connection)
        Row.metadata.create_all(connection)
    assert from_migrations == _constraints(empty)
    assert "ck_scores_present" in from_migrations["scores"]
    assert "closed_at IS NULL" in from_migrations["alerts"]


def test_newest_is_the_head_of_the_scripts() -> None:
    assert ScriptDirectory.from_config(migration_config()).get_current_head() == NEWEST


def test_up_down_and_up_again(empty: Engine) -> None:
    assert not migrated(empty)
    migrate(empty)
    assert migrated(empty)
    with empty.begin() as connection:
        command.downgrade(migration_config(connection), "base")
    assert not migrated(empty)
    assert inspect(empty).get_table_names() == ["alembic_version"]
    migrate(empty)
    assert migrated(empty)


def test_scores_without_a_spread_go_up_and_those_with_one_down_again(empty: Engine) -> None:
    told = "SELECT time, revision, value, status, reason, observation_watermark FROM scores ORDER BY id"
    with empty.begin() as connection:
        command.upgrade(migration_config(connection), "0002")
        _old_scores(connection)
        before = connection.execute(text(told)).all()
    migrate(empty)
    with empty.begin() as connection:
        assert connection.execute(text("SELECT low, high FROM scores")).all() == [(None, None)] * 2
        connection.execute(text("UPDATE scores SET low = 0.2, high = 0.4 WHERE value IS NOT NULL"))
    with pytest.raises(IntegrityError), empty.begin() as connection:
        connection.execute(text("UPDATE scores SET low = 0.9 WHERE value IS NOT NULL"))
    with empty.begin() as connection:
        command.downgrade(migration_config(connection), "0002")
        assert connection.execute(text(told)).all() == before
    with pytest.raises(IntegrityError), empty.begin() as connection:
        connection.execute(text("UPDATE scores SET value = 1.5 WHERE value IS NOT NULL"))


def _old_scores(connection: Connection) -> None:
    """What the second release stored of a stay scored twice."""
    for statement in (
        "INSERT INTO subjects (external_id) VALUES ('s-7')",
        "INSERT INTO stays (external_id, subject_id, admitted_at, synthetic, last_observation_id,"
        " scored_observation_id) VALUES ('icu-7', 1, :at, false, 1, 0)",
        "INSERT INTO model_versions (name, version, threshold, policy, activated_at)"
        " VALUES ('news2', 'abc', 0.5, '{}', :at)",
        "INSERT INTO scores (stay_id, model_version_id, time, revision, value, status, reason,"
        " observation_watermark, created_at) VALUES (1, 1, :at, 1, 0.3, 'present', '', 1, :at),"
        " (1, 1, :at, 2, NULL, 'absent', 'withdrawn', 1, :at)",
    ):
        at = {"at": "2026-11-22 08:00:00.000000"} if ":at" in statement else {}
        connection.execute(text(statement), at)


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    migrate(engine)
    assert migrated(engine)


def test_two_processes_may_migrate_at_once(empty_database_url: str) -> None:
    engines = [make_engine(empty_database_url) for _ in range(3)]
    with ThreadPoolExecutor() as threads:
        list(threads.map(migrate, engines))
    assert migrated(engines[0])
    for engine in engines:
        engine.dispose()


def _constraints(engine: Engine) -> dict[str, str]:
    found = inspect(engine)
    return {
        table: "\n".join(
            sorted(
                [str(check) for check in found.get_check_constraints(table)]
                + [str(unique) for unique in found.get_unique_constraints(table)]
                + [str(key) for key in found.get_foreign_keys(table)]
                + [str(_with_text(index)) for index in found.get_indexes(table)]
            )
        )
        for table in Row.metadata.tables
    }


def _with_text(index: ReflectedIndex) -> dict[str, Any]:
    conditions = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": conditions}
