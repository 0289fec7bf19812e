"""Models and rules at one alert budget: each at the threshold that uses as much of it as it can.

A threshold says nothing across models: 0.25 of one and of another are different things. What a ward can
bear is a number of alarms a bed and day, so each is set to use as much of it as it can. The thresholds are
found on the stays that are evaluated: this compares how models rank, and chooses no threshold for use.

Alarms do not simply rise as the threshold falls: a condition that holds for long alarms once, so that near
threshold 0 every stay has one alarm, in its first hours, whoever the patient is. Where stays are long that
keeps to any budget and ranks nothing. So the search comes down from the highest score and ends before the
first threshold that exceeds the budget, whatever lies below; of those it passed it takes the one of most
alarms, among equals the highest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.clinical.alarm import AlarmPolicy
from pipelines.evaluate.scored import Evidence
from pipelines.metrics.alarms import MICROSECONDS_AN_HOUR, Floats, Watched
from pipelines.metrics.burden import decide

_TRIED = 200  # thresholds at most on the way down, each reached by a few hundredths more scores than the last
_BETWEEN = 50  # and about as many more, evenly among the scores of the step that exceeds the budget


@dataclass(frozen=True)
class WithinBudget:
    """The policy that keeps to the budget, and the alarms a bed and day it gives."""

    policy: AlarmPolicy
    alarms_per_bed_day: float


def within_budget(evidence: Evidence, model: str, policy: AlarmPolicy, budget: float) -> WithinBudget | None:
    """`policy` at the threshold of `model` with most alarms, at most `budget` a bed and day.

    It lies above every threshold that exceeds the budget. None where even the highest score that occurs does.
    """
    ward = evidence.ward(model)
    watched, days = ward.watched, float(ward.exposed.watched.sum()) / MICROSECONDS_AN_HOUR / 24
    scores = watched.score[np.isfinite(watched.score)]
    passed, exceeding = _down(watched, policy, _steps(scores), budget * days)
    if not passed:
        return None
    if exceeding is not None:
        step = np.unique(scores[(scores > exceeding) & (scores < passed[-1][0].threshold)])[::-1]
        every = max(1, len(step) // _BETWEEN)
        passed += _down(watched, policy, step[::every], budget * days)[0]
    chosen, alarms = max(passed, key=lambda one: one[1])
    return WithinBudget(chosen, alarms / days)


def _steps(scores: Floats) -> Floats:
    """All distinct `scores`, or those that evenly growing shares of them reach; the highest first."""
    distinct = np.unique(scores)
    if len(distinct) > _TRIED:
        reached = np.geomspace(1 / len(scores), 1, _TRIED)
        distinct = np.unique(np.quantile(scores, 1 - reached, method="higher"))
    return distinct[::-1]


def _down(
    watched: Watched, policy: AlarmPolicy, thresholds: Floats, most: float
) -> tuple[list[tuple[AlarmPolicy, int]], float | None]:
    """`policy` at each of `thresholds` and its alarms, up to the first of more than `most`; and that one."""
    passed: list[tuple[AlarmPolicy, int]] = []
    for threshold in thresholds.tolist():
        tried = replace(policy, threshold=threshold, release=None)
        alarms = int(decide(watched, tried)[0].sum())
        if alarms > most:
            return passed, threshold
        passed.append((tried, alarms))
    return passed, None
