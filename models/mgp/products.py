"""Sums of products of rows, in the order of loops that fills vector registers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.mgp.compiled import inlined

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
