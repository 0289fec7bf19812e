"""The worker process: scores due stays, runs the alarm policy and commits the whole outcome at once."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from datetime import timedelta
from secrets import token_hex
from types import FrameType

from sqlalchemy.exc import SQLAlchemyError

from db.queries import alerts, audit, due, outbox, scores
from db.session import make_engine, reading, writing
from models import registry
from models.base import EarlyWarningModel
from models.clinical.alarm import AlarmPolicy
from service.answers import alert_json
from service.clock import Clock, wall_now
from service.context import log_to_stderr, prepare_database
from service.heartbeat import Heartbeat
from service.likening import PastStays
from service.policy import policy_facts, policy_of
from service.scoring import ScoringEndpoint, scoring_app
from service.scoring_pass import Scorer, score_stay
from service.settings import Settings

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2  # how long new data may lie unnoticed
_ENDPOINT_SECONDS = 5.0
_TIDY_SECONDS = 1.0
_PRUNE_SECONDS = 60.0
_CLAIM = 4  # stays a claim: one fsync for several stays, and few wait when a worker dies


def run(settings: Settings) -> None:
    """Score due stays until SIGTERM or SIGINT; blocking. What was claimed is scored."""
    log_to_stderr()
    stop = threading.Event()

    def leave(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    prepare_database(settings)
    Worker(settings, registry.load(settings.model)).work(stop)


class Worker:
    """One scoring worker: a model, a policy, a database, and the endpoint the web process asks."""

    def __init__(self, settings: Settings, model: EarlyWarningModel) -> None:
        _one_thread()
        self._settings = settings
        self._engine = make_engine(settings.database_url)
        self._clock = Clock.of(settings)
        policy = policy_of(settings, model.threshold)
        self._worker_id = f"{socket.gethostname()}:{os.getpid()}:{token_hex(2)}"
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._heartbeat = Heartbeat(self._engine, self._worker_id, self._lease)
        past = PastStays(model, settings.likeness_model)
        self._endpoint = ScoringEndpoint(
            settings, scoring_app(self._engine, self._clock, model, settings.model, past)
        )
        version_id = self._activate(model, policy)
        self._scorer = Scorer(self._engine, self._clock, self._worker_id, model, version_id, policy)
        self._next: dict[str, float] = {}

    def work(self, stop: threading.Event) -> None:
        """Beat, tidy and score until `stop`; a storage failure is logged and tried again."""
        _log.info("worker %s scores with %s", self._worker_id, self._scorer.model.name)
        try:
            with self._heartbeat.beside():
                while not stop.is_set():
                    try:
                        busy = self.step()
                    except SQLAlchemyError:
                        _log.exception("the storage failed; trying again")
                        busy = False
                    if not busy:
                        stop.wait(_LOOK_SECONDS)
        finally:
            self.close()

    def close(self) -> None:
        """Stop answering and give the connections back."""
        self._endpoint.stop()
        self._engine.dispose()

    def step(self) -> bool:
        """One look at everything there is to do; whether any stay was claimed."""
        self._heartbeat.hold(())
        self._heartbeat.beat()
        if self._is_time("endpoint", _ENDPOINT_SECONDS):
            self._endpoint.ensure()
        if self._is_time("tidy", _TIDY_SECONDS):
            self._tidy()
        if self._is_time("prune", _PRUNE_SECONDS):
            with writing(self._engine) as session:
                outbox.prune_outbox(session, wall_now() - timedelta(hours=self._settings.outbox_keep_hours))
        claimed = self._claim()
        for position, stay_id in enumerate(claimed):
            self._heartbeat.hold(claimed[position:])
            self._score(stay_id)
        return bool(claimed)

    def _claim(self) -> list[int]:
        now = self._clock.now()
        with reading(self._engine) as session:  # a look takes no write lock
            if due.count_due_stays(session, now)[0] == 0:
                return []
        with writing(self._engine) as session:
            claimed = due.claim_due_stays(
                session,
                self._worker_id,
                now=now,
                wall_now=wall_now(),
                limit=_CLAIM,
                lease=self._lease,
            )
            return [stay.id for stay in claimed]

    def _score(self, stay_id: int) -> None:
        try:
            score_stay(self._scorer, stay_id)
        except due.LeaseLost as lost:
            _log.warning("%s", lost)

    def _tidy(self) -> None:
        """End what is over: acknowledgements, shelves, and the alerts of people who have left."""
        now = self._clock.now()
        with writing(self._engine) as session:
            changed = {}
            for what, ended in (
                ("acknowledgement expired", alerts.expire_acknowledgements(session, now)),
                ("shelf expired", alerts.expire_shelves(session, now)),
                ("alert closed by discharge", alerts.close_discharged(session, now)),
            ):
                for alert in ended:
                    audit.record(session, self._worker_id, what, {"alert_id": alert.id}, now)
                    changed[alert.id] = alert
            for alert in changed.values():
                outbox.publish(session, "alert", alert_json(alert), wall_now())

    def _activate(self, model: EarlyWarningModel, policy: AlarmPolicy) -> int:
        now = self._clock.now()
        with writing(self._engine) as session:
            version, changed = scores.activate_model_version(
                session,
                model.name,
                model.version,
                threshold=model.threshold,
                policy=policy_facts(policy),
                at=now,
            )
            if changed:
                due.rescore_ward(session, now)
                facts = {"model": model.name, "version": model.version}
                audit.record(session, self._worker_id, "model activated", facts, now)
            return version.id

    def _is_time(self, what: str, every_seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next.get(what, 0.0):
            return False
        self._next[what] = now + every_seconds
        return True


def _one_thread() -> None:
    """Matrix kernels must round alike in every process, and workers are the unit of parallelism."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
