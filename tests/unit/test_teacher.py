"""Soft targets: out of fold by subject, blended into the score's horizon alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.clinical.errors import InvalidInput
from models.clinical.stay import LabelledStay
from models.network import INPUTS
from models.teacher import Teacher, fold_of, softened, taught
from models.training_feed import training_feed
from models.training_stays import TrainingStay, prepare

from .conftest import RandomStay, TinyModel

SMALL = Teacher(share=0.25, folds=3, trees=5, forests=1, smallest_leaf=5)


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three hundred hours in three folds; the label follows the first input."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(300, INPUTS)).astype(np.float32)
    return inputs, (inputs[:, 0] > 0).astype(np.int8), np.arange(300) % 3


def test_trees_expect_what_the_inputs_tell(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    inputs, label, fold = rows
    teacher = Teacher(trees=30, forests=2, smallest_leaf=5, inputs_a_split=1.0)
    expected = teacher.expects(inputs, label, fold)
    assert expected[label == 1].min() > expected[label == 0].max()


def test_no_label_of_a_fold_reaches_what_is_expected_of_it(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    inputs, label, fold = rows
    flipped = np.where(fold == 1, 1 - label, label).astype(np.int8)
    one, other = SMALL.expects(inputs, label, fold), SMALL.expects(inputs, flipped, fold)
    np.testing.assert_array_equal(one[fold == 1], other[fold == 1])
    assert (one[fold != 1] != other[fold != 1]).any()


def test_without_septic_subjects_elsewhere_no_trees_grow(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    inputs, label, fold = rows
    with pytest.raises(InvalidInput, match="no trees can grow for fold 2"):
        SMALL.expects(inputs, np.where(fold == 2, label, 0).astype(np.int8), fold)


def test_a_share_is_a_share() -> None:
    for share in (0.0, 1.5):
        with pytest.raises(InvalidInput, match="share"):
            Teacher(share=share)


def test_a_subject_is_in_one_fold_and_folds_are_about_equal() -> None:
    counts = np.bincount([fold_of(f"p{number}", 3) for number in range(3000)])
    assert counts.min() > 900
    assert fold_of("p7", 3) == fold_of("p7", 3)


@pytest.fixture
def stays(tiny: TinyModel, random_stay: RandomStay) -> list[TrainingStay]:
    """Twelve subjects, every second one septic from hour 6; the first has no label before hour 3."""
    model, found = tiny(), []
    for seed in range(12):
        stay = replace(random_stay(seed, 10, 40), subject_id=f"subject {seed}")
        hour = np.arange(3 if seed == 0 else 1, 11)
        label = ((hour >= 6) & (seed % 2 == 0)).astype(np.int8)
        found.append(prepare(LabelledStay(stay, hour, label), model.standardisation, model.config))
    return found


def test_every_labelled_hour_is_expected_and_blended_in(tiny: TinyModel, stays: list[TrainingStay]) -> None:
    model = tiny()
    feed = training_feed(model.config, model.network, stays, 0, moving=False, seed=0)
    expected = taught(SMALL, model.network, feed, stays)
    assert expected.shape == (12 * 10 - 2,)
    assert ((expected > 0) & (expected < 1)).all()
    primary, first = model.config.primary, 0
    for one, before in zip(softened(stays, expected, SMALL.share, primary), stays, strict=True):
        own = expected[first : first + int(one.labelled.sum())]
        first += len(own)
        blended = 0.75 * before.label[one.labelled] + 0.25 * own
        torch.testing.assert_close(one.target[one.labelled, primary], blended)
        others = [column for column in range(one.target.shape[1]) if column != primary]
        assert torch.equal(one.target[:, others], before.target[:, others])
        assert torch.equal(one.label, before.label)
