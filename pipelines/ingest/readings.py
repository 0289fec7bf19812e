"""Readings as they come, row by row, and the stay they make: what sources of single rows share.

Each reading becomes an observation or a quarantined entry. Its value is judged first, then its clocks, then
whether it is news: a later reading of the same `identifier` supersedes the one before it, also where its own
value is unfit to stand; a withdrawing one ends it; and a reading that says again what stands is a duplicate.
A withdrawal without identifier ends what came without one for its variable, time and value, or whatever the
value was where it gives none.
Of versions known at the same moment the one that comes later in the input counts.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

import pandas as pd

from models.clinical.quarantine import (
    Accepted,
    Cell,
    Quarantined,
    Reason,
    as_json,
    cell_text,
    check_cells,
    check_clock,
    read_time,
)
from models.clinical.stay import Stay, observation_table
from models.clinical.units import same_unit
from models.clinical.variables import Variable, variable
from pipelines.ingest.source import IngestedStay

_Value: TypeAlias = tuple[datetime, str, float, str]


class Reading(NamedTuple):
    """One reading as received.

    `time` and `known_at` are datetimes or ISO 8601 text with an offset; without `known_at` the variable's
    `lag` is assumed. `code` is a catalogue name or LOINC code. `identifier` is the sender's name for the
    measurement, equal in all its versions ("" for none); `withdrawn` says that it never should have been.
    `sent_unit` is the unit as sent where `value` was already scaled from it to `unit`.
    """

    time: object
    known_at: object
    code: str
    value: Cell
    unit: str | None
    row: int | None = None
    identifier: str = ""
    withdrawn: bool = False
    sent_unit: str = ""


@dataclass(frozen=True)
class _Kept:
    time: datetime
    known_at: datetime
    variable: Variable
    value: float
    censored: str
    reading: Reading
    lag_assumed: bool
    known_until: datetime | None = None
    unfit: Quarantined | None = None  # why its value cannot stand; what it replaces falls all the same


def with_readings(
    stay: Stay, readings: Sequence[Reading], facts_quarantined: tuple[Quarantined, ...] = ()
) -> IngestedStay:
    """The stay with these readings as its observations, and what of them was set aside and why.

    `stay` may have interventions; it counts them as read and kept.
    """
    readings = _timed_withdrawals(readings)
    judged = [
        _judged(reading, verdict, stay.admitted_at)
        for reading, verdict in zip(readings, _value_verdicts(readings), strict=True)
    ]
    quarantine = [entry for entry in judged if isinstance(entry, Quarantined)]
    kept, old = _news([entry for entry in judged if isinstance(entry, _Kept)])
    return IngestedStay(
        replace(stay, observations=_table(kept)),
        len(readings) + len(stay.interventions),
        tuple(replace(entry, stay_id=stay.stay_id) for entry in (*quarantine, *old)),
        facts_quarantined,
        converted=Counter(
            (entry.variable.name, entry.reading.sent_unit or str(entry.reading.unit))
            for entry in kept
            if entry.reading.sent_unit or not same_unit(entry.variable, entry.reading.unit)
        ),
        lag_assumed=Counter(entry.variable.name for entry in kept if entry.lag_assumed),
    )


def _table(kept: Sequence[_Kept]) -> pd.DataFrame:
    return observation_table(
        [entry.time for entry in kept],
        [entry.known_at for entry in kept],
        [entry.variable.name for entry in kept],
        [entry.value for entry in kept],
        known_until=[entry.known_until for entry in kept],
        censored=[entry.censored for entry in kept],
    )


def _timed_withdrawals(readings: Sequence[Reading]) -> Sequence[Reading]:
    """The readings, withdrawals without a time with that of what they withdraw."""
    bare = {one.identifier for one in readings if one.withdrawn and one.time in (None, "")} - {""}
    if not bare:
        return readings
    times = {
        (one.identifier, one.code): one.time
        for one in readings
        if one.identifier in bare and one.time not in (None, "")
    }
    return [
        one._replace(time=times.get((one.identifier, one.code), one.time))
        if one.withdrawn and one.time in (None, "")
        else one
        for one in readings
    ]


def _value_verdicts(readings: Sequence[Reading]) -> list[Accepted | Quarantined]:
    """The verdict on each reading's value, all values of one code and unit together."""
    groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, reading in enumerate(readings):
        groups[reading.code.strip(), str(reading.unit or "")].append(index)
    verdicts: dict[int, Accepted | Quarantined] = {}
    for (code, unit), members in groups.items():
        cells = [readings[index].value for index in members]
        verdicts |= dict(zip(members, check_cells(code, cells, unit), strict=True))
    return [
        replace(verdict, row=reading.row) if isinstance(verdict, Quarantined) else verdict
        for reading, verdict in zip(readings, (verdicts[i] for i in range(len(readings))), strict=True)
    ]


def _judged(reading: Reading, verdict: Accepted | Quarantined, admitted_at: datetime) -> _Kept | Quarantined:
    if isinstance(verdict, Accepted):
        return _timed(reading, verdict, admitted_at)
    names_another = reading.identifier or reading.withdrawn
    if not names_another or verdict.reason is Reason.UNKNOWN_VARIABLE:
        return verdict
    # a version without a readable value still says that the one before it no longer holds
    version = _timed(reading, Accepted(variable(reading.code.strip()), math.nan), admitted_at)
    return verdict if isinstance(version, Quarantined) else replace(version, unfit=verdict)


def _timed(reading: Reading, verdict: Accepted, admitted_at: datetime) -> _Kept | Quarantined:
    clocks: list[datetime] = []
    for name, cell in (("time", reading.time), ("known_at", reading.known_at)):
        if name == "known_at" and cell in (None, ""):
            clocks.append(_later(clocks[0], verdict.variable.lag))
            continue
        clock = read_time(cell)
        if clock is None or _is_date(cell):
            bound = "an ISO 8601 time with an offset"
            detail = f"{name} {cell_text(cell)} is not {bound}"
            of = verdict.variable.name
            return Quarantined(Reason.MALFORMED, detail, reading.row, "", of, as_json(cell), bound)
        clocks.append(clock)
    if fault := check_clock(clocks[0], clocks[1], admitted_at):
        return replace(fault, row=reading.row, variable=verdict.variable.name)
    assumed = reading.known_at in (None, "")
    value, sign = verdict.value, verdict.censored
    return _Kept(clocks[0], clocks[1], verdict.variable, value, sign, reading, assumed)


def _later(time: datetime, lag: timedelta) -> datetime:
    """A time plus a lag; the time itself where that would leave the calendar."""
    try:
        return time + lag
    except OverflowError:
        return time


def _is_date(cell: object) -> bool:
    """Whether a text is a date alone, which reads as its midnight."""
    return isinstance(cell, str) and ":" not in cell and "T" not in cell


def _news(kept: Sequence[_Kept]) -> tuple[list[_Kept], list[Quarantined]]:
    """What stands or once stood, each with its end, and what never did: repetitions and withdrawals."""
    standing: list[_Kept] = []
    quarantine: list[Quarantined] = []
    latest: dict[tuple[str, str], int] = {}
    seen: set[_Value] = set()
    nameless: defaultdict[tuple[datetime, str], list[int]] = defaultdict(list)
    for entry in sorted(kept, key=_input_order):
        named = (entry.reading.identifier, entry.variable.name)
        before = latest.get(named) if entry.reading.identifier else None
        stands = entry.unfit is None and not entry.reading.withdrawn
        if stands and before is not None and _value(standing[before]) == _value(entry):
            quarantine.append(_aside(Reason.DUPLICATE, "was read before", entry))
            continue
        if before is not None:
            seen.discard(_value(standing[before]))
            standing[before] = replace(standing[before], known_until=entry.known_at)
            del latest[named]
        if entry.reading.withdrawn and not entry.reading.identifier:
            for index in nameless[entry.time, entry.variable.name]:
                if standing[index].known_until is None and _means(entry, standing[index]):
                    seen.discard(_value(standing[index]))
                    standing[index] = replace(standing[index], known_until=entry.known_at)
        if not stands or _value(entry) in seen:
            quarantine.append(_never_stood(entry))
            continue
        if entry.reading.identifier:
            latest[named] = len(standing)
        else:
            nameless[entry.time, entry.variable.name].append(len(standing))
        seen.add(_value(entry))
        standing.append(entry)
    return _ever_standing(standing, quarantine), quarantine


def _means(withdrawal: _Kept, entry: _Kept) -> bool:
    """Whether a withdrawal without a name is of this entry: of any of its moment, where it gives no value."""
    return withdrawal.unfit is not None or _value(withdrawal) == _value(entry)


def _input_order(entry: _Kept) -> tuple[datetime, int, datetime, str, float]:
    # versions of one measurement in the order of the input; what has no name in an order of its own
    row = (entry.reading.row or 0) if entry.reading.identifier else -1
    return entry.known_at, row, entry.time, entry.variable.name, entry.value


def _value(entry: _Kept) -> _Value:
    return entry.time, entry.variable.name, entry.value, entry.censored


def _never_stood(entry: _Kept) -> Quarantined:
    if entry.reading.withdrawn:
        return _aside(Reason.WITHDRAWN, "was withdrawn", entry)
    return entry.unfit or _aside(Reason.DUPLICATE, "was read before", entry)


def _ever_standing(standing: Sequence[_Kept], quarantine: list[Quarantined]) -> list[_Kept]:
    """Those that stood for any time at all; a version replaced in the moment it came goes to `quarantine`."""
    never = [entry for entry in standing if entry.known_until == entry.known_at]
    quarantine += [
        _aside(Reason.WITHDRAWN, "was replaced in the moment it became known", entry) for entry in never
    ]
    return [entry for entry in standing if entry.known_until != entry.known_at]


def _aside(reason: Reason, what: str, entry: _Kept) -> Quarantined:
    name, unit = entry.variable.name, entry.reading.unit or ""
    value = entry.reading.value
    detail = f"{name} {cell_text(value)} {unit} of {entry.time.isoformat()} {what}"
    return Quarantined(reason, detail, entry.reading.row, "", name, as_json(value), unit=unit)
