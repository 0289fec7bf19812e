"""Trees as arrays against scikit-learn, which grew them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]

from models.trees import LEAF, Trees


def grown(seed: int) -> HistGradientBoostingClassifier:
    rng = np.random.default_rng(seed)
    rows = rows_of(seed, 800)
    label = np.nan_to_num(rows[:, 0]) + rng.normal(size=800) > 0.7
    return HistGradientBoostingClassifier(max_iter=12, early_stopping=False, random_state=seed).fit(
        rows, label
    )


def rows_of(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng([seed, 1])
    rows = rng.normal(size=(count, 5)).astype(np.float32).round(1)  # so that many lie on a threshold
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows


@pytest.fixture(scope="module")
def forests() -> list[HistGradientBoostingClassifier]:
    return [grown(seed) for seed in range(3)]


@given(seed=st.integers(0, 10_000))
def test_the_logit_is_the_mean_decision_function(
    forests: list[HistGradientBoostingClassifier], seed: int
) -> None:
    rows = rows_of(seed, 30)
    mean = np.mean([one.decision_function(rows) for one in forests], axis=0)
    np.testing.assert_allclose(Trees.of(forests).logit(rows), mean, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(Trees.of(forests[:1]).logit(rows), forests[0].decision_function(rows))


def test_contributions_add_up_to_the_logit(forests: list[HistGradientBoostingClassifier]) -> None:
    trees, rows = Trees.of(forests), rows_of(7, 50)
    rooted = trees.base + trees.nodes.value[trees.root].sum()
    added = trees.contributions(rows)
    np.testing.assert_allclose(added.sum(axis=1) + rooted, trees.logit(rows), rtol=0, atol=1e-12)
    assert np.abs(added[:, 0]).mean() > 3 * np.abs(added[:, 1:]).mean()  # the feature that made the labels


def test_a_node_says_something_between_what_its_successors_say(
    forests: list[HistGradientBoostingClassifier],
) -> None:
    """Without a penalty a node's value is a weighted mean of its successors'."""
    nodes = Trees.of(forests).nodes
    inner = np.flatnonzero(nodes.feature != LEAF)
    both = np.sort([nodes.value[nodes.left[inner]], nodes.value[nodes.right[inner]]], axis=0)
    assert (both[0] - 1e-9 <= nodes.value[inner]).all()
    assert (nodes.value[inner] <= both[1] + 1e-9).all()


def test_arrays_make_the_same_trees(forests: list[HistGradientBoostingClassifier]) -> None:
    trees, rows = Trees.of(forests), rows_of(8, 20)
    np.testing.assert_array_equal(Trees.from_arrays(trees.arrays()).logit(rows), trees.logit(rows))
