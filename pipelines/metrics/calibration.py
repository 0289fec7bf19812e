"""Whether scores are probabilities: logistic recalibration, calibration error and Brier score.

    logit P(y = 1) = a + b logit(p)

`slope` is b of that fit: below 1 the scores are too extreme, above 1 too timid. `intercept` is a where b is
held at 1, calibration in the large: below 0 the scores are too high on the whole, above 0 too low.
Sources: Cox 1958, doi:10.1093/biomet/45.3-4.562; Van Calster et al. 2019, doi:10.1186/s12916-019-1466-7.

Every row may count `weight` times, as a bootstrap over subjects needs. A figure is None where undefined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
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


def calibration(label: Labels, probability: Floats, weight: Floats | None = None) -> CalibrationFigures:
    """All four figures of rows (N,)."""
    weight = np.ones(len(label)) if weight is None else weight
    return CalibrationFigures(
        slope=slope(label, probability, weight),
        intercept=intercept(label, probability, weight),
        error=expected_error(label, probability, weight),
        brier=brier(label, probability, weight),
    )


def slope(label: Labels, probability: Floats, weight: Floats) -> float | None:
    """b of the fit; None without both classes, two distinct scores, or where they separate the classes."""
    x = logit(probability)
    if not _both_classes(label, weight) or np.ptp(x[weight > 0]) == 0:
        return None
    fitted = _fit(np.stack([np.ones_like(x), x], axis=1), np.zeros_like(x), label, weight)
    return None if fitted is None else float(fitted[1])


def intercept(label: Labels, probability: Floats, weight: Floats) -> float | None:
    """a of the fit with b = 1; None without both classes."""
    if not _both_classes(label, weight):
        return None
    fitted = _fit(np.ones((len(label), 1)), logit(probability), label, weight)
    return None if fitted is None else float(fitted[0])


def expected_error(label: Labels, probability: Floats, weight: Floats, bins: int = BINS) -> float | None:
    """Mean over `bins` equally full bins of |mean label - mean score|, by rows; None without rows.

    Equal scores stay in one bin. Source: Naeini et al. 2015, doi:10.1609/aaai.v29i1.9602.
    """
    if not weight.sum():
        return None
    edges = np.quantile(probability, np.arange(1, bins) / bins)
    place = np.searchsorted(edges, probability, side="right")
    gap = np.bincount(place, weight * (label - probability), bins)
    return float(np.abs(gap).sum() / weight.sum())


def brier(label: Labels, probability: Floats, weight: Floats) -> float | None:
    """Mean squared difference of score and label; None without rows. Source: Brier 1950."""
    return float(weight @ (probability - label) ** 2 / weight.sum()) if weight.sum() else None


def logit(probability: Floats) -> Floats:
    """log(p / (1 - p)), with p no closer to 0 and 1 than `CLOSEST`."""
    inside = np.clip(probability, CLOSEST, 1 - CLOSEST)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _fit(design: Floats, offset: Floats, label: Labels, weight: Floats) -> Floats | None:
    """Newton's steps to the greatest likelihood of a logistic fit (K,); None where it does not exist."""
    coefficients = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        mean = 1 / (1 + np.exp(-np.clip(design @ coefficients + offset, -500, 500)))
        curvature = design.T @ (design * (weight * mean * (1 - mean))[:, None])
        if np.linalg.cond(curvature) > 1 / np.finfo(np.float64).eps:
            return None
        step = np.linalg.solve(curvature, design.T @ (weight * (label - mean)))
        coefficients += step
        if np.abs(step).max() < _CLOSE:
            return coefficients
    return None


def _both_classes(label: Labels, weight: Floats) -> bool:
    counted = label[weight > 0]
    return bool(counted.any()) and not bool(counted.all())
