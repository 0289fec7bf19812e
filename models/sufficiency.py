"""When too little is known for a score to mean anything, and what to say then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.clinical.score import ScoreStatus
from models.mgp.standardise import VARIABLES, VITAL_SIGNS

_INDICES = np.array([VARIABLES.index(name) for name in VITAL_SIGNS])


@dataclass(frozen=True)
class SufficiencyRule:
    """A score needs `fewest` of the seven vital signs measured within `window_hours`.

    Three, because a pulse oximeter alone gives two; twelve hours, because a ward's round is six to eight.
    """

    fewest: int = 3
    window_hours: float = 12.0

    def met(self, since_hours: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Whether enough is known in each hour of (T, M): (T,)."""
        fresh = (since_hours[:, _INDICES] < self.window_hours).sum(axis=1)
        return np.asarray(fresh >= self.fewest)

    def judge(self, since_hours: npt.NDArray[np.float64]) -> tuple[ScoreStatus, str]:
        """Status and reason from the hours since each variable was last measured, (M,), inf if never."""
        if np.isinf(since_hours).all():
            return ScoreStatus.ABSENT, "no observation yet"
        stale = since_hours[_INDICES] >= self.window_hours
        lacking = self.fewest - int((~stale).sum())
        if lacking <= 0:
            return ScoreStatus.PRESENT, ""
        missing = ", ".join(
            name.replace("_", " ") for name, old in zip(VITAL_SIGNS, stale, strict=True) if old
        )
        enough = "any one" if lacking == 1 else f"any {lacking}"
        return (
            ScoreStatus.INDETERMINATE,
            f"no {missing} for {self.window_hours:g} h; would be scored with {enough} of them",
        )

    def judge_all(
        self, since_hours: npt.NDArray[np.float64]
    ) -> tuple[tuple[ScoreStatus, ...], tuple[str, ...]]:
        """`judge` of every hour of (T, M)."""
        status, reason = [ScoreStatus.PRESENT] * len(since_hours), [""] * len(since_hours)
        for hour in np.flatnonzero(~self.met(since_hours)).tolist():
            status[hour], reason[hour] = self.judge(since_hours[hour])
        return tuple(status), tuple(reason)
