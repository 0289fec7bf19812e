"""A worker's heartbeat: that it is alive, and that the stays it has claimed are still in its hands.

A thread goes on beating while the worker scores, so that a lease can be short: the stays of a worker that was
killed wait for seconds, and a stay that takes longer than its lease is not taken away in the middle. A worker
that hangs stops beating: its stays become free, and readiness says that nobody works.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from db.queries import audit, due
from db.session import writing
from service.clock import wall_now

_log = logging.getLogger(__name__)

_BEAT_SECONDS = 5.0
_BEATS_A_LEASE = 3  # one may fail or wait for a lock
# scoring a year of hours from nothing takes minutes; a worker that finishes no stay for longer hangs
_HANGS_AFTER_SECONDS = 600.0


class Heartbeat:
    """Beats for one worker and renews its claims on the stays in `hold`."""

    def __init__(self, engine: Engine, worker_id: str, lease: timedelta) -> None:
        self._engine, self._worker_id, self._lease = engine, worker_id, lease
        self._every_seconds = min(_BEAT_SECONDS, lease.total_seconds() / _BEATS_A_LEASE)
        self._turn = threading.Lock()
        self._beat_at = -float("inf")
        self.hold(())

    def hold(self, stay_ids: Iterable[int]) -> None:
        """Renew the claims on just these stays from now on; the worker says so whenever it gets on."""
        self._held = frozenset(stay_ids)
        self._moved_at = time.monotonic()

    def beat(self) -> None:
        """Beat and renew, unless that was done a moment ago."""
        with self._turn:
            now = time.monotonic()
            if now - self._beat_at < self._every_seconds:
                return
            with writing(self._engine) as session:
                audit.beat(session, self._worker_id, wall_now())
                due.renew_claims(session, self._worker_id, self._held, wall_now() + self._lease)
            self._beat_at = now

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Beat in a thread of its own for as long as the block runs and gets on."""
        stop = threading.Event()
        thread = threading.Thread(target=self._go_on, args=(stop,), name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _go_on(self, stop: threading.Event) -> None:
        while not stop.wait(self._every_seconds / 2):
            if time.monotonic() - self._moved_at > _HANGS_AFTER_SECONDS:
                continue
            try:
                self.beat()
            except SQLAlchemyError:
                _log.exception("the heartbeat was not stored; trying again")
