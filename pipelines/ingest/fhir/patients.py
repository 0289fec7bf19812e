"""The stays of one patient, made of everything that was staged of it.

Cells become readings of the stay they belong to, treatments and cultures its interventions. A corrected
version goes by the same name as the one it replaces: the resource's id, or a business identifier that a
correction carries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from models.clinical.quarantine import Reason, cell_text
from models.clinical.stay import Sex, Stay
from pipelines.ingest.facts import PLAUSIBLE_AGE, Facts
from pipelines.ingest.fhir.deeds import Deed, deeds, interventions
from pipelines.ingest.fhir.elements import clock, text
from pipelines.ingest.fhir.encounters import Encounter, Encounters
from pipelines.ingest.fhir.observations import StagedCell
from pipelines.ingest.fhir.staging import StagedRow
from pipelines.ingest.fhir.tally import Tally
from pipelines.ingest.fhir.treatments import Formulary
from pipelines.ingest.readings import Reading, with_readings
from pipelines.ingest.source import IngestedStay

SOURCE = "fhir"
_SEXES: Mapping[str, Sex] = {"female": "female", "male": "male"}
_DAYS_A_YEAR = 365.2425
_UNSTAMPED = datetime.min.replace(tzinfo=UTC)


@dataclass
class Known:
    """What a source tells of its patients, encounters, places and drugs; held in memory."""

    patients: dict[str, dict[str, Any]] = field(default_factory=dict)
    patient_of: dict[str, str] = field(default_factory=dict)
    encounters: Encounters = field(default_factory=Encounters)
    locations: dict[str, str] = field(default_factory=dict)
    formulary: Formulary = field(default_factory=Formulary)


@dataclass
class _Gathered:
    """What belongs to one stay."""

    cells: list[tuple[int, StagedCell]] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    diagnoses: list[str] = field(default_factory=list)


def patient_stays(
    patient: str, rows: Sequence[StagedRow], known: Known, aside: Tally
) -> Iterator[IngestedStay]:
    """The stays of a patient by the time they begin; rows that belong to none are counted in `aside`."""
    if not patient:
        _of_nobody(rows, known, aside)
        return
    cells = _timed([(row, StagedCell._make(row.content)) for row in rows if row.kind == "cell"])
    spans = known.encounters.spans.get(patient, [])
    whole = None if patient in known.encounters.dated else _whole_stay(patient, cells)
    gathered: defaultdict[str, _Gathered] = defaultdict(_Gathered)
    for row, cell in cells:
        time = clock(cell.time)
        stay = whole or known.encounters.stay_of(patient, row.encounter, time, treatment=False)
        if stay is None:
            what = f"{cell.variable} {cell_text(cell.value)}"
            aside.outside(cell.variable, what, time, cell.time, withdrawn=cell.withdrawn)
        else:
            gathered[stay.key].cells.append((row.number, cell))
    for deed in deeds(rows, known.formulary, aside):
        stay = whole or known.encounters.stay_of(patient, deed.encounter, deed.start, treatment=True)
        if stay is None:
            what = f"{deed.done.kind} {deed.done.agent}"
            aside.outside(str(deed.done.kind), what, deed.start, deed.told, withdrawn=deed.withdrawn)
        else:
            gathered[stay.key].deeds.append(deed)
    for row in rows:
        if row.kind == "diagnosis":
            for stay in known.encounters.stays_of_family(patient, row.encounter):
                gathered[stay.key].diagnoses.append(row.content[0])
    for stay in [whole] if whole else [span.stay for span in spans]:
        yield _ingested(patient, stay, gathered[stay.key], known)


def _of_nobody(rows: Sequence[StagedRow], known: Known, aside: Tally) -> None:
    """Count what names no patient: it may be of many."""
    for row in rows:
        if row.kind == "cell":
            cell = StagedCell._make(row.content)
            what = f"{cell.variable} {cell_text(cell.value)} of {cell.time or 'no time'}"
            aside.add(Reason.UNKNOWN_STAY, cell.variable, f"{what} names no patient")
    for deed in deeds(rows, known.formulary, aside):
        kind = str(deed.done.kind)
        aside.add(Reason.UNKNOWN_STAY, kind, f"{kind} {deed.done.agent} of {deed.told} names no patient")


def _timed(cells: list[tuple[StagedRow, StagedCell]]) -> list[tuple[StagedRow, StagedCell]]:
    """The cells, withdrawals that leave out time or encounter with those of what they withdraw."""
    bare = {cell.identity for _, cell in cells if cell.withdrawn and clock(cell.time) is None}
    if not bare:
        return cells
    told = {
        (cell.identity, cell.variable): (row.encounter, cell.time)
        for row, cell in cells
        if cell.identity in bare and clock(cell.time) is not None
    }
    return [_at(told.get((cell.identity, cell.variable)), row, cell) for row, cell in cells]


def _at(told: tuple[str, str] | None, row: StagedRow, cell: StagedCell) -> tuple[StagedRow, StagedCell]:
    if told is None or not cell.withdrawn or clock(cell.time) is not None:
        return row, cell
    return row._replace(encounter=row.encounter or told[0]), cell._replace(time=told[1])


def _whole_stay(patient: str, cells: Iterable[tuple[StagedRow, StagedCell]]) -> Encounter | None:
    """The one stay of a patient without encounters; None where no observation has a time."""
    times = [time for _, cell in cells if not cell.withdrawn and (time := clock(cell.time)) is not None]
    if not times:
        return None
    begins = min(times).replace(minute=0, second=0, microsecond=0)
    return Encounter(patient, patient, "", begins, None, False, "", "")


def _ingested(patient: str, encounter: Encounter, found: _Gathered, known: Known) -> IngestedStay:
    stay_id = _identity(encounter.key)
    facts = Facts(stay_id)
    stay = _stay(stay_id, patient, encounter, facts, known)
    ingested = with_readings(stay, _readings(found.cells), tuple(facts.quarantined))
    kept, quarantine = interventions(ingested.stay, found.deeds)
    return replace(
        ingested,
        stay=replace(ingested.stay, interventions=kept),
        cells_read=ingested.cells_read + len(found.deeds),
        quarantine=(*ingested.quarantine, *(replace(entry, stay_id=stay_id) for entry in quarantine)),
        diagnoses=tuple(sorted(set(found.diagnoses))),
    )


def _stay(stay_id: str, patient: str, encounter: Encounter, facts: Facts, known: Known) -> Stay:
    assert encounter.begins is not None  # only such encounters are stays
    told = known.patients.get(patient, {})
    hospital = known.encounters.hospital_begin(encounter) if encounter.part_of else None
    gender = text(told, "gender")
    return Stay(
        stay_id,
        _identity(patient),
        encounter.begins,
        age_years=facts.number("age_years", _age(told, encounter.begins), PLAUSIBLE_AGE, "years", 0),
        sex=facts.choice("sex", None if gender in ("other", "unknown") else gender, _SEXES, 0),
        care_unit=known.locations.get(encounter.location) or encounter.place or None,
        hospital_admitted_at=hospital,
        discharged_at=encounter.ends,
        source=SOURCE,
    )


def _identity(key: str) -> str:
    """The id part of a key, which is what people call a patient or an encounter."""
    return key.rpartition("/")[2].removeprefix("urn:uuid:")


def _age(told: dict[str, Any], at: datetime) -> float | None:
    """Years from the birth date, of which the day or the month may be missing, to the admission."""
    year, month, day = (
        (*text(told, "birthDate").split("-"), "7", "1")[:3] if text(told, "birthDate") else ("",) * 3
    )
    try:
        born = date(int(year), int(month), int(day))
    except ValueError:
        return None
    days = (at.date() - born).days
    # a birth date is local, the admission in UTC
    return round((0 if days == -1 else days) / _DAYS_A_YEAR, 2)


def _readings(cells: Sequence[tuple[int, StagedCell]]) -> list[Reading]:
    """The cells as readings, the versions of a measurement under one name."""
    shared = {name for _, cell in cells if cell.versioned for name in cell.business}
    versions: defaultdict[tuple[str, str], list[tuple[int, StagedCell]]] = defaultdict(list)
    for number, cell in cells:
        name = next((one for one in cell.business if one in shared), cell.identity)
        versions[name, cell.variable].append((number, cell))
    readings: list[Reading] = []
    for (name, _), found in versions.items():
        readings += _versions(name, found)
    return sorted(readings, key=lambda reading: reading.row or 0)


def _versions(name: str, found: Sequence[tuple[int, StagedCell]]) -> Iterator[Reading]:
    numbers = sorted(number for number, _ in found)
    ordered = sorted(found, key=lambda one: (_stamp(one[1]), one[1].rank, one[0]))
    last: datetime | None = None
    for number, (_, cell) in zip(numbers, ordered, strict=True):
        known_at = _known_at(cell, last)
        last = known_at or last
        yield Reading(
            cell.time,
            known_at,
            cell.variable,
            cell.value,
            cell.unit,
            number,
            name,
            cell.withdrawn,
            cell.sent_unit,
        )


def _stamp(cell: StagedCell) -> datetime:
    return clock(cell.updated) or clock(cell.issued) or _UNSTAMPED


def _known_at(cell: StagedCell, last: datetime | None) -> datetime | None:
    """When a version became known: issued, if not before it was measured; a later version that was not issued
    again became known when it was last updated.
    """
    time, issued, updated = clock(cell.time), clock(cell.issued), clock(cell.updated)
    if last is not None and updated is not None and (issued is None or issued <= last) and updated > last:
        return updated
    return issued if issued is not None and time is not None and issued >= time else None
