"""Rows and tables of them: what inner loops are made of, in the order that fills vector registers.

R  right-hand sides    D  temporal states    W  width (variables, padded)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled, inlined

Floats = npt.NDArray[np.float64]


@inlined
def copy(target: Floats, source: Floats) -> None:
    """target = source, of two rows."""
    for w in range(len(target)):
        target[w] = source[w]


@inlined
def fill(target: Floats, value: float) -> None:
    """Every number of a row."""
    for w in range(len(target)):
        target[w] = value


@inlined
def dot(first: Floats, second: Floats) -> float:
    """<first, second> of two rows."""
    total = 0.0
    for w in range(len(first)):
        total += first[w] * second[w]
    return total


@inlined
def add(target: Floats, factor: float, source: Floats) -> None:
    """target += factor source, of two rows."""
    for w in range(len(target)):
        target[w] += factor * source[w]


@inlined
def add_product(row: Floats, matrix: Floats, out: Floats) -> None:
    """out (W,) += row (k,) @ matrix (k, W), four rows of the matrix at a time."""
    fours = len(row) // 4 * 4
    for k in range(0, fours, 4):
        first, second, third, fourth = matrix[k], matrix[k + 1], matrix[k + 2], matrix[k + 3]
        a, b, c, d = row[k], row[k + 1], row[k + 2], row[k + 3]
        for w in range(len(out)):
            out[w] += a * first[w] + b * second[w] + c * third[w] + d * fourth[w]
    for k in range(fours, len(row)):
        add(out, row[k], matrix[k])


@compiled
def advance(table: Floats, step: Floats) -> None:
    """x <- F x for a state table (D, W)."""
    states, width = table.shape
    if states == 1:
        row = table[0]
        for w in range(width):
            row[w] *= step[0, 0]
        return
    old = table.copy()
    for c in range(states):
        row, before = table[c], old[c]
        for w in range(width):
            row[w] = step[c, c] * before[w]
        for b in range(states):
            if b != c and step[c, b] != 0.0:
                before = old[b]
                for w in range(width):
                    row[w] += step[c, b] * before[w]


@inlined
def advance_all(state: Floats, step: Floats) -> None:
    """x <- F x for every table of (R, D, W)."""
    if len(step) == 1:
        for r in range(state.shape[0]):
            for w in range(state.shape[2]):
                state[r, 0, w] *= step[0, 0]
    else:
        for r in range(len(state)):
            advance(state[r], step)
