"""qSOFA and SIRS against their published criteria.

Sources: Singer et al. 2016, doi:10.1001/jama.2016.0287; Bone et al. 1992, doi:10.1378/chest.101.6.1644.
"""

from datetime import UTC, datetime, timedelta

import pytest

from models.base import EarlyWarningModel
from models.clinical.stay import Stay, observation_table
from models.rules import QSOFA, SIRS

ADMITTED = datetime(2026, 3, 1, tzinfo=UTC)
WELL = {
    "respiratory_rate": 16.0,
    "systolic_pressure": 120.0,
    "heart_rate": 70.0,
    "temperature": 37.0,
    "wbc": 8.0,
}


def points(model: EarlyWarningModel, values: dict[str, float], maximum: int) -> float:
    time = [ADMITTED + timedelta(minutes=30)] * len(values)
    table = observation_table(time, time, list(values), list(values.values()))
    return float(model.score(Stay("s", "s", ADMITTED, table)).value[0] * maximum)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("respiratory_rate", 21, 0),  # "respiratory rate >= 22/min"
        ("respiratory_rate", 22, 1),
        ("systolic_pressure", 100, 1),  # "systolic blood pressure <= 100 mmHg"
        ("systolic_pressure", 100.5, 0),
    ],
)
def test_qsofa_criteria(variable: str, value: float, expected: int) -> None:
    assert points(QSOFA(), WELL | {variable: value}, 3) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("temperature", 38.0, 0),  # "temperature > 38 or < 36 degC"
        ("temperature", 38.1, 1),
        ("temperature", 36.0, 0),
        ("temperature", 35.9, 1),
        ("heart_rate", 90, 0),  # "heart rate > 90/min"
        ("heart_rate", 91, 1),
        ("respiratory_rate", 20, 0),  # "respiratory rate > 20/min or PaCO2 < 32 mmHg"
        ("respiratory_rate", 21, 1),
        ("paco2", 32, 0),
        ("paco2", 31.9, 1),
        ("wbc", 12.0, 0),  # "white cells > 12 or < 4 10^9/L"
        ("wbc", 12.1, 1),
        ("wbc", 4.0, 0),
        ("wbc", 3.9, 1),
    ],
)
def test_sirs_criteria(variable: str, value: float, expected: int) -> None:
    assert points(SIRS(), WELL | {variable: value}, 4) == pytest.approx(expected)


def test_fast_breathing_and_low_carbon_dioxide_are_one_criterion() -> None:
    assert points(SIRS(), WELL | {"respiratory_rate": 30, "paco2": 25}, 4) == pytest.approx(1)


@pytest.mark.parametrize(("model", "maximum"), [(QSOFA(), 3), (SIRS(), 4)])
def test_two_criteria_are_positive(model: EarlyWarningModel, maximum: int) -> None:
    assert model.threshold * maximum == 2
    one = WELL | {"respiratory_rate": 30}
    assert points(model, one, maximum) / maximum < model.threshold
    two = one | {"systolic_pressure": 90, "heart_rate": 120}
    assert points(model, two, maximum) / maximum >= model.threshold
