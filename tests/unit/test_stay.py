"""Stays: two clocks an observation, an hourly grid, and what was known by a time."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.stay import Stay, observation_table

ADMITTED = datetime(2026, 1, 1, 8, 30, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return ADMITTED + timedelta(minutes=minutes)


def stay(*rows: tuple[float, float, str, float]) -> Stay:
    time, known_at, variable, value = zip(*rows, strict=True)
    table = observation_table([at(t) for t in time], [at(k) for k in known_at], variable, value)
    return Stay("s", "p", ADMITTED, table)


def test_grid_is_hourly_from_admission_and_covers_the_newest_observation() -> None:
    grid = stay((10, 10, "heart_rate", 80), (30, 125, "lactate", 2)).grid()
    assert list(grid) == [pd.Timestamp(at(60)), pd.Timestamp(at(120)), pd.Timestamp(at(180))]


def test_observation_on_the_hour_belongs_to_that_hour() -> None:
    assert len(stay((60, 60, "heart_rate", 80)).grid()) == 1


def test_grid_end_is_free() -> None:
    one = stay((10, 10, "heart_rate", 80))
    assert len(one.grid(at(301))) == 6
    assert len(one.grid(at(-5))) == 0
    assert len(Stay("s", "p", ADMITTED).grid()) == 0


def test_until_keeps_what_was_known_not_what_was_measured() -> None:
    both = stay((10, 10, "heart_rate", 80), (10, 90, "lactate", 4))
    assert list(both.until(at(89)).observations["variable"]) == ["heart_rate"]
    assert len(both.until(at(90)).observations) == 2


def test_what_is_withdrawn_later_still_stands_and_what_is_withdrawn_by_then_does_not() -> None:
    table = observation_table(
        [at(10), at(20)], [at(10), at(20)], ["ph", "ph"], [7.2, 7.3], known_until=[at(60), None]
    )
    both = Stay("s", "p", ADMITTED, table)
    early, late = both.until(at(59)), both.until(at(60))
    assert early.observations["known_until"].isna().all()
    assert late.observations["known_until"].notna().tolist() == [True, False]
    assert both.standing(at(59)) is both
    assert both.standing(at(60)).observations["value"].tolist() == [7.3]


def test_a_result_beyond_a_limit_keeps_its_sign() -> None:
    table = observation_table([at(2), at(1)], [at(2), at(1)], ["ph", "ph"], [8, 6], censored=["", "<"])
    assert table["censored"].tolist() == ["<", ""]


def test_table_order_does_not_depend_on_input_order() -> None:
    rows = [(30.0, 30.0, "ph", 7.2), (10.0, 90.0, "ph", 7.1), (30.0, 30.0, "ph", 7.1)]
    pd.testing.assert_frame_equal(stay(*rows).observations, stay(*rows[::-1]).observations)


def test_other_time_zones_become_utc() -> None:
    local = pd.Timestamp("2026-01-01T10:00:00+01:00")
    table = observation_table([local], [local], ["ph"], [7.4])
    assert str(table["time"].iloc[0]) == "2026-01-01 09:00:00+00:00"


def test_admission_without_time_zone_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no time zone"):
        Stay("s", "p", ADMITTED.replace(tzinfo=None))


def test_known_before_measured_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="lactate known at"):
        stay((90, 10, "lactate", 4))


def test_missing_column_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="known_at"):
        Stay("s", "p", ADMITTED, pd.DataFrame({"time": [], "variable": [], "value": []}))
