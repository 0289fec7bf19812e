"""Scores: a number in [0, 1] an hour, or no number and the reason why. No score is never a low score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    """One score: `value` in [0, 1] exactly when `status` is present; otherwise `reason` says what lacks."""

    time: datetime
    value: float | None
    status: ScoreStatus
    reason: str = ""


@dataclass(frozen=True)
class ScoreSeries:
    """The scores of one stay on its grid.

    `time` (T,) UTC, increasing; `value` (T,) float64 in [0, 1], NaN where there is no score; `status` (T,)
    and `reason` (T,) text. Raises InvalidInput where shapes differ, a present value lies outside [0, 1], or
    a missing one has no reason.
    """

    stay_id: str
    model: str
    time: pd.DatetimeIndex
    value: npt.NDArray[np.float64]
    status: tuple[ScoreStatus, ...]
    reason: tuple[str, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.time), len(self.value), len(self.status), len(self.reason)}
        if len(lengths) != 1:
            raise InvalidInput(f"stay {self.stay_id}: time, value, status, reason differ in length {lengths}")
        for score in self:
            present = score.status is ScoreStatus.PRESENT
            if present and (score.value is None or not 0.0 <= score.value <= 1.0):
                raise InvalidInput(
                    f"stay {self.stay_id}: score {score.value} at {score.time} is outside [0, 1]",
                    value=score.value,
                    bound="[0, 1]",
                )
            if not present and not (score.value is None and score.reason):
                raise InvalidInput(
                    f"stay {self.stay_id}: {score.status} score at {score.time} needs a reason and no value"
                )

    def __len__(self) -> int:
        return len(self.time)

    def __iter__(self) -> Iterator[Score]:
        for time, value, status, reason in zip(
            self.time.to_pydatetime(), self.value.tolist(), self.status, self.reason, strict=True
        ):
            yield Score(time, None if np.isnan(value) else value, status, reason)

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
        )
