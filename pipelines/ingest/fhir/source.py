"""FHIR R4: Bundles, single resources, ndjson and ndjson.gz, in files or folders of them.

Read are Patient, Encounter, Location and Medication, which are held in memory, and Observation,
MedicationAdministration, MedicationRequest, Specimen, Procedure and Condition, which are staged on disk and
sorted by patient. A cell is a value of an Observation or of one of its components, a
MedicationAdministration, a Procedure, or a culture: each becomes an observation, an intervention or an entry
of the quarantine, or is counted in `set_aside`. Source: hl7.org/fhir/R4.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models.clinical.errors import UnreadableSource
from models.clinical.interventions import InterventionKind
from models.clinical.quarantine import Reason, cell_text
from pipelines.ingest.codes_table import Code
from pipelines.ingest.fhir.codes import code_map
from pipelines.ingest.fhir.elements import (
    Coding,
    codings,
    contained,
    effective,
    element,
    elements,
    keys,
    reference,
    text,
)
from pipelines.ingest.fhir.encounters import encounter
from pipelines.ingest.fhir.files import Found, Unreadable, find_files, resources
from pipelines.ingest.fhir.observations import WITHDRAWN, ObservedCell, observed_cells, staged
from pipelines.ingest.fhir.patients import Known, patient_stays
from pipelines.ingest.fhir.staging import Staging
from pipelines.ingest.fhir.tally import Tally
from pipelines.ingest.fhir.treatments import (
    StagedCulture,
    route_of_request,
    staged_administration,
    staged_deed,
    staged_specimen,
)
from pipelines.ingest.source import IngestedStay, SetAside


class FhirSource:
    """A source of stays from FHIR resources; see `open_source`."""

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        self._path = path
        self._files = files
        self._failures: list[UnreadableSource] = []
        self._aside = Tally()
        self._stay_count: int | None = None

    @property
    def name(self) -> str:
        """The path that was opened."""
        return str(self._path)

    @property
    def stay_count(self) -> int | None:
        """How many Encounters are stays; None before the first pass, or where no Encounter is one."""
        return self._stay_count

    @property
    def failures(self) -> Sequence[UnreadableSource]:
        """Files that are damaged or end too early; what was read of them before is kept."""
        return tuple(self._failures)

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """What is no resource, has an unknown code, or belongs to no stay."""
        return self._aside.set_aside()

    def stays(self) -> Iterator[IngestedStay]:
        """Every stay, by patient and then by admission."""
        self._failures, self._aside, self._stay_count = [], Tally(), None
        with tempfile.TemporaryDirectory(prefix="prodrome-fhir-") as folder:
            pass_ = _Pass(Staging(Path(folder)), self._aside)
            for file in self._files:
                try:
                    for found in resources(file):
                        pass_.read(found)
                except UnreadableSource as failure:
                    self._failures.append(failure)
            self._stay_count = pass_.settle()
            yield from pass_.stays()


def open_source(path: Path) -> FhirSource:
    """The stays in a FHIR file or folder. Raises UnreadableSource if there is no FHIR file."""
    return FhirSource(path, find_files(path))


class _Resource(NamedTuple):
    """A resource, everything it is called, and where it stands."""

    content: dict[str, Any]
    keys: list[str]
    where: str

    @property
    def key(self) -> str:
        """The key it goes by."""
        return self.keys[0]


class _Pass:
    """One reading of all files: what is held, what is staged, what is set aside."""

    def __init__(self, staging: Staging, aside: Tally) -> None:
        self._staging = staging
        self._aside = aside
        self._known = Known()
        self._read = {
            "Patient": self._patient,
            "Encounter": self._encounter,
            "Location": self._location,
            "Medication": self._medication,
            "Observation": self._observation,
            "MedicationAdministration": self._administration,
            "MedicationRequest": self._request,
            "Specimen": self._specimen,
            "Procedure": self._procedure,
            "Condition": self._condition,
        }

    def read(self, found: Found | Unreadable) -> None:
        """Take in one resource, and those it contains."""
        if isinstance(found, Unreadable):
            self._aside.add(Reason.MALFORMED, found.file, found.detail)
            return
        named = keys(found.resource, found.url) or [found.where]
        for inner, key in contained(found.resource, named[0]):
            self.read(Found(inner, found.where, key))
        read = self._read.get(text(found.resource, "resourceType"))
        if read is not None:
            read(_Resource(found.resource, named, found.where))

    def settle(self) -> int | None:
        """Choose the stays, once all is read; how many there are, None where patients have no encounters."""
        encounters = self._known.encounters
        encounters.settle(self._known.patient_of)
        for patient in encounters.spans:
            self._staging.add("stay", patient, "", [])
        return sum(len(spans) for spans in encounters.spans.values()) or None

    def stays(self) -> Iterator[IngestedStay]:
        """The stays of each patient in turn."""
        known = self._known
        patients = {
            key: known.patient_of.get(one.patient, one.patient)
            for key, one in known.encounters.by_key.items()
        }
        for patient, rows in self._staging.by_patient(known.patient_of, patients):
            yield from patient_stays(patient, rows, known, self._aside)

    def _patient(self, one: _Resource) -> None:
        self._known.patients[one.key] = {name: one.content.get(name) for name in ("gender", "birthDate")}
        self._known.patient_of |= dict.fromkeys(one.keys, one.key)

    def _encounter(self, one: _Resource) -> None:
        if text(one.content, "status") in ("entered-in-error", "cancelled", "planned"):
            return
        found = encounter(one.content, one.key)
        start = text(element(one.content, "period"), "start")
        if start and found.begins is None:
            detail = f"{one.where}: the period begins {cell_text(start)}, which is not a time with an offset"
            self._aside.add(Reason.MALFORMED, "Encounter.period", detail)
        self._known.encounters.by_key |= dict.fromkeys(one.keys, found)

    def _location(self, one: _Resource) -> None:
        if name := text(one.content, "name"):
            self._known.locations |= dict.fromkeys(one.keys, name)

    def _medication(self, one: _Resource) -> None:
        self._known.formulary.add(one.content, one.keys, one.key)

    def _observation(self, one: _Resource) -> None:
        coded = codings(one.content.get("code"))
        if not coded and not elements(one.content, "component"):
            self._aside.add(Reason.MALFORMED, "Observation.code", f"{one.where}: the Observation has no code")
            return
        told: Counter[str] = Counter()
        for cell in observed_cells(one.content):
            target = cell.code.target if cell.code else ""
            # the same variable twice in one Observation is two, not a version of the first
            self._cell(one, cell, f"{one.key} {told[target]}" if told[target] else one.key)
            told[target] += 1

    def _cell(self, one: _Resource, cell: ObservedCell, identity: str) -> None:
        code = cell.code
        if code is None:
            name, value = _code_text(cell), cell_text(cell.quantity.value)
            self._aside.add(
                Reason.UNKNOWN_VARIABLE, name, f"{one.where}: {name} {value} is not in the catalogue"
            )
        elif code.intervention is InterventionKind.CULTURE:
            self._stage("culture", one, "encounter", _culture(one, cell, code))
        elif code.intervention is not None:
            deed = staged_deed(one.content, code.intervention, code.agent, "effective")
            self._stage("treatment", one, "encounter", deed)
        else:
            self._stage("cell", one, "encounter", staged(one.content, cell, code, identity), identity)

    def _administration(self, one: _Resource) -> None:
        code = code_map().meaning(codings(one.content.get("medicationCodeableConcept")), ())
        row = staged_administration(one.content, one.key)
        if code is not None and code.intervention is not None:
            row = row._replace(kind=code.intervention, agent=code.agent)
        self._stage("treatment", one, "context", row)

    def _request(self, one: _Resource) -> None:
        self._stage("request", one, "encounter", [route_of_request(one.content), one.keys])

    def _specimen(self, one: _Resource) -> None:
        self._stage("specimen", one, "encounter", staged_specimen(one.content, one.keys))

    def _procedure(self, one: _Resource) -> None:
        coded = codings(one.content.get("code"))
        code = code_map().meaning(coded, ())
        if code is None or code.intervention is None:
            name = coded[0].text or coded[0].code if coded else "without a code"
            detail = f"{one.where}: {name} is no treatment that is kept"
            self._aside.add(Reason.UNKNOWN_VARIABLE, f"procedure {name}", detail)
            return
        deed = staged_deed(one.content, code.intervention, code.agent, "performed")
        self._stage("treatment", one, "encounter", deed)

    def _condition(self, one: _Resource) -> None:
        for coding in codings(one.content.get("code")):
            if "icd" in coding.system.casefold() and coding.code:
                self._stage("diagnosis", one, "encounter", [coding.code])

    def _stage(
        self, kind: str, one: _Resource, encounter_name: str, content: Sequence[Any], name: str = ""
    ) -> None:
        patient = reference(one.content, "subject", "Patient", one.key)
        within = reference(one.content, encounter_name, "Encounter", one.key)
        self._staging.add(kind, patient, within, content, name)


def _culture(one: _Resource, cell: ObservedCell, code: Code) -> StagedCulture:
    return StagedCulture(
        code.agent,
        next((coding.text for coding in cell.codings if coding.text), ""),
        reference(one.content, "specimen", "Specimen", one.key),
        effective(one.content),
        text(one.content, "status") in WITHDRAWN,
    )


def _code_text(cell: ObservedCell) -> str:
    """The code as a report shows it: the system's last word, the code, else the words."""
    best: Coding | None = next((coding for coding in cell.codings if coding.code), None)
    if best is None:
        return cell.codings[0].text if cell.codings else "without a code"
    return f"{best.system.rstrip('/').rpartition('/')[2] or 'no system'} {best.code}"
