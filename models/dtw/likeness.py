"""Patients like this one: the nearest references, how they were laid on the stay, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.dtw.distances import summed
from models.dtw.ensemble import CASE, Voting
from models.dtw.index import Index
from models.dtw.path import path
from models.dtw.series import Series

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Likeness:
    """One reference. `onset_hours` from its last hour to the onset, None without one; `stays` how many stays
    it was made of.

    `pairs` are hours of the excerpt and of the reference, from 0, on one path for all variables; `shares`
    what each variable that both know adds to the distance, of sum 1, the largest first.
    """

    reference: int
    distance: float
    outcome: bool
    onset_hours: float | None
    stays: int
    pairs: tuple[tuple[int, int], ...]
    shares: tuple[tuple[str, float], ...]


def likeness(
    query: Series, index: Index, distances: Doubles, voting: Voting, count: int
) -> tuple[Likeness, ...]:
    """The `count` references nearest by the sum of `distances` (V, N) over variables; of equals the lower
    number.
    """
    total = summed(distances)
    order = np.argsort(np.nan_to_num(total, nan=np.inf), kind="stable")[:count]
    return tuple(
        _one(query, index, int(n), distances[:, n], float(total[n]), voting)
        for n in order
        if np.isfinite(total[n])
    )


def _one(query: Series, index: Index, number: int, own: Doubles, total: float, voting: Voting) -> Likeness:
    onset = float(index.onset_hours[number])
    laid = path(query, index.references, number, voting.alignment())
    return Likeness(
        reference=number,
        distance=total,
        outcome=bool(index.outcome[number] == CASE),
        onset_hours=None if np.isnan(onset) else onset,
        stays=int(index.stays[number]),
        pairs=tuple((int(i), int(j)) for i, j in laid.pairs),
        shares=_shares(own, query.variables),
    )


def _shares(own: Doubles, variables: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    total = float(np.nansum(own))
    found = [
        (name, float(one) / total if total > 0.0 else 0.0)
        for name, one in zip(variables, own, strict=True)
        if not np.isnan(one)
    ]
    return tuple(sorted(found, key=lambda item: (-item[1], item[0])))
