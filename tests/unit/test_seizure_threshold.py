"""Excerpts as samples, and the threshold that serves best."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from models.clinical.alarm import SEIZURE_POLICY
from models.clinical.annotation import AnnotatedSpan, Annotation
from models.clinical.errors import InvalidInput
from models.clinical.recording import UNKNOWN_START
from models.clinical.score import ScoreSeries, ScoreStatus
from pipelines.seizure_excerpts import Excerpts, excerpt
from pipelines.seizure_threshold import ScoredSeizures, best_policy, figures
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
