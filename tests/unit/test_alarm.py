"""The alarm policy: k of n, hysteresis, refractory time, and what silence means."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from models.clinical.alarm import AlarmPolicy
from models.clinical.errors import InvalidInput
from models.clinical.score import ScoreSeries, ScoreStatus

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def series(*values: float | None) -> ScoreSeries:
    present = [value is not None for value in values]
    return ScoreSeries(
        "s",
        "m",
        pd.date_range(START, periods=len(values), freq="h"),
        np.array([np.nan if value is None else value for value in values]),
        tuple(ScoreStatus.PRESENT if here else ScoreStatus.INDETERMINATE for here in present),
        tuple("" if here else "no data" for here in present),
    )


def alarm_hours(policy: AlarmPolicy, *values: float | None) -> list[int]:
    return [(alarm.time - START) // HOUR for alarm in policy.alarms(series(*values))]


def active(policy: AlarmPolicy, *values: float | None) -> list[bool]:
    return [decision.active for decision in policy.decide(series(*values))]


def test_score_equal_to_threshold_alarms_once_while_it_lasts() -> None:
    assert alarm_hours(AlarmPolicy(0.5), 0.4, 0.5, 0.9, 0.6) == [1]


def test_alarm_carries_the_score_that_decided_it() -> None:
    assert AlarmPolicy(0.5).alarms(series(0.1, 0.7))[0].value == 0.7


def test_k_of_n_waits_for_the_kth_score() -> None:
    policy = AlarmPolicy(0.5, k=2, n=3)
    assert alarm_hours(policy, 0.6, 0.1, 0.6, 0.1) == [2]
    assert alarm_hours(policy, 0.6, 0.1, 0.1, 0.6) == []


def test_hysteresis_holds_the_condition_between_release_and_threshold() -> None:
    policy = AlarmPolicy(0.5, release=0.3, refractory=timedelta(0))
    assert active(policy, 0.5, 0.4, 0.3, 0.29, 0.4) == [True, True, True, False, False]
    assert alarm_hours(policy, 0.5, 0.4, 0.6, 0.2, 0.5) == [0, 4]


def test_refractory_silences_a_new_episode_but_not_one_that_outlasts_it() -> None:
    policy = AlarmPolicy(0.5, refractory=3 * HOUR)
    assert alarm_hours(policy, 0.6, 0.1, 0.6, 0.1, 0.1) == [0]
    assert alarm_hours(policy, 0.6, 0.1, 0.6, 0.6, 0.6) == [0, 3]


def test_missing_score_neither_raises_nor_releases() -> None:
    policy = AlarmPolicy(0.5, refractory=2 * HOUR)
    assert active(policy, 0.6, None, None, 0.1) == [True, True, True, False]
    # the refractory time ends at a missing hour: the alarm waits for a number
    assert alarm_hours(policy, 0.6, 0.1, 0.6, None) == [0, 2]
    assert alarm_hours(policy, 0.6, 0.1, None, 0.6) == [0, 3]


def test_missing_scores_do_not_count_among_the_last_n() -> None:
    assert alarm_hours(AlarmPolicy(0.5, k=2, n=2), 0.6, None, 0.6) == [2]


def test_on_delay_waits_until_the_condition_has_lasted() -> None:
    policy = AlarmPolicy(0.5, on_delay=2 * HOUR)
    assert alarm_hours(policy, 0.6, 0.7, 0.8, 0.9) == [2]
    assert alarm_hours(policy, 0.6, 0.7, 0.1, 0.8, 0.9, 0.9) == [5]
    # a missing hour stops no delay, and the alarm waits for a number
    assert alarm_hours(policy, 0.6, None, None, 0.6) == [3]


def test_off_delay_holds_the_condition_through_a_short_dip() -> None:
    policy = AlarmPolicy(0.5, refractory=timedelta(0), off_delay=2 * HOUR)
    assert active(policy, 0.6, 0.1, 0.6, 0.1, 0.1, 0.1) == [True] * 5 + [False]
    assert alarm_hours(policy, 0.6, 0.1, 0.6, 0.1, 0.1, 0.1, 0.6) == [0, 6]


def test_a_condition_that_is_falling_raises_no_alarm() -> None:
    policy = AlarmPolicy(0.5, refractory=3 * HOUR, off_delay=4 * HOUR)
    # the second episode is silenced until hour 3; the alarm waits for a score that is not below the release
    assert alarm_hours(policy, 0.6, *[0.1] * 5, 0.6) == [0, 6]
    assert alarm_hours(AlarmPolicy(0.5, refractory=3 * HOUR, off_delay=HOUR), 0.6, 0.1, 0.1, 0.6, 0.1) == [
        0,
        3,
    ]


def test_a_policy_goes_to_json_and_back() -> None:
    policy = AlarmPolicy(0.4, 0.2, 2, 3, HOUR / 2, on_delay=HOUR, off_delay=2 * HOUR)
    assert AlarmPolicy.from_json(json.loads(json.dumps(policy.as_json()))) == policy


def test_json_of_a_policy_from_before_delays_is_read() -> None:
    old = {"threshold": 0.3, "release": 0.3, "k": 1, "n": 1, "refractory_hours": 6.0, "version": "abc"}
    assert AlarmPolicy.from_json(old) == AlarmPolicy(0.3, 0.3)


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ({}, "threshold is None"),
        ({"threshold": "0.5"}, "threshold is '0.5'"),
        ({"threshold": 0.5, "k": 1.5, "n": 2}, "k is 1.5"),
        ({"threshold": 0.5, "k": True}, "k is True"),
        ({"threshold": 0.5, "refractory_hours": float("nan")}, "expected numbers of hours"),
        ({"threshold": 0.5, "on_delay_hours": 1e300}, "expected numbers of hours"),
        ({"threshold": 1.5}, "1.5"),
    ],
)
def test_json_that_is_no_policy_is_refused(facts: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        AlarmPolicy.from_json(facts)


def test_decisions_never_look_ahead() -> None:
    policy = AlarmPolicy(0.4, release=0.2, k=2, n=3, refractory=4 * HOUR)
    values = np.random.default_rng(7).random(200)
    whole = policy.decide(series(*values))
    for length in (1, 17, 100):
        assert policy.decide(series(*values[:length])) == whole[:length]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"threshold": 1.2}, "1.2"),
        ({"threshold": 0.2, "release": 0.3}, "release 0.3"),
        ({"threshold": 0.2, "k": 3, "n": 2}, "k 3 of n 2"),
        ({"threshold": 0.2, "refractory": -HOUR}, "refractory"),
        ({"threshold": 0.2, "on_delay": -HOUR}, "on_delay"),
        ({"threshold": 0.2, "off_delay": -HOUR}, "off_delay"),
        ({"threshold": float("nan")}, "nan"),
    ],
)
def test_impossible_policy_is_refused_by_name(arguments: dict[str, float], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        AlarmPolicy(**arguments)  # type: ignore[arg-type]
