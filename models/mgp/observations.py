"""What one hands to the process: the rows of a stay, checked and in order.

n  observations     T  grid hours     M  variables
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.compiled import compiled
from models.mgp.kernel import Kernel

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Rows = tuple[Floats, Integers, Floats, Floats]
Column = Tensor | npt.NDArray[np.generic] | Sequence[float]


class Observed(Protocol):
    """What `filtered` reads of a stay, an `EncodedStay` for one: rows in the order they became known, and how
    many of them each hour may use."""

    @property
    def time_hours(self) -> Column:
        """(n,) hours since admission."""

    @property
    def variable(self) -> Column:
        """(n,) in [0, M)."""

    @property
    def value(self) -> Column:
        """(n,) on the process's scale."""

    @property
    def known(self) -> Column:
        """(T,) rows known by grid hour 1, 2, ..., T; not decreasing."""


@dataclass(frozen=True)
class Observations:
    """`time_hours`, `variable` in [0, M) and `value` (n,): in any order where nothing asks what was known
    when, else in the order they became known, `known` (T,) of them by grid hour 1 .. T.
    """

    time_hours: Column
    variable: Column
    value: Column
    known: Column = ()


def rows_of(kernel: Kernel, stay: Observed) -> tuple[Floats, Integers, Floats]:
    """A stay's columns (n,) as arrays. Raises InvalidInput, naming the row."""
    time, variable, value = _floats(stay.time_hours), _integers(stay.variable), _floats(stay.value)
    if not len(time) == len(variable) == len(value):
        lengths = len(time), len(variable), len(value)
        raise InvalidInput(f"{lengths} times, variables and values", value=lengths, bound="one each a row")
    row = _first_bad(time, variable, value, kernel.variables)
    if row < len(time):
        bad = float(time[row]), int(variable[row]), float(value[row])
        raise InvalidInput(
            f"row {row} has time {bad[0]} h, variable {bad[1]} and value {bad[2]}",
            value=bad,
            bound=f"finite times and values, variables in [0, {kernel.variables})",
        )
    return time, variable, value


def counts_of(stay: Observed, rows: int) -> Integers:
    """How many of a stay's `rows` each grid hour may use: (T,). Raises InvalidInput."""
    known = _integers(stay.known)
    if len(known) and not (known[0] >= 0 and known[-1] <= rows and (np.diff(known) >= 0).all()):
        raise InvalidInput(
            f"known counts {known} of {rows} rows", value=known, bound=f"0 .. {rows}, not decreasing"
        )
    return known


def check_draws(draws: int) -> None:
    """Raises InvalidInput for fewer draws than none."""
    if draws < 0:
        raise InvalidInput(f"{draws} draws", value=draws, bound=">= 0")


def rows_in_order(kernel: Kernel, stay: Observed, grid_hours: Column) -> tuple[Rows, Integers]:
    """Time, variable and value (n,) in order of all three, and the grid (T,); where each row stood."""
    time, variable, value = rows_of(kernel, stay)
    grid = _floats(grid_hours)
    if not _not_decreasing(grid):
        raise InvalidInput(
            "grid_hours must be finite and not decrease", value=grid, bound="finite, sorted", unit="h"
        )
    if _sorted(time, variable, value):
        return (time, variable, value, grid), np.arange(len(time))
    order = np.lexsort((value, variable, time))
    return (time[order], variable[order], value[order], grid), order


def _floats(column: Column) -> Floats:
    return np.ascontiguousarray(_detached(column), dtype=np.float64)


def _integers(column: Column) -> Integers:
    """Raises InvalidInput for a number that is not whole, naming its row."""
    told = np.asarray(_detached(column))
    if told.dtype.kind == "f":
        broken = np.flatnonzero(told != np.floor(told))
        if len(broken):
            row = int(broken[0])
            raise InvalidInput(f"row {row} has {told[row]}", value=float(told[row]), bound="a whole number")
    return np.ascontiguousarray(told, dtype=np.int64)


def _detached(column: Column) -> Column:
    return column.detach().numpy() if isinstance(column, Tensor) else column


@compiled
def _first_bad(time_hours: Floats, variable: Integers, value: Floats, variables: int) -> int:
    """The first row that is not finite or of no variable; n if there is none."""
    for i in range(len(time_hours)):
        if not (np.isfinite(time_hours[i]) and np.isfinite(value[i]) and 0 <= variable[i] < variables):
            return i
    return len(time_hours)


@compiled
def _not_decreasing(grid_hours: Floats) -> bool:
    """Whether all are finite, none less than the one before."""
    for t in range(len(grid_hours)):
        if not (np.isfinite(grid_hours[t]) and (t == 0 or grid_hours[t] >= grid_hours[t - 1])):
            return False
    return True


@compiled
def _sorted(time_hours: Floats, variable: Integers, value: Floats) -> bool:
    """Whether rows stand in order of time, variable and value already: sorting costs as much as smoothing."""
    for i in range(1, len(time_hours)):
        before, now = time_hours[i - 1], time_hours[i]
        if before > now or (before == now and (variable[i - 1], value[i - 1]) > (variable[i], value[i])):
            return False
    return True
