"""Models and rules at one alert budget: each at the threshold that uses as much of it as it can.

A threshold says nothing across models: 0.25 of one and of another are different things. What a ward can
bear is a number of alarms a bed and day, so each is set to use as much of it as it can. The thresholds are
found on the stays that are evaluated: this compares how models rank, and chooses no threshold for use.

Alarms do not simply rise as the threshold falls: a condition that holds for long alarms once, so that near
threshold 0 every stay has one alarm, in its first hours, whoever the patient is. Where stays are long that
keeps to any budget and ranks nothing. So the search comes down from the highest score and ends before the
first threshold that exceeds the budget, whatever lies below; of those it passed it takes the one of most
alarms outside events, among equals the highest. Alarms during events cost as much, but warn nobody: where
most of the beds are septic, a high threshold spends the whole budget on who is known to be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.clinical.alarm import AlarmPolicy
from pipelines.evaluate.scored import Evidence
from pipelines.metrics.alarms import MICROSECONDS_AN_HOUR, Floats
from pipelines.metrics.burden import Ward, decide

_TRIED = 200  # thresholds at most on the way down, each reached by a few hundredths more scores than the last
_BETWEEN = 50  # and about as many more, evenly among the scores of the step that exceeds the budget


@dataclass(frozen=True)
class WithinBudget:
    """The policy that keeps to the budget, and the alarms a bed and day it gives."""

    policy: AlarmPolicy
    alarms_per_bed_day: float


@dataclass(frozen=True)
class _Tried:
    """A policy, its alarms, and how many of them came `outside` events."""

    policy: AlarmPolicy
    alarms: int
    outside: int


def within_budget(evidence: Evidence, model: str, policy: AlarmPolicy, budget: float) -> WithinBudget | None:
    """`policy` at the threshold of `model` with most alarms outside events, all alarms within `budget`.

    The budget is of alarms a bed and day. The threshold lies above every one that exceeds it. None where even
    the highest score that occurs does.
    """
    ward = evidence.ward(model)
    days = float(ward.exposed.watched.sum()) / MICROSECONDS_AN_HOUR / 24
    scores = ward.watched.score[np.isfinite(ward.watched.score)]
    passed, exceeding = _down(ward, policy, _steps(scores), budget * days)
    if not passed:
        return None
    if exceeding is not None:
        step = np.unique(scores[(scores > exceeding) & (scores < passed[-1].policy.threshold)])[::-1]
        every = max(1, len(step) // _BETWEEN)
        passed += _down(ward, policy, step[::every], budget * days)[0]
    chosen = max(passed, key=lambda one: one.outside)
    return WithinBudget(chosen.policy, chosen.alarms / days)


def _steps(scores: Floats) -> Floats:
    """All distinct `scores`, or those that evenly growing shares of them reach; the highest first."""
    distinct = np.unique(scores)
    if len(distinct) > _TRIED:
        reached = np.geomspace(1 / len(scores), 1, _TRIED)
        distinct = np.unique(np.quantile(scores, 1 - reached, method="higher"))
    return distinct[::-1]


def _down(
    ward: Ward, policy: AlarmPolicy, thresholds: Floats, most: float
) -> tuple[list[_Tried], float | None]:
    """`policy` at each of `thresholds`, up to the first of more than `most` alarms; and that one."""
    passed: list[_Tried] = []
    for threshold in thresholds.tolist():
        tried = replace(policy, threshold=threshold, release=None)
        alarm = decide(ward.watched, tried)[0]
        if alarm.sum() > most:
            return passed, threshold
        passed.append(_Tried(tried, int(alarm.sum()), int((alarm & ~ward.inside).sum())))
    return passed, None
