"""FHIR R4 resources to stays: what is kept, what is set aside and why, however the resources come."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.fhir import FhirSource, open_source
from pipelines.ingest.source import IngestedStay, IngestSummary

Resource = dict[str, Any]
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"

PATIENT: Resource = {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1956-01-01"}
STAY: Resource = {
    "resourceType": "Encounter",
    "id": "e",
    "status": "finished",
    "class": {"code": "IMP", "display": "inpatient encounter"},
    "subject": {"reference": "Patient/p"},
    "period": {"start": "2026-01-01T08:00:00Z", "end": "2026-01-03T08:00:00Z"},
}


def observation(loinc: str = "8867-4", value: Any = 80, code: str = "/min", **more: Any) -> Resource:
    """A final Observation of patient p at 9:00 in encounter e, with whatever `more` replaces."""
    return {
        "resourceType": "Observation",
        "id": more.pop("id", "o"),
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": loinc}]},
        "subject": {"reference": "Patient/p"},
        "encounter": {"reference": "Encounter/e"},
        "effectiveDateTime": "2026-01-01T09:00:00Z",
        "valueQuantity": {"value": value, "system": UCUM, "code": code},
    } | more


def without(resource: Resource, *names: str) -> Resource:
    """The resource without some of its elements."""
    return {name: element for name, element in resource.items() if name not in names}


Writer = Callable[[Sequence[Resource]], FhirSource]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[list[IngestedStay], FhirSource]]:
    """Reads resources as one ndjson file; checks that none of their cells is lost."""

    def read(*resources: Resource | str) -> tuple[list[IngestedStay], FhirSource]:
        lines = [one if isinstance(one, str) else json.dumps(one) for one in resources]
        file = tmp_path / "all.ndjson"
        file.write_text("\n".join(lines), encoding="utf-8")
        source = open_source(file)
        summary = IngestSummary()
        stays = list(summary.counting_all(source))
        assert summary.cells_kept + summary.quarantined.total() == summary.cells_read
        return stays, source

    return read


Read = Callable[..., tuple[list[IngestedStay], FhirSource]]


def kept(ingested: IngestedStay) -> list[tuple[str, float]]:
    """The variable and value of each observation."""
    table = ingested.stay.observations
    return list(zip(table["variable"], table["value"], strict=True))


def reasons(ingested: IngestedStay) -> list[tuple[Reason, str]]:
    """The reason and variable of each quarantined entry."""
    return [(entry.reason, entry.variable) for entry in ingested.quarantine]


def aside(source: FhirSource) -> list[tuple[Reason, str, int]]:
    """What was set aside outside every stay."""
    return [(entry.reason, entry.code, entry.count) for entry in source.set_aside]


def test_a_stay_is_an_encounter_with_its_patient_s_facts(read: Read) -> None:
    [ingested], _ = read(PATIENT, STAY, observation())
    stay = ingested.stay
    assert (stay.stay_id, stay.subject_id, stay.sex, stay.age_years) == ("e", "p", "female", 70.0)
    assert stay.care_unit == "inpatient encounter"
    assert stay.discharged_at is not None
    assert stay.discharged_at.isoformat() == "2026-01-03T08:00:00+00:00"
    assert kept(ingested) == [("heart_rate", 80.0)]


def test_the_order_of_resources_does_not_matter(read: Read) -> None:
    forward, _ = read(PATIENT, STAY, observation())
    backward, _ = read(observation(), STAY, PATIENT)
    assert forward[0].stay == backward[0].stay
    assert kept(forward[0]) == kept(backward[0])


def test_components_are_cells_and_panels_are_not(read: Read) -> None:
    panel = without(observation("85354-9"), "valueQuantity") | {
        "component": [
            {
                "code": {"coding": [{"system": LOINC, "code": "8480-6"}]},
                "valueQuantity": {"value": 81, "code": "mm[Hg]"},
            },
            {
                "code": {"coding": [{"system": LOINC, "code": "8462-4"}]},
                "dataAbsentReason": {"text": "unknown"},
            },
        ]
    }
    members = without(observation("85353-1", id="m"), "valueQuantity") | {
        "hasMember": [{"reference": "Observation/o"}]
    }
    [ingested], source = read(PATIENT, STAY, panel, members)
    assert kept(ingested) == [("systolic_pressure", 81.0)]
    assert reasons(ingested) == [(Reason.NO_VALUE, "diastolic_pressure")]
    assert (ingested.cells_read, aside(source)) == (2, [])


def test_unknown_codes_are_counted_with_an_example(read: Read) -> None:
    _, source = read(PATIENT, STAY, observation("1-8", id="a"), observation("1-8", id="b"))
    assert aside(source) == [(Reason.UNKNOWN_VARIABLE, "loinc.org 1-8", 2)]
    assert source.set_aside[0].example == "all.ndjson line 3: loinc.org 1-8 80 is not in the catalogue"


def test_loinc_codes_count_in_loinc_s_system_alone(read: Read) -> None:
    local = {"coding": [{"system": "http://acme.example", "code": "8867-4"}]}
    _, source = read(PATIENT, STAY, observation() | {"code": local})
    assert aside(source) == [(Reason.UNKNOWN_VARIABLE, "acme.example 8867-4", 1)]


def test_broken_lines_are_set_aside_and_the_good_ones_kept(read: Read) -> None:
    [ingested], source = read(
        PATIENT, "{not json", STAY, "[1, 2]", observation(), '{"resourceType": 7}', "null"
    )
    assert kept(ingested) == [("heart_rate", 80.0)]
    assert aside(source) == [(Reason.MALFORMED, "all.ndjson", 4)]
    assert "line 2" in source.set_aside[0].example


def test_an_observation_without_a_code_is_malformed(read: Read) -> None:
    _, source = read(PATIENT, STAY, without(observation(), "code"))
    assert aside(source) == [(Reason.MALFORMED, "Observation.code", 1)]


@pytest.mark.parametrize("odd", [7, [], "x", {}, [[1]], None, True])
@pytest.mark.parametrize(
    "name", ["code", "subject", "valueQuantity", "component", "category", "meta", "status"]
)
def test_elements_of_any_shape_lose_no_cell(read: Read, name: str, odd: Any) -> None:
    stays, source = read(PATIENT, STAY, observation() | {name: odd}, observation(id="good"))
    assert sum(stay.cells_read for stay in stays) + sum(entry.count for entry in source.set_aside) == 2


def test_issued_is_when_it_became_known_unless_before_it_was_measured(read: Read) -> None:
    lab = {"code": "mmol/L", "loinc": "2524-7"}
    [ingested], _ = read(
        PATIENT,
        STAY,
        observation(value=2, id="a", issued="2026-01-01T09:30:00Z", **lab),
        observation(value=3, id="b", issued="2026-01-01T08:30:00Z", **lab),
    )
    hours = ingested.stay.hours(ingested.stay.observations["known_at"])
    assert [(value, round(hour, 2)) for (_, value), hour in zip(kept(ingested), hours, strict=True)] == [
        (3.0, 1.05),
        (2.0, 1.5),
    ]
    assert ingested.lag_assumed == {"lactate": 1}


def test_a_corrected_version_ends_the_one_before(read: Read) -> None:
    first = observation("2823-3", 5.9, "mmol/L", issued="2026-01-01T10:00:00Z")
    again = first | {"status": "corrected", "issued": "2026-01-01T12:00:00Z"}
    again["valueQuantity"] = {"value": 4.1, "system": UCUM, "code": "mmol/L"}
    for versions in ((first, again), (again, first)):
        [ingested], _ = read(PATIENT, STAY, *versions)
        table = ingested.stay.observations
        assert list(table["value"]) == [5.9, 4.1]
        assert ingested.stay.hours(table["known_until"])[0] == 4.0


def test_a_correction_may_come_under_another_id_with_the_same_identifier(read: Read) -> None:
    named = {"identifier": [{"system": "urn:lab", "value": "77"}]}
    first = observation("2823-3", 5.9, "mmol/L", id="a", issued="2026-01-01T10:00:00Z", **named)
    again = observation(
        "2823-3", 4.1, "mmol/L", id="b", issued="2026-01-01T12:00:00Z", status="corrected", **named
    )
    [ingested], _ = read(PATIENT, STAY, first, again)
    assert ingested.stay.hours(ingested.stay.observations["known_until"])[0] == 4.0


def test_entered_in_error_withdraws_when_it_was_last_updated(read: Read) -> None:
    first = observation(issued="2026-01-01T10:00:00Z", meta={"lastUpdated": "2026-01-01T10:00:00Z"})
    gone = first | {"status": "entered-in-error", "meta": {"lastUpdated": "2026-01-01T11:00:00Z"}}
    [ingested], _ = read(PATIENT, STAY, gone, first)
    assert ingested.stay.hours(ingested.stay.observations["known_until"])[0] == 3.0
    assert reasons(ingested) == [(Reason.WITHDRAWN, "heart_rate")]


def test_a_date_is_not_a_time(read: Read) -> None:
    [ingested], _ = read(PATIENT, STAY, observation(effectiveDateTime="2026-01-01"))
    assert reasons(ingested) == [(Reason.MALFORMED, "heart_rate")]
    assert "2026-01-01" in ingested.quarantine[0].detail


def test_a_period_counts_by_its_end(read: Read) -> None:
    period = {"start": "2026-01-01T09:00:00Z", "end": "2026-01-01T10:00:00Z"}
    [ingested], _ = read(
        PATIENT, STAY, without(observation(), "effectiveDateTime") | {"effectivePeriod": period}
    )
    assert ingested.stay.hours(ingested.stay.observations["time"])[0] == 2.0


def test_a_celsius_entered_as_fahrenheit_is_never_stored_as_frost(read: Read) -> None:
    [ingested], _ = read(
        PATIENT, STAY, observation("8310-5", 31.4, "[degF]"), observation("8310-5", 98.6, "[degF]", id="b")
    )
    assert kept(ingested) == [("temperature", 37.0)]
    assert reasons(ingested) == [(Reason.IMPLAUSIBLE, "temperature")]


def test_before_admission_and_outside_every_stay(read: Read) -> None:
    early = observation(effectiveDateTime="2026-01-01T07:00:00Z")
    late = without(observation(effectiveDateTime="2026-02-01T07:00:00Z", id="b"), "encounter")
    [ingested], source = read(PATIENT, STAY, early, late)
    assert reasons(ingested) == [(Reason.BEFORE_ADMISSION, "heart_rate")]
    assert aside(source) == [(Reason.OUTSIDE_STAY, "heart_rate", 1)]


def test_a_patient_without_encounters_has_one_stay_from_the_full_hour_before(read: Read) -> None:
    at = "2026-01-01T09:20:00Z"
    [ingested], _ = read(PATIENT, without(observation(effectiveDateTime=at), "encounter"))
    assert (ingested.stay.stay_id, ingested.stay.admitted_at.isoformat()) == (
        "p",
        "2026-01-01T09:00:00+00:00",
    )


def test_where_there_are_icu_encounters_only_these_are_stays(read: Read) -> None:
    icu = STAY | {
        "id": "icu",
        "partOf": {"reference": "Encounter/e"},
        "type": [{"text": "Intensive care unit"}],
        "period": {"start": "2026-01-02T08:00:00Z", "end": "2026-01-02T20:00:00Z"},
    }
    inside = observation(effectiveDateTime="2026-01-02T09:00:00Z", id="in")
    [ingested], source = read(PATIENT, STAY, icu, observation(), inside)
    assert (ingested.stay.stay_id, kept(ingested)) == ("icu", [("heart_rate", 80.0)])
    assert ingested.stay.hospital_admitted_at is not None
    assert ingested.stay.hospital_admitted_at.isoformat() == "2026-01-01T08:00:00+00:00"
    assert aside(source) == [(Reason.OUTSIDE_STAY, "heart_rate", 1)]


def test_observations_of_a_part_belong_to_the_stay_it_is_part_of(read: Read) -> None:
    part = without(STAY, "period") | {"id": "part", "partOf": {"reference": "Encounter/e"}}
    [ingested], _ = read(PATIENT, STAY, part, observation(encounter={"reference": "Encounter/part"}))
    assert kept(ingested) == [("heart_rate", 80.0)]


def test_a_bundle_refers_by_urn_and_identifier(tmp_path: Path) -> None:
    patient = without(PATIENT, "id") | {"identifier": [{"system": "urn:mrn", "value": "5"}]}
    entries = [
        {"fullUrl": "urn:uuid:1", "resource": patient},
        {"fullUrl": "urn:uuid:2", "resource": without(STAY, "id") | {"subject": {"reference": "urn:uuid:1"}}},
        {"fullUrl": "urn:uuid:3", "resource": observation(encounter={"reference": "urn:uuid:2"})},
        {
            "resource": observation(
                id="b", subject={"identifier": {"system": "urn:mrn", "value": "5"}}, value=90
            )
        },
        {"request": {"method": "DELETE", "url": "Patient/9"}},
    ]
    file = tmp_path / "bundle.json.gz"
    file.write_bytes(gzip.compress(json.dumps({"resourceType": "Bundle", "entry": entries}).encode()))
    [ingested] = open_source(file).stays()
    assert (ingested.stay.stay_id, ingested.stay.subject_id, ingested.stay.sex) == ("2", "1", "female")
    assert kept(ingested) == [("heart_rate", 80.0), ("heart_rate", 90.0)]


def test_a_file_that_ends_too_early_keeps_what_was_read(tmp_path: Path) -> None:
    whole = gzip.compress("\n".join(json.dumps(one) for one in (PATIENT, STAY)).encode())
    (tmp_path / "a.ndjson.gz").write_bytes(whole)
    lines = "\n".join(json.dumps(observation(id=str(number), value=number)) for number in range(50, 3000))
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(lines.encode())[:-20])
    source = open_source(tmp_path)
    [ingested] = source.stays()
    assert ingested.cells_kept > 0
    assert ["b.ndjson.gz" in str(failure) for failure in source.failures] == [True]


def test_a_folder_without_fhir_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="no FHIR file"):
        open_source(tmp_path)


def test_each_pass_starts_over(tmp_path: Path) -> None:
    file = tmp_path / "one.ndjson"
    file.write_text(
        "\n".join(json.dumps(one) for one in (PATIENT, STAY, observation("1-8"), observation(id="b")))
    )
    source = open_source(file)
    assert [len(list(source.stays())) for _ in range(2)] == [1, 1]
    assert aside(source) == [(Reason.UNKNOWN_VARIABLE, "loinc.org 1-8", 1)]
    assert source.stay_count == 1


@pytest.mark.parametrize("left_out", ["effectiveDateTime", "valueQuantity", "subject", "encounter"])
def test_a_withdrawal_is_of_its_id_whatever_it_leaves_out(read: Read, left_out: str) -> None:
    first = observation(issued="2026-01-01T09:30:00Z")
    gone = first | {"status": "entered-in-error", "meta": {"lastUpdated": "2026-01-01T11:00:00Z"}}
    names = [left_out, "encounter"] if left_out == "subject" else [left_out]
    [ingested], source = read(PATIENT, STAY, without(gone, *names), first)
    assert f"{ingested.stay.observations['known_until'].iloc[0]:%H:%M}" == "11:00"
    assert (reasons(ingested), aside(source)) == ([(Reason.WITHDRAWN, "heart_rate")], [])


def test_of_versions_of_one_moment_the_amended_stands(read: Read) -> None:
    amended = observation(value=90, status="amended")
    [ingested], _ = read(PATIENT, STAY, amended, observation(value=80))
    assert kept(ingested) == [("heart_rate", 90.0)]


def test_versions_are_ordered_by_time_and_not_by_spelling(read: Read) -> None:
    old = observation(value=80, meta={"lastUpdated": "2026-01-01T15:00:00+05:00"})
    new = observation(value=90, meta={"lastUpdated": "2026-01-01T11:00:00Z"})
    [ingested], _ = read(PATIENT, STAY, new, old)
    table = ingested.stay.observations
    assert table[table["known_until"].isna()]["value"].tolist() == [90.0]


def test_two_components_of_one_variable_are_two_observations(read: Read) -> None:
    one = {
        "code": {"coding": [{"system": LOINC, "code": "8480-6"}]},
        "valueQuantity": {"value": 120, "system": UCUM, "code": "mm[Hg]"},
    }
    two = one | {"valueQuantity": {"value": 130, "system": UCUM, "code": "mm[Hg]"}}
    panel = without(observation("85354-9"), "valueQuantity") | {"component": [one, two]}
    [ingested], _ = read(PATIENT, STAY, panel)
    assert kept(ingested) == [("systolic_pressure", 120.0), ("systolic_pressure", 130.0)]


def test_half_a_character_costs_its_own_resource_alone(read: Read) -> None:
    broken = json.dumps(observation(id="x")).replace('"/min"', r'"/min\udfff"')
    [ingested], _ = read(PATIENT, STAY, broken, observation())
    assert kept(ingested) == [("heart_rate", 80.0)]
    assert reasons(ingested) == [(Reason.UNACCEPTED_UNIT, "heart_rate")]


def test_what_names_no_patient_makes_no_stay(read: Read) -> None:
    stays, source = read(
        without(observation(), "subject", "encounter"), without(observation(id="o2"), "subject", "encounter")
    )
    assert (stays, aside(source)) == ([], [(Reason.UNKNOWN_STAY, "heart_rate", 2)])


def test_a_year_that_means_for_ever_is_no_time(read: Read) -> None:
    for_ever = observation("2823-3", 4, "mmol/L", effectiveDateTime="9999-12-31T23:59:59Z")
    stays, source = read(PATIENT, without(for_ever, "encounter"))
    assert [kept(one) for one in stays] in ([], [[]])
    reasons = [entry.reason for one in stays for entry in one.quarantine]
    assert [*reasons, *(rows.reason for rows in source.set_aside)] == [Reason.MALFORMED]
