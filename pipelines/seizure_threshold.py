"""The threshold of a seizure detector, chosen on recordings that taught it nothing and report nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.clinical.alarm import AlarmPolicy
from models.clinical.annotation import AnnotatedSpan
from models.clinical.errors import InvalidInput
from models.clinical.recording import UNKNOWN_START
from models.clinical.score import ScoreSeries
from models.seizure import SeizureDetector
from pipelines.detect import RELEASED_AT, alarm_events, prepared, score_recording
from pipelines.ingest.recordings.opened import OpenedRecording
from pipelines.metrics.seizures import Event, ScoredRecording, SeizureMetrics, score_seizures

CANDIDATES = 60  # thresholds that are tried


@dataclass(frozen=True, eq=False)
class ScoredSeizures:
    """A detector's scores of one recording beside what is true of it."""

    series: ScoreSeries
    truth: AnnotatedSpan


def score_opened(opened: OpenedRecording, detector: SeizureDetector) -> ScoredSeizures:
    """A detector's scores of one recording beside its annotations."""
    series = score_recording(prepared(opened.recording, detector.rate_hz), detector)
    return ScoredSeizures(series, opened.span)


def figures(scored: Sequence[ScoredSeizures], policy: AlarmPolicy) -> SeizureMetrics:
    """The figures of all recordings through one policy."""
    return score_seizures([_recording(one, policy) for one in scored])


def best_policy(scored: Sequence[ScoredSeizures], policy: AlarmPolicy) -> AlarmPolicy:
    """The policy at the threshold with the best F1 of events, then of samples; the higher one of equals.

    Thresholds are quantiles of the scores, closer together the higher they are; the release is a tenth
    below, as in `policy_of`. Raises InvalidInput where nothing has a score or no recording holds a seizure.
    """
    values = np.concatenate([one.series.value[np.isfinite(one.series.value)] for one in scored])
    if not len(values) or not any(one.truth.seizures for one in scored):
        raise InvalidInput("a threshold needs scores and seizures", value=len(values), bound=">= 1 of each")
    shares = np.geomspace(1.0 / len(values), 1.0, CANDIDATES)
    falling = np.unique(np.quantile(values, 1.0 - shares, method="higher"))[::-1]
    tried = [replace(policy, threshold=at, release=RELEASED_AT * at) for at in falling.tolist() if at > 0.0]
    return max(tried, key=lambda one: _worth(figures(scored, one)))


def _worth(metrics: SeizureMetrics) -> tuple[float, float]:
    return metrics.event.f1 or 0.0, metrics.sample.f1 or 0.0


def _recording(one: ScoredSeizures, policy: AlarmPolicy) -> ScoredRecording:
    found = alarm_events(one.series, policy, one.truth.started_at or UNKNOWN_START)
    said: list[Event] = [(event.onset_seconds, event.end_seconds) for event in found]
    true = [(event.onset_seconds, event.end_seconds) for event in one.truth.seizures]
    return ScoredRecording(one.truth.seconds or 0.0, true, said)
