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

A tape may begin where another ended: `Order` is what it must be told. A checkpoint stands before the first
observation of a whole hour. Each of the last eight hours has its own; for every power of two there is that of
the newest hour which is an odd multiple of eight times it. A result k hours late therefore repeats less than
2 k + 8 hours, up to 64 hours back; an older one perhaps all of the stay.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

UPDATE, EMIT, SAVE, RESTORE = 0, 1, 2, 3
RECENT, OLDER = 8, 5  # a laboratory's delay is mostly an hour or two; a checkpoint takes 50 kB at M = 34
CHECKPOINTS = RECENT - 1 + OLDER


class Tape(NamedTuple):
    """`op`, `item` (k,), `gap_hours` (k,), and how many `checkpoints`, `updates` and `hours` (T) it has."""

    op: Integers
    item: Integers
    gap_hours: Floats
    checkpoints: int
    updates: int
    hours: int


class Order(NamedTuple):
    """`sequence` (n,) the rows in order of time; `rank` (n,) a row's place among first uses; `prefix`
    (CHECKPOINTS + 1,) how much of the sequence each checkpoint holds, -1 if it is empty; 0 is the prior.
    """

    sequence: Integers
    rank: Integers
    prefix: Integers


def no_order(rows: int) -> Order:
    """Nothing known, with room for `rows`."""
    prefix = np.full(CHECKPOINTS + 1, -1)
    prefix[0] = 0
    return Order(np.zeros(rows, np.int64), np.zeros(rows, np.int64), prefix)


@compiled
def checkpoint_of(hour: int) -> int:
    """Where the state before the first observation of a whole hour is kept: 1 .. CHECKPOINTS."""
    if hour % RECENT:
        return hour % RECENT
    eights, checkpoint = hour // RECENT, RECENT
    while eights % 2 == 0 and checkpoint < CHECKPOINTS:
        eights //= 2
        checkpoint += 1
    return checkpoint


@compiled
def as_known(
    time_hours: Floats,
    variable: Integers,
    value: Floats,
    known: Integers,
    grid_hours: Floats,
    order: Order,
    count: int,
    lasting: bool,
) -> Tape:
    """The tape of a stay whose rows (n,) stand in the order in which they became known, `known` (T,) of them
    by each of `grid_hours` (T,), both not decreasing.

    It begins where the first `count` rows are in. If it is `lasting`, `order` is left as the next tape is to
    find it, and every checkpoint that it counts is saved.
    """
    sequence, prefix = order.sequence, order.prefix
    place = np.full(len(prefix), -1)  # where on the tape a checkpoint was saved
    taken, k = count, 0
    tape, gap, used = np.empty((16, 2), np.int64), np.empty(16), np.zeros(16, np.bool_)
    for hour in range(len(known)):
        first = _insert(sequence, count, known[hour], time_hours, variable, value)
        before, count = count, max(count, known[hour])
        newest = _newest(prefix, first) if first < taken else -1
        taken = prefix[newest] if newest >= 0 else taken
        tape, gap, used = _with_room(tape, gap, used, k + 2 * (count - taken) + 2)
        if newest >= 0:
            used[max(place[newest], 0)] |= place[newest] >= 0
            k = _push(tape, gap, k, RESTORE, newest, 0.0)
        k = _take_in(time_hours, order, taken, count, before, place, tape, gap, k)
        taken = count
        ahead = grid_hours[hour] - time_hours[sequence[taken - 1]] if taken else 0.0
        k = _push(tape, gap, k, EMIT, hour, ahead)
    for checkpoint in range(len(prefix)):
        if lasting and prefix[checkpoint] >= 0 and place[checkpoint] >= 0:
            used[place[checkpoint]] = True
    return _pruned(tape[:k], gap[:k], used[:k], len(known), lasting)


@compiled
def _take_in(
    time_hours: Floats,
    order: Order,
    first: int,
    count: int,
    ranked: int,
    place: Integers,
    tape: Integers,
    gap: Floats,
    k: int,
) -> int:
    """Write the places first .. count - 1 of the sequence; rows from `ranked` on get their rank."""
    sequence, rank = order.sequence, ranked
    for j in range(first, count):
        row = sequence[j]
        now = time_hours[row]
        before = time_hours[sequence[j - 1]] if j else now
        if np.floor(now) > np.floor(before):
            checkpoint = checkpoint_of(int(np.floor(now)))
            if order.prefix[checkpoint] != j:
                place[checkpoint], order.prefix[checkpoint] = k, j
                k = _push(tape, gap, k, SAVE, checkpoint, 0.0)
        if row >= ranked:
            order.rank[row] = rank
            rank += 1
        k = _push(tape, gap, k, UPDATE, row, now - before)
    return k


@compiled
def _newest(prefix: Integers, first: int) -> int:
    """The fullest checkpoint that holds only what stands before place `first`; those beyond are emptied."""
    newest = 0
    for checkpoint in range(1, len(prefix)):
        if prefix[checkpoint] > first:
            prefix[checkpoint] = -1
        elif prefix[checkpoint] > prefix[newest]:
            newest = checkpoint
    return newest


@compiled
def _insert(
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
def _push(tape: Integers, gap: Floats, k: int, op: int, item: int, gap_hours: float) -> int:
    tape[k, 0], tape[k, 1], gap[k] = op, item, gap_hours
    return k + 1


@compiled
def _with_room(
    tape: Integers, gap: Floats, used: npt.NDArray[np.bool_], operations: int
) -> tuple[Integers, Floats, npt.NDArray[np.bool_]]:
    """A tape that holds `operations`."""
    size = len(tape)
    if operations <= size:
        return tape, gap, used
    room = max(operations, 2 * size)
    longer, longer_gap, longer_used = np.empty((room, 2), np.int64), np.empty(room), np.zeros(room, np.bool_)
    longer[:size], longer_gap[:size], longer_used[:size] = tape, gap, used
    return longer, longer_gap, longer_used


@compiled
def _pruned(tape: Integers, gap: Floats, used: npt.NDArray[np.bool_], hours: int, lasting: bool) -> Tape:
    """Without the checkpoints that nobody restores; those left are numbered from 1, unless others follow."""
    number = np.arange(CHECKPOINTS + 1) if lasting else np.zeros(CHECKPOINTS + 1, np.int64)
    checkpoints, updates, k = CHECKPOINTS + 1 if lasting else 1, 0, 0
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
def sharing_hours(order: Order, time_hours: Floats, first_new: int, count: int) -> Integers:
    """The rows measured in the same whole hours as rows first_new .. count - 1, these too, by rank: (u,)."""
    sequence, hours = order.sequence[:count], np.sort(np.floor(time_hours[first_new:count]))
    rows, found = np.empty(count, np.int64), 0
    for i in range(len(hours)):
        if i and hours[i] == hours[i - 1]:
            continue
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if time_hours[sequence[middle]] < hours[i]:
                low = middle + 1
            else:
                high = middle
        while low < count and time_hours[sequence[low]] < hours[i] + 1.0:
            rows[found] = sequence[low]
            found, low = found + 1, low + 1
    return rows[:found][np.argsort(order.rank[rows[:found]], kind="mergesort")]


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
