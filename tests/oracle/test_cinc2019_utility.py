"""The utility of the CinC 2019 challenge: its published examples, and its definition hour by hour."""

import numpy as np
import pytest

from models.clinical.errors import InvalidInput
from pipelines.metrics.cinc2019 import Cohort, stay_utilities, summarise, utility


def stay_labelled_from(first: int | None, rows: int) -> list[int]:
    return [int(first is not None and row >= first) for row in range(rows)]


def utility_hour_by_hour(label: list[int], prediction: list[int]) -> float:
    """The definition read aloud, one hour at a time."""
    total = 0.0
    for hour, predicted in enumerate(prediction):
        if not any(label):
            total += -0.05 if predicted else 0.0
            continue
        tau = hour - (label.index(1) + 6)
        if tau > 3:
            continue
        if predicted:
            total += max((tau + 12) / 6, -0.05) if tau <= -6 else (3 - tau) / 9
        elif tau > -6:
            total += -2 * (tau + 6) / 9
    return total


def cohort_of(*stays: tuple[list[int], list[int]]) -> Cohort:
    prediction = np.concatenate([np.array(predicted, dtype=np.int8) for _, predicted in stays])
    return Cohort(
        rows=np.array([len(label) for label, _ in stays]),
        label=np.concatenate([np.array(label, dtype=np.int8) for label, _ in stays]),
        probability=prediction.astype(np.float64),
        prediction=prediction,
    )


def test_the_published_example() -> None:
    assert utility([0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1]) == pytest.approx(3.388888888888889, abs=1e-12)


@pytest.mark.parametrize(
    ("first", "prediction", "earned"), [(30, 0, -10.0), (30, 1, 6.3), (None, 1, -2.5), (None, 0, 0.0)]
)
def test_constant_predictions_over_fifty_hours(first: int | None, prediction: int, earned: float) -> None:
    assert utility(stay_labelled_from(first, 50), [prediction] * 50) == pytest.approx(earned, abs=1e-12)


@pytest.mark.parametrize("first", [None, 0, 1, 5, 6, 7, 12, 30, 49])
def test_every_hour_earns_what_the_definition_says(first: int | None) -> None:
    label = stay_labelled_from(first, 50)
    for hour in range(50):
        prediction = [int(row == hour) for row in range(50)]
        expected = utility_hour_by_hour(label, prediction)
        assert utility(label, prediction) == pytest.approx(expected, abs=1e-12)


def test_a_stay_positive_from_its_first_row_has_onset_at_row_six() -> None:
    rewards = [(3 - (row - 6)) / 9 if row > 0 else 1.0 for row in range(10)]
    assert utility([1] * 20, [1] * 20) == pytest.approx(sum(rewards), abs=1e-12)


def test_a_cohort_is_the_sum_of_its_stays() -> None:
    rng = np.random.default_rng(5)
    stays = []
    for first in (None, 0, 3, 20, None, 39):
        rows = int(rng.integers(max(first or 0, 1) + 1, 60))
        stays.append((stay_labelled_from(first, rows), rng.integers(0, 2, rows).tolist()))
    cohort = cohort_of(*stays)
    earned = stay_utilities(cohort.rows, cohort.label, cohort.prediction)
    expected = [utility_hour_by_hour(label, prediction) for label, prediction in stays]
    np.testing.assert_allclose(earned.observed, expected, atol=1e-12)
    nothing = [utility_hour_by_hour(label, [0] * len(label)) for label, _ in stays]
    np.testing.assert_allclose(earned.inaction, nothing, atol=1e-12)


def test_best_predictions_score_one_and_no_predictions_zero() -> None:
    septic, well = stay_labelled_from(20, 40), stay_labelled_from(None, 40)
    onset = 26
    best = [int(onset - 12 <= row <= onset + 3) for row in range(40)]
    assert summarise(cohort_of((septic, best), (well, [0] * 40))).utility == pytest.approx(1.0)
    assert summarise(cohort_of((septic, [0] * 40), (well, [0] * 40))).utility == 0.0


def test_normalised_utility_of_the_published_example() -> None:
    # onset is at row 10: inaction loses 2/9 in the last row, and the ideal predicts 1 in all six
    label, prediction = [0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1]
    best = (2 + 3 + 4 + 5 + 6) / 6 + 8 / 9
    expected = (3.388888888888889 + 2 / 9) / (best + 2 / 9)
    assert summarise(cohort_of((label, prediction))).utility == pytest.approx(expected, abs=1e-12)


def test_without_a_septic_stay_utility_is_undefined() -> None:
    metrics = summarise(cohort_of(([0] * 5, [1, 0, 0, 0, 0])))
    assert (metrics.utility, metrics.auroc, metrics.auprc) == (None, None, None)
    assert (metrics.accuracy, metrics.f_measure) == (0.8, 0.0)


@pytest.mark.parametrize("field", ["label", "prediction", "probability"])
@pytest.mark.parametrize("value", [2.0, -1.0, np.nan])
def test_values_outside_their_bound_are_refused(field: str, value: float) -> None:
    columns = {"label": np.zeros(3), "prediction": np.zeros(3), "probability": np.zeros(3)}
    columns[field][1] = value
    with pytest.raises(InvalidInput, match=f"row 1: {field}"):
        Cohort(rows=np.array([3]), **columns)  # type: ignore[arg-type]


def test_columns_of_different_length_are_refused() -> None:
    zeros = np.zeros(3, dtype=np.int8)
    with pytest.raises(InvalidInput, match="3 rows"):
        Cohort(np.array([3]), zeros, np.zeros(2), zeros)
