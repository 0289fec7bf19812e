"""Which rows count in a distance: those that tell the outcome."""

from __future__ import annotations

import numpy as np
import pytest

from models.clinical.errors import InvalidInput
from models.dtw_metric import Descent, LabelledDistances, learnt_metric

REFERENCES, HOURS = 200, 400


def compared(seed: int = 1, *, telling: int = 0) -> LabelledDistances:
    """Three rows; on row `telling` the outcomes lie three apart, on the others nowhere."""
    random = np.random.default_rng(seed)
    outcome = (np.arange(REFERENCES) % 2).astype(np.int8)
    label = (np.arange(HOURS) % 2).astype(np.int8)
    past, now = random.normal(size=(3, REFERENCES)), random.normal(size=(3, HOURS))
    past[telling] += 3.0 * outcome
    now[telling] += 3.0 * label
    distances = np.abs(now[:, :, None] - past[:, None, :]).astype(np.float16)
    return LabelledDistances(distances, label, outcome, np.zeros((HOURS, REFERENCES), bool))


@pytest.mark.parametrize("telling", [0, 2])
def test_the_row_that_tells_the_outcome_counts_most(telling: int) -> None:
    metric = learnt_metric(compared(telling=telling), Descent(), seed=3)
    others = np.delete(metric, telling)
    assert (metric > 0.0).all()
    assert metric[telling] > 2.0 * others.max()


def test_a_reference_of_the_same_stay_teaches_nothing() -> None:
    """Each hour is its own reference on row 1: unmasked, that row would look like a perfect witness."""
    one = compared()
    hour = np.arange(HOURS)
    distances, own = one.distances.copy(), np.zeros_like(one.own)
    distances[1] = 3.0
    distances[1, hour, hour % REFERENCES] = 0.0
    own[hour, hour % REFERENCES] = True
    seen = LabelledDistances(distances, one.label, one.outcome, np.zeros_like(own))
    masked = LabelledDistances(distances, one.label, one.outcome, own)
    fooled, right = (learnt_metric(each, Descent(), seed=3) for each in (seen, masked))
    assert right[1] / right[0] < 0.5 * fooled[1] / fooled[0]


def test_equal_seeds_give_equal_weights() -> None:
    first, second = (learnt_metric(compared(), Descent(steps=10), seed=5) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_hours_of_one_label_teach_nothing() -> None:
    one = compared()
    with pytest.raises(InvalidInput, match="label"):
        learnt_metric(
            LabelledDistances(one.distances, np.zeros(HOURS, np.int8), one.outcome, one.own),
            Descent(steps=1),
            seed=1,
        )
