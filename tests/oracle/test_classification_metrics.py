"""Ranking metrics against scikit-learn, and against the challenge's definition of its step areas."""

import numpy as np
import pytest
from sklearn.metrics import (  # type: ignore[import-untyped]
    accuracy_score,
    average_precision_score,
    f1_score,
    roc_auc_score,
)

from pipelines.metrics.classification import RankedRows, accuracy, auprc, auroc, f_measure

LABEL = np.array([0, 0, 0, 0, 1, 1])


def rows(seed: int, levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, 400)
    return label, rng.integers(1, levels, 400) / levels, rng.integers(0, 4, 400).astype(np.float64)


def step_area(label: np.ndarray, probability: np.ndarray) -> float:
    """The challenge's AUPRC: precision constant over each step of recall, from the highest score down."""
    area, recall_before = 0.0, 0.0
    for threshold in sorted(set(probability), reverse=True):
        called = probability >= threshold
        recall = label[called].sum() / label.sum()
        area += (recall - recall_before) * label[called].mean()
        recall_before = recall
    return area


def test_the_published_examples() -> None:
    probability = np.array([0.3, 0.4, 0.6, 0.7, 0.8, 0.8])
    assert (auroc(LABEL, probability), auprc(LABEL, probability)) == (1.0, 1.0)
    prediction = np.array([0, 0, 1, 1, 1, 1])
    assert accuracy(LABEL, prediction) == pytest.approx(2 / 3)
    assert f_measure(LABEL, prediction) == pytest.approx(2 / 3)


@pytest.mark.parametrize("levels", [5, 21, 10_000])
def test_auprc_is_the_step_area_of_the_challenge(levels: int) -> None:
    label, probability, _ = rows(levels, levels)
    assert auprc(label, probability) == pytest.approx(step_area(label, probability), abs=1e-12)


@pytest.mark.parametrize("levels", [5, 21, 10_000])
def test_weighted_areas_agree_with_scikit_learn(levels: int) -> None:
    label, probability, weight = rows(levels, levels)
    stay = np.repeat(np.arange(40), 10)
    ours = RankedRows.of(label, probability, stay).areas(weight[None, :40])[0]
    each = weight[stay]
    assert ours[0] == pytest.approx(roc_auc_score(label, probability, sample_weight=each), abs=1e-12)
    theirs = average_precision_score(label, probability, sample_weight=each)
    assert ours[1] == pytest.approx(theirs, abs=1e-12)


def test_the_table_agrees_with_scikit_learn() -> None:
    label, probability, _ = rows(3, 100)
    prediction = (probability > 0.4).astype(int)
    assert accuracy(label, prediction) == pytest.approx(accuracy_score(label, prediction))
    assert f_measure(label, prediction) == pytest.approx(f1_score(label, prediction))


def test_undefined_figures_are_none() -> None:
    none, every = np.zeros(4, dtype=int), np.ones(4, dtype=int)
    probability = np.linspace(0, 1, 4)
    assert auroc(none, probability) is None
    assert auroc(every, probability) is None
    assert auprc(none, probability) is None
    assert auprc(every, probability) == 1.0
    assert f_measure(none, none) is None
    assert accuracy(none[:0], none[:0]) is None


def test_weighted_areas_without_a_class_are_not_a_number() -> None:
    areas = RankedRows.of(LABEL, np.linspace(0, 1, 6), np.arange(6)).areas(np.array([[1.0, 1, 1, 1, 0, 0]]))
    assert np.isnan(areas).all()


@pytest.mark.parametrize("levels", [3, 50, 100_000])
def test_every_draw_of_a_bootstrap_agrees_with_scikit_learn_on_the_rows_laid_end_to_end(levels: int) -> None:
    rng = np.random.default_rng(levels)
    label = (rng.random(600) < 0.1).astype(int)
    probability = np.round(rng.random(600) * levels) / levels
    stay = np.repeat(np.arange(60), 10)
    weights = rng.multinomial(60, np.full(60, 1 / 60), size=130)  # more than one block of draws
    for weight, ours in zip(weights, RankedRows.of(label, probability, stay).areas(weights), strict=True):
        drawn = np.repeat(np.arange(600), weight[stay])
        assert ours[0] == pytest.approx(roc_auc_score(label[drawn], probability[drawn]), abs=1e-12)
        assert ours[1] == pytest.approx(average_precision_score(label[drawn], probability[drawn]), abs=1e-12)
