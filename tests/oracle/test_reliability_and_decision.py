"""Reliability and decision curves against scikit-learn, and against their definitions counted row by row."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve  # type: ignore[import-untyped]
from sklearn.metrics import confusion_matrix  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput
from pipelines.metrics.calibration import BINS, calibration
from pipelines.metrics.decision import decision_curve
from pipelines.metrics.reliability import reliability


def rows(seed: int, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = rng.beta(1, 6, 3008)  # no quantile of them is one of them, where bins would differ
    if levels is not None:
        probability = np.round(probability * levels) / levels
    return (rng.random(3008) < probability**1.2).astype(np.int8), probability


def test_reliability_agrees_with_scikit_learn() -> None:
    label, probability = rows(1)
    curve = reliability(label, probability)
    observed, predicted = calibration_curve(label, probability, n_bins=BINS, strategy="quantile")
    np.testing.assert_allclose(curve.observed, observed, rtol=1e-12)
    np.testing.assert_allclose(curve.predicted, predicted, rtol=1e-12)


@pytest.mark.parametrize("levels", [None, 20, 3])
def test_the_curve_holds_every_row_and_gives_the_calibration_error(levels: int | None) -> None:
    label, probability = rows(2, levels)
    curve = reliability(label, probability)
    assert curve.count.sum() == len(label)
    error = curve.count @ np.abs(curve.observed - curve.predicted) / len(label)
    assert error == pytest.approx(calibration(label, probability).error, rel=1e-12)


def test_no_rows_make_an_empty_curve() -> None:
    assert len(reliability(np.empty(0, np.int8), np.empty(0)).count) == 0


@pytest.mark.parametrize("levels", [None, 10])
def test_net_benefit_is_vickers_and_elkin_counted_row_by_row(levels: int | None) -> None:
    label, probability = rows(3, levels)
    thresholds = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.75, 0.99])
    curve = decision_curve(label, probability, thresholds)
    for threshold, model, everybody in zip(thresholds, curve.model, curve.everybody, strict=True):
        weight = threshold / (1 - threshold)
        (_, false), (_, true) = confusion_matrix(label, probability >= threshold, labels=[0, 1])
        assert model == pytest.approx((true - weight * false) / len(label), abs=1e-12)
        (_, false), (_, true) = confusion_matrix(label, np.ones(len(label)), labels=[0, 1])
        assert everybody == pytest.approx((true - weight * false) / len(label), abs=1e-12)


def test_a_perfect_model_gains_the_prevalence_at_every_threshold() -> None:
    label = np.array([0, 0, 0, 1], dtype=np.int8)
    curve = decision_curve(label, label.astype(np.float64), np.array([0.1, 0.5, 0.9]))
    assert curve.model.tolist() == [0.25] * 3
    assert curve.everybody[1] == 0.25 - 0.75


@pytest.mark.parametrize("threshold", [1.0, -0.1, float("nan")])
def test_a_threshold_without_odds_is_refused(threshold: float) -> None:
    with pytest.raises(InvalidInput, match=r"\[0, 1\)"):
        decision_curve(np.array([0, 1], np.int8), np.array([0.1, 0.2]), np.array([threshold]))


def test_a_curve_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one row"):
        decision_curve(np.empty(0, np.int8), np.empty(0), np.array([0.5]))
