"""The nearest references of a query, with as few tables as the bounds allow.

Pieces are visited by rising bound of their corners, until that exceeds what the k-th best so far allows. In
each, Keogh's bounds drop lanes, and what is left waits until `LANES` references are together for a table. A
table is abandoned once no lane can stay within the limit.

Keogh's bounds are left out while they drop too few lanes to earn their own cost; every sixteenth piece asks
again. That choice counts lanes and reads no clock, so that a search does the same work each time.

A limit allows for rounding (`Slack`): whatever could be among the k nearest in double precision is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled_in_place
from models.dtw.bounds import Envelope, keogh_of_query, keogh_of_reference, kim, surround
from models.dtw.kernels import FORBIDDEN, Frame, Part, Side, begin, ending, forbid, table
from models.dtw.lanes import LANES, aligned, at_most, every, load, lowest, pack
from models.dtw.sweep import Plan

Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

WARM_UP, ASK_AGAIN = 4, 16  # pieces before the first verdict on the bounds, and between later ones
THOSE_WAITING = -1  # in a block's stead
# what an hour in both of Keogh's bounds costs, and one of a block packed, in cells of a table
PER_BOUND, PER_PACKED = 1.0, 2.0

WINDOW, HOURS, WAITING, SEEN, TESTED, DROPPED = range(6)  # places of a tally


class Slack(NamedTuple):
    """How far a distance in single precision may be from the true one: relative, and absolute."""

    relative: float
    absolute: float


class Task(NamedTuple):
    """A query among references."""

    query: Side
    references: Side
    lengths: Integers  # (B, LANES)
    outlines: Singles  # (B, V, 4, LANES)
    plan: Plan
    bounded: bool
    slack: Slack


class Desk(NamedTuple):
    """What one thread writes to; n hours of the query, T and V of the references, P pieces, W windows."""

    lanes: Integers  # (P,) which lanes a piece has, as bits
    cells: Doubles  # (W,) how many a window allows
    order: Integers  # (P,) in which pieces are visited
    least: Singles  # (P,) the least of Kim's bounds in each
    envelope: Envelope  # (V, T) each
    penalty: Singles  # (n, T), or none
    row: Singles  # (T + 1, LANES)
    waiting: Side  # (1, V, T, LANES) references packed
    slots: Integers  # (LANES,) where they come from
    places: Integers  # (B, LANES) the slots of the references
    hours: Integers  # (LANES,) their lengths
    limits: Singles  # (LANES,)
    tally: Integers  # (6,)


class Quest(NamedTuple):
    """One distance of a task, of variables `start` to `stop` - 1, and what is found.

    `best` (k,) are the lowest costs so far, rising; `costs` (slots,) is infinite where nothing was computed.
    """

    task: Task
    start: int
    stop: int
    desk: Desk
    best: Singles
    costs: Singles


def desk(plan: Plan, lengths: Integers, shape: tuple[int, ...], *, mixed: bool) -> Desk:
    """For references whose values have this shape; `mixed` pieces have all lengths of their block."""
    _, variables, hours, _ = shape
    rows = plan.first.shape[1] if plan.windowed else 0
    of_piece = lengths[plan.pieces[:, 0]]
    belongs = (of_piece > 0) if mixed else (of_piece == plan.pieces[:, 1:2])
    return Desk(
        lanes=(belongs * (1 << np.arange(LANES))).sum(axis=1),
        cells=(plan.last - plan.first).sum(axis=1).astype(np.float64),
        order=np.arange(len(plan.pieces)),
        least=np.zeros(len(plan.pieces), np.float32),
        envelope=Envelope(*np.empty((2, variables, hours), np.float32)),
        penalty=np.empty((rows, hours), np.float32),
        row=aligned((hours + 1, LANES)),
        waiting=Side(aligned((1, variables, hours, LANES)), None),
        slots=np.empty(LANES, np.int64),
        places=np.arange(lengths.size).reshape(lengths.shape),
        hours=np.empty(LANES, np.int64),
        limits=np.empty(LANES, np.float32),
        tally=np.empty(6, np.int64),
    )


@compiled_in_place
def allow(quest: Quest) -> np.float32:
    """The accumulated cost beyond which nothing can be among the nearest."""
    worst, slack = np.float64(quest.best[-1]), quest.task.slack
    if worst == np.inf:
        return FORBIDDEN
    farthest = (np.sqrt(worst) * (1.0 + slack.relative) + 2.0 * slack.absolute) / (1.0 - slack.relative)
    return np.float32(farthest * farthest * (1.0 + 1e-7))


@compiled_in_place
def rank(best: Singles, cost: np.float32) -> None:
    """Takes a cost into the lowest ones, if it is one of them."""
    if not cost < best[-1]:
        return
    place = len(best) - 1
    while place > 0 and best[place - 1] > cost:
        best[place] = best[place - 1]
        place -= 1
    best[place] = cost


@compiled_in_place
def count(bits: int) -> int:
    """How many lanes."""
    found = 0
    while bits:
        bits &= bits - 1
        found += 1
    return found


@compiled_in_place
def everybody(many: int) -> int:
    """The first lanes, as bits."""
    return (1 << many) - 1


@compiled_in_place
def frame_now(quest: Quest) -> Frame:
    """The frame of the window whose penalties and envelope are written."""
    which = quest.desk.tally[WINDOW]
    return Frame(quest.task.plan.first[which], quest.task.plan.last[which], quest.desk.penalty)


@compiled_in_place
def take(quest: Quest, frame: Frame, bits: int, hours: Integers, slots: Integers) -> None:
    """Reads and ranks the costs of some lanes."""
    first, last, open_end = frame.first[-1], frame.last[-1], quest.task.plan.open_end
    for lane in range(LANES):
        if bits >> lane & 1:
            end = min(last, hours[lane]) if open_end else hours[lane]
            cost = ending(quest.desk.row, lane, first, end, open_end)
            quest.costs[slots[lane]] = cost
            rank(quest.best, cost)


@compiled_in_place
def compute(quest: Quest, block: int, bits: int) -> None:
    """The table of a block, or of who waits, and what it says of some lanes; nothing if it was abandoned."""
    desk, task, frame = quest.desk, quest.task, frame_now(quest)
    begin(desk.row, task.plan.open_begin)
    desk.limits[:] = allow(quest)
    if block == THOSE_WAITING:
        part = Part(0, quest.start, quest.stop)
        if table(task.query, desk.waiting, part, frame, desk.limits, desk.row):
            take(quest, frame, bits, desk.hours, desk.slots)
        desk.tally[WAITING] = 0
    else:
        part = Part(block, quest.start, quest.stop)
        if table(task.query, task.references, part, frame, desk.limits, desk.row):
            take(quest, frame, bits, task.lengths[block], desk.places[block])


@compiled_in_place
def first_of(bits: int, room: int) -> int:
    """The lowest of some lanes, at most `room`."""
    rest = bits
    while room and rest:
        rest &= rest - 1
        room -= 1
    return bits ^ rest


@compiled_in_place
def wait(quest: Quest, block: int, bits: int) -> int:
    """Packs lanes of a block behind those that wait, and returns those for which there is no room."""
    desk, values = quest.desk, quest.task.references.values
    _, variables, hours, _ = values.shape
    begun, length = desk.tally[WAITING], desk.tally[HOURS]
    chosen = first_of(bits, LANES - begun)
    for v in range(quest.start, quest.stop):
        for j in range(length):
            value = load(values, (block * variables + v) * hours + j)
            pack(desk.waiting.values, v * hours + j, begun, chosen, value)
    for lane in range(LANES):
        if chosen >> lane & 1:
            place = desk.tally[WAITING]
            desk.slots[place], desk.hours[place] = desk.places[block, lane], length
            desk.tally[WAITING] = place + 1
    return bits ^ chosen


@compiled_in_place
def turn_to(quest: Quest, which: int, hours: int) -> None:
    """Writes penalties and envelope of another window."""
    quest.desk.tally[WINDOW], quest.desk.tally[HOURS] = which, hours
    frame = frame_now(quest)
    forbid(frame)
    if quest.task.bounded:
        surround(quest.task.query, frame, quest.start, quest.stop, hours, quest.desk.envelope)


@compiled_in_place
def worth(quest: Quest) -> bool:
    """Whether Keogh's bounds earn what they cost, or should be asked again."""
    tally = quest.desk.tally
    if tally[SEEN] <= WARM_UP or tally[SEEN] % ASK_AGAIN == 0:
        return True
    hours = tally[HOURS] + quest.task.query.values.shape[1]
    return bool(tally[DROPPED] * quest.desk.cells[tally[WINDOW]] > tally[TESTED] * hours * PER_BOUND)


@compiled_in_place
def sift(quest: Quest, block: int, bits: int, limit: np.float32) -> int:
    """The lanes that the bounds leave, the cheapest bound first."""
    tally, task, part = quest.desk.tally, quest.task, Part(block, quest.start, quest.stop)
    kims, most = kim(task.query, part, task.outlines), every(limit)
    bits &= at_most(kims, most)
    tally[SEEN] += 1
    if not bits or limit == FORBIDDEN or not worth(quest):
        return bits
    before, envelope = count(bits), quest.desk.envelope
    bits &= at_most(kims + keogh_of_reference(task.references, part, envelope, tally[HOURS]), most)
    if bits:
        bits &= at_most(kims + keogh_of_query(task.query, part, task.outlines), most)
    tally[TESTED] += LANES
    tally[DROPPED] += before - count(bits)
    return bits


@compiled_in_place
def worth_packing(quest: Quest, bits: int) -> bool:
    """Whether the lanes that a table would compute in vain cost more than to pack the others."""
    tally = quest.desk.tally
    in_vain = (LANES - count(bits)) * quest.desk.cells[tally[WINDOW]]
    return quest.task.bounded and in_vain > LANES * tally[HOURS] * PER_PACKED


@compiled_in_place
def hunt(quest: Quest) -> None:
    """Fills `best` and `costs`, piece by piece."""
    desk, tally = quest.desk, quest.desk.tally
    tally[:] = 0
    tally[WINDOW] = -1
    for piece in desk.order:
        limit = allow(quest)
        if desk.least[piece] > limit:
            break
        block, hours, which = quest.task.plan.pieces[piece]
        if which != tally[WINDOW]:
            compute(quest, THOSE_WAITING, everybody(tally[WAITING]))
            turn_to(quest, which, hours)
        bits = desk.lanes[piece]
        if quest.task.bounded:
            bits = sift(quest, block, bits, limit)
        if bits and not worth_packing(quest, bits):
            compute(quest, block, bits)
            continue
        while bits:
            bits = wait(quest, block, bits)
            if tally[WAITING] == LANES:
                compute(quest, THOSE_WAITING, everybody(LANES))
    compute(quest, THOSE_WAITING, everybody(tally[WAITING]))


@compiled_in_place
def arrange(quest: Quest) -> None:
    """Puts the pieces in order of the least of Kim's bounds, of equal ones in that of memory."""
    order, least, pieces = quest.desk.order, quest.desk.least, quest.task.plan.pieces
    for piece in range(len(order)):
        part = Part(pieces[piece, 0], quest.start, quest.stop)
        least[piece] = lowest(kim(quest.task.query, part, quest.task.outlines))
        order[piece] = piece
    gap = len(order)
    while gap > 1:  # Shell's sort: numba's own takes seven seconds to compile
        gap = max(1, gap * 4 // 9)
        for end in range(gap, len(order)):
            place, piece = end, order[end]
            while place >= gap and (least[piece], piece) < (least[order[place - gap]], order[place - gap]):
                order[place] = order[place - gap]
                place -= gap
            order[place] = piece


@compiled_in_place
def hunt_all(task: Task, desk: Desk, best: Singles, costs: Singles, limits: Singles) -> None:
    """Hunts for each of C distances; afterwards every reference that could be among the nearest has its cost.

    `best` (C, k) and `costs` (C, slots) enter infinite; `limits` (C,) are of what may be near.
    """
    many = task.query.values.shape[0] // len(best)
    for row in range(len(best)):
        quest = Quest(task, row * many, (row + 1) * many, desk, best[row], costs[row])
        if task.bounded:
            arrange(quest)
        hunt(quest)
        limits[row] = allow(quest)
