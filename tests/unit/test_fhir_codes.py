"""The LOINC mapping, row by row, and how codes and units of FHIR resources meet the catalogue."""

import re

import pytest

from models.clinical.interventions import InterventionKind
from models.clinical.quarantine import check_value
from models.clinical.units import accepted_unit
from models.clinical.variables import CATALOGUE, variable
from pipelines.ingest.codes_table import Code, read_codes
from pipelines.ingest.fhir.codes import Quantity, code_map, in_accepted_unit
from pipelines.ingest.fhir.elements import Coding

LOINC = read_codes("loinc")

# the property in a LOINC name -> a unit of that property; the mapping must assume one that fits
PROPERTIES = {
    "[Mass/volume]": ("mg/dL", "g/dL", "ng/mL", "ng/L"),
    "[Moles/volume]": ("mmol/L", "umol/L"),
    "[Enzymatic activity/volume]": ("U/L",),
    "[#/volume]": ("10^9/L",),
    "[Partial pressure]": ("mmHg",),
    "olume fraction]": ("%",),
    "blood pressure": ("mmHg",),
    "emperature": ("degC",),
}


def check_digit(number: str) -> int:
    """The digit after the dash, by Luhn's rule, doubling from the right. Source: LOINC Users' Guide."""
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(number))]
    return -sum(sum(divmod(digit, 10)) for digit in doubled) % 10


@pytest.mark.parametrize("row", LOINC, ids=lambda row: f"{row.code}-{row.table}")
def test_every_row_is_a_loinc_code_in_a_unit_of_its_property(row: Code) -> None:
    found = re.fullmatch(r"(\d{1,6})-(\d)", row.code)
    assert found
    assert check_digit(found[1]) == int(found[2])
    if row.intervention is not None:
        assert row.intervention is InterventionKind.CULTURE
        assert row.agent
        assert "ulture" in row.label
        return
    accepted_unit(variable(row.target), row.unit)
    named = re.sub(r"adjusted to patient's actual temperature", "", row.label)
    for words, units in PROPERTIES.items():
        if words in named:
            assert row.unit in units


def test_every_variable_has_its_own_code_and_no_other_s() -> None:
    targets = {(row.table, row.code): row.target for row in LOINC}
    for one in CATALOGUE.values():
        assert targets["", one.loinc] == one.name


@pytest.mark.parametrize(
    "code", ["11125-2", "3091-6", "6773-6", "20077-4", "2705-2", "2021-4", "3167-4", "5767-9"]
)
def test_look_alikes_are_not_mapped(code: str) -> None:
    # platelet morphology, urea by mass, CK-MB activity, PEEP setting, venous gases, a day's urine, its colour
    assert code not in {row.code for row in LOINC}


@pytest.mark.parametrize(
    ("category", "target"),
    [("vital-signs", "oxygen_saturation"), ("laboratory", "arterial_oxygen_saturation")],
)
def test_saturation_in_vital_signs_is_pulse_oximetry(category: str, target: str) -> None:
    saturation = [Coding("http://loinc.org", "2708-6", "Oxygen saturation in Arterial blood")]
    found = code_map().meaning(saturation, [category])
    assert found is not None
    assert found.target == target


def test_systems_do_not_borrow_each_other_s_codes() -> None:
    heart_rate = {
        "http://loinc.org": "8867-4",
        "urn:iso:std:iso:11073:10101": "147842",
        "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-d-items": "220045",
    }
    for system in heart_rate:
        for owner, code in heart_rate.items():
            found = code_map().meaning([Coding(system, code, "")], ())
            assert (found is not None) == (system == owner)


def _stored(code: Code, quantity: Quantity) -> tuple[float | None, str]:
    """What the quarantine makes of a quantity, and the unit it was sent in."""
    ready, sent = in_accepted_unit(code, quantity)
    verdict = check_value(code.target, ready.value, ready.unit)
    value = getattr(verdict, "value", None)
    return (value if hasattr(verdict, "censored") else None), sent


@pytest.mark.parametrize(
    ("target", "quantity", "value", "sent"),
    [
        ("heart_rate", Quantity(44, "beats/minute", "/min"), 44, ""),  # the code, not the words
        ("creatinine", Quantity(122, "umol/L"), 1.380064, ""),  # the words where there is no code
        ("creatinine", Quantity(1200, "", "ug/dL"), 1.2, "ug/dL"),
        ("fio2", Quantity(40, "", "%"), 0.4, ""),
        ("fio2", Quantity(0.4, "", "%"), 0.4, ""),  # no mixture has 0.4 percent
        ("fio2", Quantity(40, "", "mm[Hg]"), None, ""),  # neither percent nor fraction
        ("fio2", Quantity(40), 0.4, ""),
        ("gcs_eye", Quantity(4), 4, ""),
        ("heart_rate", Quantity(80), None, ""),  # no unit
        ("heart_rate", Quantity(16, "", "{breaths}/min"), None, ""),
        ("temperature", Quantity(31.4, "F", "[degF]"), None, ""),
        ("troponin_t", Quantity("<10", "", "ng/L"), 0.01, ""),
        ("creatinine", Quantity("<50", "", "ug/dL"), 0.05, "ug/dL"),
        ("heart_rate", Quantity("SampledData: a waveform of 9 samples", "", ""), None, ""),
    ],
)
def test_units(target: str, quantity: Quantity, value: float | None, sent: str) -> None:
    code = next(row for row in LOINC if row.target == target)
    stored, unit = _stored(code, quantity)
    assert stored == (None if value is None else pytest.approx(value))
    assert unit == sent
