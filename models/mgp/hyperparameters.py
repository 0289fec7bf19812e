"""The kernel's parameters as trainable gpytorch kernels.

B_s = W_s W_s^T + diag(v_s)          l_s, v_s and noise are kept positive by gpytorch's constraints
"""

from __future__ import annotations

import torch
from gpytorch.constraints import GreaterThan  # type: ignore[import-untyped]
from gpytorch.kernels import IndexKernel, MaternKernel  # type: ignore[import-untyped]
from torch import Tensor, nn

from models.mgp.kernel import Kernel

# a standardised value's noise never falls below this: monitors round, and it keeps K far from singular
NOISE_FLOOR = 1e-3
SMOOTHNESS = {"matern12": 0.5, "matern32": 1.5, "matern52": 2.5}


class Hyperparameters(nn.Module):
    """Lengthscales, coregionalisation factors of rank `rank` and noises of `variables` variables.

    `temporal` names a Matern process for each of `lengthscale_hours`, from which training starts, with a
    prior variance of about 1 shared between them.
    """

    def __init__(
        self, variables: int, temporal: tuple[str, ...], lengthscale_hours: tuple[float, ...], rank: int
    ) -> None:
        super().__init__()
        scales = len(lengthscale_hours)
        self._names = temporal
        pairs = zip(temporal, lengthscale_hours, strict=True)
        self.temporal = nn.ModuleList(_matern(name, hours) for name, hours in pairs)
        self.tasks = nn.ModuleList(_index(variables, rank, scales) for _ in lengthscale_hours)
        self.positive_noise = GreaterThan(NOISE_FLOOR)
        self.raw_noise = nn.Parameter(self.positive_noise.inverse_transform(torch.full((variables,), 0.2)))

    def kernel(self) -> Kernel:
        """The kernel these parameters stand for, with gradients."""
        return Kernel(
            self._names,
            lengthscale_hours=torch.cat([_lengthscale(matern) for matern in self.temporal]),
            task_covariance=torch.stack([_covariance(index) for index in self.tasks]),
            noise=self.positive_noise.transform(self.raw_noise),
        )

    def separate(self, learnt: Tensor) -> None:
        """Make every variable with `learnt` (M,) 0 independent of the rest: training never saw it."""
        with torch.no_grad():
            for index in self.tasks:
                index.get_parameter("covar_factor").mul_(learnt.to(torch.float32).unsqueeze(-1))


def _matern(name: str, hours: float) -> MaternKernel:
    matern = MaternKernel(nu=SMOOTHNESS[name])
    matern.initialize(lengthscale=hours)
    return matern


def _index(variables: int, rank: int, scales: int) -> IndexKernel:
    index = IndexKernel(num_tasks=variables, rank=rank)
    with torch.no_grad():
        index.covar_factor.mul_(0.3 / (rank * scales) ** 0.5)
    index.initialize(var=torch.full((variables,), 0.8 / scales))
    return index


def _lengthscale(matern: MaternKernel) -> Tensor:
    lengthscale: Tensor = matern.lengthscale  # (1, 1)
    return lengthscale.flatten()


def _covariance(index: IndexKernel) -> Tensor:
    factor: Tensor = index.covar_factor
    return factor @ factor.mT + torch.diag_embed(index.var)
