"""Patients like this one: the nearest references, how they were laid on the stay, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.dtw.distances import summed
from models.dtw.ensemble import CASE, Voting
from models.dtw.index import Index
from models.dtw.lanes import LANES
from models.dtw.path import path
from models.dtw.series import References, Series

Doubles = npt.NDArray[np.float64]
Backward = Callable[[int, Doubles], Doubles]


@dataclass(frozen=True)
class Likeness:
    """One reference. `onset_hours` from its last hour to the onset, None without one; `stays` how many stays
    it was made of.

    `pairs` are hours of the excerpt and of the reference, from 0, on one path for all variables; `shares`
    what each variable that both know adds to the distance, of sum 1, the largest first; `course` the values
    (H,) of these variables in the reference, in canonical units, each where the path lays it on the excerpt:
    of several laid on one hour their mean, NaN where the reference knows none.
    """

    reference: int
    distance: float
    outcome: bool
    onset_hours: float | None
    stays: int
    pairs: tuple[tuple[int, int], ...]
    shares: tuple[tuple[str, float], ...]
    course: Mapping[str, Doubles] = field(default_factory=dict, compare=False)


def likeness(
    query: Series, index: Index, distances: Doubles, voting: Voting, count: int, backward: Backward
) -> tuple[Likeness, ...]:
    """The `count` references nearest by the sum of `distances` (V, N) over variables; of equals the lower
    number. `backward` gives a variable's standardised values in its canonical unit.
    """
    total = summed(distances)
    order = np.argsort(np.nan_to_num(total, nan=np.inf), kind="stable")[:count]
    return tuple(
        _one(query, index, int(n), distances[:, n], float(total[n]), voting, backward)
        for n in order
        if np.isfinite(total[n])
    )


def _one(
    query: Series,
    index: Index,
    number: int,
    own: Doubles,
    total: float,
    voting: Voting,
    backward: Backward,
) -> Likeness:
    onset = float(index.onset_hours[number])
    laid = path(query, index.references, number, voting.alignment())
    shares = _shares(own, query.variables)
    at = _laid(index.references, number, laid.pairs, query.hours)
    return Likeness(
        reference=number,
        distance=total,
        outcome=bool(index.outcome[number] == CASE),
        onset_hours=None if np.isnan(onset) else onset,
        stays=int(index.stays[number]),
        pairs=tuple((int(i), int(j)) for i, j in laid.pairs),
        shares=shares,
        course={name: backward(v, at[v]) for v, name in enumerate(query.variables) if name in dict(shares)},
    )


def _laid(references: References, number: int, pairs: npt.NDArray[np.int64], hours: int) -> Doubles:
    """The reference's standardised values (V, hours), laid on the hours of the excerpt."""
    block, lane = np.divmod(references.slots[number], LANES)
    value = references.values[block, :, :, lane].astype(np.float64)  # (V, T)
    known = np.ones_like(value) if references.weights is None else references.weights[block, :, :, lane] > 0.0
    laid = np.zeros((hours, references.hours[number]))
    laid[pairs[:, 0], pairs[:, 1]] = 1.0
    value, known = value[:, : laid.shape[1]], known[:, : laid.shape[1]].astype(np.float64)
    many = known @ laid.T
    total = (value * known) @ laid.T
    return np.divide(total, many, out=np.full_like(total, np.nan), where=many > 0.0)


def _shares(own: Doubles, variables: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    total = float(np.nansum(own))
    found = [
        (name, float(one) / total if total > 0.0 else 0.0)
        for name, one in zip(variables, own, strict=True)
        if not np.isnan(one)
    ]
    return tuple(sorted(found, key=lambda item: (-item[1], item[0])))
