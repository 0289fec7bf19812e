"""Many stays as one line of events in the order things became known."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from models.clinical.errors import InvalidInput
from models.clinical.stay import Stay
from models.clinical.variables import CATALOGUE
from pipelines.bedside import BedsideStay, Reading

# Real stays end with their last row; a bed is free this long after it, when its last hour has been scored.
DISCHARGE_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Admitted:
    """A stay begins."""

    at: datetime
    stay: BedsideStay


@dataclass(frozen=True)
class Known:
    """Everything of one stay that became known at one instant; it is never torn apart."""

    at: datetime
    stay: BedsideStay
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class Discharged:
    """A stay ends."""

    at: datetime
    stay: BedsideStay


Event = Admitted | Known | Discharged


def timeline(stays: Iterable[BedsideStay], capacity: int = 1000) -> Iterator[Event]:
    """The events of `stays`, which come by admission time, merged by time; endless if `stays` is.

    At most `capacity` stays are held in memory: the next one begins late where that many overlap, and each
    stay's own events keep their order.
    """
    if capacity < 1:
        raise InvalidInput(f"capacity {capacity} must be 1 or more", value=capacity, bound=">= 1")
    waiting = enumerate(stays)
    upcoming = next(waiting, None)
    heap: list[tuple[datetime, int, Event, Iterator[Event]]] = []
    while heap or upcoming:
        while upcoming and len(heap) < capacity and (not heap or upcoming[1].admitted_at <= heap[0][0]):
            number, stay = upcoming
            _push(heap, number, _events(stay))
            upcoming = next(waiting, None)
        _, number, event, rest = heapq.heappop(heap)
        yield event
        _push(heap, number, rest)


def _push(
    heap: list[tuple[datetime, int, Event, Iterator[Event]]], number: int, events: Iterator[Event]
) -> None:
    """Put a stay's next event on the heap; `number` is unique there, so events are never compared."""
    event = next(events, None)
    if event is not None:
        heapq.heappush(heap, (event.at, number, event, events))


def _events(stay: BedsideStay) -> Iterator[Event]:
    yield Admitted(stay.admitted_at, stay)
    for known_at, readings in groupby(stay.readings, key=lambda reading: reading.known_at):
        yield Known(known_at, stay, tuple(readings))
    if stay.discharged_at is not None:
        yield Discharged(stay.discharged_at, stay)


def from_stay(stay: Stay) -> BedsideStay:
    """A checked stay as a bed would send it: canonical units, no discharge, nothing set aside."""
    table = stay.observations
    rows = zip(
        table["time"].dt.to_pydatetime(),
        table["known_at"].dt.to_pydatetime(),
        table["variable"].tolist(),
        table["value"].tolist(),
        strict=True,
    )
    return BedsideStay(
        stay_id=stay.stay_id,
        subject_id=stay.subject_id,
        admitted_at=stay.admitted_at,
        discharged_at=None,
        readings=tuple(
            Reading(time, known_at, name, value, CATALOGUE[name].unit) for time, known_at, name, value in rows
        ),
        care_unit=stay.care_unit,
        age_years=stay.age_years,
        sex=stay.sex,
        hospital_admitted_at=stay.hospital_admitted_at,
        synthetic=stay.synthetic,
        source=stay.source,
    )


def shifted(stay: BedsideStay, offset: timedelta) -> BedsideStay:
    """The same stay `offset` later: every time moves by the same whole number of microseconds."""

    def later(time: datetime | None) -> datetime | None:
        return None if time is None else time + offset

    return replace(
        stay,
        admitted_at=stay.admitted_at + offset,
        discharged_at=later(stay.discharged_at),
        hospital_admitted_at=later(stay.hospital_admitted_at),
        onset=later(stay.onset),
        readings=tuple(reading.shifted(offset) for reading in stay.readings),
    )


def into_beds(
    stays: Iterable[BedsideStay], beds: int, start: datetime, backfill: timedelta = timedelta(hours=14)
) -> Iterator[BedsideStay]:
    """Past stays as the occupants of `beds` beds of a ward that is watched from `start`.

    Each stay is moved as a whole. The first occupants came at even distances over `backfill` before
    `start`; each next stay takes the bed that is free first. The order by admission holds.
    """
    if beds < 1:
        raise InvalidInput(f"beds {beds} must be 1 or more", value=beds, bound=">= 1")
    free = [(start - backfill * (beds - bed) / beds, bed) for bed in range(beds)]
    for stay in stays:
        admitted_at, bed = heapq.heappop(free)
        moved = shifted(stay, admitted_at - stay.admitted_at)
        discharged_at = moved.discharged_at or moved.ends_at + DISCHARGE_AFTER
        heapq.heappush(free, (discharged_at, bed))
        yield replace(moved, bed=f"{bed + 1:02d}", discharged_at=discharged_at)
