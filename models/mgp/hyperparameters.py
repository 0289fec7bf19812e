"""The kernel's parameters as trainable gpytorch modules.

    B_s = W_s W_s^T + diag(v_s)          lengthscale, v and noise kept positive by a softplus
"""

from __future__ import annotations

import torch
from gpytorch.constraints import GreaterThan, Positive
from gpytorch.kernels import IndexKernel, MaternKernel
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
        scales = len(lengthscale_hours)
        self.temporal = nn.ModuleList(MaternKernel(nu=0.5) for _ in lengthscale_hours)
        self.tasks = nn.ModuleList(IndexKernel(num_tasks=variables, rank=rank) for _ in lengthscale_hours)
        self._positive = Positive()
        self._noise_constraint = GreaterThan(NOISE_FLOOR)
        self.raw_noise = nn.Parameter(self._noise_constraint.inverse_transform(torch.full((variables,), 0.2)))
        with torch.no_grad():
            for matern, index, hours in zip(self.temporal, self.tasks, lengthscale_hours, strict=True):
                matern.initialize(lengthscale=hours)
                index.covar_factor.mul_(0.3 / (rank * scales) ** 0.5)
                index.initialize(var=torch.full((variables,), 0.8 / scales))

    def kernel(self) -> Kernel:
        """The kernel these parameters stand for, with gradients."""
        lengthscale = torch.stack([matern.lengthscale.reshape(()) for matern in self.temporal])
        task = torch.stack([self._task_covariance(index) for index in self.tasks])
        return Kernel(lengthscale, task, self._noise_constraint.transform(self.raw_noise))

    @staticmethod
    def _task_covariance(index: nn.Module) -> Tensor:
        factor: Tensor = index.covar_factor  # type: ignore[assignment]
        diagonal: Tensor = index.var  # type: ignore[assignment]
        return factor @ factor.mT + torch.diag_embed(diagonal)
