"""Readings as they come, row by row, and the stay they make: what sources of single rows share.

Each reading becomes an observation or a quarantined entry. Its value is judged first, then its clocks, then
whether it is news: a later reading of the same `identifier` supersedes the one before it, a withdrawing one
ends it, and a reading that says again what stands is a duplicate.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

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
from models.clinical.variables import Variable
from pipelines.ingest.source import IngestedStay


class Reading(NamedTuple):
    """One reading as received.

    `time` and `known_at` are datetimes or ISO 8601 text with an offset; without `known_at` the variable's
    `lag` is assumed. `code` is a catalogue name or LOINC code. `identifier` is the sender's name for the
    measurement, equal in all its versions ("" for none); `withdrawn` says that it never should have been.
    """

    time: object
    known_at: object
    code: str
    value: Cell
    unit: str | None
    row: int | None = None
    identifier: str = ""
    withdrawn: bool = False


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


def with_readings(
    stay: Stay, readings: Sequence[Reading], facts_quarantined: tuple[Quarantined, ...] = ()
) -> IngestedStay:
    """The stay with these readings as its observations, and what of them was set aside and why.

    `stay` may have interventions; it counts them as read and kept.
    """
    judged = [
        verdict if isinstance(verdict, Quarantined) else _timed(reading, verdict, stay.admitted_at)
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
            (entry.variable.name, str(entry.reading.unit))
            for entry in kept
            if not same_unit(entry.variable, entry.reading.unit)
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


def _timed(reading: Reading, verdict: Accepted, admitted_at: datetime) -> _Kept | Quarantined:
    variable = verdict.variable
    clocks: list[datetime] = []
    for name, cell in (("time", reading.time), ("known_at", reading.known_at)):
        if name == "known_at" and cell in (None, ""):
            clocks.append(clocks[0] + variable.lag)
            continue
        clock = read_time(cell)
        if clock is None:
            bound = "an ISO 8601 time with an offset"
            detail = f"{name} {cell_text(cell)} is not {bound}"
            return Quarantined(Reason.MALFORMED, detail, reading.row, "", variable.name, as_json(cell), bound)
        clocks.append(clock)
    if fault := check_clock(clocks[0], clocks[1], admitted_at):
        return replace(fault, row=reading.row, variable=variable.name)
    assumed = reading.known_at in (None, "")
    return _Kept(clocks[0], clocks[1], variable, verdict.value, verdict.censored, reading, assumed)


def _news(kept: Sequence[_Kept]) -> tuple[list[_Kept], list[Quarantined]]:
    """What stands or once stood, each with its end, and what never did: repetitions and withdrawals."""
    standing: list[_Kept] = []
    quarantine: list[Quarantined] = []
    latest: dict[tuple[str, ...], int] = {}
    seen: set[tuple[datetime, str, float, str]] = set()
    for entry in sorted(kept, key=lambda one: (one.known_at, one.time, one.variable.name, one.value)):
        named = (entry.reading.identifier, entry.variable.name) if entry.reading.identifier else ()
        before = latest.get(named) if named else None
        value = (entry.time, entry.variable.name, entry.value, entry.censored)
        if not entry.reading.withdrawn and value in seen:
            quarantine.append(_aside(Reason.DUPLICATE, "was read before", entry))
            continue
        if before is not None:
            earlier = standing[before]
            seen.discard((earlier.time, earlier.variable.name, earlier.value, earlier.censored))
            standing[before] = replace(earlier, known_until=entry.known_at)
            del latest[named]
        if entry.reading.withdrawn:
            quarantine.append(_aside(Reason.WITHDRAWN, "was withdrawn", entry))
            continue
        if named:
            latest[named] = len(standing)
        seen.add(value)
        standing.append(entry)
    return _ever_standing(standing, quarantine), quarantine


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
