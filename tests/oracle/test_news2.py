"""NEWS2 against the published chart: Royal College of Physicians 2017, chart 1, ISBN 978-1-86016-682-2."""

from datetime import UTC, datetime, timedelta

import pytest

from models.clinical.stay import Stay, observation_table
from models.rules import NEWS2

ADMITTED = datetime(2026, 3, 1, tzinfo=UTC)
NORMAL = {
    "respiratory_rate": 16.0,
    "oxygen_saturation": 98.0,
    "systolic_pressure": 120.0,
    "heart_rate": 70.0,
    "temperature": 37.0,
}

# both ends of every interval printed on the chart
CHART: dict[str, list[tuple[float, int]]] = {
    "respiratory_rate": [(8, 3), (9, 1), (11, 1), (12, 0), (20, 0), (21, 2), (24, 2), (25, 3), (60, 3)],
    "oxygen_saturation": [(60, 3), (91, 3), (92, 2), (93, 2), (94, 1), (95, 1), (96, 0), (100, 0)],
    "systolic_pressure": [(90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3)],
    "heart_rate": [(40, 3), (41, 1), (50, 1), (51, 0), (90, 0), (91, 1), (110, 1), (111, 2), (130, 2),
                   (131, 3)],
    "temperature": [(35.0, 3), (35.1, 1), (36.0, 1), (36.1, 0), (38.0, 0), (38.1, 1), (39.0, 1), (39.1, 2)],
    "fio2": [(0.21, 0), (0.24, 2), (0.4, 2), (1.0, 2)],
}  # fmt: skip


def points(values: dict[str, float]) -> float:
    """Points in the hour after these values were measured together."""
    time = [ADMITTED + timedelta(minutes=30)] * len(values)
    table = observation_table(time, time, list(values), list(values.values()))
    value = NEWS2().score(Stay("s", "s", ADMITTED, table)).value
    return float(value[0] * 20)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [(variable, value, expected) for variable, rows in CHART.items() for value, expected in rows],
)
def test_chart(variable: str, value: float, expected: int) -> None:
    assert points(NORMAL | {variable: value}) == pytest.approx(expected)


def test_a_value_between_two_printed_ones_reads_as_the_nearer() -> None:
    assert points(NORMAL | {"respiratory_rate": 20.4}) == 0
    assert points(NORMAL | {"respiratory_rate": 20.6}) == pytest.approx(2)
    assert points(NORMAL | {"temperature": 38.04}) == 0
    assert points(NORMAL | {"temperature": 38.06}) == pytest.approx(1)


def test_the_worst_alert_patient_earns_seventeen_of_twenty() -> None:
    worst = {"respiratory_rate": 30, "oxygen_saturation": 85, "fio2": 0.6, "systolic_pressure": 80}
    assert points(worst | {"heart_rate": 140, "temperature": 34}) == pytest.approx(17)


def test_the_urgent_response_begins_at_five_points() -> None:
    assert NEWS2().threshold * 20 == 5
    assert points(NORMAL | {"respiratory_rate": 25, "oxygen_saturation": 93}) / 20 >= NEWS2().threshold
    assert points(NORMAL | {"respiratory_rate": 25, "oxygen_saturation": 95}) / 20 < NEWS2().threshold
