"""UCUM codes: known spellings, scaled units, and what must never be taken for another quantity."""

import pytest

from models.clinical.errors import UnacceptedUnit
from models.clinical.variables import CATALOGUE, variable
from pipelines.ingest.ucum import scaled


@pytest.mark.parametrize(
    ("name", "code", "unit"),
    [
        ("systolic_pressure", "mm[Hg]", "mmHg"),
        ("temperature", "Cel", "degC"),
        ("temperature", "[degF]", "degF"),
        ("platelets", "10*3/uL", "10*3/uL"),
        ("heart_rate", "{beats}/min", "beats/min"),
        ("ph", "[pH]", "pH"),
        ("inr", "{INR}", "{INR}"),
        ("gcs_total", "{score}", "{score}"),
        ("sodium", "meq/L", "mEq/L"),
        ("ast", "[IU]/L", "IU/L"),
    ],
)
def test_codes_of_the_catalogue_s_own_units_are_spellings(name: str, code: str, unit: str) -> None:
    assert scaled(variable(name), code) == (1.0, unit)


@pytest.mark.parametrize(
    ("name", "code", "factor", "unit"),
    [
        ("platelets", "/nL", 1.0, "10^9/L"),
        ("wbc", "10*6/L", 0.001, "10^9/L"),
        ("creatinine", "ug/dL", 0.001, "mg/dL"),
        ("creatinine", "nmol/mL", 0.001, "mmol/L"),
        ("total_peep", "mbar", 1.01971621298, "cmH2O"),
        ("ast", "nkat/L", 0.06, "U/L"),
        ("body_weight", "[lb_av]", 0.45359237, "kg"),
        ("body_height", "[ft_i]", 30.48, "cm"),
        ("heart_rate", "Hz", 60.0, "1/min"),
        ("gcs_eye", "{Glasgow'score}", 1.0, "1"),
    ],
)
def test_codes_of_the_same_dimension_are_scaled(name: str, code: str, factor: float, unit: str) -> None:
    found = scaled(variable(name), code)
    assert found.unit == unit
    assert found.factor == pytest.approx(factor, rel=1e-11)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("heart_rate", "{breaths}/min"),  # a swapped channel
        ("respiratory_rate", "{beats}/min"),
        ("heart_rate", "mm[Hg]"),
        ("creatinine", "nonsense"),
        ("cardiac_output", "L/min/m2"),  # the index is not the output
        ("ck_mb", "U/L"),  # activity is not mass
        ("heart_rate", ""),
        ("sodium", "mg/dL"),
        ("body_weight", "10*"),
    ],
)
def test_other_quantities_are_refused(name: str, code: str) -> None:
    with pytest.raises(UnacceptedUnit, match=name):
        scaled(variable(name), code)


def test_every_accepted_unit_is_its_own_spelling() -> None:
    for one in CATALOGUE.values():
        for unit in one.accepted_units:
            assert scaled(one, unit) == (1.0, unit)
