"""Calibration figures: against scikit-learn, against loops, and what a known distortion must give."""

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import brier_score_loss  # type: ignore[import-untyped]

from pipelines.metrics.bootstrap import Bootstrap, Interval, subject_weights
from pipelines.metrics.calibration import (
    BINS,
    CalibrationIntervals,
    calibration,
    calibration_intervals,
    logit,
)

ROWS = 20_000


def drawn(a: float, b: float, seed: int = 1) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Labels of true probability sigmoid(a + b logit(p)), and the scores p."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.5, 8, ROWS).clip(1e-5, 1 - 1e-5)
    true = 1 / (1 + np.exp(-(a + b * np.log(p / (1 - p)))))
    return (rng.random(ROWS) < true).astype(np.int8), p


def test_slope_is_that_of_a_logistic_regression() -> None:
    label, p = drawn(-0.7, 0.6)
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(p)[:, None], label)
    assert calibration(label, p).slope == pytest.approx(peer.coef_[0, 0], abs=1e-5)


def test_the_intercept_makes_the_mean_score_the_prevalence() -> None:
    label, p = drawn(-0.7, 1.0)
    found = calibration(label, p).intercept
    assert found is not None
    assert found == pytest.approx(-0.7, abs=0.1)
    assert (1 / (1 + np.exp(-(logit(p) + found)))).mean() == pytest.approx(label.mean(), abs=1e-9)


@pytest.mark.parametrize("times", [30.0, 1000.0])
def test_scores_that_are_far_too_low_have_an_intercept(times: float) -> None:
    """As where a model meets patients who are far more ill than those it learnt from."""
    label, p = drawn(3.0, 1.0)
    far = p / times
    found = calibration(label, far).intercept
    assert found is not None
    assert (1 / (1 + np.exp(-(logit(far) + found)))).mean() == pytest.approx(label.mean(), abs=1e-9)


def test_a_draw_without_a_slope_leaves_no_interval_of_it() -> None:
    """Three stays of which one has one row: some draw is of it alone."""
    rows, label = np.array([1, 3, 3]), np.array([0, 0, 1, 0, 1, 0, 1], dtype=np.int8)
    p, few = np.array([0.2, 0.1, 0.3, 0.6, 0.4, 0.7, 0.5]), Bootstrap(draws=200)
    assert calibration(label, p).slope is not None
    found = calibration_intervals(rows, label, p, ["a", "b", "c"], few)
    assert found.slope == Interval(None, None)
    assert found.brier.low is not None


def test_perfect_scores_have_slope_one_and_intercept_none() -> None:
    figures = calibration(*drawn(0.0, 1.0))
    assert figures.slope == pytest.approx(1.0, abs=0.05)
    assert figures.intercept == pytest.approx(0.0, abs=0.05)
    assert figures.error is not None
    assert figures.error < 0.01


def test_brier_is_that_of_scikit_learn() -> None:
    label, p = drawn(-0.7, 0.6)
    assert calibration(label, p).brier == pytest.approx(brier_score_loss(label, p), abs=1e-12)


def test_the_error_is_the_mean_gap_of_ten_equal_parts() -> None:
    label, p = drawn(-0.7, 0.6)
    parts = np.array_split(np.argsort(p), BINS)  # no ties, and ROWS is a multiple of BINS
    gaps = [abs(label[part].mean() - p[part].mean()) for part in parts]
    assert calibration(label, p).error == pytest.approx(np.mean(gaps), abs=1e-12)


def test_intervals_are_those_of_rows_drawn_anew() -> None:
    """All but the error, whose bins are kept; slope and intercept to a twentieth of their intervals."""
    label, p = drawn(-0.7, 0.6)
    rows, subjects = np.full(500, ROWS // 500), [f"p{stay // 2:03}" for stay in range(500)]
    quick = Bootstrap(draws=40, seed=5)
    ends = calibration_intervals(rows, label, p, subjects, quick)
    again = []
    for weight in subject_weights(subjects, quick):
        times = np.repeat(weight, rows)
        again.append(calibration(np.repeat(label, times), np.repeat(p, times)))
    for name, share in (("slope", 0.05), ("intercept", 0.05), ("brier", 1e-9)):
        values = np.array([getattr(one, name) for one in again])
        low, high = np.quantile(values, (0.025, 0.975))
        found = getattr(ends, name)
        assert (found.low, found.high) == pytest.approx((low, high), abs=share * (high - low))
    assert ends.error.low is not None
    assert ends.error.high is not None
    error = calibration(label, p).error
    assert error is not None
    assert ends.error.low < error < ends.error.high


@pytest.mark.parametrize(
    ("label", "score"),
    [([0, 0, 0], [0.1, 0.2, 0.3]), ([0, 1, 0], [0.2, 0.2, 0.2]), ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])],
)
def test_a_slope_that_does_not_exist_is_none(label: list[int], score: list[float]) -> None:
    labels, scores, one_each = np.array(label, dtype=np.int8), np.array(score), np.ones(len(label), dtype=int)
    assert calibration(labels, scores).slope is None
    ends = calibration_intervals(one_each, labels, scores, [*map(str, label)], Bootstrap(draws=5))
    assert isinstance(ends, CalibrationIntervals)
    assert ends.slope == Interval(None, None)


def test_scores_of_zero_and_one_are_no_infinity() -> None:
    label = np.array([0, 0, 1, 1, 0, 1], dtype=np.int8)
    figures = calibration(label, np.array([0.0, 0.3, 1.0, 0.0, 1.0, 0.6]))
    for value in (figures.slope, figures.intercept, figures.brier):
        assert value is not None
        assert np.isfinite(value)
