"""A stay as arrays: its observations in the order they became known, and what each grid hour knows.

n  observations     T  grid hours (hour h is index h - 1)     M  variables
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import repeat

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.errors import InvalidInput
from models.clinical.stay import Stay
from models.clinical.variables import variable as catalogued
from models.mgp.standardise import VARIABLES, Standardisation

_PLACE = {name: place for place, name in enumerate(VARIABLES)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EncodedStay:
    """`time_hours`, `value` (standardised), `variable` (n,), ordered by (known, time, variable, value);
    `known` (T,) how many of them each hour may use; `since_hours` (T, M) since the last measurement, inf if
    none.
    """

    time_hours: Floats
    variable: Integers
    value: Floats
    known: Integers
    since_hours: Floats

    @property
    def hours(self) -> int:
        """T, how many grid hours there are."""
        return len(self.known)

    def until(self, hours: int) -> EncodedStay:
        """The first `hours` grid hours and the rows they know."""
        rows = self.known[hours - 1] if hours else 0
        columns = (self.time_hours[:rows], self.variable[:rows], self.value[:rows])
        return EncodedStay(*columns, self.known[:hours], self.since_hours[:hours])

    def of(self, variables: npt.NDArray[np.bool_]) -> EncodedStay:
        """The same hours as if nothing but `variables` (M,) had been measured."""
        rows = variables[self.variable]
        columns = (self.time_hours[rows], self.variable[rows], self.value[rows])
        known = np.concatenate([[0], np.cumsum(rows)])[self.known]
        return EncodedStay(*columns, known, np.where(variables, self.since_hours, np.inf))


def encode(stay: Stay, standardisation: Standardisation, hours: int) -> EncodedStay:
    """The first `hours` grid hours of a stay. Raises UnknownVariable, InvalidInput for a value not finite."""
    time, known_at, which, value = _rows(stay)
    grid = HOUR_US * np.arange(1, hours + 1)
    return EncodedStay(
        time_hours=time / HOUR_US,
        variable=which,
        value=standardisation.forward(which, value),
        known=np.searchsorted(known_at, grid, side="right").astype(np.int64),
        since_hours=_since(time, known_at, which, grid),
    )


def _rows(stay: Stay) -> tuple[Integers, Integers, Integers, Floats]:
    """Time and known_at in microseconds since admission, variable index and value, in a total order."""
    time, known_at, which, value, _ = read(
        stay.observations, since_epoch(stay.admitted_at), f"stay {stay.stay_id}"
    )
    order = np.lexsort((value, which, time, known_at))
    return time[order], known_at[order], which[order], value[order]


def since_epoch(moment: datetime) -> int:
    """Whole microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def read(
    table: pd.DataFrame, admitted_us: int | Integers, whose: str
) -> tuple[Integers, Integers, Integers, Floats, npt.NDArray[np.bool_]]:
    """Time and known_at in microseconds since admission, variable index and value of the rows (n',) of the
    model's variables, and which rows of `table` (n,) these are; `admitted_us` () or (n,) since 1970.

    Raises UnknownVariable, and InvalidInput for a value that is not finite.
    """
    names = table["variable"].tolist()
    which = np.fromiter(map(_PLACE.get, names, repeat(-1)), np.int64, len(names))
    ours = which >= 0
    if not ours.all():
        for name in dict.fromkeys(names):
            catalogued(str(name))
    value = table["value"].to_numpy(dtype=np.float64)
    bad = ours & ~np.isfinite(value)
    if bad.any():
        row = int(np.argmax(bad))
        raise InvalidInput(
            f"{whose}: {VARIABLES[which[row]]} has the value {value[row]} in row {row}",
            value=float(value[row]),
            bound="a finite number",
        )
    # whole microseconds since admission, so that moving a stay in time changes no bit
    time, known_at = (_microseconds(table[column]) - admitted_us for column in ("time", "known_at"))
    return time[ours], known_at[ours], which[ours], value[ours], ours


def _microseconds(column: pd.Series) -> Integers:
    """Times as whole microseconds since 1970."""
    return np.asarray(column.array, dtype="datetime64[us]").view(np.int64)


def _since(time: Integers, known_at: Integers, which: Integers, grid: Integers) -> Floats:
    """Hours since each variable was last measured, as known at each grid hour; inf if never: (T, M)."""
    never = np.iinfo(np.int64).min
    last = np.full((len(grid), len(VARIABLES)), never, dtype=np.int64)
    first_hour = np.searchsorted(grid, known_at, side="left")
    inside = first_hour < len(grid)
    np.maximum.at(last, (first_hour[inside], which[inside]), time[inside])
    last = np.maximum.accumulate(last, axis=0)
    seen = last != never
    return np.where(seen, (grid[:, None] - np.where(seen, last, 0)) / HOUR_US, np.inf)
