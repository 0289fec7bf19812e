"""The table of dynamic time warping, one cell for `LANES` references at once.

    D[i, j] = c(i, j) + min(D[i-1, j], D[i-1, j-1], D[i, j-1])
    c(i, j) = sum_v w_q[v, i] w_r[v, j] (q[v, i] - r[v, j])^2

Only one row of the table exists: `row[j]` is D[i, j-1] of the last row that is done, and `row[0]` stands left
of the table. Four rows are computed in one pass over the columns, so that their left neighbours stay in
registers: loading and storing every cell would cost more than its arithmetic. Legend: V variables, n hours of
the query, T columns of a block of references. Single precision: `models/dtw/exact.py` decides what lies
within its rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled_in_place
from models.dtw.lanes import LANES, at_most, every, load, smaller, store

Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Vector = Any  # of models.dtw.lanes, as the type checker sees it

FORBIDDEN = np.float32(np.inf)
NOTHING = np.float32(0.0)
BAND = 4  # rows a pass: eight are no faster, and waste more at the edges of a window


class Side(NamedTuple):
    """Query (V, n) or references (B, V, T, LANES): values, and weights alike or None where all are 1."""

    values: Singles
    weights: Singles | None


class Part(NamedTuple):
    """What is compared: variables `start` to `stop` - 1 with one block of references."""

    block: int
    start: int
    stop: int


class Frame(NamedTuple):
    """The cells that a path may use: row i has columns first[i] to last[i] - 1, both rising with i.

    `penalty` (n, T) is 0 on them and infinite elsewhere; empty where every cell is allowed.
    """

    first: Integers
    last: Integers
    penalty: Singles


@compiled_in_place
def cell(above: Vector, corner: Vector, left: Vector, cost: Vector) -> Vector:
    """D[i, j] from its three neighbours."""
    return smaller(smaller(corner, above), left) + cost


@compiled_in_place
def squared(
    gap: Vector, own: Singles | None, variable: int, i: int, weights: Singles | None, place: int
) -> Vector:
    """One variable's part of c(i, j)."""
    if own is None:
        if weights is None:
            return gap * gap
        return load(weights, place) * gap * gap
    if weights is None:
        return every(own[variable, i]) * gap * gap
    return every(own[variable, i]) * load(weights, place) * gap * gap


@compiled_in_place
def costs_of_four(
    query: Side, i: int, references: Side, part: Part, j: int
) -> tuple[Vector, Vector, Vector, Vector]:
    """c(i, j) to c(i + 3, j)."""
    one = two = three = four = every(NOTHING)
    _, variables, hours, _ = references.values.shape
    for v in range(part.start, part.stop):
        place, q = (part.block * variables + v) * hours + j, query.values[v]
        r = load(references.values, place)
        one += squared(every(q[i]) - r, query.weights, v, i, references.weights, place)
        two += squared(every(q[i + 1]) - r, query.weights, v, i + 1, references.weights, place)
        three += squared(every(q[i + 2]) - r, query.weights, v, i + 2, references.weights, place)
        four += squared(every(q[i + 3]) - r, query.weights, v, i + 3, references.weights, place)
    return one, two, three, four


@compiled_in_place
def cost_of_one(query: Side, i: int, references: Side, part: Part, j: int) -> Vector:
    """c(i, j)."""
    total = every(NOTHING)
    _, variables, hours, _ = references.values.shape
    for v in range(part.start, part.stop):
        place = (part.block * variables + v) * hours + j
        gap = every(query.values[v, i]) - load(references.values, place)
        total += squared(gap, query.weights, v, i, references.weights, place)
    return total


@compiled_in_place
def four_rows(query: Side, i: int, references: Side, part: Part, frame: Frame, row: Singles) -> Vector:
    """Rows i to i + 3 into `row` (T + 1, LANES); the smallest D of the last of them."""
    windowed, penalty = frame.penalty.size > 0, frame.penalty
    first, last = frame.first[i], frame.last[i + 3]
    corner, least = load(row, first), every(FORBIDDEN)
    # what the row before left there is out of every later row's reach
    store(row, first, least)
    left_1 = left_2 = left_3 = left_4 = least
    for j in range(first, last):
        above = load(row, j + 1)
        one, two, three, four = costs_of_four(query, i, references, part, j)
        if windowed:
            one, two = one + every(penalty[i, j]), two + every(penalty[i + 1, j])
            three, four = three + every(penalty[i + 2, j]), four + every(penalty[i + 3, j])
        one = cell(above, corner, left_1, one)
        two = cell(one, left_1, left_2, two)
        three = cell(two, left_2, left_3, three)
        four = cell(three, left_3, left_4, four)
        store(row, j + 1, four)
        least = smaller(four, least)
        corner, left_1, left_2, left_3, left_4 = above, one, two, three, four
    return least


@compiled_in_place
def one_row(query: Side, i: int, references: Side, part: Part, first: int, last: int, row: Singles) -> None:
    """Row i, whose columns are `first` to `last` - 1, into `row` (T + 1, LANES)."""
    corner, left = load(row, first), every(FORBIDDEN)
    store(row, first, left)
    for j in range(first, last):
        above = load(row, j + 1)
        left = cell(above, corner, left, cost_of_one(query, i, references, part, j))
        store(row, j + 1, left)
        corner = above


@compiled_in_place
def begin(row: Singles, open_begin: bool) -> None:
    """The row before the first: a path starts in the corner, or anywhere on the reference's time."""
    row[:] = NOTHING if open_begin else FORBIDDEN
    row[0] = NOTHING


@compiled_in_place
def table(query: Side, references: Side, part: Part, frame: Frame, limits: Singles, row: Singles) -> bool:
    """Every row into `row`, which holds what `begin` wrote; False once all lanes exceed `limits` (LANES,)."""
    hours, limit = query.values.shape[1], load(limits, 0)
    whole = hours - hours % BAND
    for i in range(0, whole, BAND):
        if at_most(four_rows(query, i, references, part, frame, row), limit) == 0:
            return False
    for i in range(whole, hours):
        one_row(query, i, references, part, frame.first[i], frame.last[i], row)
    return True


@compiled_in_place
def ending(row: Singles, lane: int, first: int, last: int, open_end: bool) -> np.float32:
    """The accumulated cost of a path to the last column, `last` - 1, or to the best one."""
    if not open_end:
        closed: np.float32 = row[last, lane]
        return closed
    best = FORBIDDEN
    for j in range(first, last):
        best = min(best, row[j + 1, lane])
    return best


@compiled_in_place
def best_endings(row: Singles, hours: Integers, first: int, last: int, costs: Singles) -> None:
    """The accumulated costs (LANES,) of paths that end anywhere from column `first` to `last` - 1."""
    shared = last
    for lane in range(LANES):
        if hours[lane]:
            shared = min(shared, hours[lane])
    least = every(FORBIDDEN)
    for j in range(first, shared):
        least = smaller(load(row, j + 1), least)
    store(costs, 0, least)
    for lane in range(LANES):
        for j in range(max(first, shared), min(last, hours[lane])):
            costs[lane] = min(costs[lane], row[j + 1, lane])


@compiled_in_place
def forbid(frame: Frame) -> None:
    """Writes the penalties of a frame's first and last columns, if it has any."""
    for i in range(frame.penalty.shape[0]):
        frame.penalty[i] = FORBIDDEN
        frame.penalty[i, frame.first[i] : frame.last[i]] = NOTHING
