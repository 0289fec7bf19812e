"""The kernel's parameters as trainable gpytorch modules.

B_s = W_s W_s^T + diag(v_s)          lengthscale, v and noise kept positive by a softplus
"""

from __future__ import annotations

from typing import Any

import torch
from gpytorch.kernels import IndexKernel, MaternKernel  # type: ignore[import-untyped]
from torch import Tensor, nn

from models.mgp.kernel import Kernel

# a standardised value's noise never falls below this: monitors round, and it keeps K far from singular
NOISE_FLOOR = 1e-3


class Hyperparameters(nn.Module):
    """Lengthscales, coregionalisation factors of rank `rank` and noises of `variables` variables.

    Starts from `lengthscale_hours`, one a time scale, with the prior variance of 1 shared between them.
    """

    def __init__(self, variables: int, lengthscale_hours: tuple[float, ...], rank: int) -> None:
        super().__init__()
        self.temporal = nn.ModuleList(_matern(hours) for hours in lengthscale_hours)
        self.tasks = nn.ModuleList(_index(variables, rank, len(lengthscale_hours)) for _ in lengthscale_hours)
        self.raw_noise = nn.Parameter(torch.full((variables,), -1.5))  # a noise variance of 0.2

    def kernel(self) -> Kernel:
        """The kernel these parameters stand for, with gradients."""
        lengthscale = torch.stack([_lengthscale(matern) for matern in self.temporal])
        task = torch.stack([_task_covariance(index) for index in self.tasks])
        return Kernel(lengthscale, task, NOISE_FLOOR + nn.functional.softplus(self.raw_noise))


def _matern(hours: float) -> MaternKernel:
    matern = MaternKernel(nu=0.5)
    matern.initialize(lengthscale=hours)
    return matern


def _index(variables: int, rank: int, scales: int) -> IndexKernel:
    index = IndexKernel(num_tasks=variables, rank=rank)
    index.initialize(
        covar_factor=0.3 * torch.randn(variables, rank) / (rank * scales) ** 0.5,
        var=torch.full((variables,), 0.8 / scales),
    )
    return index


def _lengthscale(matern: Any) -> Tensor:
    lengthscale: Tensor = matern.lengthscale.reshape(())
    return lengthscale


def _task_covariance(index: Any) -> Tensor:
    factor: Tensor = index.covar_factor
    return factor @ factor.mT + torch.diag_embed(index.var)
