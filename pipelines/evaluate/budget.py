"""Models and rules at one alert budget: each at the lowest threshold that stays within it.

A threshold says nothing across models: 0.25 of one and of another are different things. What a ward can
bear is a number of alarms a bed and day, so each is set to use as much of it as it can. The thresholds are
found on the stays that are evaluated: this compares how models rank, and chooses no threshold for use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.clinical.alarm import AlarmPolicy
from pipelines.evaluate.scored import Evidence
from pipelines.metrics.alarms import MICROSECONDS_AN_HOUR
from pipelines.metrics.burden import decide

_TRIED = 400  # thresholds at most, evenly among the scores that occur from the highest down


@dataclass(frozen=True)
class WithinBudget:
    """The policy that keeps to the budget, and the alarms a bed and day it gives."""

    policy: AlarmPolicy
    alarms_per_bed_day: float


def within_budget(evidence: Evidence, model: str, policy: AlarmPolicy, budget: float) -> WithinBudget | None:
    """`policy` at the lowest threshold of `model` with at most `budget` alarms a bed and day.

    None where even the highest score that occurs gives more. Alarms fall as the threshold rises but for
    what refractory time swallows, so the search halves.
    """
    ward = evidence.ward(model)
    watched, days = ward.watched, float(ward.exposed.watched.sum()) / MICROSECONDS_AN_HOUR / 24
    scores = np.unique(watched.score[np.isfinite(watched.score)])
    if len(scores) > _TRIED:
        scores = np.unique(
            np.quantile(watched.score[np.isfinite(watched.score)], 1 - np.geomspace(1e-5, 1, _TRIED))
        )

    def at(place: int) -> WithinBudget:
        tried = replace(policy, threshold=float(scores[place]), release=None)
        return WithinBudget(tried, float(decide(watched, tried)[0].sum()) / days)

    low, high = 0, len(scores) - 1
    if high < 0 or at(high).alarms_per_bed_day > budget:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if at(middle).alarms_per_bed_day <= budget else (middle + 1, high)
    return at(high)
