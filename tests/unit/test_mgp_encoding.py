"""A stay as arrays: order, what each hour knows, side channels."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.clinical.errors import InvalidInput, UnknownVariable
from models.clinical.stay import Stay, observation_table
from models.mgp.encoding import STATIC_CHANNELS, EncodedStay, encode, side_channels
from models.mgp.standardise import VARIABLES, fit_standardisation

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
HEART_RATE, LACTATE = VARIABLES.index("heart_rate"), VARIABLES.index("lactate")
STANDARDISATION = fit_standardisation({"heart_rate": np.linspace(40, 120, 200)})


def stay(*rows: tuple[float, float, str, float], **facts: object) -> Stay:
    """Rows of (measured minute, known minute, variable, value)."""
    time = [ADMITTED + timedelta(minutes=row[0]) for row in rows]
    known_at = [ADMITTED + timedelta(minutes=row[1]) for row in rows]
    table = observation_table(time, known_at, [row[2] for row in rows], [row[3] for row in rows])
    return Stay("s", "p", ADMITTED, table, **facts)  # type: ignore[arg-type]


def encoded(*rows: tuple[float, float, str, float], hours: int = 3) -> EncodedStay:
    return encode(stay(*rows), STANDARDISATION, hours)


def test_an_hour_knows_what_became_known_by_it_and_not_what_was_measured_by_it() -> None:
    found = encoded((30, 61, "lactate", 2.0), (60, 60, "heart_rate", 80.0), (121, 121, "heart_rate", 90.0))
    assert found.known.tolist() == [1, 2, 3]
    assert found.variable.tolist() == [HEART_RATE, LACTATE, HEART_RATE]
    assert found.time_hours.tolist() == pytest.approx([1.0, 0.5, 121 / 60])


def test_time_since_counts_from_the_latest_measurement_known() -> None:
    since = encoded((30, 61, "lactate", 2.0), (20, 130, "lactate", 3.0)).since_hours[:, LACTATE]
    assert since.tolist() == [np.inf, 1.5, 2.5]


def test_side_channels_of_a_fresh_an_old_and_no_measurement() -> None:
    side = side_channels(encoded((30, 30, "heart_rate", 80.0)))
    assert side.shape == (3, 2 * len(VARIABLES) + len(STATIC_CHANNELS))
    measured, recency = side[:, HEART_RATE], side[:, len(VARIABLES) + HEART_RATE]
    assert measured.tolist() == [1, 0, 0]
    assert recency == pytest.approx(np.exp(-np.array([0.5, 1.5, 2.5]) / 12))
    assert not side[:, [LACTATE, len(VARIABLES) + LACTATE]].any()


def test_a_reading_every_minute_is_thinned_but_a_correction_is_heard() -> None:
    found = encoded(*[(minute, minute, "heart_rate", 80.0 + minute) for minute in range(60)])
    assert found.time_hours * 60 == pytest.approx([0, 1, 20, 21, 40, 41])
    assert found.since_hours[0, HEART_RATE] == pytest.approx(1 / 60)
    assert len(encoded((30, 31, "lactate", 9.9), (30, 50, "lactate", 1.9)).value) == 2


def test_statics_say_what_is_unknown() -> None:
    admitted = ADMITTED - timedelta(hours=np.expm1(3.0))
    known = encode(
        stay(age_years=78.0, sex="female", care_unit="MICU", hospital_admitted_at=admitted),
        STANDARDISATION,
        1,
    )
    assert known.statics[0, :8] == pytest.approx([1, 0, 1, 0, 1, 0, 1, 0], abs=1e-6)
    assert encode(stay(), STANDARDISATION, 1).statics[0, :8].tolist() == [0, 1, 0, 0, 0, 1, 0, 0]


def test_a_value_that_is_not_finite_and_an_unknown_variable_are_refused() -> None:
    with pytest.raises(InvalidInput, match="heart_rate has the value nan"):
        encoded((1, 1, "heart_rate", float("nan")))
    with pytest.raises(UnknownVariable, match="shoe_size"):
        encoded((1, 1, "shoe_size", 43.0))
