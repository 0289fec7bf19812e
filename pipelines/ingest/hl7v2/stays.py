"""The OBX of a feed as rows, and the rows of one patient as stays.

A measurement is named by its order (OBR-3, else OBR-2), code, OBX-4 and time, so a result sent again in a
later message supersedes the first. Without an order number only a correction does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.interventions import intervention_table
from models.clinical.quarantine import Quarantined, Reason
from models.clinical.stay import Sex, Stay
from pipelines.ingest.facts import PLAUSIBLE_AGE, Facts
from pipelines.ingest.hl7v2.results import Message, PatientResults, Result, Visit
from pipelines.ingest.readings import Reading, with_readings
from pipelines.ingest.source import IngestedStay

SOURCE = "hl7v2"
_SEXES: MappingProxyType[str, Sex] = MappingProxyType({"f": "female", "m": "male"})
_YEAR = timedelta(days=365.25)


class ResultRow(NamedTuple):
    """One OBX on its way to its stay; times are ISO 8601 in UTC.

    `time` is "HL7 " and the text as sent where that is no time, lest its digits be read as one.
    """

    subject: str
    row: int
    visit: str
    time: str
    known_at: str | None
    sent_at: str | None
    code: str
    value: str | None
    unit: str
    sent_unit: str
    measurement: str
    ordered: bool
    corrects: bool
    withdrawn: bool
    intervention: str
    agent: str
    fault: str
    detail: str


_TYPES = {"row": pa.int64(), "ordered": pa.bool_(), "corrects": pa.bool_(), "withdrawn": pa.bool_()}
ROW_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in ResultRow._fields])


@dataclass
class Person:
    """What the feed has said so far of one patient."""

    birth: str = ""
    sex: str = ""
    visits: dict[str, Visit] = field(default_factory=dict)

    def learn(self, told: PatientResults) -> None:
        """Take in what a message says of the patient; what it leaves out stands as it was."""
        self.birth, self.sex = told.birth or self.birth, told.sex or self.sex
        if told.visit.number:
            known = self.visits.get(told.visit.number, Visit())
            said = {name: value for name, value in vars(told.visit).items() if value}
            self.visits[told.visit.number] = replace(known, **said)

    def visit_at(self, time: datetime | None) -> str:
        """The visit that a time falls into, the latest admitted; "" for none."""
        found = [
            (visit.admitted_at, number)
            for number, visit in self.visits.items()
            if time and visit.admitted_at and visit.admitted_at <= time
            if visit.discharged_at is None or time < visit.discharged_at
        ]
        return max(found)[1] if found else ""


def result_row(message: Message, patient: PatientResults, result: Result, row: int) -> ResultRow:
    """One OBX of a message as row number `row` of the feed."""
    reading, fault = result.reading, result.fault
    return ResultRow(
        patient.subject,
        row,
        patient.visit.number,
        _iso(reading.time) or (f"HL7 {reading.time}" if reading.time else ""),
        _iso(reading.known_at),
        _iso(message.sent_at),
        reading.code,
        None if reading.value is None else str(reading.value),
        reading.unit or "",
        reading.sent_unit,
        result.measurement,
        result.ordered,
        result.corrects,
        reading.withdrawn,
        result.intervention or "",
        result.agent,
        fault.reason if fault else "",
        f"message {message.control_id} segment {result.place}: {fault.detail}" if fault else "",
    )


@lru_cache(maxsize=4096)
def _iso(time: object) -> str | None:
    return time.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(time, datetime) else None


def stays_of(
    subject: str, person: Person, results: Sequence[ResultRow], named: Counter[str]
) -> Iterator[IngestedStay | list[ResultRow]]:
    """The stays of a patient, by visit number, and lists of rows that make none, for want of any time.

    `named` counts over the feed what calls itself by a visit number or a patient's; a name that is not unique
    gets the patient's before it.
    """
    by_visit: defaultdict[str, list[ResultRow]] = defaultdict(list)
    for row in results:
        by_visit[row.visit or person.visit_at(_time(row))].append(row)
    for number in sorted({*by_visit, *person.visits}):
        visit, mine = person.visits.get(number, Visit()), by_visit[number]
        admitted_at = visit.admitted_at or _first_hour(mine)
        if admitted_at is None:
            yield mine
            continue
        stay_id = number if named[number] == 1 else f"{subject}/{number}" if number else subject
        yield _ingested(_described(stay_id, subject, person, visit, admitted_at), mine)


def _time(row: ResultRow) -> datetime | None:
    try:
        time = datetime.fromisoformat(row.time)
    except ValueError:
        return None
    return time if time.tzinfo else None


def _first_hour(mine: Sequence[ResultRow]) -> datetime | None:
    times = [time for row in mine if (time := _time(row)) is not None]
    return min(times).replace(minute=0, second=0, microsecond=0) if times else None


def _described(
    stay_id: str, subject: str, person: Person, visit: Visit, admitted_at: datetime
) -> tuple[Stay, Facts]:
    facts = Facts(stay_id)
    sex = "" if person.sex in ("U", "O", "N", "A") else person.sex  # not said, or neither
    stay = Stay(
        stay_id,
        subject_id=subject,
        admitted_at=admitted_at.astimezone(UTC),
        age_years=facts.number("age_years", _age(person.birth, admitted_at), PLAUSIBLE_AGE, "years", 0),
        sex=facts.choice("sex", sex, _SEXES, 0),
        care_unit=visit.care_unit or None,
        discharged_at=visit.discharged_at.astimezone(UTC) if visit.discharged_at else None,
        source=SOURCE,
    )
    return stay, facts


def _age(birth: str, at: datetime) -> float | str | None:
    """The age in years at a moment, from a date or a longer HL7 time; the text where it is none."""
    try:
        return (at - datetime.strptime(birth[:8], "%Y%m%d").replace(tzinfo=UTC)) / _YEAR
    except ValueError:
        return birth or None


def _ingested(described: tuple[Stay, Facts], mine: Sequence[ResultRow]) -> IngestedStay:
    stay, facts = described
    done, repeated = _interventions([row for row in mine if row.intervention and not row.fault])
    stay = replace(stay, interventions=done)
    plain = [row for row in mine if not row.intervention and not row.fault]
    ingested = with_readings(stay, _named(plain), tuple(facts.quarantined))
    faults = (*repeated, *(_quarantined(row, Reason(row.fault), row.detail) for row in mine if row.fault))
    return replace(
        ingested,
        cells_read=ingested.cells_read + len(faults),
        quarantine=(*ingested.quarantine, *(replace(fault, stay_id=stay.stay_id) for fault in faults)),
    )


def _quarantined(row: ResultRow, reason: Reason, detail: str) -> Quarantined:
    name = row.intervention or row.code
    return Quarantined(reason, detail, row.row, variable=name, value=row.value, unit=row.unit)


def _interventions(mine: Sequence[ResultRow]) -> tuple[pd.DataFrame, list[Quarantined]]:
    """The cultures of a stay; each organism and each version of one is an OBX, all of one culture."""
    seen: dict[tuple[str, str, str], ResultRow] = {}
    repeated = []
    for row in mine:
        if (key := (row.time, row.intervention, row.agent)) in seen:
            detail = f"{row.intervention} of {row.time} was read before"
            repeated.append(_quarantined(row, Reason.DUPLICATE, detail))
        else:
            seen[key] = row
    times, kinds, agents = ([key[part] for key in seen] for part in range(3))
    return intervention_table(times, times, kinds, [float("nan")] * len(times), agents), repeated


def _named(mine: Sequence[ResultRow]) -> list[Reading]:
    """The readings of a stay, those about one measurement under one name and each known after the last."""
    corrected = {row.measurement for row in mine if row.corrects}
    times: defaultdict[str, set[str]] = defaultdict(set)
    last_known: dict[str, str] = {}
    readings = []
    # a feed may hand over a correction before what it corrects; MSH-7 tells the order of versions
    for row in sorted(mine, key=lambda one: (one.sent_at or "", one.row)):
        identifier, known_at, at = "", row.known_at, row.time
        if row.ordered or row.measurement in corrected:
            # a correction of the time itself still means the one measurement there is
            moved = row.corrects and row.time not in times[row.measurement]
            time = (
                next(iter(times[row.measurement])) if moved and len(times[row.measurement]) == 1 else row.time
            )
            times[row.measurement].add(time)
            identifier = f"{row.measurement} {time}"
            known_at = _after(last_known.get(identifier), known_at, row.sent_at)
            last_known[identifier] = known_at or row.time
            at = time if _time(row) is None else at
        readings.append(
            Reading(
                at,
                known_at,
                row.code,
                row.value,
                row.unit,
                row.row,
                identifier,
                row.withdrawn,
                row.sent_unit,
            )
        )
    return readings


def _after(last: str | None, known_at: str | None, sent_at: str | None) -> str | None:
    """When a version became known: a clock copied from the version before gives way to the message's."""
    if last is not None and sent_at is not None and (known_at is None or known_at <= last) and sent_at > last:
        return sent_at
    return known_at
