"""The kernel's parameters, trainable.

B_s = W_s W_s^T + diag(v_s)          l_s, v_s and noise are softplus of free parameters, hence positive
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from models.mgp.kernel import Kernel

# a standardised value's noise never falls below this: monitors round, and it keeps K far from singular
NOISE_FLOOR = 1e-3


class Hyperparameters(nn.Module):
    """Lengthscales, coregionalisation factors of rank `rank` and noises of `variables` variables.

    Starts from `lengthscale_hours` (S,), with a prior variance of about 1 shared between the scales.
    """

    def __init__(self, variables: int, lengthscale_hours: tuple[float, ...], rank: int) -> None:
        super().__init__()
        scales = len(lengthscale_hours)
        self.raw_lengthscale = nn.Parameter(_softplus_inverse(torch.tensor(lengthscale_hours)))
        self.factor = nn.Parameter(0.3 * torch.randn(scales, variables, rank) / (rank * scales) ** 0.5)
        self.raw_own = nn.Parameter(_softplus_inverse(torch.full((scales, variables), 0.8 / scales)))
        self.raw_noise = nn.Parameter(_softplus_inverse(torch.full((variables,), 0.2)))

    def kernel(self) -> Kernel:
        """The kernel these parameters stand for, with gradients."""
        task = self.factor @ self.factor.mT + torch.diag_embed(softplus(self.raw_own))  # (S, M, M)
        return Kernel(softplus(self.raw_lengthscale), task, NOISE_FLOOR + softplus(self.raw_noise))


def _softplus_inverse(positive: Tensor) -> Tensor:
    return positive + torch.log(-torch.expm1(-positive))
