"""Intervals of the challenge's figures: a percentile bootstrap over subjects.

Hours of one subject are not independent, so whole subjects are drawn with replacement: each draw counts every
row as often as its subject was drawn. Source: Efron and Tibshirani 1993, chapter 13.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from pipelines.metrics.cinc2019 import Cohort, stay_utilities
from pipelines.metrics.classification import RankedRows


@dataclass(frozen=True)
class Bootstrap:
    """How many `draws`, from which `seed`; `level` is the share of draws inside the interval."""

    draws: int = 500  # the ends of a 95 % interval move by about a tenth of its width from seed to seed
    seed: int = 2019
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.draws < 1 or not 0 < self.level < 1:
            raise InvalidInput(
                f"bootstrap of {self.draws} draws at level {self.level}; expected at least 1 draw, "
                "level in (0, 1)",
                value=self.draws,
                bound="at least 1 draw, level in (0, 1)",
            )
        if self.seed < 0:
            raise InvalidInput(f"bootstrap seed {self.seed}; expected >= 0", value=self.seed, bound=">= 0")


@dataclass(frozen=True)
class Interval:
    """The ends of an interval; None where the figure was undefined in a draw."""

    low: float | None
    high: float | None


@dataclass(frozen=True)
class Intervals:
    """Intervals of the figures that rank and weigh a model."""

    auroc: Interval
    auprc: Interval
    utility: Interval


def intervals(cohort: Cohort, subjects: Sequence[str], bootstrap: Bootstrap) -> Intervals:
    """Intervals of AUROC, AUPRC and utility; `subjects` (S,) says whose each stay of `cohort` is."""
    stay = np.repeat(np.arange(len(cohort.rows)), cohort.rows)
    ranked = RankedRows.of(cohort.label, cohort.probability, stay)
    earned = stay_utilities(cohort.rows, cohort.label, cohort.prediction)
    figures = np.empty((bootstrap.draws, 3))
    weights = subject_weights(subjects, bootstrap)
    figures[:, :2] = ranked.areas(weights)
    for draw, weight in zip(figures, weights, strict=True):
        utility = earned.normalised(weight.astype(np.float64))
        draw[2] = np.nan if utility is None else utility
    return Intervals(*(interval(figures[:, column], bootstrap.level) for column in range(3)))


def subject_weights(subjects: Sequence[str], bootstrap: Bootstrap) -> npt.NDArray[np.int64]:
    """How often each draw counts each stay, (draws, S); `subjects` (S,) says whose each stay is."""
    distinct, subject = np.unique(np.asarray(subjects), return_inverse=True)
    rng = np.random.default_rng(bootstrap.seed)
    drawn = np.empty((bootstrap.draws, len(distinct)), dtype=np.int64)
    for draw in drawn:
        draw[:] = np.bincount(rng.integers(0, len(distinct), len(distinct)), minlength=len(distinct))
    return drawn[:, subject]


def interval(figures: npt.NDArray[np.float64], level: float) -> Interval:
    """The ends between which the share `level` of a figure's draws (draws,) lies."""
    if np.isnan(figures).any():
        return Interval(None, None)
    low, high = np.quantile(figures, (0.5 - level / 2, 0.5 + level / 2))
    return Interval(float(low), float(high))
