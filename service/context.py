"""What every route needs, made once an application and handed in; nothing of it is global."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import Engine, make_url
from sqlalchemy.orm import Session

from db.schema import migrate
from db.session import make_engine, writing
from service.clock import Clock
from service.feed import Feed
from service.metrics import Metrics
from service.policy import SeizurePolicy, seizure_policy_of
from service.scoring_client import ScoringClient
from service.settings import Settings


@dataclass(frozen=True)
class Context:
    """The parts of one web application."""

    settings: Settings
    engine: Engine
    clock: Clock
    metrics: Metrics
    feed: Feed
    scoring: ScoringClient
    turn: AbstractContextManager[Any]
    seizure_policy: SeizurePolicy | None  # the operator's

    @classmethod
    def of(cls, settings: Settings) -> Context:
        """The parts these settings describe; nothing connects before it is used."""
        engine, clock, metrics = make_engine(settings.database_url), Clock.of(settings), Metrics()
        scoring = ScoringClient(str(settings.scoring_url), settings.scoring_timeout_seconds)
        # SQLite has one writer at a time and lets the others sleep and guess: a queue of our own is fair
        turn = threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        policy = seizure_policy_of(settings)
        return cls(settings, engine, clock, metrics, Feed(engine, clock, metrics), scoring, turn, policy)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session in one write transaction, when it is this request's turn."""
        with self.turn, writing(self.engine) as session:
            yield session


def log_to_stderr() -> None:
    """One line an event on standard error, unless the caller has set logging up already."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def prepare_database(settings: Settings) -> None:
    """Make the folder of an SQLite file and bring the schema up to date; processes may do it together."""
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = make_engine(settings.database_url)
    migrate(engine)
    engine.dispose()


async def context_of(request: Request) -> Context:
    """The context of the application that serves `request`."""
    found: Context = request.app.state.context
    return found


Parts = Annotated[Context, Depends(context_of)]
