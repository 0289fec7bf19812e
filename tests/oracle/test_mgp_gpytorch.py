"""The posterior against gpytorch's exact GP, and against a closed form in numpy."""

import gpytorch  # type: ignore[import-untyped]
import numpy as np
import pytest
import torch
from torch import Tensor

from models.mgp import Kernel, posterior
from models.mgp.hyperparameters import Hyperparameters

VARIABLES = 5


class _ExactGP(gpytorch.models.ExactGP):  # type: ignore[misc]
    """Zero mean; a sum over time scales of MaternKernel * IndexKernel on (time, variable)."""

    def __init__(self, inputs: tuple[Tensor, Tensor], value: Tensor, kernel: Kernel) -> None:
        likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(kernel.noise[inputs[1]])
        super().__init__(inputs, value, likelihood)
        self.materns, self.indices = torch.nn.ModuleList(), torch.nn.ModuleList()
        for lengthscale, task in zip(kernel.lengthscale_hours, kernel.task_covariance, strict=True):
            matern = gpytorch.kernels.MaternKernel(nu=0.5).double()
            index = gpytorch.kernels.IndexKernel(num_tasks=VARIABLES, rank=VARIABLES).double()
            matern.initialize(lengthscale=lengthscale)
            index.initialize(covar_factor=torch.linalg.cholesky(task), var=torch.full((VARIABLES,), 1e-12))
            self.materns.append(matern)
            self.indices.append(index)

    def forward(self, time: Tensor, variable: Tensor) -> gpytorch.distributions.MultivariateNormal:
        pairs = zip(self.materns, self.indices, strict=True)
        covariance = sum(matern(time).mul(index(variable)) for matern, index in pairs)
        return gpytorch.distributions.MultivariateNormal(torch.zeros(len(time), dtype=time.dtype), covariance)


def _problem(seed: int, rows: int) -> tuple[Hyperparameters, Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    learnt = Hyperparameters(VARIABLES, (2.0, 30.0), rank=2).double()
    for index in learnt.tasks:
        torch.nn.init.normal_(index.get_parameter("covar_factor"))
    time = torch.rand(rows, dtype=torch.float64).mul(40).sort().values
    variable = torch.randint(0, VARIABLES, (rows,))
    return learnt, time, variable, torch.randn(rows, dtype=torch.float64), torch.arange(1.0, 45.0).double()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # gpytorch builds a sparse tensor inside
@pytest.mark.parametrize(("seed", "rows"), [(0, 1), (1, 63), (2, 64), (3, 150)])
def test_mean_and_variance_equal_gpytorch(seed: int, rows: int) -> None:
    learnt, time, variable, value, grid = _problem(seed, rows)
    with torch.no_grad():
        kernel = learnt.kernel()
        model = _ExactGP((time, variable), value, kernel).eval()
        ours = posterior(kernel, time, variable, value, grid)
        for m in range(VARIABLES):
            theirs = model(grid, torch.full((len(grid),), m))
            torch.testing.assert_close(ours.mean[:, m], theirs.mean, rtol=1e-8, atol=1e-8)
            torch.testing.assert_close(ours.variance[:, m], theirs.variance, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("known", [0, 1, 40, 64, 65, 100])
def test_filtered_mean_and_variance_equal_the_closed_form_of_a_prefix(known: int) -> None:
    learnt, time, variable, value, grid = _problem(4, 100)
    with torch.no_grad():
        kernel = learnt.kernel()
        counts = torch.full((len(grid),), known)
        ours = posterior(kernel, time, variable, value, grid, known=counts)
    mean, variance = _closed_form(kernel, time[:known], variable[:known], value[:known], grid)
    np.testing.assert_allclose(ours.mean.numpy(), mean, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.variance.numpy(), variance, rtol=1e-8, atol=1e-10)


def test_log_likelihood_equals_the_multivariate_normal_density() -> None:
    learnt, time, variable, value, grid = _problem(5, 90)
    with torch.no_grad():
        kernel = learnt.kernel()
        covariance = torch.from_numpy(_covariance(kernel, time, variable, time, variable))
        noisy = covariance + torch.diag(kernel.noise[variable])
        density = torch.distributions.MultivariateNormal(torch.zeros(90, dtype=torch.float64), noisy)
        ours = posterior(kernel, time, variable, value, grid).log_likelihood
        expected = float(density.log_prob(value))  # type: ignore[no-untyped-call]
    assert ours == pytest.approx(expected, rel=1e-10)


def _covariance(
    kernel: Kernel, time: Tensor, variable: Tensor, other_time: Tensor, other_variable: Tensor
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    distance = np.abs(time.numpy()[:, None] - other_time.numpy()[None])
    terms = zip(kernel.task_covariance.numpy(), kernel.lengthscale_hours.numpy(), strict=True)
    rows, columns = variable.numpy()[:, None], other_variable.numpy()[None]
    return np.asarray(sum(task[rows, columns] * np.exp(-distance / scale) for task, scale in terms))


def _closed_form(
    kernel: Kernel, time: Tensor, variable: Tensor, value: Tensor, grid: Tensor
) -> tuple[
    np.ndarray[tuple[int, int], np.dtype[np.float64]], np.ndarray[tuple[int, int], np.dtype[np.float64]]
]:
    noisy = _covariance(kernel, time, variable, time, variable) + np.diag(kernel.noise[variable].numpy())
    means, variances = [], []
    for m in range(VARIABLES):
        cross = _covariance(kernel, grid, torch.full((len(grid),), m), time, variable)
        prior = float(kernel.prior_variance()[m])
        means.append(cross @ np.linalg.solve(noisy, value.numpy()))
        variances.append(prior - np.einsum("tn,nt->t", cross, np.linalg.solve(noisy, cross.T)))
    return np.stack(means, axis=1), np.stack(variances, axis=1)
