"""The k nearest references of each query: exactly those, whatever was computed to find them.

Single precision says who could be among the nearest; their distances are computed anew in double precision
and ranked, of equal ones the lower number first. So the answer is that of computing everything in double
precision, with tslearn's bits, and does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.dtw.distances import WHOLE, check, known, scaled, summed
from models.dtw.exact import exact_costs
from models.dtw.hunt import Desk, Slack, Task, desk, hunt_all
from models.dtw.series import References, Series
from models.dtw.sweep import Plan, costs_of, plan, shared, sides
from models.dtw.windows import Alignment, Full

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

UNIT = 2.0**-24  # of rounding to single precision
SMALLEST = 1e-17  # distances below it are lost where squares underflow
MOST_PIECES = 1.5  # a block; a full window over more lengths than that is quicker without bounds


class Form(Enum):
    """Which distance: one of each variable, their sum, or one path for all variables."""

    PER_VARIABLE = "per variable"
    INDEPENDENT = "independent"
    DEPENDENT = "dependent"


@dataclass(frozen=True)
class Neighbours:
    """Numbers and distances (Q, C, k) of the nearest references, nearest first.

    C is V for `Form.PER_VARIABLE`, else 1. -1 and NaN where fewer than k have a distance.
    """

    index: Integers
    distance: Doubles


def nearest(
    queries: Sequence[Series],
    references: References,
    k: int,
    alignment: Alignment = Alignment(),  # noqa: B008  frozen
    *,
    form: Form = Form.PER_VARIABLE,
    threads: int = 1,
) -> Neighbours:
    """The k nearest references of each query; a variable that abstains has none.

    Raises InvalidInput for k or threads below 1, other variables, and a query that knows nothing.
    """
    if k < 1:
        raise InvalidInput(f"{k} neighbours: at least 1", value=k, bound=">= 1", unit="references")
    for query in queries:
        check(query, references)
    form = Form(form)
    shape = len(queries), references.values.shape[1] if form is Form.PER_VARIABLE else 1, k
    index, distance = np.full(shape, -1), np.full(shape, np.nan)

    def part(start: int, stop: int) -> None:
        search = Search(references, k, alignment, form)
        for place in range(start, stop):
            search.into(queries[place], index[place], distance[place])

    shared(len(queries), threads, part)
    return Neighbours(index, distance)


class Search:
    """One thread's search: first who could be among the nearest, then who is."""

    def __init__(self, references: References, k: int, alignment: Alignment, form: Form) -> None:
        self.references, self.k, self.alignment, self.form = references, k, alignment, form
        self.many = references.values.shape[1] if form is Form.DEPENDENT else 1  # variables a path
        self.prepared: dict[int, tuple[Plan, bool, Desk]] = {}

    def into(self, query: Series, index: Integers, distance: Doubles) -> None:
        """Writes numbers and distances (C, k) of one query."""
        row, member = self.candidates(query)
        found = self.exact(query, row, member)
        order = np.lexsort((member, found, row))
        ends = np.searchsorted(row[order], np.arange(len(index) + 1))
        for place, (begin, end) in enumerate(pairwise(ends)):
            best = order[begin : min(end, begin + self.k)]
            index[place, : len(best)], distance[place, : len(best)] = member[best], found[best]

    def candidates(self, query: Series) -> tuple[Integers, Integers]:
        """Who could be among the nearest: (which distance, number) each."""
        weighted = query.weights is not None or self.references.weights is not None
        if weighted or self.form is Form.INDEPENDENT:
            return self.exhausted(query)
        return self.hunted(query)

    def hunted(self, query: Series) -> tuple[Integers, Integers]:
        """Found by bounds and tables."""
        one, (what, bounded, own_desk) = self.references, self.prepare(query.hours)
        task = Task(*sides(query, one), one.lengths, one.outlines, what, bounded, self.slack(query))
        rows = len(query.values) // self.many
        costs = np.full((rows, one.lengths.size), np.inf, np.float32)
        best, limits = np.full((rows, self.k), np.inf, np.float32), np.empty(rows, np.float32)
        hunt_all(task, own_desk, best, costs, limits)
        row, slot = np.nonzero((costs <= limits[:, np.newaxis]) & (costs < np.inf))
        return row, one.members.ravel()[slot]

    def exhausted(self, query: Series) -> tuple[Integers, Integers]:
        """Found from all distances: no bound holds for weights, and one of a sum would be loose."""
        together = self.form is Form.DEPENDENT
        costs = costs_of(query, self.references, self.alignment, together=together, threads=1)
        weight, slack = known(query, self.references, together=together), self.slack(query)
        distance = scaled(costs, weight)
        with np.errstate(divide="ignore", invalid="ignore"):
            wrong = slack.relative * distance + slack.absolute / np.sqrt(weight)
        if self.form is Form.INDEPENDENT:
            distance, wrong = summed(distance)[np.newaxis], summed(wrong)[np.newaxis]
        last = min(self.k, distance.shape[1]) - 1
        limit = np.partition(np.nan_to_num(distance + wrong, nan=np.inf), last, axis=1)[:, last, np.newaxis]
        row, member = np.nonzero((distance <= limit + wrong) & (distance < np.inf))
        return row, member

    def prepare(self, hours: int) -> tuple[Plan, bool, Desk]:
        """Plan, whether bounds apply, and desk for queries of so many hours."""
        if hours not in self.prepared:
            one, alignment = self.references, self.alignment
            fixed = not (alignment.open_begin or alignment.open_end)
            windowed = not isinstance(alignment.window, Full)
            bounded = fixed and (windowed or len(one.pieces) <= MOST_PIECES * len(one.lengths))
            what = plan(hours, one, alignment, each_length=bounded)
            own_desk = desk(what, one.lengths, one.values.shape, mixed=not (windowed or bounded))
            self.prepared[hours] = what, bounded, own_desk
        return self.prepared[hours]

    def slack(self, query: Series) -> Slack:
        """How wrong a distance in single precision may be: every sum rounds, and so may every value.

        A path's cost is a squared norm, so that values off by at most e move its root by at most e times the
        root of its terms.
        """
        sums = query.hours + self.references.values.shape[2]
        relative = (sums * self.many + self.many + 10) * UNIT  # as many terms has a bound
        rounds = (query.values != query.values.astype(np.float32)).any()
        if self.references.originals is None and not rounds:
            return Slack(relative, SMALLEST)
        largest = float(np.abs(query.values).max()) + self.references.largest
        return Slack(relative, SMALLEST + float(UNIT * np.sqrt(sums * self.many) * largest))

    def exact(self, query: Series, row: Integers, member: Integers) -> Doubles:
        """Distances in double precision."""
        one, slot = self.references, self.references.slots[member]
        if self.form is not Form.INDEPENDENT:
            costs = exact_costs(query, one, row, slot, self.many, self.alignment)
            weight = known(query, one, together=self.form is Form.DEPENDENT)
            return scaled(costs, weight if weight is WHOLE else weight[row, member])
        variables = len(query.values)
        each = np.repeat(np.arange(variables), len(member))
        costs = exact_costs(query, one, each, np.tile(slot, variables), 1, self.alignment)
        weight = known(query, one, together=False)
        weight = weight if weight is WHOLE else weight[:, member]
        return summed(scaled(costs.reshape(variables, -1), weight))
