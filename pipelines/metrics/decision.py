"""Decision curve: is acting on a score worth more than acting on everybody, or on nobody?

    net benefit(p) = TP / N - FP / N x p / (1 - p)

p is the threshold probability at which one would act: whoever acts at 0.1 bears nine false alarms for one
true one. Acting on everybody gains prevalence - (1 - prevalence) p / (1 - p), acting on nobody 0.

Source: Vickers and Elkin 2006, doi:10.1177/0272989X06295361.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit in true positives a row, (T,) each, at every `threshold` (T,); acting on none has 0."""

    threshold: Floats
    model: Floats
    everybody: Floats


def decision_curve(label: Labels, probability: Floats, threshold: Floats) -> DecisionCurve:
    """Net benefit of acting where `probability` (N,) reaches `threshold` (T,), each in [0, 1).

    Raises InvalidInput without rows, or for a threshold outside its bounds.
    """
    if not len(label):
        raise InvalidInput("a decision curve needs at least one row")
    if not ((threshold >= 0) & (threshold < 1)).all():
        raise InvalidInput(f"thresholds {threshold} must lie in [0, 1)", value=threshold, bound="[0, 1)")
    order = np.argsort(probability)
    above = np.searchsorted(probability[order], threshold, side="left")
    true_above = np.concatenate([np.cumsum(label[order][::-1])[::-1], [0]])[above]
    odds, prevalence = threshold / (1 - threshold), float(np.mean(label))
    false_above = len(label) - above - true_above
    return DecisionCurve(
        threshold=threshold,
        model=(true_above - false_above * odds) / len(label),
        everybody=prevalence - (1 - prevalence) * odds,
    )
