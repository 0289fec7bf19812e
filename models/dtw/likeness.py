"""Patients like this one: the nearest references, how they were laid on the stay, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.dtw.ensemble import CASE
from models.dtw.excerpts import CONTEXT, scaled
from models.dtw.index import Index
from models.dtw.path import path
from models.dtw.series import Series, references
from models.dtw.windows import Alignment

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Likeness:
    """One reference. `onset_hours` from its last hour to the onset, None without one; `stays` how many stays
    it was made of.

    `pairs` are hours of the excerpt and of the reference, from 0, on one path for all that is compared;
    `shares` of the squared distance that each variable adds by its values and by when it was measured, the
    largest first, of which the clock and the patient add the rest; `course` the standardised values (H,) in
    the reference of the variables that both know, each where the path lays it on the excerpt: of several laid
    on one hour their mean, NaN where the reference knows none.
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
    query: Series, index: Index, distances: Doubles, metric: Doubles, alignment: Alignment, count: int
) -> tuple[Likeness, ...]:
    """The `count` references nearest to the excerpt `query`, by distances (R, N) of the rows that are
    compared and the weight (R,) of each; of equals the lower number.
    """
    parts = metric[:, np.newaxis] * distances**2
    total = np.sqrt(parts.sum(axis=0))
    order = np.argsort(total, kind="stable")[:count]
    return tuple(_one(query, index, int(n), parts[:, n], float(total[n]), metric, alignment) for n in order)


def _one(
    query: Series,
    index: Index,
    number: int,
    parts: Doubles,
    total: float,
    metric: Doubles,
    alignment: Alignment,
) -> Likeness:
    onset, past = float(index.onset_hours[number]), index.references.one(number)
    pairs = path(scaled(query, metric), references([scaled(past, metric)]), 0, alignment).pairs
    variables = query.variables[: -len(CONTEXT)]
    shared = (query.mean_weight > 0.0) & (past.mean_weight > 0.0)
    known = [name for name, both in zip(variables, shared, strict=False) if both]
    at = _laid(past, pairs, query.hours)
    return Likeness(
        reference=number,
        distance=total,
        outcome=bool(index.outcome[number] == CASE),
        onset_hours=None if np.isnan(onset) else onset,
        stays=int(index.stays[number]),
        pairs=tuple((int(i), int(j)) for i, j in pairs),
        shares=_shares(parts, variables),
        course={name: at[variables.index(name)] for name in known},
    )


def _laid(past: Series, pairs: npt.NDArray[np.int64], hours: int) -> Doubles:
    """A reference's values (V + P, hours), laid on the hours of the excerpt."""
    known = np.ones_like(past.values) if past.weights is None else (past.weights > 0.0).astype(np.float64)
    laid = np.zeros((hours, past.hours))
    laid[pairs[:, 0], pairs[:, 1]] = 1.0
    many = known @ laid.T
    total = (past.values * known) @ laid.T
    return np.divide(total, many, out=np.full_like(total, np.nan), where=many > 0.0)


def _shares(parts: Doubles, variables: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Of each variable that adds something: what its values and its times of measurement do."""
    times = len(variables) + len(CONTEXT)
    total = float(parts.sum())
    own = {name: float(parts[v] + parts[times + v]) for v, name in enumerate(variables)}
    found = [(name, one / total) for name, one in own.items() if one > 0.0]
    return tuple(sorted(found, key=lambda item: (-item[1], item[0])))
