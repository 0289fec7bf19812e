"""The channels against a loop that reads their definition, and what may change which of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from models.channels import CHANNELS, OF_PATIENT, channels, of_variable
from models.clinical.stay import Stay
from models.mgp.encoding import encode
from models.mgp.standardise import VARIABLES, Standardisation

from .conftest import RandomStay

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
NOBODY = Stay("s", "p", ADMITTED)


@pytest.mark.parametrize(("seed", "hours", "rows"), [(1, 30, 150), (2, 8, 5), (3, 5, 0)])
def test_an_hour_says_what_was_measured_in_it_and_how_long_ago_the_rest(
    random_stay: RandomStay, standardisation: Standardisation, seed: int, hours: int, rows: int
) -> None:
    stay = random_stay(seed, hours, rows)
    found = channels(stay, encode(stay, standardisation, hours))
    assert found.shape == (hours, CHANNELS)
    for hour in range(1, hours + 1):
        now = pd.Timestamp(ADMITTED + timedelta(hours=hour))
        known = stay.observations[stay.observations["known_at"] <= now]
        newest = known.groupby("variable")["time"].max()
        for variable, name in enumerate(VARIABLES):
            since = (now - newest[name]) / pd.Timedelta(hours=1) if name in newest else np.inf
            own = found[hour - 1, of_variable(variable)]
            assert own == pytest.approx([float(since < 1), np.exp(-since / 12)], abs=1e-6)


def test_no_hour_changes_when_more_becomes_known(
    random_stay: RandomStay, standardisation: Standardisation
) -> None:
    stay = random_stay(5, 30, 200)
    whole = channels(stay, encode(stay, standardisation, 36))
    for hours in (0, 1, 7, 29):
        then = stay.until(ADMITTED + timedelta(hours=hours))
        found = channels(then, encode(then, standardisation, hours))
        np.testing.assert_array_equal(found, whole[:hours])


@pytest.mark.parametrize("name", ["heart_rate", "lactate"])
def test_a_variable_moves_its_own_channels_and_all_of_them(
    random_stay: RandomStay, standardisation: Standardisation, name: str
) -> None:
    stay = random_stay(6, 20, 300)
    rest = stay.observations[stay.observations["variable"] != name].reset_index(drop=True)
    one, other = (
        channels(some, encode(some, standardisation, 20)) for some in (stay, replace(stay, observations=rest))
    )
    changed = np.flatnonzero((one != other).any(axis=0))
    assert changed.tolist() == sorted(of_variable(VARIABLES.index(name)))


def test_who_the_patient_is_and_how_late_it_is(standardisation: Standardisation) -> None:
    waited = ADMITTED - timedelta(hours=np.expm1(3.0))
    known = replace(NOBODY, age_years=78.0, sex="female", care_unit="MICU", hospital_admitted_at=waited)
    found, unknown = (
        channels(one, encode(one, standardisation, 400))[:, -OF_PATIENT:] for one in (known, NOBODY)
    )
    assert found[0, :8] == pytest.approx([1, 0, 1, 0, 1, 0, 1, 0], abs=1e-6)
    assert unknown[0, :8].tolist() == [0, 1, 0, 0, 0, 1, 0, 0]
    assert found[9, 8:] == pytest.approx([np.log(10) / 3, 0.1, np.exp(-2.5)])
    np.testing.assert_array_equal(found[335], found[399])  # beyond two weeks the clock stands still
    assert (found[334] != found[335]).any()
