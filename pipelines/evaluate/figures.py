"""One model's figures on some stays, with intervals over subjects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from models.clinical.alarm import AlarmPolicy
from pipelines.evaluate.scored import Evidence
from pipelines.metrics.alarms import MICROSECONDS_AN_HOUR, NEVER_ENDS, AlarmFigures, figures, judge
from pipelines.metrics.bootstrap import Bootstrap, Interval, Intervals, interval, intervals, subject_weights
from pipelines.metrics.burden import Burden, BurdenFigures, burden_figures, simulate
from pipelines.metrics.calibration import (
    CalibrationFigures,
    CalibrationIntervals,
    calibration,
    calibration_intervals,
)
from pipelines.metrics.cinc2019 import ChallengeMetrics, summarise
from pipelines.metrics.horizon import Horizon, at_horizons, match

RULES = frozenset({"news2", "qsofa", "sirs"})  # points over their maximum are no probabilities
_MATCHING_SEED = 2019
ALARM_FIGURES = (
    "precision",
    "recall",
    "lead_time_hours",
    "false_alarms_per_patient_day",
    "alarms_per_bed_day",
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
    figures: BurdenFigures
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
    matched = match(evidence.onsets, last, seed=_MATCHING_SEED)
    return at_horizons(
        rows,
        hour,
        probability,
        matched,
        evidence.subjects,
        hours=range(horizon + 1),
        bootstrap=bootstrap,
    )


def burden_of(evidence: Evidence, model: str, policy: AlarmPolicy, window_hours: float) -> Burden:
    """Every stay's alarms by `policy`, against its event."""
    return simulate(evidence.ward(model), policy, timedelta(hours=window_hours))


def warn(
    evidence: Evidence, model: str, named: tuple[str, AlarmPolicy], window_hours: float, bootstrap: Bootstrap
) -> WarningFigures:
    """What the alarms of a policy were worth, with intervals of the figures of `ALARM_FIGURES`."""
    name, policy = named
    burden = burden_of(evidence, model, policy, window_hours)
    weights = subject_weights(evidence.subjects, bootstrap)
    drawn = [_told(burden_figures(burden, weight)) for weight in weights]
    return WarningFigures(
        policy=name,
        threshold=policy.threshold,
        figures=burden_figures(burden),
        intervals={one: _interval([draw[one] for draw in drawn], bootstrap.level) for one in ALARM_FIGURES},
        before_recognition=_before_recognition(evidence, model, burden, window_hours),
    )


def _told(found: BurdenFigures) -> dict[str, float | None]:
    """The figures of `ALARM_FIGURES` by name."""
    whose = {name: found if hasattr(found, name) else found.outside for name in ALARM_FIGURES}
    return {name: getattr(one, name) for name, one in whose.items()}


def _before_recognition(
    evidence: Evidence, model: str, burden: Burden, window_hours: float
) -> AlarmFigures | None:
    hours = evidence.stays["recognised_hour"].to_numpy(dtype=np.float64)
    if np.isnan(hours).all():
        return None
    known = ~np.isnan(hours)
    moment = np.full(len(hours), NEVER_ENDS)
    moment[known] = np.rint(hours[known] * MICROSECONDS_AN_HOUR).astype(np.int64)
    ward = evidence.ward(model)
    alarm, window = burden.alarm & ~ward.inside, timedelta(hours=window_hours)
    return figures(judge(ward.watched, ward.events, alarm, window, recognised=moment))


def _interval(drawn: list[float | None], level: float) -> Interval:
    return interval(np.array([np.nan if one is None else one for one in drawn], dtype=np.float64), level)
