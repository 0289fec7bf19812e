"""What is kept of a stay: that something was measured, by when it was known, and when somebody acted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.clinical.interventions import intervention_table
from models.clinical.stay import Stay, observation_table
from pipelines.evaluate.measured import NEVER, VARIABLES, fact_rows, measurements, recognised_hour
from pipelines.ingest.source import IngestedStay

ADMITTED = datetime(2026, 3, 1, tzinfo=UTC)
LACTATE, RATE = VARIABLES.index("lactate"), VARIABLES.index("heart_rate")


def at(*hours: float) -> list[datetime]:
    return [ADMITTED + timedelta(hours=hour) for hour in hours]


@pytest.fixture
def stay() -> Stay:
    """Lactate drawn at 1 h and known at 4.5 h; heart rate before admission, at 2 h and at 3 h."""
    table = observation_table(
        at(1, -0.5, 2, 3), at(4.5, -0.5, 2, 3), ["lactate", *["heart_rate"] * 3], [2.0, 80, 90, 100]
    )
    return Stay("s", "p", ADMITTED, table, age_years=61.0)


def test_a_result_counts_from_when_it_was_known_not_from_when_it_was_drawn(stay: Stay) -> None:
    found = measurements(stay, np.arange(1, 7))
    assert found.count[:, LACTATE].tolist() == [0, 0, 0, 0, 1, 1]
    assert found.since[:, LACTATE].tolist() == [NEVER] * 4 + [0, 1]
    assert found.count[:, RATE].tolist() == [1, 2, 3, 3, 3, 3]
    assert found.since[:, RATE].tolist() == [0, 0, 0, 1, 2, 3]


def test_measurements_up_to_an_hour_do_not_depend_on_what_comes_later(stay: Stay) -> None:
    whole = measurements(stay, np.arange(1, 7))
    for hour in range(1, 7):
        until = measurements(stay.until(ADMITTED + timedelta(hours=hour)), np.arange(1, hour + 1))
        np.testing.assert_array_equal(until.count, whole.count[:hour])
        np.testing.assert_array_equal(until.since, whole.since[:hour])


def test_values_do_not_reach_the_hourly_table(stay: Stay) -> None:
    other = replace(stay, observations=stay.observations.assign(value=99.0))
    for side in ("count", "since"):
        one, two = (getattr(measurements(some, np.arange(1, 7)), side) for some in (stay, other))
        np.testing.assert_array_equal(one, two)


def test_recognition_is_the_first_antibiotic_culture_or_lactate(stay: Stay) -> None:
    assert recognised_hour(stay) == 1.0  # when lactate was drawn, though the record tells of no intervention
    acted = intervention_table(at(5, 3), at(5, 9), ["culture", "norepinephrine"], [np.nan] * 2, ["", ""])
    assert recognised_hour(replace(stay, interventions=acted)) == 1.0  # lactate drawn
    without = replace(stay, observations=stay.observations[stay.observations["variable"] != "lactate"])
    assert recognised_hour(replace(without, interventions=acted)) == 5.0
    assert recognised_hour(without) is None


def test_the_row_of_a_stay_tells_its_onset_and_its_medians(stay: Stay) -> None:
    label = np.array([0, 0, 1, 1, 1, 1], dtype=np.int8)
    row = fact_rows("A", [IngestedStay(stay, 4, hour=np.arange(1, 7), label=label)]).to_pylist()[0]
    assert (row["site"], row["hours"], row["onset_hour"], row["onset_told"]) == ("A", 6, 9.0, True)
    assert (row["median_heart_rate"], row["count_heart_rate"], row["median_ph"]) == (90.0, 3, None)
    untold = fact_rows("A", [IngestedStay(stay, 4, hour=np.arange(1, 7), label=label | 1)]).to_pylist()[0]
    assert (untold["onset_hour"], untold["onset_told"]) == (7.0, False)
