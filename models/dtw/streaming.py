"""A stay in progress: with each hour, its distances to all references go on by one row of their tables.

The end of every reference is open, so that the stay is compared with as much of each as fits best. What is
kept of the past is the last row of each table: 4 bytes a reference, variable and hour of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.compiled import compiled_in_place
from models.dtw.distances import scaled, summed
from models.dtw.kernels import Part, Side, best_endings, one_row
from models.dtw.lanes import LANES, aligned
from models.dtw.search import Form
from models.dtw.series import FEWEST_HOURS, References, checked
from models.dtw.sweep import shared
from models.dtw.windows import Alignment

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class Stream:
    """The distances of a stay that grows by one hour at a time."""

    def __init__(
        self,
        references: References,
        alignment: Alignment = Alignment(open_end=True),  # noqa: B008  frozen
        *,
        form: Form = Form.PER_VARIABLE,
        threads: int = 1,
    ) -> None:
        """Before the first hour. Raises InvalidInput for an alignment whose end is not open."""
        if not alignment.open_end:
            raise InvalidInput(f"{alignment} has a fixed end: a stay in progress needs open_end=True")
        self.references, self.alignment, self.form, self.threads = references, alignment, form, threads
        blocks, variables, longest, _ = references.values.shape
        paths = 1 if form is Form.DEPENDENT else variables
        begin = 0.0 if alignment.open_begin else np.inf
        self.rows = aligned((blocks, paths, longest + 1, LANES), begin)
        self.rows[:, :, 0] = 0.0
        self.costs = np.full((blocks, paths, LANES), np.inf, np.float32)
        self.total_weight, self.hours = np.zeros(variables), 0

    def advance(self, values: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> None:
        """One hour more: values (V,), NaN where nothing is known; weights alike, 1 if not given."""
        value, weight = checked(np.atleast_2d(values), weights, self.references.variables)
        if len(value[0]) != len(self.total_weight):
            want = len(self.total_weight)
            raise InvalidInput(f"{len(value[0])} variables: the references have {want}", value=len(value[0]))
        known = np.ones_like(value) if weight is None else weight
        now = Side(value.T.astype(np.float32), known.T.astype(np.float32))
        theirs = Side(self.references.values, self.references.weights)
        first, last = self._columns()

        def part(start: int, stop: int) -> None:
            cut = self.rows[start:stop], self.references.lengths[start:stop], self.costs[start:stop]
            extend(now, theirs, start, first, last, *cut)

        shared(len(self.references.lengths), self.threads, part)
        self.total_weight += known[0]
        self.hours += 1

    def _columns(self) -> tuple[int, int]:
        """The hours of a reference that the next hour may meet; with an open end they depend on no length."""
        longest = self.references.values.shape[2]
        first, last = self.alignment.window.columns(self.hours + 1, longest, open_end=True)
        return int(first[-1]), int(last[-1])

    def distances(self) -> Doubles:
        """Now: (V, N) for `Form.PER_VARIABLE`, else (N,); as models/dtw/distances.py has them.

        Raises InvalidInput before the second hour, and while nothing is known.
        """
        if self.hours < FEWEST_HOURS or not self.total_weight.any():
            raise InvalidInput(
                f"a stay of {self.hours} hours: at least {FEWEST_HOURS}, and a value in one of them",
                value=self.hours,
                bound=f">= {FEWEST_HOURS}",
                unit="h",
            )
        product = (self.total_weight / self.hours)[:, np.newaxis] * self.references.mean_weight.T
        costs = self.costs.transpose(1, 0, 2).reshape(self.costs.shape[1], -1)[:, self.references.slots]
        if self.form is Form.DEPENDENT:
            return scaled(costs[0].astype(np.float64), product.mean(axis=0))
        found = scaled(costs.astype(np.float64), product)
        return summed(found) if self.form is Form.INDEPENDENT else found


@compiled_in_place
def extend(
    now: Side,
    references: Side,
    start: int,
    first: int,
    last: int,
    rows: Singles,
    lengths: Integers,
    costs: Singles,
) -> None:
    """One row more in `rows` (B, C, T + 1, LANES) of blocks from `start` on, and `costs` (B, C, LANES)."""
    many = now.values.shape[0] // rows.shape[1]
    for block in range(rows.shape[0]):
        for path in range(rows.shape[1]):
            part = Part(start + block, path * many, (path + 1) * many)
            one_row(now, 0, references, part, first, last, rows[block, path])
            best_endings(rows[block, path], lengths[block], first, last, costs[block, path])
