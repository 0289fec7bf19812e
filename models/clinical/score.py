"""Scores: a number in [0, 1] an hour, or no number and the reason why. No score is never a low score.

A model that knows how much it does not know states a spread too: the 10th and 90th percentile of the score
over posterior draws of what was not measured. A rule states none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd  # the web process speaks of scores and must start without pandas


GRID_STEP = timedelta(hours=1)


class ScoreStatus(StrEnum):
    """Whether there is a number, and if not, which kind of silence it is."""

    PRESENT = "present"
    INDETERMINATE = "indeterminate"  # too little or too old data for a number to mean anything
    ABSENT = "absent"  # nothing was known, or the model could not run


@dataclass(frozen=True)
class Score:
    """One score: `value` in [0, 1] exactly when `status` is present; otherwise `reason` says what lacks.

    `low` and `high`, 0 <= low <= high <= 1, are its spread, None where the model states none.
    """

    time: datetime
    value: float | None
    status: ScoreStatus
    reason: str = ""
    low: float | None = None
    high: float | None = None


def _no_spread() -> npt.NDArray[np.float64]:
    return np.array(np.nan)


@dataclass(frozen=True)
class ScoreSeries:
    """The scores of one stay on its grid.

    `time` (T,) UTC, increasing; `value` (T,) float64 in [0, 1], NaN where there is no score; `status` (T,)
    and `reason` (T,) text; `low` and `high` (T,), the spread, NaN where none is stated. The value need not
    lie inside it. Raises InvalidInput where shapes differ, a present value lies outside [0, 1], a missing
    one has no reason, or a spread breaks 0 <= low <= high <= 1 or stands beside no value.
    """

    stay_id: str
    model: str
    time: pd.DatetimeIndex
    value: npt.NDArray[np.float64]
    status: tuple[ScoreStatus, ...]
    reason: tuple[str, ...]
    low: npt.NDArray[np.float64] = field(default_factory=_no_spread)
    high: npt.NDArray[np.float64] = field(default_factory=_no_spread)

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            if getattr(self, name).ndim == 0:  # one for all hours: not stated
                object.__setattr__(self, name, np.full(len(self.value), getattr(self, name)))
        columns = (self.time, self.value, self.status, self.reason, self.low, self.high)
        lengths = [len(column) for column in columns]
        if len(set(lengths)) != 1:
            raise InvalidInput(
                f"stay {self.stay_id}: time, value, status, reason, low, high differ in length {lengths}"
            )
        if not self._sound():
            for score in self:
                _check(self.stay_id, score)
                _check_spread(self.stay_id, score)

    def _sound(self) -> bool:
        """Whether no score breaks a rule, all at once: naming the one that does takes a look at each."""
        present = np.array([one is ScoreStatus.PRESENT for one in self.status], dtype=bool)
        inside = (self.value >= 0.0) & (self.value <= 1.0)
        unstated = np.isnan(self.low) & np.isnan(self.high)
        spread = inside & (self.low >= 0.0) & (self.low <= self.high) & (self.high <= 1.0)
        silent = all(self.reason[hour] for hour in np.flatnonzero(~present).tolist())
        told = np.where(present, inside, np.isnan(self.value)) & (unstated | spread)
        return silent and bool(told.all())

    def __len__(self) -> int:
        return len(self.time)

    def __iter__(self) -> Iterator[Score]:
        rows = zip(
            self.time.to_pydatetime(),
            _numbers(self.value),
            self.status,
            self.reason,
            _numbers(self.low),
            _numbers(self.high),
            strict=True,
        )
        for row in rows:
            yield Score(*row)

    def until(self, time: datetime) -> ScoreSeries:
        """The scores up to and including `time`."""
        length = int(self.time.searchsorted(time, side="right"))
        return ScoreSeries(
            self.stay_id,
            self.model,
            self.time[:length],
            self.value[:length],
            self.status[:length],
            self.reason[:length],
            self.low[:length],
            self.high[:length],
        )


def _numbers(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 only NaN differs


def _check(stay_id: str, score: Score) -> None:
    present = score.status is ScoreStatus.PRESENT
    if present and (score.value is None or not 0.0 <= score.value <= 1.0):
        raise InvalidInput(
            f"stay {stay_id}: score {score.value} at {score.time} is outside [0, 1]",
            value=score.value,
            bound="[0, 1]",
        )
    if not present and not (score.value is None and score.reason):
        raise InvalidInput(
            f"stay {stay_id}: {score.status} score at {score.time} needs a reason and no value"
        )


def _check_spread(stay_id: str, score: Score) -> None:
    low, high = score.low, score.high
    if low is None and high is None:
        return
    if low is None or high is None or score.value is None or not 0.0 <= low <= high <= 1.0:
        raise InvalidInput(
            f"stay {stay_id}: spread {low} to {high} of score {score.value} at {score.time}",
            value=low if high is None else high,
            bound="0 <= low <= high <= 1, both or neither, and only beside a value",
        )
