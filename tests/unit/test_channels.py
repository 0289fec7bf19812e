"""The channels against a loop that reads their definition, and what may change which of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from models.channels import (
    AGE_EDGES,
    CHANNELS,
    CLOCK_EDGES,
    HOSPITAL_EDGES,
    OF_PATIENT,
    OF_STAY,
    OF_VARIABLES,
    channels,
    of_variable,
    shares,
)
from models.clinical.stay import Stay
from models.mgp.encoding import EncodedStay, encode
from models.mgp.standardise import VARIABLES, VITAL_SIGNS, Standardisation

from .conftest import RandomStay

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
VITALS = [VARIABLES.index(name) for name in VITAL_SIGNS]
EVERY = np.ones(len(VARIABLES))
NOBODY = Stay("s", "p", ADMITTED)
Column = npt.NDArray[np.float64]


def by_definition(encoded: EncodedStay, hour: int) -> Column:
    """The channels of variables, vital signs and the stay at one grid hour."""
    rows = int(encoded.known[hour - 1])
    table = pd.DataFrame(
        {"time": encoded.time_hours[:rows], "m": encoded.variable[:rows], "value": encoded.value[:rows]}
    )
    table["hour"] = np.maximum(np.ceil(table["time"]), 1)
    hourly = table.sort_values("time", kind="stable").groupby(["m", "hour"])["value"].last()
    courses = {m: hourly[m] if m in table["m"].to_numpy() else hourly[:0] for m in range(len(VARIABLES))}
    newest = {m: table["time"][table["m"] == m].max() for m in courses}
    charted = table["hour"].nunique()
    kinds = [_of_variable(courses[m].to_numpy(), newest[m], hour) for m in courses]
    vitals = [_of_vital(courses[m], charted, hour) for m in VITALS]
    counts = pd.Series({m: len(course) for m, course in courses.items()})
    tests = [key for key in hourly.index if key[0] not in VITALS]
    stay = [
        np.log1p(counts.sum()) / 3,
        np.log1p(len(tests)) / 3,
        np.log1p(sum(at > hour - 24 for _, at in tests)) / 3,
        min(table["hour"].min() - 1 if rows else hour, 48) / 12,
        np.log1p(charted) / 3,
        (table["m"][table["hour"] == hour].nunique()) / 10,
    ]
    return np.concatenate([np.array(kinds).T.ravel(), np.array(vitals).T.ravel(), stay])


def _of_variable(course: Column, newest: float, hour: int) -> list[float]:
    if not len(course):
        return [0.0] * 6
    change, since = course[-1] - course[-2] if len(course) > 1 else 0.0, hour - newest
    count = len(course)
    return [course[-1], change, float(since < 1), np.exp(-since / 12), np.log1p(count) / 2, count / hour]


def _of_vital(course: pd.Series, charted: int, hour: int) -> list[float]:
    windows = [course[course.index > hour - window].to_numpy() for window in (6, 24)]
    ends = [[w.max(), w.min(), w.mean(), w.std()] if len(w) else [0.0] * 4 for w in windows]
    return [*ends[0], *ends[1], len(course) / max(charted, 1), min(len(course) / 50, 4.0)]


@pytest.mark.parametrize(("seed", "hours", "rows"), [(1, 30, 150), (2, 8, 5), (3, 60, 400), (4, 5, 0)])
def test_every_channel_is_what_its_definition_says(
    random_stay: RandomStay, standardisation: Standardisation, seed: int, hours: int, rows: int
) -> None:
    encoded = encode(random_stay(seed, hours, rows), standardisation, hours)
    found = channels(NOBODY, encoded, EVERY)
    assert found.shape == (hours, CHANNELS)
    assert OF_VARIABLES + OF_STAY + OF_PATIENT == CHANNELS
    for hour in range(1, hours + 1):
        own = found[hour - 1, : OF_VARIABLES + OF_STAY]
        np.testing.assert_allclose(own, by_definition(encoded, hour), rtol=1e-5, atol=2e-4)


def test_no_hour_changes_when_more_becomes_known(
    random_stay: RandomStay, standardisation: Standardisation
) -> None:
    stay = random_stay(5, 30, 200)
    whole = channels(stay, encode(stay, standardisation, 36), EVERY)
    for hours in (0, 1, 7, 29):
        then = stay.until(ADMITTED + timedelta(hours=hours))
        found = channels(then, encode(then, standardisation, hours), EVERY)
        np.testing.assert_array_equal(found, whole[:hours])


@pytest.mark.parametrize("name", ["heart_rate", "lactate"])
def test_what_one_variable_says_is_in_its_own_channels_and_in_those_of_the_stay(
    random_stay: RandomStay, standardisation: Standardisation, name: str
) -> None:
    variable = VARIABLES.index(name)
    first, second = (random_stay(seed, 20, 300).observations for seed in (6, 7))
    hourly = [ADMITTED + timedelta(minutes=60 * hour + 5) for hour in range(20)]
    always = first.iloc[:20].assign(
        time=hourly, known_at=hourly, variable="respiratory_rate", value=20.0
    )  # so that the charted hours stay the same
    rest = first[(first["variable"] != name) & (first["time"] > pd.Timestamp(ADMITTED))]
    encoded = []
    for own in (first[first["variable"] == name], second[second["variable"] == name]):
        table = pd.concat([always, rest, own[own["time"] > pd.Timestamp(ADMITTED)]], ignore_index=True)
        encoded.append(encode(replace(NOBODY, observations=table), standardisation, 20))
    one, other = (channels(NOBODY, some, EVERY) for some in encoded)
    changed = np.flatnonzero((one != other).any(axis=0))
    beside = changed[changed < OF_VARIABLES]
    np.testing.assert_array_equal(beside, np.sort(of_variable(variable)))
    assert len(changed) > len(beside)
    assert changed.max() < OF_VARIABLES + OF_STAY


def test_a_variable_that_training_never_saw_counts_for_nothing(
    random_stay: RandomStay, standardisation: Standardisation
) -> None:
    stay = random_stay(8)
    assert (stay.observations["variable"] == "end_tidal_co2").any()
    kept = stay.observations[stay.observations["variable"] != "end_tidal_co2"].reset_index(drop=True)
    with_it, without = (
        channels(one, encode(one, standardisation, 20), standardisation.learnt)
        for one in (stay, replace(stay, observations=kept))
    )
    np.testing.assert_array_equal(with_it, without)


def test_who_the_patient_is() -> None:
    waited = ADMITTED - timedelta(hours=np.expm1(3.0))
    known = replace(NOBODY, age_years=78.0, sex="female", care_unit="MICU", hospital_admitted_at=waited)
    encoded = EncodedStay(
        np.empty(0),
        np.empty(0, dtype=np.int64),
        np.empty(0),
        np.zeros(400, dtype=np.int64),
        np.full((400, len(VARIABLES)), np.inf),
    )
    found, unknown = (channels(one, encoded, EVERY)[:, -OF_PATIENT:] for one in (known, NOBODY))
    assert found[0, :8] == pytest.approx([1, 0, 1, 0, 1, 0, 1, 0], abs=1e-6)
    assert unknown[0, :8].tolist() == [0, 1, 0, 0, 0, 1, 0, 0]
    assert found[9, -len(CLOCK_EDGES) - 2 : -len(CLOCK_EDGES) + 1] == pytest.approx(
        [np.log(10) / 3, 0.1, np.exp(-2.5)]
    )
    hospital, age = len(HOSPITAL_EDGES) - 1, len(AGE_EDGES) - 1
    assert found[0, 8 : 8 + hospital].sum() == pytest.approx(13 + (np.expm1(3) - 17) / 8)  # 19.1 h
    assert found[0, 8 + hospital : 8 + hospital + age].sum() == pytest.approx(8 + 3 / 5)
    np.testing.assert_array_equal(found[335], found[399])  # beyond two weeks the clock stands still
    assert (found[334] != found[335]).any()


def test_shares_fill_one_interval_after_the_other() -> None:
    edges = np.array([0.0, 1.0, 3.0])
    assert shares(np.array([-1.0, 0.5, 1.0, 2.0, 9.0]), edges).tolist() == [
        *([0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [1.0, 0.5], [1.0, 1.0])
    ]
