"""Which hours of a stay are laid on which of a reference, and what each variable adds to their distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.dtw.distances import WHOLE, check, known
from models.dtw.exact import pairs_of, table
from models.dtw.series import References, Series
from models.dtw.windows import Alignment

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Path:
    """The best alignment: pairs (P, 2) of hours, query's and reference's, both from 0 and never falling.

    `share` (V,) is each variable's part of the accumulated cost, of sum 1; all 0 where that is 0.
    """

    pairs: Integers
    distance: float
    share: Doubles


def path(
    query: Series,
    references: References,
    member: int,
    alignment: Alignment = Alignment(),  # noqa: B008  frozen
    *,
    variable: int | None = None,
) -> Path:
    """The alignment with reference number `member`: one path for all variables, or that of `variable` alone.

    Of equally good steps back the diagonal one is taken, then the query's, as tslearn does. Raises
    InvalidInput where the window has no path, or no variable is known on both sides.
    """
    check(query, references)
    if not 0 <= member < references.count:
        raise InvalidInput(f"reference {member}: from 0 to {references.count - 1}", value=member)
    if variable is not None and not 0 <= variable < len(query.values):
        most = len(query.values) - 1
        raise InvalidInput(f"variable {variable}: from 0 to {most}", value=variable, bound=f"[0, {most}]")
    chosen = slice(0, len(query.values)) if variable is None else slice(variable, variable + 1)
    many, row = len(query.values[chosen]), np.array([variable or 0])
    what, weights = pairs_of(query, references, row, references.slots[[member]], many, alignment)
    costs = table(what, query.weights, weights, alignment.open_begin)
    each = known(query, references, together=variable is None)
    weight = 1.0 if each is WHOLE else each[variable or 0, member]
    end = int(costs[-1].argmin()) if alignment.open_end else costs.shape[1] - 1
    if not (weight > 0.0 and costs[-1, end] < np.inf):
        raise InvalidInput(
            f"no path to reference {member}: of {query.hours} and {costs.shape[1]} hours, {weight:.3g} known",
            value=member,
        )
    steps = _steps(costs, end, open_begin=alignment.open_begin)
    own = None if query.weights is None else query.weights[chosen]
    share = np.zeros(len(query.values))
    share[chosen] = _share(steps, query.values[chosen], own, what.values[0], weights)
    return Path(steps, float(np.sqrt(costs[-1, end] / weight)), share)


def _steps(costs: Doubles, end: int, *, open_begin: bool) -> Integers:
    """The path back from the end, turned round."""
    i, j = len(costs) - 1, end
    steps = [(i, j)]
    while i > 0 or (j > 0 and not open_begin):
        back = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        inside = [(a, b) for a, b in back if a >= 0 and b >= 0]
        i, j = min(inside, key=lambda cell: costs[cell])  # the first of equals
        steps.append((i, j))
    return np.array(steps[::-1])


def _share(
    steps: Integers, query: Doubles, own: Doubles | None, reference: Doubles, weights: Doubles | None
) -> Doubles:
    """What each variable adds to the accumulated cost, of sum 1."""
    i, j = steps.T
    cost = (query[:, i] - reference[:, j]) ** 2
    if own is not None:
        cost = cost * own[:, i]
    if weights is not None:
        cost = cost * weights[0][:, j]
    total = cost.sum()
    return np.asarray(cost.sum(axis=1) / total if total > 0.0 else np.zeros(len(query)))
