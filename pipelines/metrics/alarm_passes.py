"""The loops behind `pipelines.metrics.alarms`, compiled; arrays as there, times in microseconds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled_as_written

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@compiled_as_written
def fire_rows(
    starts: Integers,
    time: Integers,
    score: Floats,
    event_starts: Integers,
    onset: Integers,
    end: Integers,
    threshold: float,
    silence: int,
    rearm: int,
    alarm: Booleans,
) -> None:
    for stay in range(len(starts) - 1):
        event, last_event = event_starts[stay], event_starts[stay + 1]
        silent_until = blocked_until = over_after = time[starts[stay]] - 1
        for row in range(starts[stay], starts[stay + 1]):
            while event < last_event and onset[event] <= time[row]:
                over_after = max(over_after, end[event])
                blocked_until = max(blocked_until, end[event] + rearm)
                event += 1
            ready = time[row] >= silent_until and time[row] >= blocked_until and time[row] > over_after
            if ready and score[row] >= threshold:
                alarm[row] = True
                silent_until = time[row] + silence


@compiled_as_written
def judge_rows(
    starts: Integers,
    time: Integers,
    alarm: Booleans,
    event_starts: Integers,
    onset: Integers,
    window: int,
    alarms: Integers,
    true_alarms: Integers,
    first_true: Integers,
    lead: Integers,
) -> None:
    for stay in range(len(starts) - 1):
        next_event = event_starts[stay]
        for row in range(starts[stay], starts[stay + 1]):
            if not alarm[row]:
                continue
            while next_event < event_starts[stay + 1] and onset[next_event] <= time[row]:
                next_event += 1
            event = next_event
            while event < event_starts[stay + 1] and onset[event] <= time[row] + window:
                if lead[event] < 0:
                    lead[event] = onset[event] - time[row]
                event += 1
            true = event > next_event
            alarms[stay] += 1
            true_alarms[stay] += true
            if first_true[stay] < 0:
                first_true[stay] = true


@compiled_as_written
def covered(
    begin: Integers,
    until: Integers,
    event_starts: Integers,
    onset: Integers,
    end: Integers,
    covered: Integers,
) -> None:
    """Adds to `covered` (S,) how much of [begin, until) of each stay its events fill, overlaps once."""
    for stay in range(len(begin)):
        reached = begin[stay]
        for event in range(event_starts[stay], event_starts[stay + 1]):
            first, last = max(onset[event], reached), min(end[event], until[stay])
            if last > first:
                covered[stay] += last - first
                reached = last


@compiled_as_written
def inside_rows(
    starts: Integers, time: Integers, event_starts: Integers, onset: Integers, end: Integers, inside: Booleans
) -> None:
    """Sets `inside` (N,) where a row lies in an event, its first and last moment included."""
    for stay in range(len(starts) - 1):
        event, over_after = event_starts[stay], time[starts[stay]] - 1
        for row in range(starts[stay], starts[stay + 1]):
            while event < event_starts[stay + 1] and onset[event] <= time[row]:
                over_after = max(over_after, end[event])
                event += 1
            inside[row] = time[row] <= over_after


@compiled_as_written
def decide_rows(
    starts: Integers,
    time: Integers,
    score: Floats,
    threshold: float,
    release: float,
    k: int,
    n: int,
    refractory: int,
    on_delay: int,
    off_delay: int,
    alarm: Booleans,
    active: Booleans,
) -> None:
    """Sets `alarm` and `active` (N,) to what `AlarmPolicy.decide` says of each row, stay by stay."""
    recent = np.zeros(n, dtype=np.int64)
    for stay in range(len(starts) - 1):
        recent[:] = 0
        reached = heard = 0
        holds = met = low = told = silenced = False
        met_since = low_since = last_alarm = time[starts[stay]]
        for row in range(starts[stay], starts[stay + 1]):
            value = score[row]
            if not np.isnan(value):
                held = holds
                reached += (value >= threshold) - recent[heard % n]
                recent[heard % n] = value >= threshold
                heard += 1
                if held and value >= release:
                    low = False
                elif held:
                    low_since = low_since if low else time[row]
                    low = time[row] - low_since < off_delay
                    holds = low
                elif reached < k:
                    met = False
                else:
                    met_since = met_since if met else time[row]
                    met = time[row] - met_since < on_delay
                    holds = not met
                if holds and not low and (silenced or not held):
                    silenced = told and time[row] - last_alarm < refractory
                    if not silenced:
                        alarm[row] = told = True
                        last_alarm = time[row]
            active[row] = holds


@compiled_as_written
def hours_of_day(begin: Integers, until: Integers, spent: Integers) -> None:
    """Adds to `spent` (24,) the microseconds that [begin, until) of each stay has in each hour of the day."""
    hour = 3_600_000_000
    for stay in range(len(begin)):
        time = begin[stay]
        while time < until[stay]:
            step = min(until[stay], (time // hour + 1) * hour)
            spent[time // hour % 24] += step - time
            time = step
