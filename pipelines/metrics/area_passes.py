"""The loop behind `RankedRows`, compiled: areas of many weightings in one walk down the ranks.

The ranks are walked once for a block of weightings, whose numbers lie side by side: each step is then a few
vector instructions, where one weighting at a time would look up a weight a row.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled
def add_rows(first: int, last: int, stay: Integers, count: Integers, weight: Floats, total: Floats) -> None:
    """Adds rows `first` to `last` - 1 to `total` (D,), each `count` times the `weight` (S, D) of its stay."""
    for row in range(first, last):
        for draw in range(len(total)):
            total[draw] += count[row] * weight[stay[row], draw]


@compiled
def areas_of_block(
    positives: int, group: Integers, stay: Integers, count: Integers, weight: Floats, areas: Floats
) -> None:
    """Sets `areas` (D, 2) to AUROC and AUPRC for each column of `weight` (S, D); rows as in `RankedRows`."""
    draws, rows = weight.shape[1], len(group)
    hits, false, lost, area = np.zeros(draws), np.zeros(draws), np.zeros(draws), np.zeros(draws)
    here, there = np.empty(draws), np.empty(draws)
    positive, negative = 0, positives
    while positive < positives:
        rank, last = group[positive], negative
        while last < rows and group[last] < rank:
            last += 1
        add_rows(negative, last, stay, count, weight, false)
        negative, last_positive = last, positive
        while last < rows and group[last] == rank:
            last += 1
        while last_positive < positives and group[last_positive] == rank:
            last_positive += 1
        here[:] = 0.0
        there[:] = 0.0
        add_rows(positive, last_positive, stay, count, weight, here)
        add_rows(negative, last, stay, count, weight, there)
        for draw in range(draws):
            # a positive loses to every negative above its group, and half of those it ties with
            lost[draw] += here[draw] * (false[draw] + there[draw] / 2)
            hits[draw] += here[draw]
            false[draw] += there[draw]
            called = hits[draw] + false[draw]
            area[draw] += here[draw] * (hits[draw] / called if called > 0 else 1.0)
        positive, negative = last_positive, last
    add_rows(negative, rows, stay, count, weight, false)
    for draw in range(draws):
        pairs = hits[draw] * false[draw]
        areas[draw, 0] = (pairs - lost[draw]) / pairs
        areas[draw, 1] = area[draw] / hits[draw]
