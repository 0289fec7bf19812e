"""How well hourly scores tell positive hours from negative ones: ranking and the two-by-two table.

Every metric is None where it is undefined, never a stand-in: no ranking without both classes, no F-measure
without a positive label or prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score  # type: ignore[import-untyped]

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer[Any]]


def auroc(label: Labels, probability: Floats) -> float | None:
    """Area under the ROC curve over all rows (N,); None unless both classes occur."""
    if not _both_classes(label):
        return None
    return min(float(roc_auc_score(label, probability)), 1.0)  # sums of steps may round above it


def auprc(label: Labels, probability: Floats) -> float | None:
    """Area under precision over recall as steps, sum_k (R_k - R_{k-1}) P_k; None without a positive row."""
    if not np.any(label):
        return None
    return min(float(average_precision_score(label, probability)), 1.0)


def accuracy(label: Labels, prediction: Labels) -> float | None:
    """Share of rows predicted as labelled; None without rows."""
    return float(np.mean(label == prediction)) if len(label) else None


def f_measure(label: Labels, prediction: Labels) -> float | None:
    """2 TP / (2 TP + FP + FN); None where nothing is labelled and nothing predicted positive."""
    positives = int(np.count_nonzero(label)) + int(np.count_nonzero(prediction))
    return 2 * int(np.count_nonzero(label & prediction)) / positives if positives else None


@dataclass(frozen=True)
class RankedRows:
    """The rows of S stays, ranked once, so that areas under many weightings of the stays cost little each.

    Rows of one stay, one score and one label become one `count` (K,); `group` (K,) ranks its score, 0 the
    highest of `groups`. scikit-learn would sort every row anew for each weighting.
    """

    groups: int
    group: npt.NDArray[np.int64]
    stay: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    positives: int  # the first so many of the K are positive, the others negative

    @classmethod
    def of(cls, label: Labels, probability: Floats, stay: npt.NDArray[np.int64]) -> RankedRows:
        """Rank rows (N,); `stay` (N,) in 0 .. S - 1 says whose each is."""
        distinct, ascending = np.unique(probability, return_inverse=True)
        groups, stays = len(distinct), int(stay.max()) + 1
        negative = np.asarray(label == 0, dtype=np.int64)
        key, count = np.unique(
            (negative * groups + groups - 1 - ascending) * stays + stay, return_counts=True
        )
        group, whose = np.divmod(key, stays)
        return cls(groups, group % groups, whose, count, int(np.count_nonzero(group < groups)))

    def areas(self, weight: Floats) -> tuple[float, float]:
        """AUROC and AUPRC with each stay counted `weight` (S,) times; NaN where undefined."""
        rows, split = self.count * weight[self.stay], self.positives
        positive = np.bincount(self.group[:split], rows[:split], self.groups)
        negative = np.bincount(self.group[split:], rows[split:], self.groups)
        hits, false = np.cumsum(positive), np.cumsum(negative)
        called = hits + false
        precision = np.divide(hits, called, out=np.ones_like(hits), where=called > 0)
        # a positive outranks every negative below its group, and half of those it ties with
        outranked = false[-1] - false + negative / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            auroc = positive @ outranked / (hits[-1] * false[-1])
            return float(auroc), float(positive @ precision / hits[-1])


def _both_classes(label: Labels) -> bool:
    return bool(np.any(label)) and not bool(np.all(label))
