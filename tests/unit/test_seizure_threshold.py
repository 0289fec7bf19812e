"""Excerpts as samples, and the threshold that serves best."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from models.clinical.alarm import SEIZURE_POLICY, AlarmPolicy
from models.clinical.annotation import AnnotatedSpan, Annotation
from models.clinical.errors import InvalidInput
from models.clinical.recording import UNKNOWN_START
from models.clinical.score import ScoreSeries, ScoreStatus
from pipelines.seizure_excerpts import Excerpts, excerpt
from pipelines.seizure_threshold import (
    NoPolicy,
    ScoredSeizures,
    best_policy,
    figures,
    judged,
    per_hour,
    within_budget,
)
from pipelines.simulate.ieeg import IEEGConfig, simulate_ieeg

OPENED = simulate_ieeg(0, 1, IEEGConfig(120.0, rate_hz=64.0, channel_count=2, seizure_onsets=(52.4,)))


def scored(values: list[float], *seizures: tuple[float, float]) -> ScoredSeizures:
    times = pd.date_range(UNKNOWN_START + timedelta(seconds=5), periods=len(values), freq="5s").as_unit("us")
    present, reasons = (ScoreStatus.PRESENT,) * len(values), ("",) * len(values)
    truth = AnnotatedSpan(tuple(Annotation(*one) for one in seizures), UNKNOWN_START, 5.0 * len(values))
    return ScoredSeizures(ScoreSeries("r", "seizure", times, np.array(values), present, reasons), truth)


def test_a_segment_is_of_a_seizure_where_its_middle_lies_in_one() -> None:
    one = excerpt(OPENED, "a", 40.0, 5, 320)
    assert one.labels == (0, 0, 1, 1, 1)  # middles at 42.5, 47.5, 52.5, ... s
    np.testing.assert_array_equal(one.segments[2].numpy(), OPENED.recording.window(50.0, 55.0))


def test_every_segment_with_a_past_is_a_sample() -> None:
    one = excerpt(OPENED, "a", 40.0, 5, 320)
    samples = Excerpts([one, one], 4)
    assert len(samples) == 4
    assert [samples[index].label for index in range(4)] == [1, 1, 1, 1]
    assert samples[3].segments.equal(one.segments[1:])
    with pytest.raises(InvalidInput, match="no excerpt of 6 segments"):
        Excerpts([one], 6)


def test_the_threshold_keeps_the_seizure_and_drops_the_false_alarm() -> None:
    calm, false, seizure = [0.1] * 40, [0.5] * 5, [0.8] * 8
    one = scored(calm + false + calm + seizure + calm, (425.0, 40.0))
    chosen = best_policy([one], SEIZURE_POLICY)
    assert chosen.threshold == 0.8
    assert chosen.released_below == pytest.approx(0.72)
    assert figures([one], chosen).event.f1 == 1.0


def test_a_threshold_needs_a_seizure() -> None:
    with pytest.raises(InvalidInput, match="needs scores and seizures"):
        best_policy([scored([0.1] * 20)], SEIZURE_POLICY)


PLAIN = AlarmPolicy(0.5, refractory=timedelta(0), condition="seizure")
CALM = [0.1] * 40


def test_the_budget_sets_the_lowest_threshold_that_keeps_it() -> None:
    values = [*CALM, 0.4, *CALM, 0.5, *CALM, 0.9, *[0.1] * 600]  # 0.4 and 0.5 are false, 0.9 is not
    one = scored(values, (610.0, 20.0))
    for budget, above in ((0.0, 0.5), (1.0, 0.4), (2.0, 0.1)):
        assert within_budget([one], PLAIN, budget).threshold > above - 1e-9
        found = judged([one], within_budget([one], PLAIN, budget))
        assert (found.found, per_hour(found) <= budget) == (1, True)
    assert within_budget([one], PLAIN, 1.0).threshold < within_budget([one], PLAIN, 0.0).threshold
    assert within_budget([one], PLAIN, 2.0).threshold < within_budget([one], PLAIN, 1.0).threshold


@pytest.mark.parametrize("seed", range(8))
def test_what_is_printed_keeps_the_budget_that_chose(seed: int) -> None:
    random = np.random.default_rng(seed)
    recordings = []
    for _ in range(4):
        values = random.beta(2.0, 6.0, 84)
        values[40:52] = values[40:52] * 0.5 + 0.4
        values[10:30] += random.uniform(0.0, 0.4)  # something that goes on for long before the seizure
        recordings.append(scored(values.clip(0.0, 1.0).tolist(), (200.0, 60.0)))
    for budget in (15.0, 30.0):
        policy = within_budget(recordings, PLAIN, budget)
        counts, printed = judged(recordings, policy), figures(recordings, policy).event
        assert per_hour(counts) <= budget
        assert (printed.fp_per_24h or 0.0) / 24.0 <= per_hour(counts) + 1e-9
        assert counts.found <= (printed.sensitivity or 0.0) * counts.positive + 1e-9


def test_an_alarm_that_began_long_before_the_seizure_did_not_find_it() -> None:
    early = scored([0.1] * 12 + [0.6] * 40 + [0.1] * 20, (200.0, 40.0))  # from 65 s on, at 200 s still on
    at = replace(PLAIN, threshold=0.6)
    assert figures([early], at).event.sensitivity == 1.0  # SzCORE's rule asks for an overlap alone
    assert (judged([early], at).found, judged([early], at).false) == (0, 1)
    with pytest.raises(
        NoPolicy, match="no threshold finds one of 1 seizures within 5 false alarms an hour; nor"
    ):
        within_budget([early], PLAIN, 5.0)


def test_an_early_alarm_and_a_timely_one_are_one_false_alarm_and_one_seizure_found() -> None:
    both = scored([0.1] * 24 + [0.6] * 6 + [0.1] * 10 + [0.6] * 8 + [0.1] * 40, (200.0, 40.0))
    counts = judged([both], replace(PLAIN, threshold=0.6))
    assert (counts.positive, counts.found, counts.false) == (1, 1, 1)


def test_the_highest_threshold_that_finds_more_is_preferred_to_a_lower_one_that_finds_less() -> None:
    # below 0.3 the alarm that is on since 65 s never ends before the seizure
    one = scored([0.1] * 12 + [0.3] * 28 + [0.8] * 8 + [0.1] * 700, (200.0, 40.0))
    assert within_budget([one], PLAIN, 50.0).threshold == 0.8


def test_calm_recordings_alone_give_the_lowest_threshold_that_keeps_the_budget() -> None:
    calm = scored([*CALM, 0.6, *CALM, 0.7, *[0.1] * 700])
    assert within_budget([calm], PLAIN, 1.0).threshold == 0.7
    with pytest.raises(NoPolicy, match=r"no threshold keeps 0\.5 false alarms an hour; it takes 0.921"):
        within_budget([calm], PLAIN, 0.5)


def test_a_budget_has_scores_and_a_number() -> None:
    with pytest.raises(InvalidInput, match="a budget needs recordings"):
        within_budget([], PLAIN, 0.5)
    with pytest.raises(InvalidInput, match="a budget of nan false alarms"):
        within_budget([scored(CALM)], PLAIN, float("nan"))
