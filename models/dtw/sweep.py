"""A query against every reference: the accumulated costs of all slots, piece by piece.

A *piece* is one length in one block, because a window depends on the length. Pieces write to different
places, so that threads can share them and the result does not depend on how.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.compiled import compiled_in_place
from models.dtw.kernels import Frame, Part, Side, begin, ending, forbid, table
from models.dtw.lanes import LANES, aligned
from models.dtw.series import References, Series
from models.dtw.windows import Alignment, Full

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class Plan(NamedTuple):
    """What to compute: pieces (P, 3) of block, length and window; windows first and last (W, n)."""

    pieces: Integers
    first: Integers
    last: Integers
    windowed: bool
    open_begin: bool
    open_end: bool


def plan(
    query_hours: int, references: References, alignment: Alignment, *, each_length: bool = False
) -> Plan:
    """The pieces for a query; a full window takes mixed lengths together unless `each_length`."""
    key = query_hours, alignment, each_length
    if key not in references.plans:
        references.plans[key] = _plan(query_hours, references, alignment, each_length)
    found: Plan = references.plans[key]
    return found


def _plan(query_hours: int, references: References, alignment: Alignment, each_length: bool) -> Plan:
    pieces, window, windowed = references.pieces, alignment.window, not isinstance(alignment.window, Full)
    if not windowed and not each_length:
        longest = references.lengths.max(axis=1)
        pieces = np.stack([np.arange(len(longest)), longest], axis=1)
    lengths, which = np.unique(pieces[:, 1], return_inverse=True)
    columns = [window.columns(query_hours, int(m), open_end=alignment.open_end) for m in lengths]
    first, last = (np.array(one, np.int64).reshape(-1, query_hours) for one in zip(*columns, strict=True))
    numbered = np.column_stack([pieces, which.reshape(-1)]).astype(np.int64)
    return Plan(numbered, first, last, windowed, alignment.open_begin, alignment.open_end)


@compiled_in_place
def frame_of(plan: Plan, piece: int, before: int, penalty: Singles) -> Frame:
    """The frame of a piece; its penalties are written anew where the piece before had another window."""
    which = plan.pieces[piece, 2]
    frame = Frame(plan.first[which], plan.last[which], penalty)
    if which != before:
        forbid(frame)
    return frame


@compiled_in_place
def read(plan: Plan, piece: int, lengths: Integers, row: Singles, costs: Singles) -> None:
    """Takes the costs (LANES,) of a piece's references from the last row."""
    _, longest, which = plan.pieces[piece]
    first, last = plan.first[which, -1], plan.last[which, -1]
    for lane in range(LANES):
        mixed = not plan.windowed and lengths[lane] > 0
        if mixed or lengths[lane] == longest:
            end = min(last, lengths[lane]) if plan.open_end else lengths[lane]
            costs[lane] = ending(row, lane, first, end, plan.open_end)


class Scratch(NamedTuple):
    """What one thread writes to."""

    row: Singles  # (T + 1, LANES)
    penalty: Singles  # (n, T), or none
    limits: Singles  # (LANES,) that nothing exceeds


def scratch(plan: Plan, hours: int) -> Scratch:
    """For references of so many hours."""
    rows = plan.first.shape[1] if plan.windowed else 0
    return Scratch(
        aligned((hours + 1, LANES)),
        np.empty((rows, hours), np.float32),
        np.full(LANES, np.inf, np.float32),
    )


@compiled_in_place
def sweep(
    query: Side,
    references: Side,
    lengths: Integers,
    plan: Plan,
    start: int,
    stop: int,
    scratch: Scratch,
    costs: Singles,
) -> None:
    """Pieces `start` to `stop` - 1 into `costs` (C, B, LANES): C is V, or 1 for all variables together."""
    before, many = -1, query.values.shape[0] // costs.shape[0]
    for piece in range(start, stop):
        block = plan.pieces[piece, 0]
        frame = frame_of(plan, piece, before, scratch.penalty)
        before = plan.pieces[piece, 2]
        for row in range(costs.shape[0]):
            begin(scratch.row, plan.open_begin)
            part = Part(block, row * many, (row + 1) * many)
            table(query, references, part, frame, scratch.limits, scratch.row)
            read(plan, piece, lengths[block], scratch.row, costs[row, block])


def sides(query: Series, references: References) -> tuple[Side, Side]:
    """Both in single precision."""
    own = None if query.weights is None else query.weights.astype(np.float32)
    return Side(query.values.astype(np.float32), own), Side(references.values, references.weights)


def costs_of(
    query: Series, references: References, alignment: Alignment, *, together: bool, threads: int
) -> Doubles:
    """Accumulated costs (C, N) in the references' order, single precision: C is V, or 1 if `together`."""
    shape = 1 if together else len(query.values), *references.lengths.shape
    costs, what = np.full(shape, np.inf, np.float32), plan(query.hours, references, alignment)
    both = sides(query, references)

    def part(start: int, stop: int) -> None:
        own = scratch(what, references.values.shape[2])
        sweep(*both, references.lengths, what, start, stop, own, costs)

    shared(len(what.pieces), threads, part)
    return costs.reshape(shape[0], -1)[:, references.placed].astype(np.float64)


def shared(count: int, threads: int, work: Callable[[int, int], None]) -> None:
    """`work(start, stop)` on all of `count` things, cut into one part a thread."""
    if threads < 1:
        raise InvalidInput(f"{threads} threads: at least 1", value=threads, bound=">= 1", unit="threads")
    if threads == 1:
        work(0, count)
        return
    cuts = np.linspace(0, count, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, cuts[:-1], cuts[1:]))
