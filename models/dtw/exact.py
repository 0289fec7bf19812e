"""Accumulated costs in double precision, one pair after the other: what single precision cannot decide.

Every product and sum is rounded by itself in tslearn's order, so that distances are its bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled_as_written
from models.dtw.lanes import LANES
from models.dtw.series import References, Series
from models.dtw.sweep import plan
from models.dtw.windows import Alignment

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Pairs(NamedTuple):
    """P pairs: the query's variables from `start` on, and as many of a reference, `hours` long."""

    query: Doubles  # (V, n)
    values: Doubles  # (P, many, T)
    start: Integers  # (P,)
    hours: Integers  # (P,)
    which: Integers  # (P,) rows of first and last
    first: Integers  # (W, n) columns that a window allows
    last: Integers


def exact_costs(
    query: Series, references: References, row: Integers, slot: Integers, many: int, alignment: Alignment
) -> Doubles:
    """Accumulated costs (P,) of distances number `row`, each of `many` variables, to references in `slot`."""
    pairs, weights = pairs_of(query, references, row, slot, many, alignment)
    costs = np.empty(len(row))
    accumulate(pairs, query.weights, weights, alignment.open_begin, alignment.open_end, costs)
    return costs


def pairs_of(
    query: Series, references: References, row: Integers, slot: Integers, many: int, alignment: Alignment
) -> tuple[Pairs, Doubles | None]:
    """The pairs of the same, and the references' weights (P, many, T)."""
    block, lane = np.divmod(slot, LANES)
    values, weights = _gathered(references, block, row[:, np.newaxis] * many + np.arange(many), lane)
    what, hours = plan(query.hours, references, alignment, each_length=True), references.lengths[block, lane]
    which = np.searchsorted(references.distinct, hours)
    return Pairs(query.values, values, row * many, hours, which, what.first, what.last), weights


def _gathered(
    references: References, block: Integers, variables: Integers, lane: Integers
) -> tuple[Doubles, Doubles | None]:
    """Values and weights (P, many, T) of variables (P, many) of some references, in double precision."""
    place = block[:, np.newaxis], variables, slice(None), lane[:, np.newaxis]
    weights = None if references.weights is None else references.weights[place].astype(np.float64)
    if references.originals is None:
        return references.values[place].astype(np.float64), weights
    member = references.members[block, lane]
    return references.originals[member[:, np.newaxis], variables], weights


@compiled_as_written
def weight(
    own: Doubles | None, weights: Doubles | None, pair: int, variable: int, v: int, i: int, j: int
) -> float:
    """w_q[variable, i] w_r[v, j]."""
    product = 1.0
    if own is not None:
        product *= own[variable, i]
    if weights is not None:
        product *= weights[pair, v, j]
    return product


@compiled_as_written
def cost(pairs: Pairs, own: Doubles | None, weights: Doubles | None, pair: int, i: int, j: int) -> float:
    """c(i, j) of models/dtw/kernels.py; `own` (V, n) and `weights` (P, many, T), None where all are 1."""
    total, start = 0.0, pairs.start[pair]
    for v in range(pairs.values.shape[1]):
        gap = pairs.query[start + v, i] - pairs.values[pair, v, j]
        total += weight(own, weights, pair, start + v, v, i, j) * (gap * gap)
    return total


@compiled_as_written
def next_row(
    pairs: Pairs, own: Doubles | None, weights: Doubles | None, pair: int, i: int, row: Doubles
) -> None:
    """D[i, j - 1] into `row[j]`, which held row i - 1; infinite where the window allows nothing."""
    which = pairs.which[pair]
    first, last = pairs.first[which, i], pairs.last[which, i]
    corner, left = row[first], np.inf
    row[: first + 1] = np.inf
    for j in range(first, last):
        above = row[j + 1]
        left = cost(pairs, own, weights, pair, i, j) + min(above, left, corner)
        row[j + 1], corner = left, above
    row[last + 1 :] = np.inf


@compiled_as_written
def accumulate(
    pairs: Pairs,
    own: Doubles | None,
    weights: Doubles | None,
    open_begin: bool,
    open_end: bool,
    costs: Doubles,
) -> None:
    """The least cost of a path of every pair into `costs` (P,)."""
    for pair in range(len(costs)):
        row = np.full(pairs.hours[pair] + 1, 0.0 if open_begin else np.inf)
        row[0] = 0.0
        for i in range(pairs.query.shape[1]):
            next_row(pairs, own, weights, pair, i, row)
        costs[pair] = row[1:].min() if open_end else row[-1]


@compiled_as_written
def table(pairs: Pairs, own: Doubles | None, weights: Doubles | None, open_begin: bool) -> Doubles:
    """D[i, j] (n, m) of the first pair."""
    rows = np.empty((pairs.query.shape[1], pairs.hours[0]))
    row = np.full(pairs.hours[0] + 1, 0.0 if open_begin else np.inf)
    row[0] = 0.0
    for i in range(len(rows)):
        next_row(pairs, own, weights, 0, i, row)
        rows[i] = row[1:]
    return rows
