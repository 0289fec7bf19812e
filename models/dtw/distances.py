"""Distances of a query to every reference.

    D^2 = V / (sum_v m_q[v] m_r[v]) * min over paths of sum over its (i, j) of c(i, j)
    c(i, j) = sum_v w_q[v, i] w_r[v, j] (q[v, i] - r[v, j])^2

with m the mean weight of a variable over time. Where all weights are 1 the first factor is 1 and D is dynamic
time warping as tslearn defines it. Otherwise an hour counts by how well both sides know it, and the factor
makes up for what is not known, so that a stay with few observations is not near to everybody. A variable that
either side knows nothing of abstains: alone its distance is NaN, together it takes no part.

*Dependent*: one path for all variables, the formula as it stands. *Per variable*: the formula with V = 1 for
each. *Independent*: the sum of those over variables, scaled up for those that abstain.

Source: Shokoohi-Yekta et al. 2017, doi:10.1007/s10618-016-0455-0, for dependent and independent.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.dtw.exact import exact_costs
from models.dtw.series import References, Series, check_same_variables
from models.dtw.sweep import costs_of
from models.dtw.windows import Alignment

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


WHOLE = np.ones((1, 1))  # all weights are 1


def per_variable(
    query: Series,
    references: References,
    alignment: Alignment = Alignment(),  # noqa: B008  frozen
    *,
    exact: bool = False,
    threads: int = 1,
) -> Doubles:
    """Distances (V, N) of each variable by itself: NaN where it abstains, infinite without a path.

    Single precision (about 1e-7 of the distance) unless `exact`, which takes some fifteen times as long.
    """
    check(query, references)
    costs = _costs(query, references, alignment, together=False, exact=exact, threads=threads)
    return scaled(costs, known(query, references, together=False))


def independent(
    query: Series,
    references: References,
    alignment: Alignment = Alignment(),  # noqa: B008  frozen
    *,
    exact: bool = False,
    threads: int = 1,
) -> Doubles:
    """The sum of the distances of all variables, (N,)."""
    return summed(per_variable(query, references, alignment, exact=exact, threads=threads))


def dependent(
    query: Series,
    references: References,
    alignment: Alignment = Alignment(),  # noqa: B008  frozen
    *,
    exact: bool = False,
    threads: int = 1,
) -> Doubles:
    """Distances (N,) with one path for all variables."""
    check(query, references)
    costs = _costs(query, references, alignment, together=True, exact=exact, threads=threads)
    return scaled(costs, known(query, references, together=True)).reshape(-1)


def known(query: Series, references: References, *, together: bool) -> Doubles:
    """The mean product of both sides' weights: (V, N), or (1, N) if `together`; `WHOLE` if all are 1."""
    if query.weights is None and references.weights is None:
        return WHOLE
    product = query.mean_weight[:, np.newaxis] * references.mean_weight.T
    return product.mean(axis=0, keepdims=True) if together else product


def scaled(costs: Doubles, known: Doubles) -> Doubles:
    """Distances from accumulated costs and the mean product of weights; NaN where nothing is known."""
    if known is WHOLE:
        return np.sqrt(costs)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(known > 0.0, np.sqrt(costs / known), np.nan)


def summed(distances: Doubles) -> Doubles:
    """Over variables (V, N) -> (N,), scaled up for those that abstain; NaN where all do."""
    voting = ~np.isnan(distances)
    count = voting.sum(axis=0)
    total = np.where(voting, distances, 0.0).sum(axis=0)
    return np.where(count > 0, total * (len(distances) / np.maximum(count, 1)), np.nan)


def check(query: Series, references: References) -> None:
    """Raise InvalidInput unless both have the same variables, and the query knows something."""
    check_same_variables(query, references.variables, references.values.shape[1])
    if not query.mean_weight.any():
        raise InvalidInput(
            "the query has no value of any variable: at least one of weight above 0", value=0, bound="> 0"
        )


def _costs(
    query: Series, references: References, alignment: Alignment, *, together: bool, exact: bool, threads: int
) -> Doubles:
    if not exact:
        return costs_of(query, references, alignment, together=together, threads=threads)
    many = len(query.values) if together else 1
    row, member = np.indices((len(query.values) // many, references.count)).reshape(2, -1)
    costs = exact_costs(query, references, row, references.slots[member], many, alignment)
    return costs.reshape(-1, references.count)
