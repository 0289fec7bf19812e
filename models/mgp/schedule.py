"""The order in which the filter works: a tape of operations, made before any arithmetic.

The filter takes observations in the order they were measured, but each grid hour may use what was known by
it. Where a result becomes known late (measured before something the filter has already used), the tape
restores the newest checkpoint from before it and repeats what was measured since; what earlier hours emitted
stands.

    op       item                  meaning
    UPDATE   observation           advance the state by the gap and take the observation in
    EMIT     grid row              report the process a gap after the state; the state stays where it is
    SAVE     checkpoint            keep the state
    RESTORE  checkpoint            go back to it

    state    mean and covariance just after its newest observation; before the first, the prior
    gap      hours from the state's time to the operation's (0 where the state is the prior)

What a tape does up to an hour depends on what was known by that hour alone.

    n  observations     T  grid hours     k  operations, n + T without late results
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.mgp.compiled import compiled

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

UPDATE, EMIT, SAVE, RESTORE = 0, 1, 2, 3


class Tape(NamedTuple):
    """`op`, `item` (k,), `gap_hours` (k,), and how many `checkpoints`, `updates` and `hours` (T) it has."""

    op: Integers
    item: Integers
    gap_hours: Floats
    checkpoints: int
    updates: int
    hours: int


@compiled
def as_known(
    time_hours: Floats, variable: Integers, value: Floats, known: Integers, grid_hours: Floats
) -> Tape:
    """The tape of a stay whose rows (n,) stand in the order in which they became known, `known` (T,) of them
    by each of `grid_hours` (T,), both not decreasing.
    """
    last = known[-1] if len(known) else 0
    sequence = np.empty(last, np.int64)  # what is known, in order of time
    prefix = np.zeros(last + 1, np.int64)  # how much of the sequence each checkpoint on the stack holds
    place = np.empty(last + 1, np.int64)  # where on the tape it was saved
    depth, taken, count = 0, 0, 0
    tape, k = np.empty((2 * (last + len(known)) + 16, 2), np.int64), 0
    gap = np.empty(len(tape))
    used = np.zeros(len(tape), np.bool_)
    for hour in range(len(known)):
        first = _insert(sequence, count, known[hour], time_hours, variable, value)
        count = max(count, known[hour])
        if first < taken:
            while depth and prefix[depth - 1] > first:
                depth -= 1
            taken = prefix[depth - 1] if depth else 0
            if depth:
                used[place[depth - 1]] = True
            k = _push(tape, gap, k, RESTORE, depth, 0.0)
        for j in range(taken, count):
            if len(tape) - k < 4:  # noqa: PLR2004
                tape, gap, used = _doubled(tape, gap, used)
            now = time_hours[sequence[j]]
            before = time_hours[sequence[j - 1]] if j else now
            if np.floor(now) > np.floor(before) and (depth == 0 or prefix[depth - 1] < j):
                place[depth], prefix[depth] = k, j
                depth += 1
                k = _push(tape, gap, k, SAVE, depth, 0.0)
            k = _push(tape, gap, k, UPDATE, sequence[j], now - before)
        taken = count
        if len(tape) - k < 4:  # noqa: PLR2004
            tape, gap, used = _doubled(tape, gap, used)
        ahead = grid_hours[hour] - time_hours[sequence[taken - 1]] if taken else 0.0
        k = _push(tape, gap, k, EMIT, hour, ahead)
    return _pruned(tape[:k], gap[:k], used[:k], len(known))


@compiled
def _insert(  # noqa: PLR0917  a compiled function has no keyword-only arguments
    sequence: Integers, count: int, upto: int, time_hours: Floats, variable: Integers, value: Floats
) -> int:
    """Put rows count .. upto - 1 into the sequence; the first place that changed. Ties go by time, then after
    what was known before, then by variable and value, so that rows of one hour may stand in any order.
    """
    first, known_before = upto, count
    for row in range(count, upto):
        j = row
        while j > 0:
            other = sequence[j - 1]
            if time_hours[other] < time_hours[row]:
                break
            if time_hours[other] == time_hours[row] and (
                other < known_before or (variable[other], value[other]) <= (variable[row], value[row])
            ):
                break
            sequence[j] = other
            j -= 1
        sequence[j] = row
        first = min(first, j)
    return first


@compiled
def _push(  # noqa: PLR0917
    tape: Integers, gap: Floats, k: int, op: int, item: int, gap_hours: float
) -> int:
    tape[k, 0], tape[k, 1], gap[k] = op, item, gap_hours
    return k + 1


@compiled
def _doubled(
    tape: Integers, gap: Floats, used: npt.NDArray[np.bool_]
) -> tuple[Integers, Floats, npt.NDArray[np.bool_]]:
    size = len(tape)
    longer, longer_gap, longer_used = (
        np.empty((2 * size, 2), np.int64),
        np.empty(2 * size),
        np.zeros(2 * size, np.bool_),
    )
    longer[:size], longer_gap[:size], longer_used[:size] = tape, gap, used
    return longer, longer_gap, longer_used


@compiled
def _pruned(tape: Integers, gap: Floats, used: npt.NDArray[np.bool_], hours: int) -> Tape:
    """Without the checkpoints that nobody restores; those left are numbered from 1, 0 is the prior."""
    number = np.zeros(len(tape) + 1, np.int64)
    checkpoints, updates, k = 1, 0, 0
    op, index, gap_hours = np.empty(len(tape), np.int64), np.empty(len(tape), np.int64), np.empty(len(tape))
    for i in range(len(tape)):
        what, which = tape[i, 0], tape[i, 1]
        if what == SAVE and not used[i]:
            continue
        if what == SAVE and number[which] == 0:
            number[which] = checkpoints
            checkpoints += 1
        updates += what == UPDATE
        op[k], gap_hours[k] = what, gap[i]
        index[k] = number[which] if what in (SAVE, RESTORE) else which
        k += 1
    return Tape(op[:k].copy(), index[:k].copy(), gap_hours[:k].copy(), checkpoints, updates, hours)


@compiled
def in_time_order(time_hours: Floats) -> Tape:
    """The tape of observations (n,) already in order of time: n updates and nothing else."""
    rows = len(time_hours)
    gap = np.zeros(rows)
    gap[1:] = time_hours[1:] - time_hours[:-1]
    return Tape(np.full(rows, UPDATE), np.arange(rows), gap, 1, rows, 0)


@compiled
def first_uses(tape: Tape) -> Integers:
    """The observations of a tape in the order in which it first takes them in: as they became known."""
    seen, order, count = np.zeros(tape.updates, np.bool_), np.empty(tape.updates, np.int64), 0
    for k in range(len(tape.op)):
        if tape.op[k] == UPDATE and not seen[tape.item[k]]:
            seen[tape.item[k]] = True
            order[count] = tape.item[k]
            count += 1
    return order[:count].copy()
