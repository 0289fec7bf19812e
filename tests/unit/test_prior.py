"""The prior: counted by hand, never certain, and what the model's scores leave out."""

from datetime import timedelta

import numpy as np
import pytest

from models.clinical.score import ScoreStatus
from models.clinical.stay import LabelledStay, Stay, observation_table
from models.mgp.standardise import Standardisation
from models.prior import prior_of
from models.sufficiency import SufficiencyRule
from tests.unit.conftest import ADMITTED, RandomStay, TinyModel

VITAL = ("heart_rate", "oxygen_saturation", "respiratory_rate")


def stay(first_hour: int | None, label: list[int]) -> LabelledStay:
    """Three vital signs just before the hour `first_hour`, so that it is the first with a score."""
    time = [] if first_hour is None else [ADMITTED + timedelta(hours=first_hour - 0.5)] * 3
    table = observation_table(time, time, list(VITAL[: len(time)]), [80.0, 97.0, 16.0][: len(time)])
    hour = np.arange(1, len(label) + 1)
    return LabelledStay(Stay("p", "p", ADMITTED, table), hour, np.array(label, dtype=np.int8))


def test_hours_before_the_first_score_are_counted_and_no_others(standardisation: Standardisation) -> None:
    stays = [
        stay(3, [0, 1, 1, 0] + [0] * 12),  # two hours before the first, one positive; silence at the end
        stay(1, [0, 0]),
        stay(None, [0, 0]),
    ]
    share = 2 / 20
    assert prior_of(stays, standardisation, SufficiencyRule()) == pytest.approx((1 + share) / (4 + 1))


def test_without_such_hours_it_is_the_share_of_all(standardisation: Standardisation) -> None:
    stays = [stay(1, [0, 0, 0, 1])]
    assert prior_of(stays, standardisation, SufficiencyRule()) == pytest.approx(1 / 4)


def test_it_is_of_the_hours_that_a_model_leaves_out(
    standardisation: Standardisation, tiny: TinyModel, random_stay: RandomStay
) -> None:
    sparse = [random_stay(seed, hours=16, rows=14) for seed in range(12)]
    labelled = []
    for known in sparse:
        scored = np.array([one is ScoreStatus.PRESENT for one in tiny().score(known).status])
        before = (~np.logical_or.accumulate(scored)).astype(np.int8)
        labelled.append(LabelledStay(known, np.arange(1, len(before) + 1), before))
    label = np.concatenate([one.label for one in labelled])
    assert 0 < label.sum() < len(label)
    expected = (label.sum() + label.mean()) / (label.sum() + 1)
    assert prior_of(labelled, standardisation, SufficiencyRule()) == pytest.approx(expected)
