"""Which alarms are still to be told, from the policy's decisions and what was told before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from models.clinical.alarm import AlarmDecision, AlarmPolicy
from models.clinical.score import ScoreSeries, ScoreStatus
from service.alerting import Told, alarms_to_tell

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
HIGH, LOW = 0.9, 0.1
POLICY = AlarmPolicy(threshold=0.5, refractory=timedelta(hours=6))


def hour(number: int) -> datetime:
    """A grid time."""
    return START + timedelta(hours=number)


def decide(*values: float) -> list[AlarmDecision]:
    """The policy's decisions on scores at hours 1, 2, …"""
    time = pd.DatetimeIndex([hour(number) for number in range(1, len(values) + 1)])
    present = (ScoreStatus.PRESENT,) * len(values)
    return POLICY.decide(ScoreSeries("a", "m", time, np.array(values), present, ("",) * len(values)))


def told(*hours: int, through: int | None = None) -> Told:
    """Alarms told at some hours, and numbers shown through one."""
    return Told(frozenset(map(hour, hours)), None if through is None else hour(through))


@pytest.mark.parametrize(
    ("values", "before", "expected"),
    [
        ((LOW, HIGH), told(through=1), [2]),
        ((LOW, HIGH), told(2, through=2), []),
        ((LOW, HIGH, LOW), told(), [2]),  # a history nobody was shown
        ((LOW, HIGH, *[LOW] * 6), told(), []),  # and nobody can act on any more
        ((LOW, *[HIGH] * 7), told(), [2]),  # unless it goes on
        ((LOW, HIGH, LOW), told(through=3), []),  # late data changed the past, and the past only
        ((LOW, HIGH, HIGH), told(through=3), [2]),  # late data, and it goes on
        ((HIGH, LOW, HIGH), told(through=3), [1]),  # silenced now by an alarm nobody was told
        ((HIGH, LOW, HIGH), told(1, through=2), []),  # silenced now by one that was told
        ((HIGH, *[LOW] * 6, HIGH), told(1, through=7), [8]),
        ((), told(), []),
    ],
)
def test_an_alarm_is_told_once_and_while_it_matters(
    values: tuple[float, ...], before: Told, expected: list[int]
) -> None:
    assert [alarm.time for alarm in alarms_to_tell(decide(*values), before)] == list(map(hour, expected))
