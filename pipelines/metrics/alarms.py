"""Alarms against events: how many, how true, how early, and what they cost the staff.

    S  stays     N  rows, the scores of all stays end to end     E  events of all stays end to end

A row alarms where its score reaches the threshold, the stay is not silent after an alarm, and no event is
going on or has just ended:

    score >= threshold,   t >= last alarm + silence,   t > end and t >= end + rearm of every event begun by t

An alarm at t is true if an event begins in (t, t + window]; an event is detected by an alarm in
[onset - window, onset); its lead time is onset - the first of those. `judge` takes alarms from anywhere, so
those of `AlarmPolicy` are measured by the same code.

Each row stands for the time until the next; the last one of a stay for its median step. A row without a score
neither alarms nor is calm, but its time counts: somebody lay in the bed.

Source: Hyland et al. 2020 (circEWS), doi:10.1038/s41591-020-0789-4, `evaluation/precision_recall.py`. Ours
counts every event and every alarm, where theirs leaves out events that no score precedes and alarms that
nothing follows, and counts the re-arm time from the end and not from the last row of an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from pipelines.metrics.alarm_passes import covered, fire_rows, judge_rows

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

MICROSECONDS_AN_HOUR = 3_600_000_000
NEVER_ENDS = np.int64(2**61)  # microseconds; a sum with any duration stays within int64


@dataclass(frozen=True)
class Watched:
    """Scores of stays: `rows` (S,) each at least 1; `time` (N,) in microseconds, rising in a stay, from any
    origin that its events share; `score` (N,) in [0, 1], NaN for none.
    """

    rows: Integers
    time: Integers
    score: Floats

    @classmethod
    def hourly(cls, rows: Integers, hour: npt.NDArray[np.int64], score: Floats) -> Watched:
        """Rows at `hour` (N,) after admission, as in a table of predictions."""
        return cls(rows, hour.astype(np.int64) * MICROSECONDS_AN_HOUR, score)

    @property
    def starts(self) -> Integers:
        """(S + 1,) where each stay's rows begin, and the number of rows."""
        return np.concatenate([[0], np.cumsum(self.rows)]).astype(np.int64)


@dataclass(frozen=True)
class Events:
    """Events of stays: `count` (S,); `onset` and `end` (E,) in microseconds of the stay's clock, by onset.

    An event without a known end is a moment, end = onset; one that lasts as long as the stay `NEVER_ENDS`.
    """

    count: Integers
    onset: Integers
    end: Integers

    @classmethod
    def one_each(cls, onset_hour: Floats, *, lasting: bool) -> Events:
        """At most one event a stay at `onset_hour` (S,), NaN for none; `lasting` as long as the stay."""
        has = ~np.isnan(onset_hour)
        onset = np.rint(onset_hour[has] * MICROSECONDS_AN_HOUR).astype(np.int64)
        return cls(has.astype(np.int64), onset, np.full_like(onset, NEVER_ENDS) if lasting else onset)

    @property
    def starts(self) -> Integers:
        """(S + 1,) where each stay's events begin, and the number of events."""
        return np.concatenate([[0], np.cumsum(self.count)]).astype(np.int64)


@dataclass(frozen=True)
class AlarmRule:
    """circEWS's alarm: `threshold` in [0, 1]; after an alarm `silence`, after an event `rearm`."""

    threshold: float = 0.5
    silence: timedelta = timedelta(minutes=30)
    rearm: timedelta = timedelta(minutes=25)

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InvalidInput(
                f"threshold {self.threshold} is outside [0, 1]", value=self.threshold, bound="[0, 1]"
            )
        for name in ("silence", "rearm"):
            if getattr(self, name) < timedelta(0):
                raise InvalidInput(f"{name} {getattr(self, name)} is negative", bound=">= 0 s")


@dataclass(frozen=True)
class Exposure:
    """For how long each stay was `watched`, and of that `free` of events, (S,) in microseconds."""

    watched: Integers
    free: Integers


@dataclass(frozen=True)
class Judged:
    """What alarms were worth, stay by stay (S,) and event by event (E,); times in microseconds.

    `lead` is -1 for a missed event. `first_true` is 1 or 0 for the stay's first alarm, -1 without an alarm.
    """

    alarms: Integers
    true_alarms: Integers
    first_true: Integers
    events: Integers
    detected: Integers
    lead: Integers
    exposed: Exposure


@dataclass(frozen=True)
class AlarmFigures:
    """The figures of `judge`, pooled over stays; None where a figure is undefined.

    Lead times in hours: median, first and third quartile over detected events. False alarms a day count
    event-free time; alerts a hundred days count all of it. `workup_to_detection` is alarms looked into for
    one true one. `first_alarm_precision` is the share of alarmed stays whose first alarm is true;
    `free_days` are patient-days outside events.
    """

    alarms: int
    true_alarms: int
    precision: float | None
    events: int
    events_detected: int
    recall: float | None
    lead_time_hours: float | None
    lead_time_hours_quartiles: tuple[float, float] | None
    false_alarms_per_patient_day: float | None
    alerts_per_100_patient_days: float | None
    workup_to_detection: float | None
    first_alarm_precision: float | None
    patient_days: float
    free_days: float


def fire(watched: Watched, events: Events, rule: AlarmRule) -> Booleans:
    """Which rows alarm by circEWS's rule, (N,)."""
    alarm = np.zeros(len(watched.time), dtype=np.bool_)
    fire_rows(
        watched.starts,
        watched.time,
        watched.score,
        events.starts,
        events.onset,
        events.end,
        rule.threshold,
        rule.silence // timedelta(microseconds=1),
        rule.rearm // timedelta(microseconds=1),
        alarm,
    )
    return alarm


def exposure(watched: Watched, events: Events, *, recognised: Integers | None = None) -> Exposure:
    """For how long stays were watched; with `recognised` (S,), as in `judge`, until then."""
    begin = watched.time[watched.starts[:-1]]
    until = begin + spans(watched)
    if recognised is not None:
        until = np.clip(recognised, begin, until)
    inside = np.zeros(len(begin), dtype=np.int64)
    covered(begin, until, events.starts, events.onset, events.end, inside)
    return Exposure(until - begin, until - begin - inside)


def judge(
    watched: Watched,
    events: Events,
    alarm: Booleans,
    window: timedelta,
    *,
    recognised: Integers | None = None,
    exposed: Exposure | None = None,
) -> Judged:
    """Which of `alarm` (N,) foretold an event within `window`, and which events were foretold.

    With `recognised` (S,), when clinicians acted (first antibiotic, culture or lactate order; `NEVER_ENDS`
    without), only what came before counts: alarms from then on are left out, and so is the time. Every event
    stays, so that one that clinicians saw first is missed. `exposed` is the stays' exposure, where that is
    known already. Raises InvalidInput for a window of no length.
    """
    if window <= timedelta(0):
        raise InvalidInput(f"window {window} must be longer than nothing", value=window, bound="> 0 s")
    if recognised is not None:
        alarm = alarm & (watched.time < np.repeat(recognised, watched.rows))
    stays = len(watched.rows)
    alarms, true_alarms, detected = (np.zeros(stays, dtype=np.int64) for _ in range(3))
    first_true, lead = np.full(stays, -1, dtype=np.int64), np.full(len(events.onset), -1, dtype=np.int64)
    microseconds = window // timedelta(microseconds=1)
    judge_rows(
        watched.starts,
        watched.time,
        alarm,
        events.starts,
        events.onset,
        microseconds,
        alarms,
        true_alarms,
        first_true,
        lead,
    )
    np.add.at(detected, np.repeat(np.arange(stays), events.count), lead >= 0)
    exposed = exposure(watched, events, recognised=recognised) if exposed is None else exposed
    return Judged(alarms, true_alarms, first_true, events.count, detected, lead, exposed)


def figures(judged: Judged, weight: Integers | None = None) -> AlarmFigures:
    """The pooled figures; `weight` (S,) counts each stay so often, for a bootstrap over subjects."""
    counted = np.ones(len(judged.alarms), dtype=np.int64) if weight is None else weight
    alarms, true, events, detected = (
        int(counted @ one) for one in (judged.alarms, judged.true_alarms, judged.events, judged.detected)
    )
    leads = np.repeat(judged.lead, np.repeat(counted, judged.events))
    hours = leads[leads >= 0] / MICROSECONDS_AN_HOUR
    days = float(counted @ judged.exposed.watched) / MICROSECONDS_AN_HOUR / 24
    free_days = float(counted @ judged.exposed.free) / MICROSECONDS_AN_HOUR / 24
    alarmed = judged.first_true >= 0
    return AlarmFigures(
        alarms=alarms,
        true_alarms=true,
        precision=_ratio(true, alarms),
        events=events,
        events_detected=detected,
        recall=_ratio(detected, events),
        lead_time_hours=float(np.median(hours)) if len(hours) else None,
        lead_time_hours_quartiles=_quartiles(hours),
        false_alarms_per_patient_day=_ratio(alarms - true, free_days),
        alerts_per_100_patient_days=_ratio(100 * alarms, days),
        workup_to_detection=_ratio(alarms, true),
        first_alarm_precision=_ratio(
            int(counted[alarmed] @ judged.first_true[alarmed]), int(counted[alarmed].sum())
        ),
        patient_days=days,
        free_days=free_days,
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _quartiles(hours: Floats) -> tuple[float, float] | None:
    if not len(hours):
        return None
    first, third = np.quantile(hours, (0.25, 0.75))
    return float(first), float(third)


def spans(watched: Watched) -> Integers:
    """How long each stay was watched, (S,): from its first row until a median step after its last."""
    starts = watched.starts
    first, last = watched.time[starts[:-1]], watched.time[starts[1:] - 1]
    stay = np.repeat(np.arange(len(watched.rows)), watched.rows)
    gap, own = np.diff(watched.time), stay[:-1] == stay[1:]
    gap, stay = gap[own], stay[:-1][own]
    ranked = gap[np.lexsort((gap, stay))]
    usual = int(np.median(gap)) if len(gap) else 0
    steps = watched.rows - 1
    begin = np.cumsum(steps) - steps
    step = np.full(len(steps), usual, dtype=np.int64)
    several = steps > 0
    low, high = (begin + (steps - 1) // 2)[several], (begin + steps // 2)[several]
    step[several] = (ranked[low] + ranked[high]) // 2
    return last - first + step
