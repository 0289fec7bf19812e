"""The barycentre of series under time warping: the one series nearest to all of them.

Each round lays every series on the barycentre, and moves each hour of it to the mean of what was laid there:

    b[v, j] = sum_(r, i) w_r[v, i] r[v, i] / sum_(r, i) w_r[v, i]   over the pairs (i, j) of every series r

Weights count as they do in distances; an hour's own weight is the mean of those laid on it, and 0 where fewer
series than `fewest` know anything. With all weights 1 a round is tslearn's `dtw_barycenter_averaging`.

Source: Petitjean 2011, doi:10.1016/j.patcog.2010.09.013.

    R  series     V  variables     H  hours
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from models.dtw.path import path
from models.dtw.series import Series, references
from models.dtw.windows import Alignment

Doubles = npt.NDArray[np.float64]


def barycentre(
    many: Sequence[Series],
    start: Series,
    alignment: Alignment = Alignment(),  # noqa: B008  frozen
    *,
    rounds: int = 10,
    fewest: int = 1,
    seen: Callable[[Series], Series] = lambda one: one,
) -> Series:
    """The barycentre of `many`, from `start` on, of as many hours as that has; `seen` makes of a series what
    decides which of its hours are laid where.
    """
    found = start
    for _ in range(rounds):
        before, found = found.values, _one_round(many, found, alignment, fewest, seen)
        if np.array_equal(before, found.values):
            break
    return found


def _one_round(
    many: Sequence[Series],
    centre: Series,
    alignment: Alignment,
    fewest: int,
    seen: Callable[[Series], Series],
) -> Series:
    """The next barycentre after `centre`. Raises InvalidInput where a series has no path to it."""
    members, middle = references([seen(one) for one in many]), seen(centre)
    total, weight, laid, knowing = np.zeros((4, *centre.values.shape))
    for number, one in enumerate(many):
        here, there = path(middle, members, number, alignment).pairs.T
        own = np.ones_like(one.values) if one.weights is None else one.weights
        sum_of_own = np.zeros_like(total)
        np.add.at(total.T, here, (own * one.values).T[there])
        np.add.at(sum_of_own.T, here, own.T[there])
        np.add.at(laid.T, here, 1.0)
        weight += sum_of_own
        knowing += sum_of_own > 0.0
    kept = (weight > 0.0) & (knowing >= fewest)
    values = np.divide(total, weight, out=np.zeros_like(total), where=kept)
    mean = np.where(kept, weight / laid, 0.0)
    return Series(values, None if (mean == 1.0).all() else mean, centre.variables)
