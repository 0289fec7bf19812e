"""Drugs and cultures of FHIR to interventions: what was given, when, how fast, and what was not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.clinical.quarantine import Reason
from pipelines.ingest.fhir import open_source
from pipelines.ingest.source import IngestedStay

Resource = dict[str, Any]
Read = Callable[..., IngestedStay]

STAY: Resource = {
    "resourceType": "Encounter",
    "id": "e",
    "subject": {"reference": "Patient/p"},
    "period": {"start": "2026-01-01T08:00:00Z", "end": "2026-01-03T08:00:00Z"},
}


def given(drug: str | None = "Vancomycin", **more: Any) -> Resource:
    """A completed MedicationAdministration at 9:00, with whatever `more` replaces."""
    return {
        "resourceType": "MedicationAdministration",
        "id": "m",
        "status": "completed",
        "subject": {"reference": "Patient/p"},
        "context": {"reference": "Encounter/e"},
        "effectiveDateTime": "2026-01-01T09:00:00Z",
        "medicationCodeableConcept": {"text": drug},
    } | more


def infusion(value: float, unit: str, drug: str = "Norepinephrine") -> Resource:
    """A vasopressor over an hour at a rate."""
    resource = given(drug, dosage={"rateQuantity": {"value": value, "code": unit}})
    del resource["effectiveDateTime"]
    return resource | {"effectivePeriod": {"start": "2026-01-01T09:00:00Z", "end": "2026-01-01T10:00:00Z"}}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads the resources of one stay."""

    def read(*resources: Resource) -> IngestedStay:
        file = tmp_path / "all.ndjson"
        file.write_text("\n".join(json.dumps(one) for one in (STAY, *resources)))
        [ingested] = open_source(file).stays()
        return ingested

    return read


def done(ingested: IngestedStay) -> list[tuple[str, str]]:
    """The kind and agent of each intervention."""
    return list(zip(ingested.stay.interventions["kind"], ingested.stay.interventions["agent"], strict=True))


def test_a_systemic_antibiotic_is_kept_and_other_drugs_are_counted(read: Read, tmp_path: Path) -> None:
    ingested = read(given(), given("Paracetamol", id="n"))
    assert done(ingested) == [("antibiotic", "vancomycin")]
    source = open_source(tmp_path / "all.ndjson")
    list(source.stays())
    assert [(one.reason, one.code, one.count) for one in source.set_aside] == [
        (Reason.UNKNOWN_VARIABLE, "medication Paracetamol", 1)
    ]


def test_the_route_of_the_dosage_counts(read: Read) -> None:
    oral = {"route": {"coding": [{"display": "Oral Route"}]}}
    assert done(read(given(dosage=oral))) == []


def test_the_route_may_stand_in_the_request(read: Read) -> None:
    request = {
        "resourceType": "MedicationRequest",
        "id": "r",
        "subject": {"reference": "Patient/p"},
        "dosageInstruction": [{"route": {"coding": [{"code": "PO"}]}}],
    }
    ordered = given(request={"reference": "MedicationRequest/r"})
    assert done(read(ordered)) == [("antibiotic", "vancomycin")]
    assert done(read(ordered, request)) == []


def test_a_drug_may_be_named_by_its_medication_contained_or_by_formulary_code(read: Read) -> None:
    medication = {"resourceType": "Medication", "id": "x", "code": {"coding": [{"display": "Meropenem 1 g"}]}}
    by_reference = given(medicationReference={"reference": "#x"}, contained=[medication])
    del by_reference["medicationCodeableConcept"]
    formulary = {
        "resourceType": "Medication",
        "id": "f",
        "identifier": [
            {"system": "urn:formulary", "value": "CFP2"},
            {"system": "urn:x/mimic-medication-name", "value": "CefePIME"},
        ],
    }
    coded = {"coding": [{"system": "urn:formulary", "code": "CFP2"}]}
    ingested = read(by_reference, formulary, given(id="n", medicationCodeableConcept=coded))
    assert done(ingested) == [("antibiotic", "cefepime"), ("antibiotic", "meropenem")]


@pytest.mark.parametrize(
    "more",
    [
        {"status": "not-done"},
        {"status": "entered-in-error"},
        {"dosage": {"method": {"coding": [{"code": "Not Given"}]}}},
    ],
)
def test_what_was_not_given_is_withdrawn(read: Read, more: Resource) -> None:
    ingested = read(given(**more))
    assert done(ingested) == []
    assert [entry.reason for entry in ingested.quarantine] == [Reason.WITHDRAWN]


def test_a_rate_is_kept_in_its_kind_s_unit(read: Read) -> None:
    weight = {
        "resourceType": "Observation",
        "id": "w",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2026-01-01T08:30:00Z",
        "valueQuantity": {"value": 80, "code": "kg"},
    }
    table = read(weight, infusion(480, "ug/h")).stay.interventions
    assert table["rate"].tolist() == pytest.approx([0.1])
    assert (table["end"] - table["start"]).dt.total_seconds().tolist() == [3600.0]
    assert np.isnan(read(infusion(480, "ug/h")).stay.interventions["rate"].iloc[0])  # nobody was weighed


def test_a_ratio_is_a_rate(read: Read) -> None:
    ratio = {"numerator": {"value": 12, "code": "ug/kg"}, "denominator": {"value": 2, "code": "min"}}
    table = read(infusion(0, "x") | {"dosage": {"rateRatio": ratio}}).stay.interventions
    assert table["rate"].tolist() == [6.0]


def test_what_goes_on_ends_with_the_stay(read: Read) -> None:
    going_on = infusion(0.1, "ug/kg/min") | {"effectivePeriod": {"start": "2026-01-02T08:00:00Z"}}
    table = read(going_on).stay.interventions
    assert (table["end"] - table["start"]).dt.total_seconds().tolist() == [86400.0]


def test_treatments_before_the_admission_belong_to_the_next_stay_of_the_hospital_admission(
    read: Read,
) -> None:
    emergency = STAY | {
        "id": "ed",
        "partOf": {"reference": "Encounter/h"},
        "period": {"start": "2026-01-01T03:00:00Z", "end": "2026-01-01T06:00:00Z"},
    }
    hospital = STAY | {"id": "h", "period": {"start": "2026-01-01T05:00:00Z"}}
    icu = STAY | {"type": [{"text": "ICU"}], "partOf": {"reference": "Encounter/h"}}
    early = given(effectiveDateTime="2026-01-01T04:00:00Z", context={"reference": "Encounter/ed"})
    assert done(read(emergency, hospital, icu, early)) == [("antibiotic", "vancomycin")]


def _specimen(kind: str, **more: Any) -> Resource:
    taken = {"collectedDateTime": "2026-01-01T08:30:00Z"}
    return {"resourceType": "Specimen", "id": "s", "type": {"text": kind}, "collection": taken} | more


def _test(name: str, **more: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "id": "t",
        "category": [{"coding": [{"code": "MB"}]}],
        "code": {"text": name},
        "subject": {"reference": "Patient/p"},
        "specimen": {"reference": "Specimen/s"},
        "effectiveDateTime": "2026-01-01T10:00:00Z",
        "valueString": "NO GROWTH.",
    } | more


def test_a_culture_counts_when_its_specimen_was_taken(read: Read) -> None:
    ingested = read(
        _specimen("BLOOD CULTURE", subject={"reference": "Patient/p"}), _test("Blood Culture, Routine")
    )
    assert done(ingested) == [("culture", "blood culture")]
    assert ingested.stay.hours(ingested.stay.interventions["start"]).tolist() == [0.5]
    assert ingested.cells_read == 1


def test_a_culture_that_holds_only_what_grew_counts_once(read: Read) -> None:
    found = _test("Blood Culture, Routine", hasMember=[{"reference": "Observation/o"}])
    del found["valueString"]
    organism = found | {"id": "o", "code": {"text": "ESCHERICHIA COLI"}, "category": []}
    ingested = read(_specimen("BLOOD CULTURE", subject={"reference": "Patient/p"}), found, organism)
    assert done(ingested) == [("culture", "blood culture")]


def test_a_screen_is_no_culture(read: Read) -> None:
    assert done(read(_test("MRSA SCREEN"))) == []


def test_a_specimen_for_culture_that_has_no_result_yet_counts_itself(read: Read) -> None:
    assert done(read(_specimen("Blood culture", subject={"reference": "Patient/p"}))) == [
        ("culture", "blood culture")
    ]


def test_a_culture_may_be_known_by_its_loinc_code_alone(read: Read) -> None:
    code = {"coding": [{"system": "http://loinc.org", "code": "600-7"}]}
    assert done(read(_test("x", code=code, category=[]))) == [("culture", "blood")]


def test_a_repetition_is_a_duplicate(read: Read) -> None:
    ingested = read(given(), given(id="again"))
    assert len(ingested.stay.interventions) == 1
    assert [entry.reason for entry in ingested.quarantine] == [Reason.DUPLICATE]
