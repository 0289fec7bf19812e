"""The control variate of a calibration: what it is, and that chance in the validation subjects leaves it."""

from dataclasses import replace

import numpy as np
import pytest

from models.calibration import calibrate
from models.calibration_control import FOLDS, correction
from models.clinical.errors import InvalidInput
from models.clinical.stay import LabelledStay
from models.hourly_trees import HourlyTreesConfig
from models.hourly_trees_learning import labelled_hours, out_of_fold
from models.teacher import fold_of
from models.training_stays import standardisation_of

from .conftest import RandomStay

SMALL = HourlyTreesConfig(trees=15, forests=1, smallest_leaf=20, rate=0.2)


@pytest.fixture(scope="module")
def told(random_stay: RandomStay) -> list[LabelledStay]:
    """Three hundred subjects, the old of whom are septic more often."""
    rng, stays = np.random.default_rng(5), []
    for seed in range(300):
        age = float(rng.uniform(20, 90))
        stay = replace(random_stay(seed, 6, 12), subject_id=f"subject {seed}", age_years=age)
        septic = rng.random() < (0.7 if age > 60 else 0.2)
        stays.append(LabelledStay(stay, np.arange(1, 7), np.full(6, septic, dtype=np.int8)))
    return stays


def test_it_takes_the_calibration_on_few_to_that_on_everybody(told: list[LabelledStay]) -> None:
    train, validation = told[:240], told[240:]
    by = correction(train, validation, SMALL)
    rows, label = labelled_hours(told, standardisation_of(train))
    fold = np.repeat([fold_of(one.stay.subject_id, FOLDS) for one in told], 6)
    logit = out_of_fold(SMALL, rows, label, fold)
    few, everybody = calibrate(logit[-360:], label[-360:]), calibrate(logit, label)
    np.testing.assert_allclose(few.corrected(by)(logit), everybody(logit), atol=1e-12)


def test_validation_subjects_by_chance_too_easy_are_found_out(told: list[LabelledStay]) -> None:
    easy = [one for one in told[150:] if ((one.stay.age_years or 0) > 60) == bool(one.label[0])]
    assert correction(told[:150], easy, SMALL).slope < 0.8


def test_no_row_is_scored_by_trees_that_its_fold_taught(told: list[LabelledStay]) -> None:
    rows, label = labelled_hours(told, standardisation_of(told))
    fold = np.repeat(np.arange(300) % FOLDS, 6)
    before = out_of_fold(SMALL, rows, label, fold)
    flipped = np.where(fold == 1, 1 - label, label).astype(np.int8)
    after = out_of_fold(SMALL, rows, flipped, fold)
    assert np.array_equal(before[fold == 1], after[fold == 1])
    assert not np.array_equal(before[fold == 0], after[fold == 0])


def test_validation_subjects_of_one_label_are_refused(told: list[LabelledStay]) -> None:
    well = [one for one in told if not one.label[0]]
    with pytest.raises(InvalidInput, match="one label"):
        correction(told, well[:20], SMALL)
