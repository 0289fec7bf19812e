"""One model's figures on some stays, with intervals over subjects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from models.clinical.alarm import AlarmPolicy
from pipelines.evaluate.firing import alarms_of
from pipelines.evaluate.scored import Evidence
from pipelines.metrics.alarms import (
    MICROSECONDS_AN_HOUR,
    NEVER_ENDS,
    AlarmFigures,
    Judged,
    figures,
    judge,
)
from pipelines.metrics.bootstrap import Bootstrap, Interval, Intervals, interval, intervals, subject_weights
from pipelines.metrics.calibration import (
    CalibrationFigures,
    CalibrationIntervals,
    calibration,
    calibration_intervals,
)
from pipelines.metrics.cinc2019 import ChallengeMetrics, summarise
from pipelines.metrics.horizon import Horizon, at_horizons, match, onsets

RULES = frozenset({"news2", "qsofa", "sirs"})  # points over their maximum are no probabilities
_MATCHING_SEED = 2019
ALARM_FIGURES = (
    "precision",
    "recall",
    "lead_time_hours",
    "false_alarms_per_patient_day",
    "alerts_per_100_patient_days",
    "first_alarm_precision",
)


@dataclass(frozen=True)
class RankFigures:
    """The challenge's figures, and whether scores are probabilities; that of a rule is None."""

    hours_with_score_share: float
    metrics: ChallengeMetrics
    intervals: Intervals
    calibration: CalibrationFigures | None
    calibration_intervals: CalibrationIntervals | None
    horizons: tuple[Horizon, ...]


@dataclass(frozen=True)
class WarningFigures:
    """What a policy's alarms were worth; `before_recognition` counts only what came before clinicians acted,
    and is None where the records do not tell.
    """

    policy: str
    threshold: float
    figures: AlarmFigures
    intervals: Mapping[str, Interval]
    before_recognition: AlarmFigures | None


def rank(evidence: Evidence, model: str, threshold: float, bootstrap: Bootstrap, horizon: int) -> RankFigures:
    """How well `model` ranks and is calibrated, over all hours and at each hour before onset."""
    cohort, subjects = evidence.cohort(model, threshold), evidence.subjects
    probabilities = model not in RULES
    columns = evidence.rows, evidence.label, cohort.probability
    return RankFigures(
        hours_with_score_share=float(np.isfinite(evidence.scores[model].value).mean()),
        metrics=summarise(cohort),
        intervals=intervals(cohort, subjects, bootstrap),
        calibration=calibration(*columns[1:]) if probabilities else None,
        calibration_intervals=calibration_intervals(*columns, subjects, bootstrap) if probabilities else None,
        horizons=tuple(_horizons(evidence, cohort.probability, bootstrap, horizon)),
    )


def _horizons(
    evidence: Evidence, probability: npt.NDArray[np.float64], bootstrap: Bootstrap, horizon: int
) -> list[Horizon]:
    rows, hour = evidence.rows, evidence.hour
    last = hour[np.cumsum(rows) - 1]
    matched = match(onsets(rows, hour, evidence.label), last, seed=_MATCHING_SEED)
    return at_horizons(
        rows,
        hour,
        probability,
        matched,
        evidence.subjects,
        hours=range(horizon + 1),
        bootstrap=bootstrap,
    )


def judged(
    evidence: Evidence, model: str, policy: AlarmPolicy, window_hours: float, *, unrecognised: bool = False
) -> Judged:
    """Every stay's alarms by `policy`, against its event; `unrecognised` leaves out what clinicians knew."""
    watched, recognised = evidence.watched(model), None
    if unrecognised:
        hours = evidence.stays["recognised_hour"].to_numpy(dtype=np.float64)
        recognised = np.where(np.isnan(hours), NEVER_ENDS, np.rint(hours * MICROSECONDS_AN_HOUR)).astype(
            np.int64
        )
    alarm = alarms_of(policy, watched)
    return judge(watched, evidence.events, alarm, timedelta(hours=window_hours), recognised=recognised)


def warn(
    evidence: Evidence, model: str, named: tuple[str, AlarmPolicy], window_hours: float, bootstrap: Bootstrap
) -> WarningFigures:
    """What the alarms of a policy were worth, with intervals of the figures of `ALARM_FIGURES`."""
    name, policy = named
    found = judged(evidence, model, policy, window_hours)
    drawn = [asdict(figures(found, weight)) for weight in subject_weights(evidence.subjects, bootstrap)]
    told = evidence.stays["recognised_hour"].notna().any()
    before = judged(evidence, model, policy, window_hours, unrecognised=True) if told else None
    return WarningFigures(
        policy=name,
        threshold=policy.threshold,
        figures=figures(found),
        intervals={one: _interval([draw[one] for draw in drawn], bootstrap.level) for one in ALARM_FIGURES},
        before_recognition=None if before is None else figures(before),
    )


def _interval(drawn: list[Any], level: float) -> Interval:
    return interval(np.array([np.nan if one is None else one for one in drawn], dtype=np.float64), level)
