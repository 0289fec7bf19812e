"""The PhysioNet/CinC Challenge 2019 metrics: the clinical utility of hourly predictions, and its companions.

With tau the hours from t_sepsis = first positive row + 6, one hour of a stay is worth

                              tau <= -6                    -6 < tau <= 3     later
    septic, predicted 1:      max((tau + 12) / 6, -0.05)   (3 - tau) / 9     0
    septic, predicted 0:      0                            -2 (tau + 6) / 9  0
    not septic, predicted 1:  -0.05 in every hour; predicted 0: 0

    utility = (U - U_none) / (U_best - U_none)

where U_none predicts 0 throughout and U_best predicts 1 exactly on [t_sepsis - 12, t_sepsis + 3]. A stay that
is positive from its first row has t_sepsis at row 6, as in the challenge, though its true onset may be
earlier. AUROC, AUPRC, accuracy and F-measure pool the rows of all stays.

Source: Reyna et al. 2020, doi:10.1097/CCM.0000000000004145.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from pipelines.metrics import classification

Floats = npt.NDArray[np.float64]

FALSE_ALARM = -0.05  # an hour predicted positive too early, or in a stay without sepsis
EARLIEST, OPTIMAL, LATEST = -12, -6, 3  # hours from t_sepsis: reward begins, is full, has gone


@dataclass(frozen=True)
class Cohort:
    """The rows of S stays end to end: `rows` (S,) each at least 1, and (N,) arrays with N = sum(rows).

    `label` and `prediction` int8 in {0, 1}; `probability` in [0, 1]. Raises InvalidInput otherwise.
    """

    rows: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    probability: Floats
    prediction: npt.NDArray[np.int8]

    def __post_init__(self) -> None:
        lengths = [len(self.label), len(self.probability), len(self.prediction)]
        if lengths != [int(self.rows.sum())] * 3 or not len(self.rows) or self.rows.min() < 1:
            raise InvalidInput(
                f"stays of {int(self.rows.sum())} rows, but {lengths} labels, probabilities, predictions",
                value=lengths,
                bound="one of each a row, at least one stay, at least one row a stay",
            )
        for name, values in (("label", self.label), ("prediction", self.prediction)):
            _require(name, values, np.isin(values, (0, 1)), "0 or 1")
        inside = (self.probability >= 0) & (self.probability <= 1)
        _require("probability", self.probability, inside, "[0, 1]")

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """(S,) the first row of each stay."""
        return np.cumsum(self.rows) - self.rows


@dataclass(frozen=True)
class ChallengeMetrics:
    """The five figures of the challenge; None where a figure is undefined."""

    auroc: float | None
    auprc: float | None
    accuracy: float | None
    f_measure: float | None
    utility: float | None


@dataclass(frozen=True)
class StayUtilities:
    """What each stay earns, (S,) each: as predicted, at best, and by predicting nothing."""

    observed: Floats
    best: Floats
    inaction: Floats

    def normalised(self, weight: Floats | None = None) -> float | None:
        """Utility over all stays, each counted `weight` (S,) times; None if no stay is septic."""
        weight = np.ones_like(self.observed) if weight is None else weight
        observed, best, inaction = (float(weight @ u) for u in (self.observed, self.best, self.inaction))
        return (observed - inaction) / (best - inaction) if best > inaction else None


def summarise(cohort: Cohort) -> ChallengeMetrics:
    """All five figures of a cohort."""
    return ChallengeMetrics(
        auroc=classification.auroc(cohort.label, cohort.probability),
        auprc=classification.auprc(cohort.label, cohort.probability),
        accuracy=classification.accuracy(cohort.label, cohort.prediction),
        f_measure=classification.f_measure(cohort.label, cohort.prediction),
        utility=stay_utilities(cohort.rows, cohort.label, cohort.prediction).normalised(),
    )


def utility(label: Sequence[int], prediction: Sequence[int]) -> float:
    """The utility one stay earns, not normalised; `label` and `prediction` (R,) in {0, 1}."""
    labels, predictions = np.asarray(label, dtype=np.int8), np.asarray(prediction, dtype=np.int8)
    cohort = Cohort(np.array([len(labels)]), labels, predictions.astype(np.float64), predictions)
    return float(stay_utilities(cohort.rows, cohort.label, cohort.prediction).observed[0])


def stay_utilities(
    rows: npt.NDArray[np.int64], label: npt.NDArray[np.int8], prediction: npt.NDArray[np.int8]
) -> StayUtilities:
    """What each of S stays earns; `rows` (S,), `label` and `prediction` (N,) as in `Cohort`."""
    starts = np.cumsum(rows) - rows
    hours_from_sepsis, septic = _hours_from_sepsis(rows, starts, label)
    positive, negative = _worth(hours_from_sepsis, septic)
    ideal = septic & (hours_from_sepsis >= EARLIEST) & (hours_from_sepsis <= LATEST)
    return StayUtilities(
        observed=np.add.reduceat(np.where(prediction, positive, negative), starts),
        best=np.add.reduceat(np.where(ideal, positive, negative), starts),
        inaction=np.add.reduceat(negative, starts),
    )


def _hours_from_sepsis(
    rows: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], label: npt.NDArray[np.int8]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """tau (N,), and whether the row's stay is septic (N,); tau means nothing where it is not."""
    row = np.arange(len(label)) - np.repeat(starts, rows)
    first_positive = np.minimum.reduceat(np.where(label, row, len(label)), starts)
    septic = np.repeat(first_positive < len(label), rows)
    return row - np.repeat(first_positive, rows) + OPTIMAL, septic


def _worth(tau: npt.NDArray[np.int64], septic: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """(N,) what predicting 1, and what predicting 0, earns in each row."""
    early, late = tau <= OPTIMAL, tau > LATEST
    positive = np.where(early, np.maximum((tau - EARLIEST) / (OPTIMAL - EARLIEST), FALSE_ALARM), 0.0)
    positive = np.where(~early & ~late, (LATEST - tau) / (LATEST - OPTIMAL), positive)
    negative = np.where(early | late, 0.0, -2 * (tau - OPTIMAL) / (LATEST - OPTIMAL))
    return np.where(septic, positive, FALSE_ALARM), np.where(septic, negative, 0.0)


def _require(name: str, values: npt.NDArray[Any], good: npt.NDArray[np.bool_], bound: str) -> None:
    if not good.all():
        row = int(np.argmin(good))
        raise InvalidInput(f"row {row}: {name} {values[row]} must be {bound}", value=values[row], bound=bound)
