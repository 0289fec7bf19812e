"""Alarm policy: from a score series to alarms.

A condition is met when at least `k` of the last `n` scores reach `threshold`. It becomes active when it has
been met for `on_delay`, and inactive when the score has been below `release` (hysteresis) for `off_delay`. An
alarm is the moment a condition becomes active, or is still active when `refractory` has passed since the last
alarm it was silenced by; a score that is already below `release` raises none. A missing score neither raises
nor releases, and stops no delay: the condition keeps its state, because silence is not recovery.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from models.clinical.errors import InvalidInput
from models.clinical.score import Score, ScoreSeries

_HOUR = timedelta(hours=1)
_DURATIONS = ("refractory", "on_delay", "off_delay")
_NAMES = ("threshold", "release", "k", "n", *(f"{name}_hours" for name in _DURATIONS))


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
    """Threshold, k of n, hysteresis, delays and refractory time of one condition.

    `threshold` and `release` in [0, 1] with release <= threshold; 1 <= k <= n; durations >= 0.
    Raises InvalidInput otherwise.
    """

    threshold: float
    release: float | None = None
    k: int = 1
    n: int = 1
    refractory: timedelta = timedelta(hours=6)
    condition: str = "sepsis"
    on_delay: timedelta = timedelta(0)
    off_delay: timedelta = timedelta(0)

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
        for name in _DURATIONS:
            if (given := getattr(self, name)) < timedelta(0):
                raise InvalidInput(f"{name} {given} is negative", value=given, bound=">= 0 h")

    @property
    def released_below(self) -> float:
        """The score under which an active condition is released."""
        return self.threshold if self.release is None else self.release

    def decide(self, series: ScoreSeries) -> list[AlarmDecision]:
        """One decision for each score of the series, each using only the scores up to its own time."""
        return self.decide_on(series.stay_id, series)

    def decide_on(self, stay_id: str, scores: Iterable[Score]) -> list[AlarmDecision]:
        """The same for scores in time order that are on no hourly grid."""
        course = _Course(self)
        decisions = []
        for score in scores:
            alarm = None
            if score.value is not None and course.alarms(score.time, score.value):
                alarm = Alarm(stay_id, self.condition, score.time, score.value)
            decisions.append(AlarmDecision(score.time, course.active, alarm))
        return decisions

    def alarms(self, series: ScoreSeries) -> list[Alarm]:
        """The alarms of the series, in time order."""
        return [decision.alarm for decision in self.decide(series) if decision.alarm is not None]

    def as_json(self) -> dict[str, float | int]:
        """The policy as numbers, durations in hours; `from_json` reads it back."""
        given = {"threshold": self.threshold, "release": self.released_below, "k": self.k, "n": self.n}
        return given | {f"{name}_hours": getattr(self, name) / _HOUR for name in _DURATIONS}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """The policy that `as_json` told, today or before there were delays; other keys are left alone.

        Raises InvalidInput where a number is missing, is none, or makes no policy.
        """
        given: dict[str, Any] = {name: facts[name] for name in _NAMES if name in facts}
        wrong = [
            name for name, one in given.items() if isinstance(one, bool) or not isinstance(one, int | float)
        ]
        wrong += [name for name in ("k", "n") if not isinstance(given.get(name, 1), int)]
        wrong += [name for name in _NAMES[:1] if name not in given]
        if wrong:
            raise InvalidInput(f"{wrong[0]} is {facts.get(wrong[0])!r}; expected a number", value=wrong[0])
        durations = {name: given.pop(f"{name}_hours") for name in _DURATIONS if f"{name}_hours" in given}
        try:
            given |= {name: timedelta(hours=hours) for name, hours in durations.items()}
        except (OverflowError, ValueError):
            raise InvalidInput(f"{durations}: expected numbers of hours", value=durations) from None
        return cls(**given)


# three of the last four segments of 5 s, so 15 s at the least; over once 10 s were calm; one alarm a minute
SEIZURE_POLICY = AlarmPolicy(
    threshold=0.5,
    release=0.45,
    k=3,
    n=4,
    refractory=timedelta(minutes=1),
    off_delay=timedelta(seconds=10),
    condition="seizure",
)


SEIZURE_RELEASED_AT = 0.9  # of the threshold


def seizure_policy_at(threshold: float) -> AlarmPolicy:
    """`SEIZURE_POLICY` at a detector's own threshold, released a tenth below it."""
    return replace(SEIZURE_POLICY, threshold=threshold, release=SEIZURE_RELEASED_AT * threshold)


class _Course:
    """Where one condition stands as scores come; a missing score is not told."""

    def __init__(self, policy: AlarmPolicy) -> None:
        self.active = False
        self._policy = policy
        self._recent: deque[bool] = deque(maxlen=policy.n)
        self._met_since: datetime | None = None
        self._low_since: datetime | None = None
        self._last_alarm: datetime | None = None
        self._silenced = False

    def alarms(self, time: datetime, value: float) -> bool:
        """Hear one score; whether it alarms."""
        was_active = self.active
        self._recent.append(value >= self._policy.threshold)
        if was_active:
            self._fall(time, value)
        else:
            self._rise(time)
        if not self.active or self._low_since is not None or (was_active and not self._silenced):
            return False
        self._silenced = self._last_alarm is not None and time - self._last_alarm < self._policy.refractory
        if not self._silenced:
            self._last_alarm = time
        return not self._silenced

    def _rise(self, time: datetime) -> None:
        if sum(self._recent) < self._policy.k:
            self._met_since = None
            return
        self._met_since = time if self._met_since is None else self._met_since
        if time - self._met_since >= self._policy.on_delay:
            self.active, self._met_since = True, None

    def _fall(self, time: datetime, value: float) -> None:
        if value >= self._policy.released_below:
            self._low_since = None
            return
        self._low_since = time if self._low_since is None else self._low_since
        if time - self._low_since >= self._policy.off_delay:
            self.active, self._low_since = False, None
