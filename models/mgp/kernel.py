"""The covariance of a multi-task Gaussian process.

    cov(f_m(t), f_m'(t')) = sum_s B_s[m, m'] k_s(|t - t'|)        var k_s = 1
    y_i = f_{m_i}(t_i) + e_i                                      e_i ~ N(0, noise[m_i])

    matern12  exp(-r / l)
    matern32  (1 + x) exp(-x)              x = sqrt(3) r / l
    matern52  (1 + x + x^2 / 3) exp(-x)    x = sqrt(5) r / l
    rbf       exp(-r^2 / (2 l^2))          no state-space form: dense only

A sum over S time scales of intrinsic coregionalisation terms. The Matern-1/2 process is the paper's: it does
not assume that a patient's course is smooth.

    S  time scales     M  variables     r  hours between two times     l  lengthscale, hours

Source: Bonilla 2007 (NIPS, multi-task GP prediction); Futoma 2017 arXiv:1706.04152; Moor 2019
arXiv:1902.01659, who use one time scale. Two let a patient's level and its hourly course have different
correlations between variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.clinical.errors import InvalidInput

TEMPORALS = ("matern12", "matern32", "matern52", "rbf")
LEAST_NOISE = 1e-10  # of the prior variance
ASYMMETRY = 1e-4  # of the largest variance: a product W W^T in float32 is symmetric to about 1e-6
INDEFINITE = 1e-5  # a covariance of low rank is as far from positive, by rounding alone

Numbers = Tensor | npt.NDArray[np.floating] | float | Sequence[float]


@dataclass(frozen=True, init=False, eq=False)
class Kernel:
    """`temporal` S names, `lengthscale_hours` (S,), `task_covariance` (S, M, M), `noise` (M,) variances.

    One name, a scalar lengthscale and an (M, M) covariance are the case S = 1; one name with S lengthscales
    stands for all of them. Numbers, arrays and tensors become tensors of the covariance's floating type;
    gradients flow through. Raises InvalidInput for a lengthscale or noise that is not positive and finite, an
    asymmetric or indefinite covariance, and shapes that do not fit.
    """

    temporal: tuple[str, ...]
    lengthscale_hours: Tensor
    task_covariance: Tensor
    noise: Tensor

    def __init__(
        self,
        temporal: str | Sequence[str] = "matern12",
        *,
        lengthscale_hours: Numbers,
        task_covariance: Numbers | Sequence[Numbers],
        noise: Numbers,
    ) -> None:
        covariance = _tensor(task_covariance)
        covariance = covariance if covariance.is_floating_point() else covariance.double()
        covariance = covariance.unsqueeze(0) if covariance.dim() == 2 else covariance  # noqa: PLR2004
        lengthscale = _tensor(lengthscale_hours).to(covariance).reshape(-1)
        names = (temporal,) * len(lengthscale) if isinstance(temporal, str) else tuple(temporal)
        object.__setattr__(self, "temporal", names)
        object.__setattr__(self, "lengthscale_hours", lengthscale)
        object.__setattr__(self, "task_covariance", covariance)
        object.__setattr__(self, "noise", _tensor(noise).to(covariance))
        _check(self)

    @property
    def variables(self) -> int:
        """M, how many variables the process has."""
        return self.noise.shape[-1]

    @property
    def dtype(self) -> torch.dtype:
        """The floating type of the parameters and of every result."""
        return self.task_covariance.dtype

    def correlation(self, first_hours: Tensor, second_hours: Tensor) -> Tensor:
        """k_s between times (..., n) and (..., p), in hours: (S, ..., n, p)."""
        hours = (first_hours.unsqueeze(-1) - second_hours.unsqueeze(-2)).abs()
        pairs = zip(self.temporal, self.lengthscale_hours, strict=True)
        return torch.stack([_correlation(name, hours / lengthscale) for name, lengthscale in pairs])

    def prior_variance(self) -> Tensor:
        """var(f_m(t)), the same at every t: (M,)."""
        return self.task_covariance.diagonal(dim1=-2, dim2=-1).sum(0)

    def to(self, dtype: torch.dtype) -> Kernel:
        """The same kernel in another floating-point type."""
        return Kernel(
            self.temporal,
            lengthscale_hours=self.lengthscale_hours,
            task_covariance=self.task_covariance.to(dtype),
            noise=self.noise,
        )


def _tensor(numbers: Numbers | Sequence[Numbers]) -> Tensor:
    if isinstance(numbers, list | tuple) and any(isinstance(one, Tensor | np.ndarray) for one in numbers):
        return torch.stack([_tensor(one) for one in numbers])
    return torch.as_tensor(numbers)


def _correlation(temporal: str, distance: Tensor) -> Tensor:
    """k at distances in lengthscales."""
    if temporal == "matern12":
        return torch.exp(-distance)
    if temporal == "rbf":
        return torch.exp(-0.5 * distance.square())
    scaled = sqrt(3.0 if temporal == "matern32" else 5.0) * distance
    square = 0.0 if temporal == "matern32" else scaled.square() / 3.0
    return (1.0 + scaled + square) * torch.exp(-scaled)


def _check(kernel: Kernel) -> None:
    covariance, noise = kernel.task_covariance.detach(), kernel.noise
    scales = len(kernel.lengthscale_hours)
    if noise.dim() != 1 or covariance.shape != (scales, len(noise), len(noise)):
        raise InvalidInput(
            f"task_covariance has the shape {tuple(covariance.shape)}; expected {scales} lengthscales times "
            f"(M, M) with M = {tuple(noise.shape)} noises",
            value=tuple(covariance.shape),
            bound="(S, M, M)",
        )
    unknown = [name for name in kernel.temporal if name not in TEMPORALS]
    if unknown or len(kernel.temporal) != scales or scales == 0:
        raise InvalidInput(
            f"temporal is {kernel.temporal} for {scales} lengthscales; expected one of {TEMPORALS} for each",
            value=kernel.temporal,
            bound=" | ".join(TEMPORALS),
        )
    _check_positive("lengthscale_hours", kernel.lengthscale_hours.detach(), "h")
    _check_positive("noise", noise.detach(), "variance of a standardised value")
    _check_covariance(covariance)
    _check_noise(noise.detach(), kernel.prior_variance().detach())


def _check_noise(noise: Tensor, variance: Tensor) -> None:
    """Below this, repeated measurements of one moment leave nothing of double precision."""
    least = LEAST_NOISE * variance
    if (noise < least).any():
        place = int((noise < least).nonzero()[0, 0])
        value, bound = float(noise[place]), float(least[place])
        raise InvalidInput(
            f"noise[{place}] is {value:g}; expected at least {bound:g}, {LEAST_NOISE:g} of its variance",
            value=value,
            bound=f">= {bound:g}",
            unit="variance of a standardised value",
        )


def _check_positive(name: str, values: Tensor, unit: str) -> None:
    bad = ~(torch.isfinite(values) & (values > 0))
    if bad.any():
        place = int(bad.nonzero()[0, 0])
        value = float(values[place])
        raise InvalidInput(
            f"{name}[{place}] is {value}; expected > 0 ({unit})", value=value, bound="> 0", unit=unit
        )


def _check_covariance(covariance: Tensor) -> None:
    largest = covariance.diagonal(dim1=-2, dim2=-1).amax() if covariance.numel() else covariance.new_zeros(())
    asymmetry = (covariance - covariance.mT).abs().max() if covariance.numel() else largest
    if not asymmetry <= ASYMMETRY * largest:
        value = float(asymmetry)
        raise InvalidInput(
            f"task_covariance is not symmetric and finite: it differs from its transpose by {value}",
            value=value,
            bound=f"<= {ASYMMETRY} of its largest variance",
        )
    lifted = covariance + INDEFINITE * largest * torch.eye(covariance.shape[-1]).to(covariance)
    if torch.linalg.cholesky_ex(lifted).info.any():
        value = float(torch.linalg.eigvalsh(covariance).min())
        raise InvalidInput(
            f"task_covariance is indefinite: its smallest eigenvalue is {value}", value=value, bound=">= 0"
        )
