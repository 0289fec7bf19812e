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
    return float(roc_auc_score(label, probability))


def auprc(label: Labels, probability: Floats) -> float | None:
    """Area under precision over recall as steps, sum_k (R_k - R_{k-1}) P_k; None without a positive row."""
    if not np.any(label):
        return None
    return float(average_precision_score(label, probability))


def accuracy(label: Labels, prediction: Labels) -> float | None:
    """Share of rows predicted as labelled; None without rows."""
    return float(np.mean(label == prediction)) if len(label) else None


def f_measure(label: Labels, prediction: Labels) -> float | None:
    """2 TP / (2 TP + FP + FN); None where nothing is labelled and nothing predicted positive."""
    positives = int(np.count_nonzero(label)) + int(np.count_nonzero(prediction))
    return 2 * int(np.count_nonzero(label & prediction)) / positives if positives else None


@dataclass(frozen=True)
class RankedRows:
    """Rows grouped by score once, so that areas under many weightings (the bootstrap) cost one pass each.

    `group` (N,) is the rank of each row's score, 0 the highest; scikit-learn would sort anew each time.
    """

    group: npt.NDArray[np.int64]
    groups: int
    label: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, label: Labels, probability: Floats) -> RankedRows:
        """Rank the rows of `label` (N,) and `probability` (N,)."""
        distinct, ascending = np.unique(probability, return_inverse=True)
        return cls(len(distinct) - 1 - ascending, len(distinct), np.asarray(label, dtype=np.bool_))

    def areas(self, weight: Floats) -> tuple[float, float]:
        """AUROC and AUPRC with each row counted `weight` (N,) times; NaN where undefined."""
        positive = np.bincount(self.group[self.label], weight[self.label], self.groups)
        negative = np.bincount(self.group[~self.label], weight[~self.label], self.groups)
        hits, false = np.cumsum(positive), np.cumsum(negative)
        called = hits + false
        precision = np.divide(hits, called, out=np.ones_like(hits), where=called > 0)
        # a positive outranks every negative below its group, and half of those it ties with
        outranked = false[-1] - false + negative / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            return (
                float(positive @ outranked / (hits[-1] * false[-1])),
                float(positive @ precision / hits[-1]),
            )


def _both_classes(label: Labels) -> bool:
    return bool(np.any(label)) and not bool(np.all(label))
