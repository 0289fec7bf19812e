"""scikit-learn's own conformance tests, and what they do not ask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.base import clone  # type: ignore[import-untyped]
from sklearn.utils.estimator_checks import parametrize_with_checks  # type: ignore[import-untyped]

from models.dtw.classifier import DTWEnsembleClassifier


@parametrize_with_checks([DTWEnsembleClassifier(neighbours=3)])  # type: ignore[untyped-decorator]
def test_it_conforms(
    estimator: DTWEnsembleClassifier, check: Callable[[DTWEnsembleClassifier], None]
) -> None:
    check(estimator)


def two_shapes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bumps that come early or late and at any hour; the second variable is noise, and partly unknown."""
    random = np.random.default_rng(count)
    late = np.arange(count) % 2
    values = 0.1 * random.normal(size=(count, 12, 2))
    for one in range(count):
        values[one, random.integers(0, 4) + 4 * late[one] :, 0] += 1.0 + late[one]
    values[random.random(values.shape) < 0.1] = np.nan
    return values, np.where(late, "late", "early")


def test_it_tells_shapes_apart() -> None:
    values, shape = two_shapes(60)
    learnt = DTWEnsembleClassifier(neighbours=5).fit(values[:40], shape[:40])
    assert learnt.score(values[40:], shape[40:]) > 0.9
    assert learnt.classes_.tolist() == ["early", "late"]


def test_threads_and_company_change_no_bit() -> None:
    values, shape = two_shapes(60)
    one = clone(DTWEnsembleClassifier(samples=2)).fit(values, shape)
    two = DTWEnsembleClassifier(samples=2, threads=2).fit(values, shape)
    together = one.predict_proba(values[:6])
    np.testing.assert_array_equal(two.predict_proba(values[:6]), together)
    alone = np.concatenate([one.predict_proba(values[n : n + 1]) for n in range(6)])
    np.testing.assert_array_equal(alone, together)


def test_of_an_unknown_sample_the_classes_shares_are_told() -> None:
    values, shape = two_shapes(30)
    found = DTWEnsembleClassifier().fit(values, shape).predict_proba(np.full((1, 12, 2), np.nan))
    np.testing.assert_allclose(found, [[0.5, 0.5]])


@pytest.mark.parametrize(("classes", "says"), [(1, "one class"), (3, "Only binary classification")])
def test_it_wants_two_classes(classes: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        DTWEnsembleClassifier().fit(np.zeros((6, 4)), np.arange(6) % classes)
