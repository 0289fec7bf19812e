"""Units: what each variable accepts, and that pint's conversions are the clinical ones."""

import numpy as np
import pytest

from models.clinical.errors import UnacceptedUnit
from models.clinical.units import accepted_unit, conversion_to_canonical, convert
from models.clinical.variables import CATALOGUE, Variable, variable


@pytest.mark.parametrize(
    ("name", "value", "unit", "canonical"),
    [
        ("temperature", 98.6, "degF", 37.0),
        ("temperature", 310.15, "K", 37.0),
        ("oxygen_saturation", 0.97, "fraction", 97.0),
        ("fio2", 40, "%", 0.4),
        ("paco2", 5.3, "kPa", 39.753),
        ("systolic_pressure", 100, "cmH2O", 73.556),
        ("glucose", 5.5, "mmol/L", 99.09),
        ("creatinine", 88.4, "umol/L", 1.0),
        ("bun", 5.0, "mmol/L", 14.0),
        ("bilirubin_total", 17.1, "umol/L", 1.0),
        ("lactate", 18, "mg/dL", 2.0),
        ("hemoglobin", 9.0, "mmol/L", 14.5),
        ("calcium", 2.5, "mmol/L", 10.02),
        ("potassium", 4.1, "mEq/L", 4.1),
        ("ast", 1.0, "ukat/L", 60.0),
        ("wbc", 11_000, "1/uL", 11.0),
        ("platelets", 250, "10^3/uL", 250.0),
        ("fibrinogen", 2.5, "g/L", 250.0),
        ("troponin_i", 40, "ng/L", 0.04),
    ],
)
def test_values_convert_as_laboratories_publish(name: str, value: float, unit: str, canonical: float) -> None:
    converted = convert(np.array([value]), variable(name), unit)
    np.testing.assert_allclose(converted, [canonical], rtol=2e-3)


@pytest.mark.parametrize(
    ("name", "spelling", "accepted"),
    [
        ("temperature", "Cel", "degC"),
        ("temperature", "[degF]", "degF"),
        ("temperature", "°C", "degC"),
        ("temperature", "\ufffdC", "degC"),
        ("temperature", "?F", "degF"),
        ("temperature", "Â°F", "degF"),
        ("temperature", "ºC", "degC"),
        ("systolic_pressure", "mm[Hg]", "mmHg"),
        ("systolic_pressure", "mm Hg", "mmHg"),
        ("heart_rate", "{beats}/min", "beats/min"),
        ("wbc", "10*3/uL", "10*3/uL"),
        ("wbc", "x10^9/L", "10^9/L"),
        ("wbc", "10^3/µL", "10^3/uL"),
        ("creatinine", "MG/DL", "mg/dL"),
        ("creatinine", "µmol/L", "umol/L"),
        ("creatinine", "\u03bcmol/l", "umol/L"),
    ],
)
def test_unambiguous_spellings_are_accepted(name: str, spelling: str, accepted: str) -> None:
    assert accepted_unit(variable(name), spelling) == accepted


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=lambda row: row.name)
def test_every_accepted_unit_converts_and_no_two_differ_in_case_alone(row: Variable) -> None:
    assert row.unit in row.accepted_units
    for unit in row.accepted_units:
        assert accepted_unit(row, unit) == unit
        assert conversion_to_canonical(row, unit).factor > 0


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("lactate", "mmHg"),
        ("heart_rate", "breaths/min"),
        ("calcium", "mEq/L"),
        ("ph", ""),
        ("glucose", "G/L"),
    ],
)
def test_an_unaccepted_unit_names_variable_unit_and_the_accepted_ones(name: str, unit: str) -> None:
    with pytest.raises(UnacceptedUnit) as caught:
        convert(np.array([1.0]), variable(name), unit)
    message = str(caught.value)
    assert name in message
    assert repr(unit) in message
    assert all(accepted in message for accepted in variable(name).accepted_units)


def test_one_reading_in_two_units_is_one_number() -> None:
    temperature = variable("temperature")
    fahrenheit = convert(np.array([98.6, 100.4, 113.0]), temperature, "degF")
    assert fahrenheit.tolist() == [37.0, 38.0, 45.0]


def test_canonical_values_come_back_untouched() -> None:
    values = np.array([1 / 3, np.nan])
    assert convert(values, variable("glucose"), "mg/dL") is values
