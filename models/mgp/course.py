"""A bed that is scored every hour: its filtered posterior, continued where it stopped.

    advance(the stay as known now)       the hours that are new, with the bits of `filtered` on the whole stay

A new hour costs O((D M)^2 + R D M) an observation of it, whatever the length of the stay. A result that is k
hours late repeats the observations of less than 2 k + 8 hours (models/mgp/schedule.py); one that is more than
64 hours late, perhaps all of them.

    n  observations    T  grid hours    M  variables    W  M padded    D  temporal states    R  draws
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.mgp.filter import prior_states
from models.mgp.hourly import FilterRun, HourlyPath, Memory, filter_hours
from models.mgp.kernel import Kernel
from models.mgp.observations import Observed, counts_of, rows_of
from models.mgp.posterior import Filtered, tensors_of
from models.mgp.schedule import CHECKPOINTS, Order, no_order
from models.mgp.statespace import state_space

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_FIRST_ROWS = 64  # room for a quiet day before the columns double


class _Rows(NamedTuple):
    """What was told (rows,), and beside each row: `sought` (rows, 1 + R), its place in `sequence`, `rank`."""

    time_hours: Floats
    variable: Integers
    value: Floats
    sought: Floats
    sequence: Integers
    rank: Integers


class Course:
    """The filtered posterior of one stay, hour by hour, with `draws` that depend on (stay, seed) alone.

    Takes 8 (CHECKPOINTS + 2) (D W)^2 bytes (0.7 MB at M = 34 and two Matern-1/2 time scales), 8 R D W an hour
    and 8 (6 + R) an observation. Courses of one kernel, `draws` and `seed` may share their `path`. The kernel
    is that of the beginning; gradients do not flow. Raises InvalidInput for a kernel without a state-space
    form.
    """

    def __init__(
        self, kernel: Kernel, draws: int = 0, seed: int = 0, *, path: HourlyPath | None = None
    ) -> None:
        self.kernel = kernel
        self._space = state_space(kernel)
        self._path = path or HourlyPath(self._space, draws, seed)
        self._states = prior_states(self._space, CHECKPOINTS + 1, 1 + draws)
        self._prefix = no_order(0).prefix
        self._rows = _empty(_FIRST_ROWS, 1 + draws)
        self._count = self._hours = 0

    def advance(self, observed: Observed) -> Filtered:
        """The grid hours since the last call, bit for bit as `filtered` gives them for the whole stay.

        `observed` is the whole stay, its first rows and hours as they were told before. Raises InvalidInput,
        and changes nothing, where they are not, and for what `filtered` does not take.
        """
        columns = rows_of(self.kernel, observed)
        known = counts_of(observed, len(columns[0]))
        self._check_extends(columns, known)
        begun, hours = self._count, self._hours
        count = int(known[-1]) if len(known) else 0
        time, variable, value = columns
        new = time[begun:count], variable[begun:count], value[begun:count]
        run = self.extend(*new, known[hours:].copy())
        return Filtered(*tensors_of(self.kernel, *run[:3]))

    def extend(self, time_hours: Floats, variable: Integers, value: Floats, known: Integers) -> FilterRun:
        """The next grid hours from rows (n,) that are new, taken on trust: `known` (T,) is how many rows,
        those told before included, each hour may use, the last of them all.
        """
        begun, hours = self._count, self._hours
        count = begun + len(time_hours)
        self._take((time_hours, variable, value), begun, count)
        rows = _Rows._make(column[:count] for column in self._rows)
        memory = Memory(Order(rows.sequence, rows.rank, self._prefix), self._states, rows.sought)
        path = self._path.through(time_hours, hours + len(known))
        self._count, self._hours = count, hours + len(known)
        return filter_hours(self._space, path, *rows[:3], known, memory, begun, hours, True)

    def _take(self, columns: tuple[Floats, Integers, Floats], begun: int, count: int) -> None:
        """Keep rows begun .. count - 1."""
        if count > len(self._rows.time_hours):
            longer = _empty(max(count, 2 * begun), self._rows.sought.shape[1])
            for column, before in zip(longer, self._rows, strict=True):
                column[:begun] = before[:begun]
            self._rows = longer
        for column, told in zip(self._rows[:3], columns, strict=True):
            column[begun:count] = told

    def _check_extends(self, columns: tuple[Floats, Integers, Floats], known: Integers) -> None:
        count, hours = self._count, self._hours
        extends = len(known) >= hours and (hours == 0 or known[hours - 1] == count)
        pairs = zip(self._rows[:3], columns, strict=True)
        if not (extends and all(np.array_equal(before[:count], told[:count]) for before, told in pairs)):
            raise InvalidInput(
                f"the stay does not begin with the {hours} hours and {count} observations told before",
                value=len(known),
                bound="what was told before, then what is new",
            )


def _empty(rows: int, sides: int) -> _Rows:
    variable, sequence, rank = np.zeros((3, rows), np.int64)
    return _Rows(np.zeros(rows), variable, np.zeros(rows), np.zeros((rows, sides)), sequence, rank)
