"""A bed that is scored every hour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.clinical.errors import InvalidInput
from models.mgp.course import Course
from models.mgp.kernel import Kernel
from models.mgp.posterior import Observations, filtered, posterior
from models.mgp.schedule import CHECKPOINTS, RESTORE, UPDATE, as_known, checkpoint_of, no_order

PROCESS = Kernel(
    "matern12",
    lengthscale_hours=[4.0, 72.0],
    task_covariance=np.array([[[1.0, 0.3], [0.3, 1.0]], [[0.5, -0.2], [-0.2, 0.8]]]),
    noise=[0.1, 0.2],
)
STAY = Observations(
    np.array([0.2, 0.9, 1.5, 0.4, 3.1]), np.array([0, 1, 0, 1, 0]), np.array([1.0, -1.0, 2.0, 0.5, 0.0]),
    np.array([2, 3, 4, 5]),
)  # fmt: skip


def known_by(hour: int) -> Observations:
    return replace(STAY, known=np.asarray(STAY.known)[:hour])


def test_an_advance_gives_only_the_hours_that_are_new() -> None:
    course = Course(PROCESS, draws=3)
    assert course.advance(known_by(1)).mean.shape == (1, 2)
    assert course.advance(known_by(4)).draws.shape == (3, 3, 2)
    assert course.advance(known_by(4)).variance.shape == (0, 2)


def test_the_last_hour_is_the_posterior_of_all_that_is_known_late_results_too() -> None:
    course = Course(PROCESS)
    course.advance(known_by(2))
    last = course.advance(known_by(3))
    exact = posterior(
        PROCESS, STAY.time_hours[:4], STAY.variable[:4], STAY.value[:4], grid_hours=np.array([3.0])
    )
    torch.testing.assert_close(last.mean, exact.mean)
    torch.testing.assert_close(last.variance, exact.variance)


def test_a_stay_that_is_no_extension_is_refused_and_changes_nothing() -> None:
    course, expected = Course(PROCESS, draws=2, seed=1), filtered(PROCESS, [STAY], 2, seed=1)[0]
    course.advance(known_by(2))
    corrected = np.array(STAY.value)
    corrected[0] = 5.0
    for other in (
        replace(STAY, value=corrected),
        replace(STAY, known=np.array([2])),
        replace(STAY, known=np.array([2, 2, 4, 5])),
        replace(STAY, value=np.array([1.0, -1.0, 2.0, np.nan, 0.0])),
    ):
        with pytest.raises(InvalidInput):
            course.advance(other)
    rest = course.advance(STAY)
    assert torch.equal(rest.mean, expected.mean[2:])
    assert torch.equal(rest.draws, expected.draws[:, 2:])


def test_a_row_that_no_hour_may_use_yet_can_still_change() -> None:
    course, early = Course(PROCESS), known_by(1)
    course.advance(replace(early, value=np.array([1.0, -1.0, 9.0, 9.0, 9.0])))
    assert torch.equal(course.advance(STAY).mean, filtered(PROCESS, [STAY])[0].mean[1:])


def test_draws_of_a_seed_differ_from_those_of_another() -> None:
    first, second = (Course(PROCESS, draws=1, seed=seed).advance(STAY).draws for seed in (1, 2))
    assert not torch.equal(first, second)


def test_each_of_the_last_eight_hours_has_its_own_checkpoint() -> None:
    for now in range(100, 140):
        assert len({checkpoint_of(hour) for hour in range(now - 8, now)}) == 8
    assert {checkpoint_of(hour) for hour in range(-300, 300)} == set(range(1, CHECKPOINTS + 1))


@pytest.mark.parametrize("late_hours", [0.5, 2.5, 6.5, 20.5, 60.5])
def test_a_late_result_repeats_little(late_hours: float) -> None:
    hours, rows_repeated = 200, late_hours + 1 if late_hours < 8 else 2 * late_hours + 8
    time = np.append(np.arange(hours) + 0.75, hours - late_hours)
    ones, order = np.zeros(len(time), np.int64), no_order(len(time))
    known = np.arange(1, hours + 1)
    as_known(time[:hours], ones[:hours], time[:hours], known, known.astype(float), order, 0, True)
    tape = as_known(time, ones, time, np.array([hours + 1]), np.array([hours + 1.0]), order, hours, True)
    assert tape.op[0] == RESTORE
    assert tape.item[0] > 0
    assert np.sum(tape.op == UPDATE) <= rows_repeated + 1
