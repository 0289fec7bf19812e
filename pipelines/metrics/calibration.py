"""Whether scores are probabilities: logistic recalibration, calibration error and Brier score.

    logit P(y = 1) = a + b logit(p)

`slope` is b of that fit: below 1 the scores are too extreme, above 1 too timid. `intercept` is a where b is
held at 1, calibration in the large: below 0 the scores are too high on the whole, above 0 too low.
Sources: Cox 1958, doi:10.1093/biomet/45.3-4.562; Van Calster et al. 2019, doi:10.1186/s12916-019-1466-7.

    N  rows     S  stays     D  draws of the bootstrap     K  coefficients

Intervals draw whole subjects. A figure is None where it is undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.metrics.bootstrap import Bootstrap, Interval, interval, subject_weights

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int8]

CLOSEST = 1e-6  # a score of exactly 0 or 1 has no logit, and would claim a certainty that no model has
BINS = 10  # each of a tenth of the rows: of equal widths, nearly all of them would fall into the first
_STEPS, _CLOSE = 50, 1e-10


@dataclass(frozen=True)
class CalibrationFigures:
    """Slope 1, intercept 0, and an error and a Brier score of 0 would be perfect."""

    slope: float | None
    intercept: float | None
    error: float | None
    brier: float | None


@dataclass(frozen=True)
class CalibrationIntervals:
    """The interval of each figure."""

    slope: Interval
    intercept: Interval
    error: Interval
    brier: Interval


def calibration(label: Labels, probability: Floats) -> CalibrationFigures:
    """All four figures of rows (N,); the slope is also None where a cut separates the classes."""
    if not len(label):
        return CalibrationFigures(None, None, None, None)
    x = logit(probability)
    recalibrated, shifted = fit(_with_ones(x), np.zeros_like(x), label), fit(_ones(x), x, label)
    gap = np.bincount(equal_bins(probability), label - probability, BINS)
    return CalibrationFigures(
        slope=None if recalibrated is None else float(recalibrated[1]),
        intercept=None if shifted is None else float(shifted[0]),
        error=float(np.abs(gap).sum() / len(label)),
        brier=float(np.mean((probability - label) ** 2)),
    )


def calibration_intervals(
    rows: Integers, label: Labels, probability: Floats, subjects: Sequence[str], bootstrap: Bootstrap
) -> CalibrationIntervals:
    """Intervals of the four figures; `rows` (S,) of each stay, `subjects` (S,) says whose it is.

    A draw's slope and intercept are one Newton step from those of all rows: what that leaves out is of order
    1 / S, where the interval's width is of order 1 / sqrt(S). The bins of the error are those of all rows.
    There is no interval where a draw has no such step.
    """
    weight = subject_weights(subjects, bootstrap).astype(np.float64)  # (D, S)
    starts, x = np.cumsum(rows) - rows, logit(probability)
    counted = weight @ rows
    squares = weight @ np.add.reduceat((probability - label) ** 2, starts)
    stay = np.repeat(np.arange(len(rows)), rows)
    gap = np.bincount(stay * BINS + equal_bins(probability), label - probability, BINS * len(rows))
    gaps = np.abs(weight @ gap.reshape(len(rows), BINS)).sum(axis=1)
    drawn = {
        "slope": _refitted(_with_ones(x), np.zeros_like(x), label, starts, weight),
        "intercept": _refitted(_ones(x), x, label, starts, weight),
        "error": gaps / counted,
        "brier": squares / counted,
    }
    return CalibrationIntervals(**{name: interval(one, bootstrap.level) for name, one in drawn.items()})


def logit(probability: Floats) -> Floats:
    """log(p / (1 - p)), with p no closer to 0 and 1 than `CLOSEST`."""
    inside = np.clip(probability, CLOSEST, 1 - CLOSEST)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def fit(design: Floats, offset: Floats, label: Labels) -> Floats | None:
    """Coefficients (K,) of greatest likelihood of logit P(y = 1) = design (N, K) @ . + offset (N,).

    None where there is no single one: without both classes, with constant columns, or separated classes.
    """
    coefficients = np.zeros(design.shape[1])
    if not label.any() or label.all():
        return None
    for _ in range(_STEPS):
        mean = _mean(design, offset, coefficients)
        curvature = design.T @ (design * (mean * (1 - mean))[:, None])
        if _singular(curvature):
            return None
        gradient = design.T @ (label - mean)
        step = np.linalg.solve(curvature, gradient)
        here = _likelihood(design, offset, label, coefficients)
        least = here - _CLOSE * (1 + abs(here))  # sums round
        # from afar, as where scores are far too low, a whole step leaps over the top
        while _likelihood(design, offset, label, coefficients + step) < least + gradient @ step / 4:
            step /= 2
        coefficients += step
        if np.abs(step).max() < _CLOSE:
            return coefficients
    return None


def _refitted(design: Floats, offset: Floats, label: Labels, starts: Integers, weight: Floats) -> Floats:
    """The last coefficient in each draw, (D,); NaN where all rows have none."""
    coefficients = fit(design, offset, label)
    if coefficients is None:
        return np.full(len(weight), np.nan)
    mean = _mean(design, offset, coefficients)
    slopes = np.add.reduceat(design * (label - mean)[:, None], starts)  # (S, K), summed by stay
    products = design[:, :, None] * design[:, None, :] * (mean * (1 - mean))[:, None, None]
    curvature = np.tensordot(weight, np.add.reduceat(products, starts), axes=1)  # (D, K, K)
    lost = _singular(curvature)  # draws of few rows, or of equal scores
    curvature[lost] = np.eye(len(coefficients))
    steps = np.linalg.solve(curvature, (weight @ slopes)[:, :, None])[:, :, 0]
    return np.where(lost, np.nan, coefficients[-1] + steps[:, -1])


def _singular(curvature: Floats) -> npt.NDArray[np.bool_]:
    """Which matrices (..., K, K) have no inverse to speak of."""
    return np.asarray(np.linalg.cond(curvature) > 1 / np.finfo(np.float64).eps)


def _mean(design: Floats, offset: Floats, coefficients: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(design @ coefficients + offset, -500, 500))))


def _likelihood(design: Floats, offset: Floats, label: Labels, coefficients: Floats) -> float:
    """The logarithm of it."""
    logits = design @ coefficients + offset
    return float(np.sum(label * logits - np.logaddexp(0, logits)))


def equal_bins(probability: Floats) -> Integers:
    """Which of `BINS` equally full bins a row falls into, (N,); equal scores share one.

    Source: Naeini et al. 2015, doi:10.1609/aaai.v29i1.9602, there of equal widths.
    """
    edges = np.quantile(probability, np.arange(1, BINS) / BINS)
    return np.searchsorted(edges, probability, side="right")


def _with_ones(x: Floats) -> Floats:
    return np.stack([np.ones_like(x), x], axis=1)


def _ones(x: Floats) -> Floats:
    return np.ones((len(x), 1))
