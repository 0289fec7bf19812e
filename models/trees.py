"""Boosted trees as plain arrays: grown by scikit-learn, kept without a pickle, asked by a compiled loop.

    logit(x) = base + sum over trees of the value of the leaf that x falls into

An inner node sends x left where x[feature] <= threshold, or where x[feature] is NaN and the node's missing
values go left. `contributions` follows the same paths: what a step changes in a node's value belongs to the
feature that was asked (Saabas 2014), so that contributions and `base` add up to the logit.

    N  rows     F  features     K  nodes of all trees     R  trees
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from models.compiled import compiled_as_written

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int32]
Rows = npt.NDArray[np.float32]

LEAF = -1  # the feature of a node that asks nothing


class Nodes(NamedTuple):
    """All nodes, end to end: `feature` (K,) that is asked, `LEAF` in a leaf; `threshold`, `value` (K,);
    `left`, `right` (K,) successors; `missing_left` (K,) whether NaN goes left.
    """

    feature: Places
    threshold: Floats
    value: Floats
    left: Places
    right: Places
    missing_left: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Trees:
    """`root` (R,) says at which of `nodes` each tree begins."""

    base: float
    nodes: Nodes
    root: Places

    @classmethod
    def of(cls, grown: Sequence[HistGradientBoostingClassifier]) -> Self:
        """The mean logit of binary classifiers that were grown on numbers alone, at least one."""
        trees = [predictor.nodes for one in grown for (predictor,) in one._predictors]
        together = np.concatenate(trees)
        root = np.cumsum([0, *(len(one) for one in trees[:-1])])
        first = np.repeat(root, [len(one) for one in trees])
        leaf = together["is_leaf"].astype(bool)
        # scikit-learn has shrunk the leaves by the learning rate and left the inner nodes as they were
        rates = [one.learning_rate for one in grown for _ in one._predictors]
        shrunk = np.where(leaf, 1.0, np.repeat(rates, [len(one) for one in trees]))
        nodes = Nodes(
            feature=np.where(leaf, LEAF, together["feature_idx"]).astype(np.int32),
            threshold=np.where(leaf, 0.0, together["num_threshold"]),
            value=together["value"] * shrunk / len(grown),
            left=np.where(leaf, 0, first + together["left"]).astype(np.int32),
            right=np.where(leaf, 0, first + together["right"]).astype(np.int32),
            missing_left=together["missing_go_to_left"].astype(bool),
        )
        base = float(np.mean([one._baseline_prediction[0, 0] for one in grown]))
        return cls(base, nodes, root.astype(np.int32))

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        nodes = Nodes(*(arrays[name] for name in Nodes._fields))
        return cls(float(arrays["base"][0]), nodes, arrays["root"])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Every array by its name."""
        return {**self.nodes._asdict(), "root": self.root, "base": np.array([self.base])}

    def logit(self, rows: Rows) -> Floats:
        """The logit of each of `rows` (N, F): (N,)."""
        out = np.full(len(rows), self.base)
        _add_leaves(rows, self.nodes, self.root, out)
        return out

    def contributions(self, rows: Rows) -> Floats:
        """How much each feature moves the logit of each of `rows` (N, F) from what the roots say: (N, F)."""
        out = np.zeros(rows.shape)
        _add_steps(rows, self.nodes, self.root, out)
        return out


@compiled_as_written
def _add_leaves(rows: Rows, nodes: Nodes, root: Places, out: Floats) -> None:
    for tree in range(len(root)):  # a tree at a time: its nodes stay in the cache while the rows pass
        for row in range(len(rows)):
            node = root[tree]
            while nodes.feature[node] != LEAF:
                x = rows[row, nodes.feature[node]]
                goes_left = nodes.missing_left[node] if np.isnan(x) else x <= nodes.threshold[node]
                node = nodes.left[node] if goes_left else nodes.right[node]
            out[row] += nodes.value[node]


@compiled_as_written
def _add_steps(rows: Rows, nodes: Nodes, root: Places, out: Floats) -> None:
    for tree in range(len(root)):
        for row in range(len(rows)):
            node = root[tree]
            while nodes.feature[node] != LEAF:
                asked = nodes.feature[node]
                x = rows[row, asked]
                goes_left = nodes.missing_left[node] if np.isnan(x) else x <= nodes.threshold[node]
                after = nodes.left[node] if goes_left else nodes.right[node]
                out[row, asked] += nodes.value[after] - nodes.value[node]
                node = after
