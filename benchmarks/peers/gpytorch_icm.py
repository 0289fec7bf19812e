"""The peer of benchmarks/mgp.py: exact inference of the same model with gpytorch, one stay at a time.

A Hadamard multi-task ExactGP: MaternKernel(nu=1/2) on time times IndexKernel on the variable, fixed noise.
What a stay costs anew is timed and nothing else: the model object is built before, its caches are dropped.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import gpytorch  # type: ignore[import-untyped]
import torch
from torch import Tensor

# gpytorch's ways to the same exact answer; which is fastest depends on n and M, so each row takes the fastest
EXACT = {"exact": (), "exact, fast_pred_var": (gpytorch.settings.fast_pred_var,)}
EVERY_SIZE = 10**9  # above 800 points gpytorch approximates a draw by a root of rank 100 unless told not to


@dataclass(frozen=True)
class Problem:
    """One stay and the model's parameters: `time_hours`, `value` (n,), `variable` (n,) int, `factor` (M, r),
    `diagonal`, `noise` (M,), `lengthscale_hours` (); the task covariance is factor factor^T + diag(diagonal).
    """

    time_hours: Tensor
    variable: Tensor
    value: Tensor
    lengthscale_hours: Tensor
    factor: Tensor
    diagonal: Tensor
    noise: Tensor

    @property
    def variables(self) -> int:
        """M."""
        return len(self.noise)


class ICM(gpytorch.models.ExactGP):  # type: ignore[misc]
    """Zero mean, covariance k(t, t') B[m, m']."""

    def __init__(self, problem: Problem) -> None:
        inputs = (problem.time_hours.unsqueeze(-1), problem.variable.unsqueeze(-1))
        noise = problem.noise[problem.variable].requires_grad_()  # a leaf: its gradient is an observation's
        likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(noise)
        super().__init__(inputs, problem.value, likelihood)
        self.mean = gpytorch.means.ZeroMean()
        self.temporal = gpytorch.kernels.MaternKernel(nu=0.5)
        self.task = gpytorch.kernels.IndexKernel(problem.variables, rank=problem.factor.shape[-1])
        self.temporal.initialize(lengthscale=problem.lengthscale_hours)
        self.task.initialize(covar_factor=problem.factor, var=problem.diagonal)
        self.eval()

    def forward(self, time: Tensor, variable: Tensor) -> gpytorch.distributions.MultivariateNormal:
        """The prior at (time, variable), (p, 1) each."""
        covariance = self.temporal(time).mul(self.task(variable))
        return gpytorch.distributions.MultivariateNormal(self.mean(time), covariance)

    def forget(self) -> None:
        """Drop what was computed for this stay, so that the next call pays as for a new one."""
        self.train()
        self.eval()


@contextmanager
def settings(way: str, *, gradients: bool) -> Iterator[None]:
    """gpytorch set for one of `EXACT`, or as it comes for any other name."""
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if way in EXACT:
            stack.enter_context(gpytorch.settings.max_cholesky_size(EVERY_SIZE))
        for setting in EXACT.get(way, ()):
            stack.enter_context(setting())
        stack.enter_context(gpytorch.settings.detach_test_caches(not gradients))
        stack.enter_context(torch.set_grad_enabled(gradients))
        yield


def crossed(grid_hours: Tensor, variables: int) -> tuple[Tensor, Tensor]:
    """Every grid hour with every variable, (T M, 1) each."""
    time = grid_hours.repeat_interleave(variables).unsqueeze(-1)
    return time, torch.arange(variables).repeat(len(grid_hours)).unsqueeze(-1)


def infer(model: ICM, points: tuple[Tensor, Tensor], draws: int, way: str, *, gradients: bool) -> None:
    """Posterior mean (T M,) and joint draws (draws, T M), as for a stay that is new.

    With `gradients`, those of a loss of both to every parameter too.
    """
    with settings(way, gradients=gradients):
        model.forget()
        posterior = model(*points)
        mean, sampled = posterior.mean, posterior.rsample(torch.Size([draws]))
        if gradients:
            model.zero_grad()
            torch.autograd.backward(mean.sum() + sampled.square().sum())


def ready_for_fantasy(problem: Problem, way: str) -> ICM:
    """A model that has predicted once, as gpytorch wants it before it takes one observation more."""
    model = ICM(problem)
    with settings(way, gradients=False):
        posterior = model(problem.time_hours.max().view(1, 1), torch.zeros(1, 1, dtype=torch.long))
        assert posterior.mean.isfinite().all()
        assert posterior.variance.isfinite().all()
    return model


def fantasy(
    model: ICM,
    way: str,
    row: tuple[float, int, float],
    noise: float,
    points: tuple[Tensor, Tensor] | None = None,
) -> None:
    """One observation more (time in hours, variable, value), by gpytorch's update of its caches; and the mean
    and variance at `points` after it.
    """
    inputs = [torch.tensor([[row[0]]]), torch.tensor([[row[1]]])]
    with settings(way, gradients=False):
        told = model.get_fantasy_model(inputs, torch.tensor([row[2]]), noise=torch.tensor([noise]))
        if points:
            posterior = told(*points)
            assert posterior.mean.shape == posterior.variance.shape
