"""Any interleaving of observations, on time or late, and questions gives what the batch posterior gives."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.mgp.kernel import Kernel
from models.mgp.posterior import posterior
from models.mgp.streaming import State

VARIABLES = 3
# tenths of an hour meet often, and a gap of two weeks does happen
HOURS = st.one_of(st.integers(-50, 400).map(lambda tenth: tenth / 10), st.floats(0.0, 400.0))
ROWS = st.tuples(HOURS, st.integers(0, VARIABLES - 1), st.floats(-5.0, 5.0))
GRIDS = st.lists(HOURS, min_size=1, max_size=4).map(sorted)


@st.composite
def kernels(draw: st.DrawFn) -> Kernel:
    """One or two time scales of any smoothness that has a state."""
    names = st.sampled_from(["matern12", "matern32", "matern52"])
    temporal = draw(st.lists(names, min_size=1, max_size=2))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    factors = random.standard_normal((len(temporal), VARIABLES, 2))
    return Kernel(
        temporal,
        lengthscale_hours=random.uniform(0.5, 60.0, len(temporal)),
        task_covariance=factors @ factors.swapaxes(1, 2) + 0.1 * np.eye(VARIABLES),
        noise=10.0 ** random.uniform(-3.0, 0.0, VARIABLES),
    )


@settings(max_examples=60)
@given(kernels(), st.lists(st.one_of(ROWS, GRIDS), max_size=40), GRIDS)
def test_any_interleaving_equals_the_batch(
    kernel: Kernel, steps: list[tuple[float, int, float] | list[float]], last: list[float]
) -> None:
    state, seen = State(kernel), []
    for step in [*steps, last]:
        if isinstance(step, tuple):
            state.observe(*step)
            seen.append(step)
            continue
        grid = torch.tensor(step, dtype=torch.float64)
        rows = np.array(seen, dtype=np.float64).reshape(-1, 3)
        time, variable, value = (torch.from_numpy(column.copy()) for column in rows.T)
        ours, expected = state.posterior(grid), posterior(kernel, time, variable.long(), value, grid)
        torch.testing.assert_close(ours.mean, expected.mean, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(ours.variance, expected.variance, rtol=1e-10, atol=1e-10)
        assert float(ours.log_likelihood) == pytest.approx(
            float(expected.log_likelihood), rel=1e-10, abs=1e-10
        )


@settings(max_examples=60)
@given(kernels(), st.lists(ROWS, min_size=1, max_size=60), GRIDS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_no_bit(
    kernel: Kernel, rows: list[tuple[float, int, float]], grid: list[float], random: Random
) -> None:
    first, second = State(kernel), State(kernel)
    shuffled = list(rows)
    random.shuffle(shuffled)
    for row, other in zip(rows, shuffled, strict=True):
        first.observe(*row)
        second.observe(*other)
    hours = torch.tensor(grid, dtype=torch.float64)
    ours, theirs = first.posterior(hours), second.posterior(hours)
    assert torch.equal(ours.mean, theirs.mean)
    assert torch.equal(ours.variance, theirs.variance)
