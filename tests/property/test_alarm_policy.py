"""What holds for every alarm policy on every score series."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.alarm import AlarmPolicy
from models.clinical.score import ScoreSeries, ScoreStatus
from pipelines.metrics.alarms import Watched
from pipelines.metrics.burden import decide

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
quick = settings(max_examples=150)


def durations(longest: int) -> st.SearchStrategy[timedelta]:
    return st.integers(0, longest).map(lambda minutes: minutes * MINUTE)


@st.composite
def policies(draw: st.DrawFn) -> AlarmPolicy:
    threshold = draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    n = draw(st.integers(1, 5))
    return AlarmPolicy(
        threshold,
        draw(st.none() | st.sampled_from([0.0, 0.2, 0.3]).filter(lambda low: low <= threshold)),
        k=draw(st.integers(1, n)),
        n=n,
        refractory=draw(durations(500)),
        on_delay=draw(durations(200)),
        off_delay=draw(durations(200)),
    )


@st.composite
def score_series(draw: st.DrawFn) -> ScoreSeries:
    """Scores at rising whole minutes, hourly or not, some missing."""
    steps = draw(st.lists(st.sampled_from([5, 30, 60, 60, 60, 61]), min_size=1, max_size=40))
    value = st.none() | st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.9, 1.0])
    values = [draw(value) for _ in steps]
    return ScoreSeries(
        "s",
        "m",
        pd.DatetimeIndex([START + int(minutes) * MINUTE for minutes in np.cumsum(steps)]),
        np.array([np.nan if one is None else one for one in values]),
        tuple(ScoreStatus.ABSENT if one is None else ScoreStatus.PRESENT for one in values),
        tuple("nothing known" if one is None else "" for one in values),
    )


@quick
@given(policies(), score_series(), st.integers(0, 40))
def test_what_is_decided_by_a_time_depends_on_no_later_score(
    policy: AlarmPolicy, series: ScoreSeries, length: int
) -> None:
    known = series.until(series.time[min(length, len(series) - 1)])
    assert policy.decide(series)[: len(known)] == policy.decide(known)


@quick
@given(policies(), score_series())
def test_alarms_are_a_refractory_time_apart_on_scores_at_or_above_release_while_active(
    policy: AlarmPolicy, series: ScoreSeries
) -> None:
    decisions = policy.decide(series)
    alarms = [decision.alarm for decision in decisions if decision.alarm is not None]
    assert all(decision.active for decision in decisions if decision.alarm is not None)
    assert all(later.time - earlier.time >= policy.refractory for earlier, later in pairwise(alarms))


@quick
@given(policies(), score_series())
def test_a_missing_score_changes_nothing_and_alarms_never(policy: AlarmPolicy, series: ScoreSeries) -> None:
    decisions = policy.decide(series)
    before = False
    for score, decision in zip(series, decisions, strict=True):
        if score.value is None:
            assert (decision.active, decision.alarm) == (before, None)
        before = decision.active


@quick
@given(policies(), score_series())
def test_a_condition_begins_no_sooner_than_its_on_delay_after_the_kth_score(
    policy: AlarmPolicy, series: ScoreSeries
) -> None:
    reached = [score.time for score in series if score.value is not None and score.value >= policy.threshold]
    active = [decision.time for decision in policy.decide(series) if decision.active]
    if active:
        assert len(reached) >= policy.k
        assert active[0] >= reached[policy.k - 1] + policy.on_delay


@quick
@given(policies(), score_series())
def test_longer_delays_never_bring_the_first_alarm_forward(policy: AlarmPolicy, series: ScoreSeries) -> None:
    longer = AlarmPolicy(
        policy.threshold,
        policy.release,
        policy.k,
        policy.n,
        policy.refractory,
        on_delay=policy.on_delay + timedelta(hours=1),
        off_delay=policy.off_delay,
    )
    first, later = policy.alarms(series), longer.alarms(series)
    assert not later or first[0].time <= later[0].time


@settings(max_examples=300)
@given(policies(), st.lists(score_series(), min_size=1, max_size=3))
def test_the_simulator_says_what_the_live_engine_says(policy: AlarmPolicy, series: list[ScoreSeries]) -> None:
    since_start = [(score.time - START) // timedelta(microseconds=1) for one in series for score in one]
    rows, score = np.array([len(one) for one in series]), np.concatenate([one.value for one in series])
    alarm, active = decide(Watched(rows, np.array(since_start), score), policy)
    decisions = [decision for one in series for decision in policy.decide(one)]
    assert alarm.tolist() == [decision.alarm is not None for decision in decisions]
    assert active.tolist() == [decision.active for decision in decisions]
