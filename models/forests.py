"""Boosted forests on hours of stays, for models and for a model's teacher.

Neighbouring hours say nearly the same, so each forest grows on thinned rows only and misses little, and the
mean of several errs less than one on all of them.

    N  rows     F  features
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


class Growth(Protocol):
    """How many `forests` of how many `trees`, and how each tree grows."""

    @property
    def trees(self) -> int: ...
    @property
    def forests(self) -> int: ...
    @property
    def rate(self) -> float: ...
    @property
    def leaves(self) -> int: ...
    @property
    def smallest_leaf(self) -> int: ...
    @property
    def l2(self) -> float: ...
    @property
    def seed(self) -> int: ...


def grow(
    growth: Growth,
    features_a_split: float,
    rows: npt.NDArray[np.float32],
    label: npt.NDArray[np.int8],
    among: npt.NDArray[np.int64] | None = None,
) -> Iterator[HistGradientBoostingClassifier]:
    """One forest after the other, each on every `growth.forests`-th row (N, F), or of those `among`."""
    chosen = np.arange(len(rows)) if among is None else among
    for first in range(growth.forests):
        own = chosen[first :: growth.forests]
        with threadpool_limits(1):  # two threads waiting for each other take minutes
            grown = _forest(growth, features_a_split).fit(rows[own], label[own])
        yield grown


def _forest(growth: Growth, features_a_split: float) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=growth.rate,
        max_iter=growth.trees,
        max_leaf_nodes=growth.leaves,
        min_samples_leaf=growth.smallest_leaf,
        l2_regularization=growth.l2,
        max_features=features_a_split,
        max_bins=127,
        early_stopping=False,
        random_state=growth.seed,
    )
