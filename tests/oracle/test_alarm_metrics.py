"""Alarm metrics against a slow reading of circEWS's rule: minute after minute, one stay at a time.

Source of the rule: Hyland et al. 2020, doi:10.1038/s41591-020-0789-4.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.metrics.alarms import AlarmRule, Events, Watched, figures, fire, judge

MINUTE = 60_000_000


@dataclass(frozen=True)
class SlowStay:
    """A stay in whole minutes: scores by minute, None for none; events as (onset, end)."""

    scores: dict[int, float | None]
    events: list[tuple[int, int]]
    recognised: int | None = None


def slow_alarms(stay: SlowStay, threshold: float, silence: int, rearm: int) -> list[int]:
    """Walks the minutes of a stay with two counters, as a nurse with two egg timers would."""
    alarms: list[int] = []
    silent_for = rearming_for = 0
    for minute in range(max(stay.scores) + 1):
        inside = any(onset <= minute <= end for onset, end in stay.events)
        if inside:
            rearming_for = 0
        for _, end in stay.events:
            if end == minute:
                rearming_for = max(rearming_for, rearm)
        score = stay.scores.get(minute)
        if score is not None and score >= threshold and not inside and not silent_for and not rearming_for:
            alarms.append(minute)
            silent_for = silence
        silent_for, rearming_for = max(silent_for - 1, 0), max(rearming_for - 1, 0)
    return alarms


def slow_figures(
    stays: list[SlowStay], threshold: float, window: int, silence: int, rearm: int
) -> dict[str, float | None]:
    """All figures by counting, nothing shared with the code under test."""
    gaps = [b - a for stay in stays for a, b in pairwise(sorted(stay.scores))]
    usual = median(gaps) if gaps else 0
    alarms = true = detected = free = watched = first_true = alarmed = 0
    leads: list[float] = []
    for stay in stays:
        rung = [
            minute
            for minute in slow_alarms(stay, threshold, silence, rearm)
            if stay.recognised is None or minute < stay.recognised
        ]
        worth = [any(minute < onset <= minute + window for onset, _ in stay.events) for minute in rung]
        alarms, true = alarms + len(rung), true + sum(worth)
        alarmed, first_true = alarmed + bool(rung), first_true + sum(worth[:1])
        for onset, _ in stay.events:
            before = [minute for minute in rung if onset - window <= minute < onset]
            if before:
                detected += 1
                leads.append((onset - before[0]) / 60)
        times = sorted(stay.scores)
        own = [b - a for a, b in pairwise(times)]
        stop = times[-1] + (median(own) if own else usual)
        for half_minute in range(2 * times[0], int(2 * stop)):
            minute = half_minute / 2
            if stay.recognised is None or minute < stay.recognised:
                watched += 1
                free += not any(onset <= minute < end for onset, end in stay.events)
    events = sum(len(stay.events) for stay in stays)
    return {
        "alarms": alarms,
        "true_alarms": true,
        "precision": true / alarms if alarms else None,
        "events": events,
        "events_detected": detected,
        "recall": detected / events if events else None,
        "lead_time_hours": median(leads) if leads else None,
        "false_alarms_per_patient_day": (alarms - true) / (free / 2880) if free else None,
        "alerts_per_100_patient_days": 100 * alarms / (watched / 2880) if watched else None,
        "workup_to_detection": alarms / true if true else None,
        "first_alarm_precision": first_true / alarmed if alarmed else None,
        "patient_days": watched / 2880,
        "free_days": free / 2880,
    }


def fast_figures(
    stays: list[SlowStay], threshold: float, window: int, silence: int, rearm: int
) -> dict[str, object]:
    """The same by the code under test."""
    times = [sorted(stay.scores) for stay in stays]
    scores = [
        np.nan if stay.scores[minute] is None else stay.scores[minute]
        for stay, own in zip(stays, times, strict=True)
        for minute in own
    ]
    watched = Watched(
        np.array([len(own) for own in times]),
        np.concatenate([np.array(own) for own in times]) * MINUTE,
        np.array(scores, dtype=np.float64),
    )
    pairs = [pair for stay in stays for pair in sorted(stay.events)]
    onset, end = np.array(pairs, dtype=np.int64).reshape(-1, 2).T * MINUTE
    events = Events(np.array([len(stay.events) for stay in stays]), onset.copy(), end.copy())
    recognised = np.array(
        [2**60 if stay.recognised is None else stay.recognised * MINUTE for stay in stays], dtype=np.int64
    )
    rule = AlarmRule(threshold, timedelta(minutes=silence), timedelta(minutes=rearm))
    judged = judge(
        watched, events, fire(watched, events, rule), timedelta(minutes=window), recognised=recognised
    )
    found = figures(judged).__dict__
    return {key: value for key, value in found.items() if key != "lead_time_hours_quartiles"}


@st.composite
def slow_stays(draw: st.DrawFn) -> SlowStay:
    minutes = draw(st.lists(st.integers(0, 200), min_size=1, max_size=40, unique=True))
    score = st.none() | st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0])
    onsets = sorted(draw(st.lists(st.integers(0, 260), max_size=3, unique=True)))
    ends = [onset + draw(st.integers(0, 50)) for onset in onsets]
    return SlowStay(
        {minute: draw(score) for minute in minutes},
        list(zip(onsets, ends, strict=True)),
        draw(st.none() | st.integers(0, 220)),
    )


@settings(max_examples=300)
@given(
    st.lists(slow_stays(), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.5, 0.6]),
    st.integers(1, 120),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_every_figure_equals_the_slow_count(
    stays: list[SlowStay], threshold: float, window: int, silence: int, rearm: int
) -> None:
    slow = slow_figures(stays, threshold, window, silence, rearm)
    assert fast_figures(stays, threshold, window, silence, rearm) == {
        key: value if value is None else pytest.approx(value, rel=1e-12) for key, value in slow.items()
    }
