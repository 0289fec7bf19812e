"""A stay that is told observation by observation gives the posterior of the same observations at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.mgp.kernel import Kernel
from models.mgp.posterior import Posterior, posterior
from models.mgp.streaming import CHECKPOINTS, STRIDE, State, checkpoint_slot

VARIABLES = 4
AFTER = torch.tensor([40.0, 40.5, 300.0], dtype=torch.float64)
BEFORE = torch.tensor([-3.0, 0.0, 7.3, 21.0], dtype=torch.float64)
Rows = list[tuple[float, int, float]]


def kernel(dtype: torch.dtype = torch.float64) -> Kernel:
    """Two time scales of different smoothness."""
    random = np.random.default_rng(3)
    factors = random.standard_normal((2, VARIABLES, 2))
    tasks = torch.tensor(factors @ factors.swapaxes(1, 2) + 0.2 * np.eye(VARIABLES), dtype=dtype)
    noise = torch.tensor([1e-3, 0.1, 0.3, 1.0], dtype=dtype)
    lengths = torch.tensor([3.0, 40.0], dtype=dtype)
    return Kernel(("matern12", "matern32"), lengthscale_hours=lengths, task_covariance=tasks, noise=noise)


def stay(rows: int, seed: int = 0) -> Rows:
    """Observations by time in the first 40 hours, some of them simultaneous."""
    random = np.random.default_rng(seed)
    times = np.sort(np.round(random.uniform(0.0, 40.0, rows), 1))
    columns = times, random.integers(0, VARIABLES, rows), random.standard_normal(rows)
    return [(float(time), int(which), float(value)) for time, which, value in zip(*columns, strict=True)]


def told(rows: Rows, of: Kernel | None = None) -> State:
    """A state that has observed `rows` in their order."""
    state = State(of or kernel())
    for row in rows:
        state.observe(*row)
    return state


def at_once(rows: Rows, grid_hours: Tensor) -> Posterior:
    """The posterior of the same rows."""
    time, variable, value = (np.array(column) for column in zip(*rows, strict=True))
    return posterior(kernel(), time, variable, value, grid_hours)


def assert_equal(ours: Posterior, expected: Posterior) -> None:
    """Mean, variance and log likelihood agree to 1e-10."""
    torch.testing.assert_close(ours.mean, expected.mean, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.variance, expected.variance, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.log_likelihood, expected.log_likelihood, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("rows", [1, 2, 64, 65, 700])
@pytest.mark.parametrize("grid", [AFTER, BEFORE, torch.cat([BEFORE, AFTER])])
def test_told_in_order_is_told_at_once(rows: int, grid: Tensor) -> None:
    observed = stay(rows)
    assert_equal(told(observed).posterior(grid), at_once(observed, grid))


def test_nothing_observed_is_the_prior() -> None:
    nothing = State(kernel()).posterior(BEFORE)
    assert nothing.mean.eq(0.0).all()
    torch.testing.assert_close(nothing.variance, kernel().prior_variance().expand(len(BEFORE), -1))
    assert float(nothing.log_likelihood) == 0.0


@pytest.mark.parametrize("position", [0, 1, 350, 640, 699])
def test_a_late_observation_enters_at_its_time(position: int) -> None:
    observed = stay(700)
    late = told(observed[:position] + observed[position + 1 :] + [observed[position]])
    for grid in (AFTER, BEFORE):
        assert_equal(late.posterior(grid), at_once(observed, grid))


def test_the_order_of_arrival_changes_no_bit() -> None:
    observed = stay(300)
    shuffled = [observed[row] for row in np.random.default_rng(1).permutation(300)]
    ours, expected = told(shuffled).posterior(AFTER), told(observed).posterior(AFTER)
    assert torch.equal(ours.mean, expected.mean)
    assert torch.equal(ours.variance, expected.variance)
    assert ours.log_likelihood == expected.log_likelihood


def test_a_question_changes_nothing() -> None:
    observed = stay(50)
    asked = State(kernel())
    for row in observed:
        asked.observe(*row)
        asked.posterior(AFTER)
    assert torch.equal(asked.posterior(AFTER).mean, told(observed).posterior(AFTER).mean)


def test_draws_are_those_of_the_posterior_at_once() -> None:
    observed, grid = stay(60), torch.cat([BEFORE, AFTER])
    draws = (
        one.sample(5, torch.Generator().manual_seed(2))
        for one in (told(observed).posterior(grid), at_once(observed, grid))
    )
    torch.testing.assert_close(*draws, rtol=1e-8, atol=1e-8)


def test_single_precision_stays_near_double() -> None:
    observed = stay(700)
    ours = told(observed, kernel(torch.float32)).posterior(AFTER.float())
    expected = at_once(observed, AFTER)
    assert ours.mean.dtype == torch.float32
    torch.testing.assert_close(ours.mean.double(), expected.mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.variance.double(), expected.variance, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ((float("nan"), 0, 1.0), "nan"),
        ((1.0, 0, float("inf")), "inf"),
        ((1.0, VARIABLES, 1.0), str(VARIABLES)),
        ((1.0, -1, 1.0), "-1"),
    ],
)
def test_what_cannot_be_observed_is_refused_and_changes_nothing(
    row: tuple[float, int, float], named: str
) -> None:
    state = told(stay(10))
    before = state.posterior(AFTER).mean
    with pytest.raises(InvalidInput, match=named):
        state.observe(*row)
    assert torch.equal(state.posterior(AFTER).mean, before)


def test_a_checkpoint_lies_close_before_any_place() -> None:
    """A result that is k observations late repeats at most 4 (k + STRIDE)."""
    kept = np.zeros(CHECKPOINTS, dtype=np.int64)
    for count in range(STRIDE, 100 * STRIDE + 1):
        if count % STRIDE == 0:
            kept[checkpoint_slot(count)] = count
        for late in range(1, count, 13):
            start = kept[kept <= count - late].max(initial=0)
            assert count - start <= 4 * (late + STRIDE)
