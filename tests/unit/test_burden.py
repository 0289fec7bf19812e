"""The burden of alarms on wards small enough to count by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.clinical.alarm import AlarmPolicy
from pipelines.metrics.alarms import MICROSECONDS_AN_HOUR, Events, Watched
from pipelines.metrics.burden import Ward, burden_figures, by_hour_of_day, by_unit, simulate

HOUR = timedelta(hours=1)
EAGER = AlarmPolicy(0.5, refractory=2 * HOUR)


def ward(dated: bool = False) -> Ward:
    """Two days of stays in two units; the first falls ill at its hour 6, and is ill until it leaves."""
    hours = np.tile(np.arange(24), 2)
    score = np.zeros(48)
    score[[1, 4, 8, 30]] = 0.9
    start = int(datetime(2026, 1, 1, 22, tzinfo=UTC).timestamp()) * 1_000_000 if dated else 0
    events = Events.one_each(np.array([6.0, np.nan]), lasting=True)
    return Ward(
        Watched(np.array([24, 24]), hours * MICROSECONDS_AN_HOUR + start, score),
        Events(events.count, events.onset + start, events.end),
        ("a", "b"),
        ("north", "south"),
        dated,
    )


def test_alarms_a_bed_and_day_count_all_and_the_predictive_value_those_in_time() -> None:
    found = burden_figures(simulate(ward(), EAGER, 3 * HOUR))
    assert (found.alarms_per_bed_day, found.late) == (2, 1)
    assert (found.outside.alarms, found.outside.true_alarms) == (3, 1)
    assert found.outside.precision == pytest.approx(1 / 3)
    assert (found.outside.recall, found.outside.lead_time_hours) == (1, 2)


def test_units_are_told_apart_and_add_up() -> None:
    here = ward()
    burden = simulate(here, EAGER, 3 * HOUR)
    units = by_unit(here, burden)
    assert {name: one.alarms_per_bed_day for name, one in units.items()} == {"north": 3, "south": 1}
    assert sum(one.outside.alarms for one in units.values()) == burden_figures(burden).outside.alarms
    assert units["south"].outside.recall is None


def test_the_hour_of_the_day_is_known_where_dates_are() -> None:
    here = ward(dated=True)
    rate = by_hour_of_day(here, simulate(here, EAGER, 3 * HOUR))
    assert rate is not None
    # alarms at 23, 02, 06 and 04 o'clock; two beds were watched for an hour of each
    assert np.flatnonzero(rate).tolist() == [2, 4, 6, 23]
    assert rate.sum() == 4 * 24 / 2
    assert by_hour_of_day(ward(), simulate(ward(), EAGER, 3 * HOUR)) is None


def test_a_part_of_the_ward_is_a_ward() -> None:
    part = ward().only(np.array([False, True]))
    assert (part.subject, part.unit, len(part.events.onset)) == (("b",), ("south",), 0)
    assert burden_figures(simulate(part, EAGER, 3 * HOUR)).alarms_per_bed_day == 1
