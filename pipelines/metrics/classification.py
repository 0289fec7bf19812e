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

from pipelines.metrics.area_passes import areas_of_block

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer[Any]]

_BLOCK = 64  # weightings side by side: those of 8,000 stays stay in the cache


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
    highest. scikit-learn would sort every row anew for each weighting.
    """

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
        return cls(group % groups, whose, count, int(np.count_nonzero(group < groups)))

    def areas(self, weights: npt.NDArray[np.float64 | np.int64]) -> Floats:
        """AUROC and AUPRC (D, 2), each stay counted as often as `weights` (D, S) say; NaN where undefined."""
        found = np.empty((len(weights), 2))
        for first in range(0, len(weights), _BLOCK):
            block = np.ascontiguousarray(weights[first : first + _BLOCK].T, dtype=np.float64)
            into = found[first : first + _BLOCK]
            areas_of_block(self.positives, self.group, self.stay, self.count, block, into)
        return found


def _both_classes(label: Labels) -> bool:
    return bool(np.any(label)) and not bool(np.all(label))
