"""The state-space engine against the closed form of a Gaussian process, in plain float64 numpy, and gpytorch.

mean = K_* (K + noise)^-1 y        variance = diag(K_** - K_* (K + noise)^-1 K_*^T)
"""

from typing import NamedTuple

import gpytorch  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.mgp.dense import dense_posterior
from models.mgp.kernel import Kernel
from models.mgp.posterior import Observations, filtered, posterior

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TEMPORALS = ("matern12", "matern32", "matern52")
WEEK = 168.0
FLOAT64, FLOAT32 = 1e-8, 1e-4  # the bars, relative


class Stay(NamedTuple):
    time: Floats
    variable: Integers
    value: Floats
    grid: Floats


def correlation(temporal: str, distance: Floats) -> Floats:
    x = np.sqrt({"matern12": 1.0, "matern32": 3.0, "matern52": 5.0}[temporal]) * distance
    polynomial = {"matern12": 1.0, "matern32": 1.0 + x, "matern52": 1.0 + x + x**2 / 3.0}[temporal]
    return np.asarray(polynomial * np.exp(-x))


def covariance(
    kernel: Kernel, time: Floats, variable: Integers, times: Floats, variables: Integers
) -> Floats:
    distance = np.abs(time[:, None] - times[None, :])
    total = np.zeros(distance.shape)
    tasks = kernel.task_covariance.double().numpy()
    for temporal, lengthscale, task in zip(
        kernel.temporal, kernel.lengthscale_hours.double(), tasks, strict=True
    ):
        total += task[np.ix_(variable, variables)] * correlation(temporal, distance / float(lengthscale))
    return total


def solve(factor: Floats, columns: Floats) -> Floats:
    """factor^-1 columns, factor lower triangular."""
    pair = torch.from_numpy(factor), torch.from_numpy(columns)
    return np.asarray(torch.linalg.solve_triangular(*pair, upper=False))


def closed_form(kernel: Kernel, stay: Stay) -> tuple[Floats, Floats, float]:
    """Mean and variance (T, M) and log likelihood."""
    every = np.arange(kernel.variables)
    noise = np.diag(kernel.noise.double().numpy()[stay.variable])
    factor = np.asarray(
        np.linalg.cholesky(covariance(kernel, *stay[:2], *stay[:2]) + noise), dtype=np.float64
    )
    white = solve(factor, stay.value[:, None])[:, 0]
    times, variables = np.repeat(stay.grid, len(every)), np.tile(every, len(stay.grid))
    cross = solve(factor, covariance(kernel, *stay[:2], times, variables))
    prior = np.tile(kernel.task_covariance.double().numpy().sum(0).diagonal(), len(stay.grid))
    likelihood = -0.5 * (white @ white + len(white) * np.log(2 * np.pi)) - np.log(factor.diagonal()).sum()
    shape = (len(stay.grid), len(every))
    return (cross.T @ white).reshape(shape), (prior - (cross**2).sum(0)).reshape(shape), float(likelihood)


def assert_agrees(kernel: Kernel, stay: Stay, bar: float) -> None:
    """Within `bar` relative; where a number cancels to nearly nothing, of the process's own scale."""
    mean, variance, likelihood = closed_form(kernel, stay)
    ours = posterior(kernel, stay.time, stay.variable, stay.value, stay.grid)
    scale = np.sqrt(kernel.prior_variance().double().numpy())
    np.testing.assert_allclose(ours.mean.double().numpy() / scale, mean / scale, rtol=bar, atol=bar)
    np.testing.assert_allclose(
        ours.variance.double().numpy() / scale**2, variance / scale**2, rtol=bar, atol=bar * 1e-2
    )
    assert float(ours.log_likelihood) == pytest.approx(likelihood, rel=bar, abs=bar)
    assert ours.mean.dtype == ours.variance.dtype == kernel.dtype


def random_kernel(
    source: np.random.Generator, temporal: tuple[str, ...], variables: int, noise: float
) -> Kernel:
    factor = source.normal(size=(len(temporal), variables, max(1, variables // 3)))
    return Kernel(
        temporal,
        lengthscale_hours=np.exp(source.uniform(-1.0, 4.0, len(temporal))),
        task_covariance=factor @ factor.transpose(0, 2, 1) + 0.1 * np.eye(variables),
        noise=noise * np.exp(source.uniform(0.0, 1.0, variables)),
    )


def random_times(source: np.random.Generator, rows: int, style: str) -> Floats:
    spread = source.uniform(0.0, 48.0, rows)
    if style == "simultaneous":
        return np.asarray(np.floor(spread / 4.0) * 4.0)
    if style == "near-duplicate":
        return np.asarray(np.floor(spread / 4.0) * 4.0 + source.uniform(0.0, 1e-9, rows))
    return np.asarray(
        spread + 3.0 * WEEK * source.integers(0, 3, rows) if style == "gaps of weeks" else spread
    )


@st.composite
def problems(draw: st.DrawFn) -> tuple[Kernel, Stay]:
    source = np.random.default_rng(draw(st.integers(0, 2**32)))
    temporal = tuple(draw(st.lists(st.sampled_from(TEMPORALS), min_size=1, max_size=2)))
    variables, rows = draw(st.sampled_from([1, 2, 5, 9, 17])), draw(st.integers(0, 60))
    style = draw(st.sampled_from(["spread", "simultaneous", "near-duplicate", "gaps of weeks"]))
    kernel = random_kernel(source, temporal, variables, draw(st.sampled_from([1e-4, 1e-2, 1.0])))
    time = random_times(source, rows, style)
    grid = np.sort(np.concatenate([np.arange(-4.0, 52.0, 4.0), time[:3], [9.0 * WEEK, 9.0 * WEEK]]))
    return kernel, Stay(time, source.integers(0, variables, rows), source.normal(size=rows), grid)


@settings(max_examples=60)
@given(problems())
def test_any_stay_equals_the_closed_form(problem: tuple[Kernel, Stay]) -> None:
    kernel, stay = problem
    assert_agrees(kernel, stay, FLOAT64)
    assert_agrees(kernel.to(torch.float32), stay, FLOAT32)


@pytest.mark.parametrize("style", ["spread", "near-duplicate"])
def test_a_long_stay_measured_almost_exactly_equals_the_closed_form(style: str) -> None:
    source = np.random.default_rng(7)
    kernel = random_kernel(source, ("matern12", "matern12"), 6, 1e-4)
    time = random_times(source, 2000, style)
    stay = Stay(time, source.integers(0, 6, 2000), source.normal(size=2000), np.arange(1.0, 49.0, 6.0))
    assert_agrees(kernel.to(torch.float32), stay, FLOAT32)
    assert_agrees(kernel, stay, FLOAT64)


def test_five_thousand_simultaneous_observations_equal_their_average() -> None:
    # 2,500 readings of a variable at one time are one reading of their mean with 2,500 times less noise
    kernel = random_kernel(np.random.default_rng(3), ("matern12",), 2, 1e-4)
    value, variable = np.random.default_rng(4).normal(size=5000), np.tile([0, 1], 2500)
    ours = posterior(kernel, np.full(5000, 5.0), variable, value, np.array([1.0, 5.0, 9.0]))
    fewer = Kernel(
        lengthscale_hours=kernel.lengthscale_hours,
        task_covariance=kernel.task_covariance,
        noise=kernel.noise / 2500,
    )
    averages = value.reshape(2500, 2).mean(0)
    mean, variance, _ = closed_form(
        fewer, Stay(np.full(2, 5.0), np.arange(2), averages, np.array([1.0, 5.0, 9.0]))
    )
    np.testing.assert_allclose(ours.mean, mean, rtol=FLOAT64, atol=1e-9)
    np.testing.assert_allclose(ours.variance, variance, rtol=FLOAT64, atol=1e-14)


def test_a_hundred_variables_equal_the_closed_form() -> None:
    source = np.random.default_rng(8)
    kernel = random_kernel(source, ("matern12",), 100, 1e-2)
    stay = Stay(
        random_times(source, 300, "spread"),
        source.integers(0, 100, 300),
        source.normal(size=300),
        np.arange(1.0, 9.0),
    )
    assert_agrees(kernel, stay, FLOAT64)
    assert_agrees(kernel.to(torch.float32), stay, FLOAT32)


def test_no_observation_gives_the_prior() -> None:
    kernel = random_kernel(np.random.default_rng(0), ("matern52", "matern12"), 3, 0.1)
    ours = posterior(kernel, np.empty(0), np.empty(0), np.empty(0), np.arange(5.0))
    assert (ours.mean == 0).all()
    torch.testing.assert_close(ours.variance, kernel.prior_variance().expand(5, 3))
    assert float(ours.log_likelihood) == 0.0


@settings(max_examples=25)
@given(problems(), st.integers(0, 2**32))
def test_each_filtered_hour_is_conditioned_on_what_was_known_by_it(
    problem: tuple[Kernel, Stay], seed: int
) -> None:
    kernel, stay = problem
    known_at = stay.time + np.random.default_rng(seed).choice([0.0, 0.5, 7.0, 30.0], len(stay.time))
    order = np.argsort(known_at, kind="stable")
    time, variable, value = stay.time[order], stay.variable[order], stay.value[order]
    grid = np.arange(1.0, 41.0)
    known = np.searchsorted(known_at[order], grid, side="right")
    ours = filtered(kernel, [Observations(time, variable, value, known)])[0]
    for hour in range(0, 40, 3):
        k = known[hour]
        mean, variance, _ = closed_form(
            kernel, Stay(time[:k], variable[:k], value[:k], grid[hour : hour + 1])
        )
        scale = np.sqrt(kernel.prior_variance().numpy())
        np.testing.assert_allclose(
            ours.mean[hour].numpy() / scale, mean[0] / scale, rtol=FLOAT64, atol=FLOAT64
        )
        np.testing.assert_allclose(
            ours.variance[hour].numpy() / scale**2, variance[0] / scale**2, atol=1e-2 * FLOAT64
        )


class ExactGP(gpytorch.models.ExactGP):  # type: ignore[misc]
    """gpytorch's own model: zero mean, a sum of temporal kernel times IndexKernel on (time, variable)."""

    def __init__(
        self, inputs: tuple[torch.Tensor, torch.Tensor], value: torch.Tensor, kernel: Kernel
    ) -> None:
        noise = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(kernel.noise[inputs[1]])
        super().__init__(inputs, value, noise)
        smoothness = {"matern12": 0.5, "matern32": 1.5, "matern52": 2.5}
        self.temporal = torch.nn.ModuleList(
            gpytorch.kernels.MaternKernel(nu=smoothness[n]).double() for n in kernel.temporal
        )
        self.tasks = torch.nn.ModuleList()
        for part, lengthscale, task in zip(
            self.temporal, kernel.lengthscale_hours, kernel.task_covariance, strict=True
        ):
            part.lengthscale = lengthscale
            index = gpytorch.kernels.IndexKernel(num_tasks=len(task), rank=len(task)).double()
            index.initialize(covar_factor=torch.linalg.cholesky(task), var=torch.full((len(task),), 1e-14))
            self.tasks.append(index)

    def forward(
        self, time: torch.Tensor, variable: torch.Tensor
    ) -> gpytorch.distributions.MultivariateNormal:
        pairs = zip(self.temporal, self.tasks, strict=True)
        covariance = sum(temporal(time).mul(task(variable)) for temporal, task in pairs)
        return gpytorch.distributions.MultivariateNormal(torch.zeros(len(time)).double(), covariance)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # gpytorch builds a sparse tensor inside
@pytest.mark.parametrize("temporal", [("matern12",), ("matern32",), ("matern52", "matern12")])
def test_mean_and_variance_equal_gpytorch(temporal: tuple[str, ...]) -> None:
    source = np.random.default_rng(1)
    kernel, rows = random_kernel(source, temporal, 5, 0.05), 150
    time, variable = random_times(source, rows, "spread"), source.integers(0, 5, rows)
    value, grid = source.normal(size=rows), np.arange(1.0, 49.0)
    ours = posterior(kernel, time, variable, value, grid)
    columns = [torch.from_numpy(column) for column in (time, variable, value, grid)]
    with torch.no_grad():
        model = ExactGP((columns[0], columns[1]), columns[2], kernel).eval()
        for m in range(5):
            theirs = model(columns[3], torch.full((48,), m))
            torch.testing.assert_close(ours.mean[:, m], theirs.mean, rtol=1e-8, atol=1e-8)
            torch.testing.assert_close(ours.variance[:, m], theirs.variance, rtol=1e-8, atol=1e-8)
        dense = dense_posterior(kernel, *columns)
    torch.testing.assert_close(ours.mean, dense.mean, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(ours.variance, dense.variance, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(ours.log_likelihood, dense.log_likelihood, rtol=1e-8, atol=1e-8)
