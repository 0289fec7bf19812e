"""What a patient is like before the first measurement: the mean of every variable.

On the standardised scale the population's mean is 0, and the process needs none. A linear mean adds what age,
sex or the kind of unit say beforehand:

    mean_m(x) = intercept_m + slope_m . x          the process then describes y - mean

It enters the process through the observed values, whose gradients exist, so it can be learnt jointly with the
kernel; `least_squares` gives the start, or all of it.

    n  observations     B  stays     M  variables     K  statics, numbers of order one
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.clinical.errors import InvalidInput
from models.mgp.posterior import Observations, Observed

Floats = npt.NDArray[np.float64]

RIDGE_STAYS = 10.0  # a slope is drawn towards 0 as if ten more stays showed none: rare variables stay at 0


class LinearMean(nn.Module):
    """The mean of M variables as a linear function of K statics; before learning 0, the population's."""

    def __init__(self, variables: int, statics: int) -> None:
        super().__init__()
        self.intercept = nn.Parameter(torch.zeros(variables))
        self.slope = nn.Parameter(torch.zeros(variables, statics))

    def forward(self, statics: Tensor) -> Tensor:
        """The means of patients with `statics` (..., K): (..., M)."""
        return self.intercept + statics @ self.slope.mT

    def centred(self, stay: Observed, statics: Tensor) -> Observations:
        """The stay with its patient's mean, from `statics` (K,), taken off every value; gradients flow.

        Add `mean(statics)` to the posterior mean of the result to have it on the stay's own scale.
        """
        variable = torch.as_tensor(stay.variable)
        value = torch.as_tensor(stay.value) - self(statics)[variable]
        return Observations(stay.time_hours, variable, value, stay.known)


def least_squares(stays: Sequence[Observed], statics: Tensor, variables: int) -> LinearMean:
    """The linear mean of `statics` (B, K) closest to the stays' averages, a ridge regression a variable.

    A stay counts once for a variable, however often that was measured. Raises InvalidInput for statics of
    another number of stays, or not finite.
    """
    if len(statics) != len(stays) or not torch.isfinite(statics).all():
        raise InvalidInput(
            f"statics of shape {tuple(statics.shape)} for {len(stays)} stays; expected a finite row each",
            value=tuple(statics.shape),
            bound="(B, K), finite",
        )
    design = np.concatenate([np.ones((len(stays), 1)), statics.double().numpy()], axis=1)
    average = np.array([_averages(stay, variables) for stay in stays]).reshape(len(stays), variables)
    mean = LinearMean(variables, statics.shape[1]).to(statics.dtype)
    with torch.no_grad():
        for m in range(variables):
            coefficients = torch.from_numpy(_ridge(design, average[:, m]))
            mean.intercept[m], mean.slope[m] = coefficients[0], coefficients[1:]
    return mean


def _averages(stay: Observed, variables: int) -> Floats:
    """The average value of each variable, NaN where it was never measured: (M,)."""
    variable = np.asarray(stay.variable, dtype=np.int64)
    total = np.bincount(variable, weights=np.asarray(stay.value, dtype=np.float64), minlength=variables)
    number = np.bincount(variable, minlength=variables)
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan))


def _ridge(
    design: Floats,
    average: Floats,
) -> Floats:
    """(1 + K,) coefficients from the stays that have an average; the prior is the population's mean 0."""
    used = ~np.isnan(average)
    rows = design[used]
    normal = rows.T @ rows + RIDGE_STAYS * np.eye(design.shape[1])
    return np.asarray(np.linalg.solve(normal, rows.T @ average[used]), dtype=np.float64)
