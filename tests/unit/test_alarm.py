"""The alarm policy: k of n, hysteresis, refractory time, and what silence means."""

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
        ({"threshold": float("nan")}, "nan"),
    ],
)
def test_impossible_policy_is_refused_by_name(arguments: dict[str, float], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        AlarmPolicy(**arguments)  # type: ignore[arg-type]
