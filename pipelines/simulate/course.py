"""The latent severity of a stay over time: 0 is the person's own steady state, 1 is septic shock.

stable       a low wandering level
septic       a logistic rise through one half of its peak at onset; from the treatment on it holds or decays
recovering   ill on arrival (surgery, not sepsis), decaying with a half-life of hours
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class CourseKind(StrEnum):
    """The shape of a stay's severity."""

    STABLE = "stable"
    SEPTIC = "septic"
    RECOVERING = "recovering"


@dataclass(frozen=True)
class CourseConfig:
    """How courses are drawn; (low, high) are the bounds of a uniform draw."""

    septic_share: float = 0.09  # 8.6 % of the stays of CinC 2019 set A
    recovering_share: float = 0.15
    length_hours: float = 39.0  # median of set A; its quartiles 25 and 47 h give the spread
    length_spread: float = 0.4
    shortest_hours: float = 14.0  # leaves room for an onset 8 h in and what follows
    longest_hours: float = 120.0
    onset_hours: tuple[float, float] = (8.0, 60.0)  # the middle half of set A's onsets is 14 to 76 h
    onset_margin_hours: float = 6.0  # what the stay must still last after a drawn onset
    rise_hours: tuple[float, float] = (1.2, 3.0)  # logistic time constant: 5 % to 50 % takes three of them
    peak: tuple[float, float] = (0.75, 1.1)
    treatment_delay_hours: tuple[float, float] = (3.0, 10.0)
    response_share: float = 0.7  # of the septic get better after treatment
    response_hours: tuple[float, float] = (12.0, 30.0)
    arrival: tuple[float, float] = (0.35, 0.75)
    recovery_hours: tuple[float, float] = (5.0, 12.0)
    background: float = 0.06


@dataclass(frozen=True)
class Course:
    """One drawn course. Times in hours since admission; `onset_hour` only where the course is septic."""

    kind: CourseKind
    length_hours: float
    onset_hour: float | None
    rise_hours: float
    peak: float
    treated_hour: float
    decay_hours: float
    background: float

    def severity(self, hour: Array) -> Array:
        """Severity (T,) >= 0 at `hour` (T,), defined before admission too, for delayed effects."""
        if self.kind is CourseKind.STABLE:
            return np.full_like(hour, self.background)
        decayed = np.exp(-np.maximum(hour - self.treated_hour, 0.0) / self.decay_hours)
        if self.onset_hour is None:
            return self.background + self.peak * decayed
        rise = 1.0 / (1.0 + np.exp(-(hour - self.onset_hour) / self.rise_hours))
        return self.background + self.peak * rise * decayed


def draw_course(
    random: np.random.Generator,
    config: CourseConfig,
    kind: CourseKind | None = None,
    onset_hour: float | None = None,
    length_hours: float | None = None,
) -> Course:
    """A course: what is given is kept, the rest is drawn, and the draws do not depend on what is given."""
    shares = (1 - config.septic_share - config.recovering_share, config.septic_share, config.recovering_share)
    drawn_kind = tuple(CourseKind)[int(random.choice(3, p=shares))]
    drawn_length = config.length_hours * float(np.exp(config.length_spread * random.standard_normal()))
    draw = random.random(6)
    length = length_hours or min(max(drawn_length, config.shortest_hours), config.longest_hours)
    if (kind or drawn_kind) is CourseKind.SEPTIC:
        return _septic(draw, config, length, onset_hour)
    decay = between(config.recovery_hours, draw[0])
    peak = between(config.arrival, draw[1])
    return Course(kind or drawn_kind, length, None, 1.0, peak, 0.0, decay, config.background * draw[2])


def _septic(draw: Array, config: CourseConfig, length: float, onset_hour: float | None) -> Course:
    earliest, latest = config.onset_hours
    latest = max(min(latest, length - config.onset_margin_hours), earliest)
    onset = between((earliest, latest), draw[3]) if onset_hour is None else onset_hour
    responds = draw[4] < config.response_share
    return Course(
        kind=CourseKind.SEPTIC,
        length_hours=length,
        onset_hour=onset,
        rise_hours=between(config.rise_hours, draw[0]),
        peak=between(config.peak, draw[1]),
        treated_hour=onset + between(config.treatment_delay_hours, draw[5]),
        decay_hours=between(config.response_hours, draw[4] / config.response_share) if responds else np.inf,
        background=config.background * draw[2],
    )


def between(bounds: tuple[float, float], share: float) -> float:
    """The value that lies `share` of the way through (low, high)."""
    return float(bounds[0] + (bounds[1] - bounds[0]) * share)
