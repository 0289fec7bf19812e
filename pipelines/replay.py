"""Replay: feed stays to a running service through its public HTTP API, as they became known.

Many stays are merged into one line of events. A pace says when an event is due: at once, at a speed times
real time, or when the service's own clock reaches it. What is due together goes in one request; what one
stay learnt at one instant is never torn apart.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import httpx

from models.clinical.errors import InvalidInput
from models.clinical.quarantine import Reason
from pipelines.bedside import BedsideStay, Reading
from pipelines.client import RowVerdict, ServiceClient, ServiceRefused
from pipelines.timeline import Admitted, Discharged, Event, Known, timeline

ROWS_PER_REQUEST = 2000  # about 0.3 MB, far below the service's bound
TICK_SECONDS = 0.2  # what falls due within a tick shares a request
CLOCK_READ_AGAIN_SECONDS = 30.0
FUTURE_TRIES = 3


@dataclass(frozen=True)
class Progress:
    """How far a replay has come. `rejected` counts by reason; `refused` names stays and why."""

    at: datetime | None = None
    admitted: int = 0
    discharged: int = 0
    accepted: int = 0
    corrected: int = 0
    withdrawn: int = 0
    duplicate: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    refused: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows the service has answered."""
        taken = self.accepted + self.corrected + self.withdrawn + self.duplicate
        return taken + self.rejected.total()


class Pace(Protocol):
    """Says when an event is due."""

    def seconds_until(self, at: datetime) -> float:
        """How long to wait for an event at `at`; 0 or less when it is due."""


class AtSpeed:
    """`speed` hours of the records pass in one hour; at infinite speed everything is due at once."""

    def __init__(self, speed: float) -> None:
        if not speed > 0:
            raise InvalidInput(f"speed {speed} must be above 0", value=speed, bound="> 0")
        self._speed = speed
        self._origin: tuple[datetime, float] | None = None

    def seconds_until(self, at: datetime) -> float:
        """Counts from the first event it was asked about."""
        now = time.monotonic()
        self._origin = self._origin or (at, now)
        first, began = self._origin
        return (at - first).total_seconds() / self._speed - (now - began)


class WithService:
    """An event is due when the service's clock has reached it, whatever that clock's speed."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self.read_again()

    @property
    def now(self) -> datetime:
        """What the service's clock shows at least."""
        return self._time.at(time.monotonic())

    @property
    def speed(self) -> float:
        """How fast the service's clock runs."""
        return self._time.speed

    def read_again(self) -> None:
        """Ask the service for its time."""
        self._time = self._client.time()

    def seconds_until(self, at: datetime) -> float:
        """Reads the clock again now and then, so that drift does not add up."""
        if time.monotonic() - self._time.read_at > CLOCK_READ_AGAIN_SECONDS:
            self.read_again()
        return (at - self.now).total_seconds() / self._time.speed


def replay(
    stays: Iterable[BedsideStay],
    client: ServiceClient,
    pace: Pace,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Feed `stays`, ordered by admission, until they end. Returns what became of them.

    A stay that the service refuses (409: it is stored with another admission) is named in `refused` and its
    rows are not sent; the others go on. Raises ServiceUnreachable when the client's patience is over.
    """
    return _Replay(client, pace, on_progress).run(timeline(stays))


class _Replay:
    """One pass: the rows that wait for a request, and the counts."""

    def __init__(self, client: ServiceClient, pace: Pace, on_progress: Callable[[Progress], None]) -> None:
        self._client = client
        self._pace = pace
        self._on_progress = on_progress
        self._waiting: list[tuple[str, Reading]] = []
        self._refused: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._at: datetime | None = None

    def run(self, events: Iterable[Event]) -> Progress:
        """Take every event in turn, each when it is due."""
        for event in events:
            self._wait_for(event.at)
            if event.stay.stay_id not in self._refused:
                self._take(event)
            self._at = event.at
        self._send()
        return self._progress()

    def _wait_for(self, at: datetime) -> None:
        seconds = self._pace.seconds_until(at)
        if seconds <= 0:
            return
        self._send()
        while (seconds := self._pace.seconds_until(at)) > 0:
            time.sleep(max(seconds, TICK_SECONDS))

    def _take(self, event: Event) -> None:
        match event:
            case Admitted():
                self._tell("admitted", event.stay)
            case Known():
                if len(self._waiting) + len(event.readings) > ROWS_PER_REQUEST:
                    self._send()
                self._waiting += [(event.stay.stay_id, reading) for reading in event.readings]
            case Discharged():
                self._send()
                self._tell("discharged", event.stay, event.at)

    def _tell(self, what: str, stay: BedsideStay, discharged_at: datetime | None = None) -> None:
        try:
            self._client.post_stay(stay, discharged_at)
        except ServiceRefused as error:
            self._refused[stay.stay_id] = str(error)
        else:
            self._counts[what] += 1

    def _send(self) -> None:
        """Post what waits and count its verdicts."""
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        for verdict in self._settled(rows):
            if verdict.status == "rejected":
                self._rejected[verdict.reason] += 1
            else:
                self._counts[verdict.status] += 1
        self._on_progress(self._progress())

    def _settled(self, rows: list[tuple[str, Reading]]) -> list[RowVerdict]:
        """Verdicts of the rows; one that came too early for a stepped service clock is sent again in time."""
        settled: list[RowVerdict] = []
        for _ in range(FUTURE_TRIES):
            verdicts = self._client.post_readings(rows)
            early = [
                row for row, verdict in zip(rows, verdicts, strict=True) if verdict.reason == Reason.IN_FUTURE
            ]
            if not early or not isinstance(self._pace, WithService):
                return settled + verdicts
            settled += [verdict for verdict in verdicts if verdict.reason != Reason.IN_FUTURE]
            rows = early
            self._pace.read_again()
            self._wait_for(max(reading.known_at for _, reading in rows))
        return settled + self._client.post_readings(rows)

    def _progress(self) -> Progress:
        return Progress(
            self._at,
            self._counts["admitted"],
            self._counts["discharged"],
            self._counts["accepted"],
            self._counts["corrected"],
            self._counts["withdrawn"],
            self._counts["duplicate"],
            Counter(self._rejected),
            tuple(self._refused.values()),
        )


def connect(
    url: str, patience: timedelta = timedelta(minutes=5), on_trouble: Callable[[str], None] = lambda _: None
) -> ServiceClient:
    """A client of the service at `url`; `patience` is how long it waits for a service that is away."""
    return ServiceClient(httpx.Client(base_url=url, timeout=30.0), patience, on_trouble)
