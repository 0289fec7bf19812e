"""What any alarm policy would have cost a ward, and what it would have been worth, on past stays.

`decide` is `AlarmPolicy.decide` over many stays at once, compiled; a property test holds both together, so
what is simulated here is what the service raises. Alarms are judged as in `pipelines.metrics.alarms`. An
alarm while an event goes on comes too late to warn, but is not false: it counts among the alarms per bed and
day, and not in the positive predictive value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np

from models.clinical.alarm import AlarmPolicy
from pipelines.metrics.alarm_passes import decide_rows, hours_of_day, inside_rows
from pipelines.metrics.alarms import (
    MICROSECONDS_AN_HOUR,
    AlarmFigures,
    Booleans,
    Events,
    Exposure,
    Floats,
    Integers,
    Judged,
    Watched,
    exposure,
    figures,
    judge,
)


@dataclass(frozen=True)
class Ward:
    """Past stays of a ward: scores and events, and of each stay (S,) its `subject` and care `unit`.

    `dated` says that times are microseconds since 1970 in UTC, so that they tell the hour of the day.
    """

    watched: Watched
    events: Events
    subject: tuple[str, ...]
    unit: tuple[str, ...]
    dated: bool

    @cached_property
    def exposed(self) -> Exposure:
        """For how long each stay was watched."""
        return exposure(self.watched, self.events)

    @cached_property
    def inside(self) -> Booleans:
        """Which rows lie in an event, (N,)."""
        inside = np.zeros(len(self.watched.time), dtype=np.bool_)
        events = self.events
        inside_rows(self.watched.starts, self.watched.time, events.starts, events.onset, events.end, inside)
        return inside

    @cached_property
    def bed_hours(self) -> Floats:
        """Hours that beds were watched in each hour of the day, (24,), in UTC."""
        begin = self.watched.time[self.watched.starts[:-1]]
        spent = np.zeros(24, dtype=np.int64)
        hours_of_day(begin, begin + self.exposed.watched, spent)
        return spent / MICROSECONDS_AN_HOUR

    def only(self, held: Booleans) -> Ward:
        """The stays that `held` (S,) marks."""
        rows = np.repeat(held, self.watched.rows)
        events = np.repeat(held, self.events.count)
        stays = np.flatnonzero(held)
        return Ward(
            Watched(self.watched.rows[held], self.watched.time[rows], self.watched.score[rows]),
            Events(self.events.count[held], self.events.onset[events], self.events.end[events]),
            tuple(self.subject[stay] for stay in stays),
            tuple(self.unit[stay] for stay in stays),
            self.dated,
        )


@dataclass(frozen=True)
class Burden:
    """What a policy does on a ward: `judged` are its alarms outside events, `late` (S,) those inside.

    `alarm` (N,) marks the rows of both.
    """

    alarm: Booleans
    judged: Judged
    late: Integers


@dataclass(frozen=True)
class BurdenFigures:
    """`alarms_per_bed_day` of all alarms, `late` ones during events too; the rest of those outside events."""

    alarms_per_bed_day: float | None
    late: int
    outside: AlarmFigures


def decide(watched: Watched, policy: AlarmPolicy) -> tuple[Booleans, Booleans]:
    """Which rows alarm, and in which the condition is active, (N,) each, as `policy.decide` says."""
    alarm, active = (np.zeros(len(watched.time), dtype=np.bool_) for _ in range(2))
    refractory, on_delay, off_delay = (
        duration // timedelta(microseconds=1)
        for duration in (policy.refractory, policy.on_delay, policy.off_delay)
    )
    decide_rows(
        watched.starts,
        watched.time,
        watched.score,
        policy.threshold,
        policy.released_below,
        policy.k,
        policy.n,
        refractory,
        on_delay,
        off_delay,
        alarm,
        active,
    )
    return alarm, active


def simulate(ward: Ward, policy: AlarmPolicy, window: timedelta) -> Burden:
    """What `policy` would have done; an alarm is true if an event begins within `window` after it."""
    alarm, _ = decide(ward.watched, policy)
    judged = judge(ward.watched, ward.events, alarm & ~ward.inside, window, exposed=ward.exposed)
    late = np.add.reduceat((alarm & ward.inside).astype(np.int64), ward.watched.starts[:-1])
    return Burden(alarm, judged, late)


def burden_figures(burden: Burden, weight: Integers | None = None) -> BurdenFigures:
    """Figures pooled over stays; `weight` (S,) counts each so often, for one unit or for a bootstrap."""
    counted = np.ones(len(burden.late), dtype=np.int64) if weight is None else weight
    outside, late = figures(burden.judged, weight), int(counted @ burden.late)
    days = outside.patient_days
    return BurdenFigures((outside.alarms + late) / days if days else None, late, outside)


def by_unit(ward: Ward, burden: Burden) -> dict[str, BurdenFigures]:
    """The figures of every care unit, by its name."""
    unit = np.asarray(ward.unit)
    return {str(name): burden_figures(burden, (unit == name).astype(np.int64)) for name in np.unique(unit)}


def by_hour_of_day(ward: Ward, burden: Burden) -> Floats | None:
    """Alarms a bed and day, (24,), as if every hour were like this one of the day, in UTC; NaN without a bed.

    None where the scores do not tell dates.
    """
    if not ward.dated:
        return None
    hour = ward.watched.time[burden.alarm] // MICROSECONDS_AN_HOUR % 24
    with np.errstate(invalid="ignore"):
        return np.asarray(24 * np.bincount(hour, minlength=24) / ward.bed_hours)
