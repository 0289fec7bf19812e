"""Weights of a stack: not negative, the likeliest, and silent about who says nothing."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput
from models.stacking import Stacking, stack


def hours(count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Two members that know something, and one that knows nothing."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=count)
    x = np.stack(
        [truth + rng.normal(size=count), truth + 2 * rng.normal(size=count), rng.normal(size=count)], 1
    )
    return x, (truth + rng.logistic(size=count) > 1.5).astype(np.int8)


def test_weights_are_those_of_logistic_regression_where_none_is_negative() -> None:
    x, label = hours()
    found = stack(x[:, :2], label, penalty=1e-12)
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x[:, :2], label)
    np.testing.assert_allclose(found.weight, peer.coef_[0], atol=2e-3)
    np.testing.assert_allclose(found.logit(x[:, :2]), peer.decision_function(x[:, :2]), atol=1e-2)


def test_no_weight_is_negative() -> None:
    x, label = hours()
    x[:, 2] = -x[:, 0]
    found = stack(x, label)
    assert found.weight[0] > 0
    assert found.weight[2] == 0.0


def test_a_member_without_a_score_says_what_it_says_on_average() -> None:
    found = Stacking(weight=(0.5, 2.0), centre=(1.0, -1.0), intercept=-3.0)
    silent, average = np.array([[2.0, np.nan]]), np.array([[2.0, -1.0]])
    np.testing.assert_array_equal(found.logit(silent), found.logit(average))
    np.testing.assert_array_equal(found.logit(average), [-2.5])


def test_one_label_is_refused() -> None:
    with pytest.raises(InvalidInput, match="one label"):
        stack(np.zeros((5, 2)), np.zeros(5))
