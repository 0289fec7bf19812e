"""A weighted sum of what several models say, its weights learnt on subjects that none of them learnt from.

    logit = intercept + sum_j weight_j (x_j - centre_j),     weight_j >= 0

x_j is the logit of a member's score. A member without a score says nothing: its term is 0, as if it had said
what it says on average. No weight is negative, because a member that lowers the score where it warns would
explain nothing.

    N  hours     J  members

Source: Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1; weights not below 0: Breiman 1996,
doi:10.1007/BF00117832.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.calibration import check_both_labels

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stacking:
    """`weight` and `centre` of each member (J,)."""

    weight: tuple[float, ...]
    centre: tuple[float, ...]
    intercept: float

    def terms(self, x: Floats) -> Floats:
        """What each member adds to the logit, (N, J), 0 where it says nothing; x (N, J) NaN there."""
        return np.asarray(np.nan_to_num((x - np.array(self.centre)) * np.array(self.weight), nan=0.0))

    def logit(self, x: Floats) -> Floats:
        """The logit of x (N, J): (N,)."""
        total = np.full(len(x), self.intercept)
        for term in self.terms(x).T:  # in one order, whatever N: a sum must round alike
            total += term
        return total


def stack(x: Floats, label: npt.NDArray[np.generic], penalty: float = 1e-4) -> Stacking:
    """The stacking of greatest likelihood of x (N, J) against `label` (N,), `penalty` on squared weights.

    Raises InvalidInput where there is one label only.
    """
    check_both_labels(label)
    centre = np.nanmean(x, axis=0)
    weight, intercept = nonnegative_logistic(
        np.nan_to_num(x - centre, nan=0.0), label, np.ones(len(x)), penalty
    )
    return Stacking(tuple(weight.tolist()), tuple(centre.tolist()), intercept)


def nonnegative_logistic(
    x: Floats, label: npt.NDArray[np.generic], weight: Floats, penalty: float
) -> tuple[Floats, float]:
    """Coefficients (J,), none below 0, and intercept of a logistic regression of `label` on x (N, J), rows
    counted `weight` (N,) times, with a `penalty` on half the squared coefficients.
    """
    from scipy.optimize import minimize  # type: ignore[import-untyped]  # noqa: PLC0415  not to score

    mean = weight / weight.sum()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        logit = x @ parameters[1:] + parameters[0]
        wrong = mean * (0.5 + 0.5 * np.tanh(0.5 * logit) - label)
        value = (mean * (np.logaddexp(0.0, logit) - label * logit)).sum()
        value += 0.5 * penalty * (parameters[1:] ** 2).sum()
        return float(value), np.concatenate([[wrong.sum()], x.T @ wrong + penalty * parameters[1:]])

    count, rate = x.shape[1], float(mean @ label)
    start = np.concatenate([[np.log(rate / (1 - rate))], np.full(count, 1.0 / count)])
    bounds = [(None, None), *[(0.0, None)] * count]
    found = np.asarray(minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x)
    return found[1:], float(found[0])
