"""A stay as arrays: order, and what each hour knows."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.clinical.errors import InvalidInput, UnknownVariable
from models.clinical.stay import Stay, observation_table
from models.mgp.encoding import EncodedStay, encode
from models.mgp.standardise import VARIABLES, fit_standardisation

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
HEART_RATE, LACTATE = VARIABLES.index("heart_rate"), VARIABLES.index("lactate")
STANDARDISATION = fit_standardisation({"heart_rate": np.linspace(40, 120, 200)})
LATE = ((30, 61, "lactate", 2.0), (60, 60, "heart_rate", 80.0), (121, 121, "heart_rate", 90.0))


def stay(*rows: tuple[float, float, str, float]) -> Stay:
    """Rows of (measured minute, known minute, variable, value)."""
    time = [ADMITTED + timedelta(minutes=row[0]) for row in rows]
    known_at = [ADMITTED + timedelta(minutes=row[1]) for row in rows]
    table = observation_table(time, known_at, [row[2] for row in rows], [row[3] for row in rows])
    return Stay("s", "p", ADMITTED, table)


def encoded(*rows: tuple[float, float, str, float], hours: int = 3) -> EncodedStay:
    return encode(stay(*rows), STANDARDISATION, hours)


def assert_same(left: EncodedStay, right: EncodedStay) -> None:
    for field in fields(EncodedStay):
        np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name))


def test_an_hour_knows_what_became_known_by_it_and_not_what_was_measured_by_it() -> None:
    found = encoded(*LATE)
    assert found.known.tolist() == [1, 2, 3]
    assert found.variable.tolist() == [HEART_RATE, LACTATE, HEART_RATE]
    assert found.time_hours.tolist() == pytest.approx([1.0, 0.5, 121 / 60])


def test_time_since_counts_from_the_latest_measurement_known() -> None:
    since = encoded((30, 61, "lactate", 2.0), (20, 130, "lactate", 3.0)).since_hours[:, LACTATE]
    assert since.tolist() == [np.inf, 1.5, 2.5]


def test_every_reading_is_kept_and_a_correction_is_heard() -> None:
    found = encoded(*[(minute, minute, "heart_rate", 80.0 + minute) for minute in range(60)])
    assert found.time_hours * 60 == pytest.approx(range(60))
    assert found.since_hours[0, HEART_RATE] == pytest.approx(1 / 60)
    assert len(encoded((30, 31, "lactate", 9.9), (30, 50, "lactate", 1.9)).value) == 2


@pytest.mark.parametrize("hours", [0, 1, 2, 3])
def test_the_first_hours_are_those_of_the_stay_as_it_was_then(hours: int) -> None:
    then = stay(*LATE).until(ADMITTED + timedelta(hours=hours))
    assert_same(encoded(*LATE).until(hours), encode(then, STANDARDISATION, hours))


def test_a_value_that_is_not_finite_and_an_unknown_variable_are_refused() -> None:
    with pytest.raises(InvalidInput, match="heart_rate has the value nan"):
        encoded((1, 1, "heart_rate", float("nan")))
    with pytest.raises(UnknownVariable, match="shoe_size"):
        encoded((1, 1, "shoe_size", 43.0))
