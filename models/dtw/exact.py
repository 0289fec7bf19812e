"""Distances in double precision, one reference after the other: what single precision cannot decide.

Every product and sum is rounded by itself in tslearn's order, so that distances are its bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled_as_written

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled_as_written
def cost(
    query: Doubles, query_weights: Doubles | None, i: int, reference: Doubles, weights: Doubles | None, j: int
) -> float:
    """c(i, j) of models/dtw/kernels.py; (V, hours) each."""
    total = 0.0
    for variable in range(query.shape[0]):
        gap = query[variable, i] - reference[variable, j]
        if weights is None or query_weights is None:
            total += gap * gap
        else:
            total += query_weights[variable, i] * weights[variable, j] * (gap * gap)
    return total


@compiled_as_written
def next_row(
    query: Doubles,
    query_weights: Doubles | None,
    i: int,
    reference: Doubles,
    weights: Doubles | None,
    first: int,
    last: int,
    row: Doubles,
) -> None:
    """D[i, first] to D[i, last - 1] into `row` (m + 1,), which held row i - 1; infinite elsewhere."""
    corner, left = row[first], np.inf
    row[: first + 1] = np.inf
    for j in range(first, last):
        above = row[j + 1]
        left = cost(query, query_weights, i, reference, weights, j) + min(above, left, corner)
        row[j + 1], corner = left, above
    row[last + 1 :] = np.inf


@compiled_as_written
def accumulated(
    query: Doubles,
    query_weights: Doubles | None,
    reference: Doubles,
    weights: Doubles | None,
    first: Integers,
    last: Integers,
    open_begin: bool,
    open_end: bool,
) -> float:
    """The least cost of a path; `first` and `last` (n,) are the columns of each row."""
    row = np.full(reference.shape[1] + 1, 0.0 if open_begin else np.inf)
    row[0] = 0.0
    for i in range(query.shape[1]):
        next_row(query, query_weights, i, reference, weights, first[i], last[i], row)
    return float(row[1:].min() if open_end else row[-1])
