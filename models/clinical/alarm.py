"""Alarm policy: from a score series to alarms.

A condition becomes active when at least `k` of the last `n` scores reach `threshold`, and inactive when a
score falls below `release` (hysteresis). An alarm is the moment a condition becomes active, or is still
active when `refractory` has passed since the last alarm it was silenced by. A missing score neither raises
nor releases: the condition keeps its state, because silence is not recovery.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.clinical.errors import InvalidInput
from models.clinical.score import Score, ScoreSeries


@dataclass(frozen=True)
class Alarm:
    """The policy's decision that somebody should look: `value` is the score that decided it."""

    stay_id: str
    condition: str
    time: datetime
    value: float


@dataclass(frozen=True)
class AlarmDecision:
    """What the policy holds at one grid time: is the condition active, and did it alarm just now."""

    time: datetime
    active: bool
    alarm: Alarm | None


@dataclass(frozen=True)
class AlarmPolicy:
    """Threshold, k of n, hysteresis and refractory time of one condition.

    `threshold` and `release` in [0, 1] with release <= threshold; 1 <= k <= n; `refractory` >= 0.
    Raises InvalidInput otherwise.
    """

    threshold: float
    release: float | None = None
    k: int = 1
    n: int = 1
    refractory: timedelta = timedelta(hours=6)
    condition: str = "sepsis"

    def __post_init__(self) -> None:
        if not 0.0 <= self.released_below <= self.threshold <= 1.0:
            raise InvalidInput(
                f"release {self.released_below} and threshold {self.threshold} "
                "must satisfy 0 <= release <= threshold <= 1",
                value=self.threshold,
                bound="0 <= release <= threshold <= 1",
            )
        if not 1 <= self.k <= self.n:
            raise InvalidInput(f"k {self.k} of n {self.n}: needs 1 <= k <= n", value=self.k, bound="[1, n]")
        if self.refractory < timedelta(0):
            raise InvalidInput(
                f"refractory {self.refractory} is negative", value=self.refractory, bound=">= 0 h"
            )

    @property
    def released_below(self) -> float:
        """The score under which an active condition is released."""
        return self.threshold if self.release is None else self.release

    def decide(self, series: ScoreSeries) -> list[AlarmDecision]:
        """One decision for each score of the series, each using only the scores up to its own time."""
        recent: deque[bool] = deque(maxlen=self.n)
        decisions: list[AlarmDecision] = []
        active, last_alarm, silenced = False, None, False
        for score in series:
            was_active, active = active, self._active(active, score, recent)
            alarm = None
            if score.value is not None and active and (not was_active or silenced):
                silenced = last_alarm is not None and score.time - last_alarm < self.refractory
                if not silenced:
                    alarm = Alarm(series.stay_id, self.condition, score.time, score.value)
                    last_alarm = score.time
            decisions.append(AlarmDecision(score.time, active, alarm))
        return decisions

    def alarms(self, series: ScoreSeries) -> list[Alarm]:
        """The alarms of the series, in time order."""
        return [decision.alarm for decision in self.decide(series) if decision.alarm is not None]

    def _active(self, active: bool, score: Score, recent: deque[bool]) -> bool:
        if score.value is None:
            return active
        recent.append(score.value >= self.threshold)
        if active:
            return score.value >= self.released_below
        return sum(recent) >= self.k
