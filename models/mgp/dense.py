"""The same process without a state space, by gpytorch's kernels and one Cholesky factor: O((n + T M)^3).

    K = sum_s k_s(t, t') B_s[m, m'] + noise
    mean = K_*^T K^-1 y        covariance = K_** - K_*^T K^-1 K_*

It serves temporal kernels that have no state-space form, and as the oracle of those that have one. Gradients
flow to the kernel's tensors and the values.

    n  observations     T  grid hours     M  variables
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log, pi

import gpytorch  # type: ignore[import-untyped]
import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.mgp.kernel import Kernel
from models.mgp.observations import check_draws
from models.mgp.posterior import Posterior


@dataclass(frozen=True, eq=False)
class DensePosterior(Posterior):
    """A posterior with its `covariance` (T M, T M), hours slowest."""

    covariance: Tensor

    @property
    def variance(self) -> Tensor:
        """The covariance's diagonal."""
        diagonal: Tensor = self.covariance.diagonal()
        return diagonal.clamp_min(0.0).reshape(self.mean.shape)

    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """Normals times the covariance's root, O((T M)^2) a draw."""
        check_draws(draws)
        normals = torch.randn(draws, self.mean.numel(), generator=generator).to(self.mean)
        return self.mean + (normals @ self._root.mT).reshape(draws, *self.mean.shape)

    @cached_property
    def _root(self) -> Tensor:
        """A square root of the covariance, by eigenvalues: a well-measured process leaves it singular."""
        values, vectors = torch.linalg.eigh(self.covariance)
        root: Tensor = vectors * values.clamp_min(0.0).sqrt()
        return root


def dense_posterior(
    kernel: Kernel, time_hours: Tensor, variable: Tensor, value: Tensor, grid_hours: Tensor
) -> DensePosterior:
    """The posterior of one stay at `grid_hours` (T,) given rows (n,), computed in the kernel's type.

    Raises torch.linalg.LinAlgError where rounding makes K indefinite.
    """
    time, value, grid = (column.to(kernel.dtype) for column in (time_hours, value, grid_hours))
    grid_time = grid.repeat_interleave(kernel.variables)
    grid_variable = torch.arange(kernel.variables).repeat(len(grid))
    factor = torch.linalg.cholesky(
        _covariance(kernel, time, variable, time, variable) + torch.diag(kernel.noise[variable])
    )
    cross = _covariance(kernel, time, variable, grid_time, grid_variable)
    whitened = torch.linalg.solve_triangular(
        factor, torch.cat([cross, value.unsqueeze(-1)], dim=-1), upper=False
    )
    white_cross, white_value = whitened[:, :-1], whitened[:, -1]
    prior = _covariance(kernel, grid_time, grid_variable, grid_time, grid_variable)
    log_density = -0.5 * (white_value.square() + log(2.0 * pi)) - factor.diagonal().log()
    return DensePosterior(
        mean=(white_cross.mT @ white_value).reshape(len(grid), kernel.variables),
        covariance=prior - white_cross.mT @ white_cross,
        log_likelihood=log_density.sum(),
    )


def _covariance(
    kernel: Kernel, first_time: Tensor, first_variable: Tensor, second_time: Tensor, second_variable: Tensor
) -> Tensor:
    """cov(f at the first rows (n,), f at the second (p,)): (n, p)."""
    total = torch.zeros(len(first_time), len(second_time), dtype=kernel.dtype)
    terms = zip(kernel.temporal, kernel.lengthscale_hours, kernel.task_covariance, strict=True)
    for name, lengthscale, task in terms:
        temporal = _Temporal(name).to(kernel.dtype)
        raw = temporal.kernel.raw_lengthscale_constraint.inverse_transform(lengthscale.reshape(1, 1))
        parameters = {"kernel.raw_lengthscale": raw}
        correlation = functional_call(temporal, parameters, (first_time, second_time))
        total = total + task[first_variable][:, second_variable] * correlation
    return total


class _Temporal(nn.Module):
    """gpytorch's kernel of a name, as a dense matrix."""

    def __init__(self, name: str) -> None:
        super().__init__()
        smoothness = {"matern12": 0.5, "matern32": 1.5, "matern52": 2.5}
        self.kernel = (
            gpytorch.kernels.RBFKernel()
            if name == "rbf"
            else gpytorch.kernels.MaternKernel(nu=smoothness[name])
        )

    def forward(self, first_time: Tensor, second_time: Tensor) -> Tensor:
        """Correlations (n, p)."""
        correlation: Tensor = self.kernel(first_time.unsqueeze(-1), second_time.unsqueeze(-1)).to_dense()
        return correlation
