"""Joint draws against the closed form of their mean and covariance, within Monte-Carlo error.

The entries of an empirical covariance of R normal draws deviate by sqrt((c_ij^2 + c_ii c_jj) / R).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.mgp.kernel import Kernel
from models.mgp.posterior import Observations, filtered, posterior

Floats = npt.NDArray[np.float64]

DRAWS = 8000
MOST = (
    5.0  # standard errors: a few thousand entries stay below, a wrong covariance exceeds it many times over
)
KERNELS = [("matern12",), ("matern32",), ("matern52", "matern12")]


class Rows(NamedTuple):
    time: Floats
    variable: npt.NDArray[np.int64]


def kernel_of(temporal: tuple[str, ...]) -> Kernel:
    factor = np.random.default_rng(0).normal(size=(len(temporal), 3, 2))
    return Kernel(
        temporal,
        lengthscale_hours=[6.0, 1.5][: len(temporal)],
        task_covariance=factor @ factor.transpose(0, 2, 1) + 0.2 * np.eye(3),
        noise=[0.05, 0.2, 0.5],
    )


def stay_of(rows: int) -> tuple[Rows, Floats]:
    """Rows in and around the grid, some at one time, on whole hours and before admission."""
    source = np.random.default_rng(1)
    time = source.uniform(-3.0, 9.0, rows)
    time[::5] = np.floor(time[::5])
    time[1::7] = 2.5
    return Rows(time, source.integers(0, 3, rows)), source.normal(size=rows)


def covariance(kernel: Kernel, first: Rows, second: Rows) -> Floats:
    correlation = kernel.correlation(torch.from_numpy(first.time), torch.from_numpy(second.time)).numpy()
    tasks = kernel.task_covariance.numpy()[:, first.variable][:, :, second.variable]
    return np.asarray((tasks * correlation).sum(0))


def on_grid(grid: Floats) -> Rows:
    return Rows(np.repeat(grid, 3), np.tile(np.arange(3), len(grid)))


def worst(draws: Floats, mean: Floats, expected: Floats) -> float:
    """By how many standard errors the mean or covariance of `draws` (R, k) misses at most."""
    centred = draws - mean
    variance = expected.diagonal()
    mean_error = np.abs(centred.mean(0)) / np.sqrt(variance / len(draws))
    spread = np.sqrt((expected**2 + np.outer(variance, variance)) / len(draws))
    covariance_error = np.abs(centred.T @ centred / len(draws) - expected) / spread
    return float(max(mean_error.max(), covariance_error.max()))


@pytest.mark.parametrize("rows", [0, 1, 40])
@pytest.mark.parametrize("temporal", KERNELS)
def test_draws_have_the_posterior_mean_and_covariance_over_times_and_variables(
    temporal: tuple[str, ...], rows: int
) -> None:
    kernel, grid = kernel_of(temporal), np.array([0.0, 1.0, 2.5, 4.0, 8.0])
    stay, value = stay_of(rows)
    ours = posterior(kernel, stay.time, stay.variable, value, grid)
    draws = ours.sample(DRAWS, torch.Generator().manual_seed(5)).reshape(DRAWS, -1).numpy()
    noisy = covariance(kernel, stay, stay) + np.diag(kernel.noise.numpy()[stay.variable])
    cross = covariance(kernel, on_grid(grid), stay)
    mean = cross @ np.linalg.solve(noisy, value)
    expected = covariance(kernel, on_grid(grid), on_grid(grid)) - cross @ np.linalg.solve(noisy, cross.T)
    assert worst(draws, mean, expected) < MOST
    # the test would see draws that are right at every time and variable but independent between them
    assert worst(draws, mean, np.diag(expected.diagonal())) > 3 * MOST


def test_more_than_thirty_two_observations_between_two_grid_times_are_drawn_exactly() -> None:
    kernel, grid, source = kernel_of(("matern32",)), np.array([0.0, 4.0]), np.random.default_rng(3)
    stay = Rows(np.concatenate([source.uniform(0.0, 4.0, 70), np.full(40, 1.0)]), source.integers(0, 3, 110))
    ours = posterior(kernel, stay.time, stay.variable, source.normal(size=110), grid)
    draws = ours.sample(DRAWS, torch.Generator().manual_seed(6)).reshape(DRAWS, -1).numpy()
    noisy = covariance(kernel, stay, stay) + np.diag(kernel.noise.numpy()[stay.variable])
    cross = covariance(kernel, on_grid(grid), stay)
    expected = covariance(kernel, on_grid(grid), on_grid(grid)) - cross @ np.linalg.solve(noisy, cross.T)
    assert worst(draws, ours.mean.numpy().ravel(), expected) < MOST


@pytest.mark.parametrize("temporal", KERNELS)
def test_filtered_draws_move_between_hours_as_the_filter_errs(temporal: tuple[str, ...]) -> None:
    """error_h = f(h) - G_h y, with G_h the gains of what was known by h, has a covariance in closed form."""
    kernel, grid = kernel_of(temporal), np.arange(1.0, 8.0)
    stay, value = stay_of(40)
    known_at = stay.time + np.random.default_rng(2).choice([0.0, 1.3, 4.0], 40)
    order = np.argsort(known_at, kind="stable")
    stay, value = Rows(stay.time[order], stay.variable[order]), value[order]
    known = np.searchsorted(known_at[order], grid, side="right")
    ours = filtered(kernel, [Observations(stay.time, stay.variable, value, known)], DRAWS, seed=9)[0]
    noisy = covariance(kernel, stay, stay) + np.diag(kernel.noise.numpy()[stay.variable])
    cross, prior = covariance(kernel, on_grid(grid), stay), covariance(kernel, on_grid(grid), on_grid(grid))
    gains = np.zeros_like(cross)
    for row in range(len(gains)):
        k = known[row // 3]
        gains[row, :k] = np.linalg.solve(noisy[:k, :k], cross[row, :k])
    expected = prior - cross @ gains.T - gains @ cross.T + gains @ noisy @ gains.T
    draws = ours.draws.reshape(DRAWS, -1).numpy()
    assert worst(draws, gains @ value, expected) < MOST
    assert worst(draws, gains @ value, np.diag(expected.diagonal())) > 3 * MOST
