"""Event and sample figures are those of `timescoring` 0.0.7, number for number."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from timescoring.annotations import Annotation  # type: ignore[import-untyped]
from timescoring.scoring import EventScoring, SampleScoring  # type: ignore[import-untyped]

from models.clinical.annotation import BACKGROUND, AnnotatedSpan
from models.clinical.annotation import Annotation as Seizure
from pipelines.ingest.annotations import write_annotations
from pipelines.metrics.seizure_files import score_files
from pipelines.metrics.seizures import (
    DetectionFigures,
    Event,
    ScoredRecording,
    event_counts,
    figures,
    sample_counts,
)

Recording = tuple[float, list[Event], list[Event]]


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    """Seconds to hours; events anywhere: overlapping, touching, of no length, past the end or after it."""
    seconds = draw(st.sampled_from([1.0, 7.5, 59.95, 600.0, 3600.0, 3601.26]) | st.floats(0.1, 20_000))
    times = st.floats(0, 1.3 * seconds) | st.integers(0, math.ceil(seconds)).map(float)
    lengths = st.sampled_from([0.0, 0.04, 0.05, 5.0, 89.9, 90.0, 300.0, 300.1, 900.0]) | st.floats(0, 1500)
    events = st.lists(
        st.tuples(times, lengths).map(lambda event: (event[0], event[0] + event[1])), max_size=8
    )
    return seconds, sorted(draw(events)), sorted(draw(events))


def theirs(score: Any) -> DetectionFigures:
    values = (score.sensitivity, score.precision, score.f1, score.fpRate)
    return DetectionFigures(*(None if math.isnan(value) else float(value) for value in values))


def annotation(events: list[Event], seconds: float) -> Any:
    return Annotation(list(events), 10, round(seconds * 10))


def both(recording: Recording) -> tuple[ScoredRecording, Any, Any]:
    seconds, reference, hypothesis = recording
    # to a tenth of a second, the precision in which the oracle is told of the length
    seconds = round(seconds * 10) / 10
    return (
        ScoredRecording(seconds, reference, hypothesis),
        annotation(reference, seconds),
        annotation(hypothesis, seconds),
    )


@settings(max_examples=100)
@given(recording=recordings())
@example(recording=(3600.0, [], []))
@example(recording=(3600.0, [(0.0, 3600.0)], [(0.0, 3600.0)]))
@example(recording=(3600.0, [], [(10.0, 20.0)]))
@example(recording=(3600.0, [(10.0, 20.0)], []))
@example(recording=(3600.0, [(3590.0, 3700.0)], [(3599.0, 3600.0)]))
@example(recording=(3600.0, [(0.0, 100.0), (10.0, 20.0)], [(60.0, 99.0)]))
@example(recording=(3600.0, [(100.0, 200.0)], [(70.0, 70.0)]))
@example(recording=(3600.0, [(100.0, 200.0), (290.0, 300.0)], [(35.0, 45.0), (259.9, 260.1)]))
def test_event_figures(recording: Recording) -> None:
    ours, reference, hypothesis = both(recording)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the oracle divides an empty reach by its length 0
        score = EventScoring(reference, hypothesis)
    assert figures(event_counts(ours)) == theirs(score)


@settings(max_examples=100)
@given(recording=recordings())
@example(recording=(3600.0, [], []))
@example(recording=(3600.0, [(0.0, 3600.0)], [(0.5, 1.5), (2.5, 3.5)]))
@example(recording=(3600.0, [(0.0, 100.0), (50.0, 120.0)], [(3599.0, 3700.0)]))
def test_sample_figures(recording: Recording) -> None:
    ours, reference, hypothesis = both(recording)
    if not sample_counts(ours).seconds:
        return  # the oracle divides by 0; ours says None, see the unit tests
    assert figures(sample_counts(ours)) == theirs(SampleScoring(reference, hypothesis))


@pytest.mark.parametrize("seed", range(20))
def test_a_day_of_random_seizures(seed: int) -> None:
    random = np.random.default_rng(seed)
    draws = [sorted(random.uniform(0, 86_400, random.integers(0, 40)).tolist()) for _ in range(2)]
    first, second = ([(onset, onset + float(random.exponential(90))) for onset in onsets] for onsets in draws)
    ours, reference, hypothesis = both((86_400.0, first, second))
    assert figures(event_counts(ours)) == theirs(EventScoring(reference, hypothesis))
    assert figures(sample_counts(ours)) == theirs(SampleScoring(reference, hypothesis))


@settings(max_examples=50)
@given(recording=recordings())
@example(recording=(3600.0, [(600.0, 660.0)], [(600.0, 660.0), (9999.0, 10_059.0)]))
@example(recording=(3600.0, [(600.0, 660.0), (3700.0, 3760.0)], [(600.0, 660.0), (3700.0, 3760.0)]))
def test_figures_of_two_tables(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tables")
    seconds = max(round(recording[0]), 2)
    sides = []
    for name, events in zip(("ref.tsv", "hyp.tsv"), recording[1:], strict=True):
        said = tuple(Seizure(onset, end - onset) for onset, end in events)
        calm = (Seizure(0.0, float(seconds), BACKGROUND),)
        write_annotations(folder / name, [AnnotatedSpan(said or calm, None, float(seconds))])
        sides.append(annotation([(one.onset_seconds, one.end_seconds) for one in said], seconds))
    scored = score_files(folder / "ref.tsv", folder / "hyp.tsv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert scored.metrics.event == theirs(EventScoring(*sides))
        assert scored.metrics.sample == theirs(SampleScoring(*sides))
    assert scored.complaints == ()
