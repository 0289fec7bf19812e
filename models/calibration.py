"""From a logit to a probability by Platt scaling, and from that to a threshold.

    p = 1 / (1 + exp(-(slope * logit + intercept)))     before the first score: the prior (models/prior.py)

Source: Platt 1999. A slope above 0 changes no order. Who only scores does not load what learns it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput

Floats = npt.NDArray[np.float64]

CLOSEST = 1e-6  # to 0 and 1: beyond it a score would claim a certainty that no model has


@dataclass(frozen=True)
class Calibration:
    """Platt scaling of the logit; `slope` > 0, so it never changes an order.

    `prior` is the probability in [0, 1] of an hour before the first score, which has no logit.
    """

    slope: float = 1.0
    intercept: float = 0.0
    prior: float = 0.0

    def __call__(self, logit: Floats) -> Floats:
        """Scores in [0, 1]."""
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * (self.slope * logit + self.intercept)))


def calibrate(
    logit: Floats, label: npt.NDArray[np.generic], prior: float, weight: Floats | None = None
) -> Calibration:
    """Platt scaling of greatest likelihood of `logit` (N,) against `label` (N,) of 0 and 1; each row counts
    `weight` (N,) times. `prior` is that of the hours without a logit.

    Raises InvalidInput where there is one label only, or the logits do not rise with it.
    """
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # noqa: PLC0415

    check_both_labels(label)
    fitted = LogisticRegression(C=np.inf).fit(logit[:, None], label, sample_weight=weight)
    slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    if slope <= 0:
        raise InvalidInput("the logits rank at random or worse", value=slope, bound="a slope above 0")
    return Calibration(slope, intercept, prior)


def best_f1(score: Floats, label: npt.NDArray[np.generic], weight: Floats | None = None) -> float:
    """The threshold on `score` (N,) of highest F1 against `label` (N,)."""
    from sklearn.metrics import precision_recall_curve  # type: ignore[import-untyped]  # noqa: PLC0415

    precision, recall, candidates = precision_recall_curve(label, score, sample_weight=weight)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(candidates[np.argmax(f1[:-1])])


def check_both_labels(label: npt.NDArray[np.generic]) -> None:
    """Raises InvalidInput unless `label` (N,) holds two different ones."""
    if len(np.unique(label)) != 2:  # noqa: PLR2004  positive and not
        raise InvalidInput("validation hours with one label only", value=1, bound="2 labels")


def logit_of(score: Floats) -> Floats:
    """The logit of scores in [0, 1], none closer to 0 and 1 than `CLOSEST`; NaN stays NaN."""
    inside = np.clip(score, CLOSEST, 1.0 - CLOSEST)
    return np.asarray(np.log(inside) - np.log1p(-inside))
