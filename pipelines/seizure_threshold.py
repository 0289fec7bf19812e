"""The threshold of a seizure detector, chosen on recordings that taught it nothing and report nothing.

Two ways: the best F1 (`best_policy`), and a budget of false alarms an hour (`within_budget`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import numpy.typing as npt

from models.clinical.alarm import SEIZURE_RELEASED_AT, AlarmPolicy
from models.clinical.annotation import AnnotatedSpan
from models.clinical.errors import InvalidInput
from models.clinical.recording import UNKNOWN_START
from models.clinical.score import ScoreSeries
from models.seizure import SeizureDetector
from pipelines.detect import alarm_events, prepared, score_recording
from pipelines.ingest.recordings.opened import OpenedRecording
from pipelines.metrics.seizures import (
    Counts,
    Event,
    ScoredRecording,
    SeizureMetrics,
    alarm_counts,
    score_seizures,
)

CANDIDATES = 60  # thresholds that are tried for the best F1
BUDGET_CANDIDATES = 200  # and for a budget


class NoPolicy(InvalidInput):
    """No threshold does what is asked."""


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
    falling = [at for at in _falling(values, CANDIDATES) if at > 0.0]
    tried = [replace(policy, threshold=at, release=SEIZURE_RELEASED_AT * at) for at in falling]
    return max(tried, key=lambda one: _worth(figures(scored, one)))


def judged(scored: Sequence[ScoredSeizures], policy: AlarmPolicy) -> Counts:
    """Seizures, those found and false alarms of all recordings through one policy: `alarm_counts`."""
    return sum((alarm_counts(_recording(one, policy)) for one in scored), Counts())


def within_budget(
    scored: Sequence[ScoredSeizures], policy: AlarmPolicy, false_alarms_per_hour: float
) -> AlarmPolicy:
    """Of the thresholds down to which the budget is kept the one that finds most, of equals the lowest.

    What is found and what is false says `judged`. The distance between threshold and release stays. Raises
    NoPolicy where no threshold keeps the budget, or none that does finds a seizure though there are some,
    and InvalidInput for a budget that is none and where nothing has a score.
    """
    values = np.concatenate([one.series.value for one in scored] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if not len(values):
        raise InvalidInput("a budget needs recordings with scores", value=0, bound=">= 1 score")
    if not 0.0 <= false_alarms_per_hour < np.inf:
        raise InvalidInput(
            f"a budget of {false_alarms_per_hour} false alarms an hour; expected >= 0, finite",
            value=false_alarms_per_hour,
            bound=">= 0",
            unit="1/h",
        )
    gap = policy.threshold - policy.released_below
    kept, most = None, 0
    worst, needed = 0.0, np.inf  # false alarms an hour: the most so far, and with which a seizure is found
    # from above: so low a threshold that an alarm never ends is one alarm, and true where it began in time
    for at in _falling(values, BUDGET_CANDIDATES):
        tried = replace(policy, threshold=at, release=max(at - gap, 0.0))
        counts = judged(scored, tried)
        worst = max(worst, per_hour(counts))
        if counts.found or not counts.positive:
            needed = min(needed, worst)
            if worst <= false_alarms_per_hour and counts.found >= most:
                kept, most = tried, counts.found
        if false_alarms_per_hour < worst and needed < np.inf:
            break
    if kept is None:
        raise _nothing_within(false_alarms_per_hour, needed, scored)
    return kept


def per_hour(counts: Counts) -> float:
    """False alarms an hour of what was recorded."""
    return counts.false / (counts.seconds / 3600.0)


def _nothing_within(budget: float, needed: float, scored: Sequence[ScoredSeizures]) -> NoPolicy:
    """`needed` false alarms an hour would do, inf where nothing does."""
    seizures = sum(len(one.truth.seizures) for one in scored)
    does = f"finds one of {seizures} seizures within" if seizures else "keeps"
    enough = f"it takes {ceil(1e3 * needed) / 1e3:g}" if np.isfinite(needed) else "nor does one beyond it"
    return NoPolicy(
        f"no threshold {does} {budget:g} false alarms an hour; {enough}",
        value=budget,
        bound=f">= {needed:g}",
        unit="1/h",
    )


def _falling(values: npt.NDArray[np.float64], candidates: int) -> list[float]:
    """Scores that serve as thresholds, falling: the highest one by one, the others ever further apart."""
    shares = np.geomspace(1.0 / len(values), 1.0, candidates)
    found: list[float] = np.unique(np.quantile(values, 1.0 - shares, method="higher")).tolist()
    return found[::-1]


def _worth(metrics: SeizureMetrics) -> tuple[float, float]:
    return metrics.event.f1 or 0.0, metrics.sample.f1 or 0.0


def _recording(one: ScoredSeizures, policy: AlarmPolicy) -> ScoredRecording:
    found = alarm_events(one.series, policy, one.truth.started_at or UNKNOWN_START)
    said: list[Event] = [(event.onset_seconds, event.end_seconds) for event in found]
    true = [(event.onset_seconds, event.end_seconds) for event in one.truth.seizures]
    return ScoredRecording(one.truth.seconds or 0.0, true, said)
