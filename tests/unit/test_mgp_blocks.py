"""A stay cut into blocks, and the weights that its factor gives."""

import numpy as np
import pytest
import torch

from models.mgp.blocks import ROWS, cut, factorise
from models.mgp.kernel import Kernel
from models.mgp.smoother import weights
from models.mgp.statespace import state_space


def kernel_of(temporal: tuple[str, ...]) -> Kernel:
    factor = np.random.default_rng(0).normal(size=(len(temporal), 3, 2))
    return Kernel(
        temporal,
        lengthscale_hours=[6.0, 1.5][: len(temporal)],
        task_covariance=factor @ factor.transpose(0, 2, 1) + 0.2 * np.eye(3),
        noise=[0.05, 0.2, 0.5],
    )


def test_a_block_ends_at_every_grid_hour_and_after_thirty_two_rows() -> None:
    time, grid = (
        np.concatenate([np.linspace(0.1, 0.9, 3), np.full(70, 1.5), [2.5]]),
        np.array([1.0, 1.0, 2.0]),
    )
    cuts = cut(time, grid)
    assert cuts.hours.tolist() == [0.1, 1.0, 1.0, 1.5, 1.5, 2.0, 2.5]
    assert cuts.stop.tolist() == [0, 3, 3, 35, 67, 73, 74]
    assert cuts.hours[cuts.at].tolist() == grid.tolist()
    assert np.diff(cuts.stop).max() == ROWS


@pytest.mark.parametrize(("rows", "hours"), [(0, 0), (0, 2), (1, 0), (40, 0)])
def test_rows_or_grid_may_be_missing(rows: int, hours: int) -> None:
    cuts = cut(np.arange(rows) / 4.0, np.arange(1.0, hours + 1.0))
    assert cuts.stop[-1:].tolist() == ([rows] if rows + hours else [])
    assert len(cuts.at) == hours


@pytest.mark.parametrize("temporal", [("matern12",), ("matern12", "matern12"), ("matern52", "matern12")])
def test_weights_solve_the_dense_system(temporal: tuple[str, ...]) -> None:
    kernel, source = kernel_of(temporal), np.random.default_rng(1)
    time, variable = np.sort(source.uniform(-3.0, 9.0, 90)), source.integers(0, 3, 90)
    time[40:60] = time[40]  # at one time, across the end of a block
    space, value = state_space(kernel), source.normal(size=(90, 2))
    cuts = cut(time, np.array([0.0, 4.0, 20.0]))
    width = len(space.component) * len(space.noise)
    blocks = factorise(space, cuts, time, variable, np.empty((0, width, width)))
    hours = torch.from_numpy(time)
    tasks = kernel.task_covariance.numpy()[:, variable][:, :, variable]
    noisy = (tasks * kernel.correlation(hours, hours).numpy()).sum(0)
    noisy += np.diag(kernel.noise.numpy()[variable])
    expected = np.linalg.solve(noisy, value)
    np.testing.assert_allclose(weights(space, cuts, blocks, variable, value), expected, rtol=0, atol=1e-9)
