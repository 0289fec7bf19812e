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
