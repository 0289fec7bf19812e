"""Sums of products of rows, in the order of loops that fills vector registers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.mgp.compiled import compiled, inlined

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
def add_products(rows: Floats, matrix: Floats, out: Floats, upper: bool) -> None:
    """out (R, W) += rows (R, k) @ matrix (k, W), two rows at a time: they share what is loaded of the matrix.

    An `upper` matrix has nothing left of its diagonal.
    """
    size, width = matrix.shape
    fours = size // 4 * 4
    for pair in range(0, len(rows) - 1, 2):
        left, right, sum_left, sum_right = rows[pair], rows[pair + 1], out[pair], out[pair + 1]
        for k in range(0, fours, 4):
            first, second, third, fourth = matrix[k], matrix[k + 1], matrix[k + 2], matrix[k + 3]
            l1, l2, l3, l4 = left[k], left[k + 1], left[k + 2], left[k + 3]
            r1, r2, r3, r4 = right[k], right[k + 1], right[k + 2], right[k + 3]
            for w in range(k if upper else 0, width):
                sum_left[w] += l1 * first[w] + l2 * second[w] + l3 * third[w] + l4 * fourth[w]
                sum_right[w] += r1 * first[w] + r2 * second[w] + r3 * third[w] + r4 * fourth[w]
        for k in range(fours, size):
            add(sum_left, left[k], matrix[k])
            add(sum_right, right[k], matrix[k])
    if len(rows) % 2:
        add_product(rows[-1], matrix, out[-1])
