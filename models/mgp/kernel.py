"""The covariance of a multi-task Gaussian process.

    cov(f_m(t), f_m'(t')) = sum_s B_s[m, m'] k_s(|t - t'|)        k_s(r) = exp(-r / l_s)
    y_i = f_{m_i}(t_i) + e_i                                      e_i ~ N(0, noise[m_i])

A sum over S time scales of intrinsic coregionalisation terms; every term is a Matern-1/2 process in time,
which does not assume that a patient's course is smooth.

    S  time scales     M  variables     B  batch     n, p  observations or query points

Source: Bonilla 2007 (NIPS, multi-task GP prediction); Futoma 2017 arXiv:1706.04152; Moor 2019
arXiv:1902.01659, who use one time scale. Two cost the same linear algebra and let a patient's level and its
hourly course have different correlations between variables.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Kernel:
    """`lengthscale_hours` (S,), `task_covariance` (S, M, M) positive definite, `noise` (M,) variances."""

    lengthscale_hours: Tensor
    task_covariance: Tensor
    noise: Tensor

    @property
    def variables(self) -> int:
        """M, how many variables the process has."""
        return self.noise.shape[-1]

    def temporal(self, first_hours: Tensor, second_hours: Tensor) -> Tensor:
        """k_s between times (B, n) and (B, p), in hours: (S, B, n, p)."""
        distance = (first_hours.unsqueeze(-1) - second_hours.unsqueeze(-2)).abs()
        return torch.exp(-distance / self.lengthscale_hours.view(-1, 1, 1, 1))

    def prior_variance(self) -> Tensor:
        """var(f_m(t)), the same at every t: (M,)."""
        return self.task_covariance.diagonal(dim1=-2, dim2=-1).sum(0)

    def to(self, dtype: torch.dtype) -> Kernel:
        """The same kernel in another floating-point type."""
        return Kernel(self.lengthscale_hours.to(dtype), self.task_covariance.to(dtype), self.noise.to(dtype))
