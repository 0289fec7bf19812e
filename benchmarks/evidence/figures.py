"""All figures of one model on one set of stays, from the table of its predictions, with intervals.

Intervals are those of `pipelines.metrics.bootstrap`: 95 %, percentile, whole subjects drawn.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from pipelines.metrics.bootstrap import Bootstrap, Intervals, intervals
from pipelines.metrics.calibration import (
    CalibrationFigures,
    CalibrationIntervals,
    calibration,
    calibration_intervals,
)
from pipelines.metrics.cinc2019 import ChallengeMetrics, Cohort, summarise
from pipelines.metrics.horizon import Horizon, at_horizons, match, onsets

HORIZONS = tuple(range(13))
MATCHING_SEED = 2019


@dataclass(frozen=True)
class Predictions:
    """Hourly predictions of S stays, in the order of their ids, whatever order they were scored in."""

    stay_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    hour: npt.NDArray[np.int64]
    cohort: Cohort


@dataclass(frozen=True)
class Figures:
    """One row of the table; `calibration` is None for points, which are no probabilities."""

    stays: int
    septic_stays: int
    hours: int
    positive_hours: int
    untold_onsets: int  # stays positive from their first row
    late_onsets: int  # cases that fewer controls outlast than each must have
    distinct_controls: int
    hourly: ChallengeMetrics
    hourly_intervals: Intervals
    horizons: tuple[Horizon, ...]
    calibration: CalibrationFigures | None
    calibration_intervals: CalibrationIntervals | None

    def as_json(self) -> dict[str, Any]:
        """Every figure under its name."""
        return asdict(self)


def read_predictions(path: Path) -> Predictions:
    """What `PredictionTable` wrote to `path`, with labels."""
    columns = ["stay_id", "subject_id", "hour", "probability", "predicted", "label"]
    table = pq.read_table(path, columns=columns).sort_by([("stay_id", "ascending"), ("hour", "ascending")])
    stay = table["stay_id"].to_numpy()
    starts = np.flatnonzero(np.concatenate([[True], stay[1:] != stay[:-1]]))
    return Predictions(
        stay_ids=tuple(stay[starts]),
        subjects=tuple(table["subject_id"].to_numpy()[starts]),
        hour=table["hour"].to_numpy(),
        cohort=Cohort(
            rows=np.diff(np.append(starts, len(stay))),
            label=table["label"].to_numpy(),
            probability=table["probability"].to_numpy(),
            prediction=table["predicted"].to_numpy(),
        ),
    )


def figures(predictions: Predictions, bootstrap: Bootstrap, *, probabilities: bool) -> Figures:
    """Every figure of `predictions`; calibration only where the scores claim to be `probabilities`."""
    cohort, hour, subjects = predictions.cohort, predictions.hour, predictions.subjects
    found = onsets(cohort.rows, hour, cohort.label)
    matched = match(found, hour[np.cumsum(cohort.rows) - 1], seed=MATCHING_SEED)
    horizons = at_horizons(
        cohort.rows, hour, cohort.probability, matched, subjects, hours=HORIZONS, bootstrap=bootstrap
    )
    return Figures(
        stays=len(cohort.rows),
        septic_stays=int((found.case | found.untold).sum()),
        hours=len(cohort.label),
        positive_hours=int(cohort.label.sum()),
        untold_onsets=int(found.untold.sum()),
        late_onsets=int(found.case.sum() - matched.case.sum()),
        distinct_controls=len(np.unique(matched.stay[~matched.case])),
        hourly=summarise(cohort),
        hourly_intervals=intervals(cohort, subjects, bootstrap),
        horizons=tuple(horizons),
        calibration=calibration(cohort.label, cohort.probability) if probabilities else None,
        calibration_intervals=(
            calibration_intervals(cohort.rows, cohort.label, cohort.probability, subjects, bootstrap)
            if probabilities
            else None
        ),
    )
