"""Many stays as one line of events in the order things became known."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

import pandas as pd

from models.clinical.errors import InvalidInput
from models.clinical.ledger import ReportStatus
from models.clinical.stay import Stay
from models.clinical.variables import CATALOGUE
from pipelines.bedside import BedsideStay, Reading

# Real stays end with their last row; a bed is free this long after it, when its last hour has been scored.
DISCHARGE_AFTER = timedelta(hours=1)

_FINAL, _CORRECTED, _WITHDRAWN = ReportStatus.FINAL, ReportStatus.CORRECTED, ReportStatus.ENTERED_IN_ERROR


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
    """A checked stay as a bed would send it: canonical units, no discharge, nothing set aside.

    A value that stands no longer is followed by its correction or withdrawal when that became known.
    """
    readings = sorted(_reported(stay.observations), key=lambda one: (one.known_at, one.time, one.variable))
    return BedsideStay(
        stay_id=stay.stay_id,
        subject_id=stay.subject_id,
        admitted_at=stay.admitted_at,
        discharged_at=None,
        readings=tuple(readings),
        care_unit=stay.care_unit,
        age_years=stay.age_years,
        sex=stay.sex,
        hospital_admitted_at=stay.hospital_admitted_at,
        synthetic=stay.synthetic,
        source=stay.source,
    )


def _reported(table: pd.DataFrame) -> Iterator[Reading]:
    """The rows as reports: what replaces one another shares a name, as a laboratory's results do."""
    rows = [
        (Reading(time, known_at, name, sign + repr(value) if sign else value, CATALOGUE[name].unit), until)
        for time, known_at, until, name, value, sign in zip(
            *(table[column].dt.to_pydatetime() for column in ("time", "known_at", "known_until")),
            *(table[column].tolist() for column in ("variable", "value", "censored")),
            strict=True,
        )
    ]
    revised = {(one.variable, one.time) for one, until in rows if not pd.isna(until)}
    successors = Counter((one.variable, one.time, one.known_at) for one, _ in rows)
    names: dict[tuple[str, datetime, datetime], list[str]] = {}
    for number, (one, until) in enumerate(rows):
        if (one.variable, one.time) not in revised:
            yield one
            continue
        inherited = names.get((one.variable, one.time, one.known_at), [])
        name, status = (inherited.pop(), _CORRECTED) if inherited else (f"{one.variable}-{number}", _FINAL)
        yield replace(one, identifier=name, status=status)
        if pd.isna(until):
            continue
        end = one.variable, one.time, until
        if until > one.known_at and successors[end] > 0:
            successors[end] -= 1
            names.setdefault(end, []).append(name)
        else:
            yield replace(one, identifier=name, known_at=max(until, one.known_at), status=_WITHDRAWN)


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
