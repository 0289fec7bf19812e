"""The worker's internal endpoint: models answer the web process's stateless questions here.

It listens where `scoring_url` points, by default on the loopback address, and checks no identity: keep it off
any network that others can reach. Of several workers on one machine one answers; another takes over from it.
"""

from __future__ import annotations

import logging
import math
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import Engine

from db.queries.clinical import clinical_stay
from db.queries.observations import observations_of
from db.queries.stays import stay_by_external_id
from db.rows import StayRow
from db.session import reading
from models import registry
from models.base import EarlyWarningModel, Inquirable, Inquiry
from models.clinical.errors import InvalidInput
from models.clinical.score import GRID_STEP
from models.clinical.stay import Stay, observation_table
from service.answers import Json, driver, instant, named
from service.clock import Clock
from service.likening import PastStays, similar_stays
from service.problems import NotFound, install_problem_details
from service.schemas import Instant, StayIn
from service.scoring_pass import contributions_at, drivers_at, hours_to_score, refuse_endless
from service.settings import Settings

_log = logging.getLogger(__name__)


class CheckedObservation(BaseModel):
    """An observation that passed the web process's checks: catalogue name and canonical unit."""

    time: Instant
    known_at: Instant
    known_until: Instant | None = None
    variable: str
    value: float
    censored: str = ""


class ScoreQuestion(BaseModel):
    """Score a stay that is not stored."""

    stay: StayIn
    observations: list[CheckedObservation]
    model: str


class PosteriorQuestion(BaseModel):
    """The posterior of a stored stay; no variables means all that were observed."""

    stay_id: str
    variables: list[str]
    as_of: Instant | None = None


class ExplainQuestion(BaseModel):
    """What drove a stored stay's score at a time, from what was known then."""

    stay_id: str
    time: Instant


class InquireQuestion(BaseModel):
    """What stands behind a stored stay's newest score at a time, or now."""

    stay_id: str
    time: Instant | None = None


class LikenQuestion(BaseModel):
    """Which past stays a stored stay is like at the hour of its newest score at a time, or now."""

    stay_id: str
    time: Instant | None = None


def scoring_app(
    engine: Engine, clock: Clock, model: EarlyWarningModel, default_name: str, past: PastStays
) -> FastAPI:
    """The questions a worker answers."""
    app = FastAPI(openapi_url=None)
    install_problem_details(app)
    models: dict[str, EarlyWarningModel] = {"default": model, default_name: model, model.name: model}

    def chosen(name: str) -> EarlyWarningModel:
        # a name from outside is never taken for a folder
        if name not in models and name not in registry.names():
            raise InvalidInput(
                f"no model {name!r}", value=name, bound=", ".join(("default", *registry.names()))
            )
        return models.setdefault(name, models.get(name) or registry.load(name))

    @app.post("/score")
    def score(question: ScoreQuestion) -> Json:
        return _scores(chosen(question.model), _unstored_stay(question))

    @app.post("/posterior")
    def posterior(question: PosteriorQuestion) -> Json:
        if not hasattr(model, "posterior"):
            raise NotFound(f"model {model.name} has no posterior")
        row, stay = _stored_stay(engine, question.stay_id, question.as_of)
        end = _newest_hour(row, question.as_of, clock.now())
        names = question.variables or sorted(set(stay.observations["variable"]))
        return _posterior(model.posterior, stay, names, end)

    @app.post("/explain")
    def explain(question: ExplainQuestion) -> Json:
        _, stay = _stored_stay(engine, question.stay_id, question.time)
        return {"time": instant(question.time), "drivers": drivers_at(model, stay, question.time)}

    @app.post("/inquire")
    def inquire(question: InquireQuestion) -> Json:
        stay, hour = _scored(engine, clock, question.stay_id, question.time)
        return _inquiry(model, stay, hour)

    @app.post("/liken")
    def liken(question: LikenQuestion) -> Json:
        stay, hour = _scored(engine, clock, question.stay_id, question.time)
        return similar_stays(past.model(), stay, hour)

    return app


def _unstored_stay(question: ScoreQuestion) -> Stay:
    rows = question.observations
    facts = question.stay
    stay = Stay(
        stay_id=facts.stay_id,
        subject_id=facts.subject_id,
        admitted_at=facts.admitted_at,
        observations=observation_table(
            [row.time for row in rows],
            [row.known_at for row in rows],
            [row.variable for row in rows],
            [row.value for row in rows],
            known_until=[row.known_until for row in rows],
            censored=[row.censored for row in rows],
        ),
        age_years=facts.age_years,
        sex=facts.sex,
        care_unit=facts.care_unit,
        hospital_admitted_at=facts.hospital_admitted_at,
        synthetic=facts.synthetic,
    )
    refuse_endless(stay.admitted_at, stay.last_known_at)
    return stay


def _stored_stay(engine: Engine, stay_id: str, as_of: datetime | None) -> tuple[StayRow, Stay]:
    with reading(engine) as session:
        row = stay_by_external_id(session, stay_id)
        if row is None:
            raise NotFound(f"no stay {stay_id!r}")
        return row, clinical_stay(row, observations_of(session, row.id, known_by=as_of))


def _scored(engine: Engine, clock: Clock, stay_id: str, time: datetime | None) -> tuple[Stay, datetime]:
    """What was known by the hour of a stored stay's newest score at `time`, or now; and that hour."""
    row, stay = _stored_stay(engine, stay_id, time)
    hour = _newest_hour(row, time, clock.now())
    if hour == row.admitted_at:
        raise NotFound(f"stay {stay_id!r} has no score by {instant(time) or 'now'}")
    refuse_endless(row.admitted_at, hour)
    return stay.until(hour), hour


def _newest_hour(row: StayRow, as_of: datetime | None, now: datetime) -> datetime:
    """The newest grid hour with a score (at `as_of`); the admission where there is none yet."""
    hours = hours_to_score(row, min(as_of or now, now))
    if as_of is not None:  # the stay has been scored further since
        hours = min(hours, max((as_of - row.admitted_at) // GRID_STEP, 0))
    return row.admitted_at + hours * GRID_STEP


def _inquiry(model: EarlyWarningModel, stay: Stay, hour: datetime) -> Json:
    found = model.inquire(stay, hour) if isinstance(model, Inquirable) else Inquiry(hour)
    return {
        "time": instant(hour),
        "contributions": contributions_at(model, stay, hour),
        "influences": [
            driver(one.variable, one.value, one.time, one.share, one.censored) for one in found.influences
        ],
        "next_measurements": [
            named(one.variable) | {"narrows": one.narrows} for one in found.next_measurements
        ],
    }


def _scores(model: EarlyWarningModel, stay: Stay) -> Json:
    scores = [
        {
            "time": instant(score.time),
            "hour": hour,
            "value": score.value,
            "low": score.low,
            "high": score.high,
            "status": str(score.status),
            "reason": score.reason,
        }
        for hour, score in enumerate(model.score(stay), start=1)
    ]
    return {"model": model.name, "version": model.version, "threshold": model.threshold, "scores": scores}


def _posterior(posterior: Callable[..., Any], stay: Stay, names: list[str], end: datetime) -> Json:
    band = posterior(stay, names, end)
    return {
        "time": [instant(time) for time in band.time.to_pydatetime()],
        "variables": {
            name: {
                "mean": _numbers(band.mean[name]),
                "low": _numbers(band.low[name]),
                "high": _numbers(band.high[name]),
            }
            for name in band.mean
        },
    }


def _numbers(values: Any) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


class ScoringEndpoint:
    """Serves `scoring_app` in a thread of the worker, as long as the address is free."""

    def __init__(self, settings: Settings, app: FastAPI) -> None:
        self._host = settings.scoring_url.host or "127.0.0.1"
        self._port = settings.scoring_url.port or 80
        self._app = app
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def ensure(self) -> None:
        """Start to serve unless this worker does already or another one does."""
        if self._thread is not None and self._thread.is_alive():
            return
        try:
            listener = socket.create_server((self._host, self._port))
        except OSError as error:
            _log.debug("the scoring address is taken: %s", error)
            return
        config = uvicorn.Config(self._app, lifespan="off", access_log=False, log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="scoring", daemon=True
        )
        self._thread.start()
        _log.info("answering on %s:%d", self._host, self._port)

    def stop(self) -> None:
        """Finish what is being answered and stop."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout=5)
