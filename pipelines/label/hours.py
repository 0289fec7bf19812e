"""A stay as the label reads it: times in whole microseconds since admission, series by variable, hourly bins.

A label looks back at the whole stay, so it reads `time` and never `known_at`; an observation that was later
corrected or withdrawn (`known_until` is set) is left out, and its correction stands for it.

    hour h = [admission + h, admission + h + 1),   last 24 h at hour h = the hours h - 23 … h
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.interventions import InterventionKind
from models.clinical.stay import Stay

HOUR = 3_600_000_000  # microseconds
WINDOW = 24  # hours that a SOFA component looks back, its own included

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Series:
    """The standing observations of one variable: `time` (n,) in microseconds, increasing; `value` (n,)."""

    time: Times
    value: Values


@dataclass(frozen=True)
class Intervals:
    """The interventions of one kind: `start`, `end` (n,) in microseconds; `rate` (n,); `agent` (n,) text.

    An intervention without an end runs to the end of the stay.
    """

    start: Times
    end: Times
    rate: Values
    agent: Texts

    def covers(self, time: Times) -> npt.NDArray[np.bool_]:
        """Whether any interval holds each time (n,), both ends included."""
        inside = (self.start[None, :] <= time[:, None]) & (time[:, None] <= self.end[None, :])
        return np.asarray(inside.any(axis=1))

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Intervals:
        """The intervals where `mask` (n,) holds."""
        return Intervals(self.start[mask], self.end[mask], self.rate[mask], self.agent[mask])


NO_SERIES = Series(np.empty(0, np.int64), np.empty(0))
NO_INTERVALS = Intervals(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, object))


@dataclass(frozen=True)
class StayHours:
    """A stay of `count` hours; what was observed by variable, what was done by intervention kind."""

    count: int
    series: Mapping[str, Series]
    interventions: Mapping[str, Intervals]

    def of(self, variable: str) -> Series:
        """The series of a catalogue variable; empty where it was never observed."""
        return self.series.get(variable, NO_SERIES)

    def given(self, kind: InterventionKind) -> Intervals:
        """The intervals of an intervention kind; empty where it was never given."""
        return self.interventions.get(kind, NO_INTERVALS)


def read(stay: Stay) -> StayHours:
    """The stay's standing observations and its interventions, on the clock of its admission.

    The hours reach to the discharge and to whatever was observed last; without a discharge also to the
    start of the last intervention.
    """
    admitted = np.datetime64(pd.Timestamp(stay.admitted_at).tz_convert(None), "us").astype(np.int64)
    table = stay.observations
    standing = np.isnat(np.asarray(table["known_until"], dtype="datetime64[us]"))
    time = _microseconds(table["time"])[standing] - admitted
    start = _microseconds(stay.interventions["start"]) - admitted
    count = _count(stay, time, start)
    series = _series(table, standing, time)
    return StayHours(count, series, _interventions(stay, start, admitted, count * HOUR))


def hour_of(time: Times) -> Times:
    """The hour of stay that holds each time (n,)."""
    return time // HOUR


def hourly_worst(count: int, time: Times, score: Values) -> Values:
    """The highest score (n,) of each hour (count,); NaN where there is none."""
    worst = np.full(count, -np.inf)
    inside = (time >= 0) & (time < count * HOUR) & ~np.isnan(score)
    np.maximum.at(worst, hour_of(time[inside]), score[inside])
    worst[np.isneginf(worst)] = np.nan
    return worst


def last_24_hours(hourly: Values) -> Values:
    """The highest of each hour and the 23 before it (T,), NaN where all are."""
    if not len(hourly):
        return hourly
    padded = np.concatenate([np.full(WINDOW - 1, np.nan), hourly])
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)
    worst: Values = np.fmax.reduce(windows, axis=1)
    return worst


def latest(series: Series, time: Times, holds_hours: float) -> Values:
    """The newest value at each time (n,), at most `holds_hours` old; NaN where there is none.

    Of several values of one time it is the highest.
    """
    if not len(series.time):
        return np.full(len(time), np.nan)
    index = np.searchsorted(series.time, time, side="right") - 1
    age = time - series.time[index]
    return np.where((index >= 0) & (age <= holds_hours * HOUR), series.value[index], np.nan)


def in_force(count: int, series: Series) -> Values:
    """The newest value at the end of each hour (count,), at most 24 h old; NaN where there is none."""
    ends = np.arange(1, count + 1, dtype=np.int64) * HOUR - 1
    return latest(series, ends, WINDOW)


def merged(start: Times, end: Times, gap: int) -> tuple[Times, Times]:
    """The intervals joined where they overlap or lie at most `gap` microseconds apart."""
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    if not len(start):
        return start, reach
    first = np.concatenate([[True], start[1:] > reach[:-1] + gap])
    last = np.concatenate([first[1:], [True]])
    return start[first], reach[last]


def mark(hourly: Values, start: Times, end: Times, score: float) -> None:
    """Raise each hour of `hourly` (T,) that an interval touches to at least `score`."""
    for begin, finish in zip(np.maximum(start, 0).tolist(), end.tolist(), strict=True):
        touched = slice(begin // HOUR, max(-(-finish // HOUR), 0))
        hourly[touched] = np.fmax(hourly[touched], score)


def _count(stay: Stay, time: Times, start: Times) -> int:
    reached = [0]
    if len(time):
        reached.append(int(time.max()) // HOUR + 1)
    if stay.discharged_at is not None:
        length = (stay.discharged_at - stay.admitted_at) // timedelta(microseconds=1)
        reached.append(-(-length // HOUR))  # rounded up
    elif len(start):
        reached.append(int(start.max()) // HOUR + 1)
    return max(reached)


def _series(table: pd.DataFrame, standing: npt.NDArray[np.bool_], time: Times) -> dict[str, Series]:
    codes, names = pd.factorize(table["variable"])
    codes, value = codes[standing], table["value"].to_numpy(np.float64)[standing]
    order = np.lexsort((value, time, codes))
    time, value = time[order], value[order]
    bounds = np.searchsorted(codes[order], np.arange(len(names) + 1)).tolist()
    return {
        str(name): Series(time[low:high], value[low:high])
        for name, low, high in zip(names, bounds[:-1], bounds[1:], strict=True)
    }


def _interventions(stay: Stay, start: Times, admitted: np.int64, stay_end: int) -> dict[str, Intervals]:
    table = stay.interventions
    end = _microseconds(table["end"])
    endless = end == np.datetime64("NaT").astype(np.int64)
    end = np.where(endless, np.maximum(stay_end, start), end - admitted)
    every = Intervals(start, end, table["rate"].to_numpy(np.float64), table["agent"].to_numpy(object))
    codes, kinds = pd.factorize(table["kind"])
    return {str(kind): every.chosen(codes == code) for code, kind in enumerate(kinds)}


def _microseconds(clock: pd.Series) -> Times:
    return np.asarray(clock, dtype="datetime64[us]").astype(np.int64)
