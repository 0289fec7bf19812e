"""Alarm metrics on cases small enough to count by hand."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from models.clinical.errors import InvalidInput
from pipelines.metrics.alarms import (
    MICROSECONDS_AN_HOUR,
    AlarmRule,
    Events,
    Watched,
    figures,
    fire,
    judge,
)

HOURLY = AlarmRule(0.5, silence=timedelta(hours=2), rearm=timedelta(hours=1))


def stay(*scores: float) -> Watched:
    return Watched.hourly(np.array([len(scores)]), np.arange(len(scores)), np.array(scores))


def event(onset: float, end: float | None = None) -> Events:
    onsets, ends = (np.array([hour * MICROSECONDS_AN_HOUR], dtype=np.int64) for hour in (onset, end or onset))
    return Events(np.array([1]), onsets, ends)


NO_EVENT = Events.one_each(np.array([np.nan]), lasting=False)


def alarm_hours(watched: Watched, events: Events, rule: AlarmRule = HOURLY) -> list[int]:
    return np.flatnonzero(fire(watched, events, rule)).tolist()


def test_an_alarm_silences_the_stay_and_ends_when_the_time_is_over() -> None:
    assert alarm_hours(stay(0.5, 0.9, 0.9, 0.1, 0.9), NO_EVENT) == [0, 2, 4]


def test_no_alarm_in_an_event_nor_until_the_system_is_armed_again() -> None:
    quick = AlarmRule(0.5, silence=timedelta(0), rearm=timedelta(hours=1))
    assert alarm_hours(stay(*[0.9] * 7), event(2, 4), quick) == [0, 1, 5, 6]
    assert alarm_hours(stay(*[0.9] * 5), event(2), quick) == [0, 1, 3, 4]
    assert alarm_hours(stay(*[0.9] * 5), Events.one_each(np.array([2.0]), lasting=True), quick) == [0, 1]


def test_silence_outlasts_an_event() -> None:
    rule = AlarmRule(0.5, silence=timedelta(hours=4), rearm=timedelta(0))
    assert alarm_hours(stay(*[0.9] * 6), event(1, 2), rule) == [0, 4]


def test_an_alarm_at_the_onset_or_a_window_before_it() -> None:
    watched, window = stay(*[0.1] * 6), timedelta(hours=3)
    for hour, true in [(1, False), (2, True), (4, True), (5, False)]:
        alarm = np.arange(6) == hour
        found = figures(judge(watched, event(5), alarm, window))
        assert (found.true_alarms, found.events_detected) == (int(true), int(true)), hour


def test_one_alarm_may_foretell_two_events() -> None:
    events = Events(np.array([2]), *(np.array([2, 4]) * MICROSECONDS_AN_HOUR for _ in range(2)))
    found = figures(judge(stay(0.9, *[0.0] * 5), events, np.arange(6) == 0, timedelta(hours=4)))
    assert (found.alarms, found.true_alarms, found.events_detected) == (1, 1, 2)
    assert (found.lead_time_hours, found.lead_time_hours_quartiles) == (3, (2.5, 3.5))


def test_days_are_watched_from_the_first_score_to_a_step_after_the_last() -> None:
    watched = stay(*[0.0] * 24)
    found = figures(judge(watched, event(6, 12), np.arange(24) % 12 == 1, timedelta(hours=8)))
    assert found.patient_days == 1
    assert found.alerts_per_100_patient_days == 200
    assert found.false_alarms_per_patient_day == pytest.approx(1 / 0.75)


def test_weights_count_a_stay_as_if_it_were_there_so_often() -> None:
    rng = np.random.default_rng(5)
    rows = np.array([30, 40, 50])
    watched = Watched.hourly(rows, np.concatenate([np.arange(n) for n in rows]), rng.random(120))
    events = Events.one_each(np.array([20.0, np.nan, 30.0]), lasting=True)
    judged = judge(watched, events, fire(watched, events, HOURLY), timedelta(hours=8))
    again = Watched.hourly(
        rows[[0, 2, 2]],
        *(
            np.concatenate([values[:30], values[70:], values[70:]])
            for values in (watched.time // MICROSECONDS_AN_HOUR, watched.score)
        ),
    )
    thrice = Events.one_each(np.array([20.0, 30.0, 30.0]), lasting=True)
    expected = figures(judge(again, thrice, fire(again, thrice, HOURLY), timedelta(hours=8)))
    assert figures(judged, np.array([1, 0, 2])) == expected


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"threshold": 1.5}, "1.5"),
        ({"threshold": float("nan")}, "nan"),
        ({"silence": timedelta(-1)}, "silence"),
    ],
)
def test_an_impossible_rule_is_refused(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        AlarmRule(**wrong)  # type: ignore[arg-type]


def test_a_window_of_no_length_is_refused() -> None:
    with pytest.raises(InvalidInput, match="window"):
        judge(stay(0.9), NO_EVENT, np.array([True]), timedelta(0))
