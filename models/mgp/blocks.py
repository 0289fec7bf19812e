"""The exact filter over a whole stay, a block of observations at a time.

Rows in order of time are cut into blocks: at every grid hour, and after 32 rows. A block between the cuts a
and b enters at once. With sight, onward and new of `spans`, for its rows i at t_i

    p_i  = P(a) sight_i^T                                       covariance with the state at a
    C_i  = F p_i + onward_i kron B                                              ... at b
    S_ij = sight_j p_i + cov(new_i, new_j) B + noise            of two rows, = (L L^T)_ij
    G = L^-1 C
    P(b) = F P(a) F^T + Q kron B - G^T G

L is the factor of the filter that goes one by one: L_ii^2 is the spread of an innovation. The covariance is
touched once a block instead of once in a few observations, and every right-hand side shares L and G.

    n  observations, in order of time     T  grid hours, not decreasing     K  cuts
    b  rows of the longest block     D  temporal states     S  components     W  width (variables, padded)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled, inlined
from models.mgp.covariance import prior_covariance
from models.mgp.products import add, fill
from models.mgp.spans import Spans, covariances, spans
from models.mgp.statespace import StateSpace, process_noise, transition

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ROWS = 32  # the most rows of a block: their own factor then costs no more than a pass over the covariance


class Cuts(NamedTuple):
    """`hours` (K,), the first at the first row or grid hour; `stop` (K,) how many rows lie before each;
    `at` (T,) the cut of each grid hour.
    """

    hours: Floats
    stop: Integers
    at: Integers


class Blocks(NamedTuple):
    """`step` F and `noise` Q (K, D, D) over the gap before each cut; of each row how long it lies after and
    before the ends of its gap, `since_hours` and `until_hours` (n,), the spans `inside` it, `arrival`
    F(b - t) Pinf h (n, D), its row of its block's covariances `new` (S, n, b) and `factor` L (n, b), and its
    `root` G (n, D W).
    """

    step: Floats
    noise: Floats
    since_hours: Floats
    until_hours: Floats
    inside: Spans
    arrival: Floats
    new: Floats
    factor: Floats
    root: Floats


@compiled
def cut(time_hours: Floats, grid_hours: Floats) -> Cuts:
    """Cut rows (n,) for a grid (T,), neither decreasing."""
    n, grid = len(time_hours), len(grid_hours)
    hours, stop = np.zeros(n // ROWS + grid + 2), np.zeros(n // ROWS + grid + 2, np.int64)
    at, i, k = np.empty(grid, np.int64), 0, 1
    if n + grid == 0:
        return Cuts(hours[:0].copy(), stop[:0].copy(), at)
    hours[0] = min(time_hours[0] if n else np.inf, grid_hours[0] if grid else np.inf)
    for t in range(grid + 1):
        while i < n and (t == grid or time_hours[i] <= grid_hours[t]):
            i += 1
            if i - stop[k - 1] == ROWS or (t == grid and i == n):
                hours[k], stop[k] = time_hours[i - 1], i
                k += 1
        if t < grid:
            hours[k], stop[k], at[t] = grid_hours[t], i, k
            k += 1
    return Cuts(hours[:k].copy(), stop[:k].copy(), at)


@compiled
def factorise(space: StateSpace, cuts: Cuts, time_hours: Floats, variable: Integers, table: Floats) -> Blocks:
    """Run the covariances over all blocks; P at each grid hour into `table` (T, D W, D W), or (0, ...)."""
    blocks, states, stop, at = _rooms(space, cuts, time_hours), len(space.stationary), cuts.stop, cuts.at
    root, step, noise, t = blocks.root, blocks.step, blocks.noise, 0
    size = root.shape[1]
    spare = prior_covariance(space).table.reshape(size, size)
    now, task, diagonal = spare, space.covariance, len(space.start) == states
    squares = np.empty((size, size))
    for k in range(len(stop)):
        first, last = stop[max(k - 1, 0)], stop[k]
        gap = cuts.hours[k] - cuts.hours[max(k - 1, 0)]
        transition(space, gap, step[k])
        process_noise(space, gap, noise[k])
        if last > first:
            _take_in(space, now, blocks, variable, step[k], first, last)
        onto = table[t] if t < len(table) and at[t] == k else spare
        if diagonal:
            _advance_diagonal(task, now, step[k], noise[k], onto)
        else:
            _advance(space, now, step[k], noise[k], onto)
        if last > first:
            np.dot(root[first:last].T, root[first:last], squares)
            for w in range(size):
                add(onto[w], -1.0, squares[w])
        now = onto
        t += t < len(table) and at[t] == k
    _arrive(space.stationary, stop, blocks)
    return blocks


@compiled
def _rooms(space: StateSpace, cuts: Cuts, time_hours: Floats) -> Blocks:
    """Blocks whose spans and covariances are known."""
    n, states, count = len(time_hours), len(space.stationary), len(cuts.hours)
    since, until, most = np.empty(n), np.empty(n), 0
    for k in range(1, count):
        most = max(most, cuts.stop[k] - cuts.stop[k - 1])
        for i in range(cuts.stop[k - 1], cuts.stop[k]):
            since[i], until[i] = time_hours[i] - cuts.hours[k - 1], cuts.hours[k] - time_hours[i]
    inside, new = spans(space, since, until), np.empty((len(space.rate), n, most))
    for k in range(1, count):
        covariances(space, since, inside, cuts.stop[k - 1], cuts.stop[k], new)
    return Blocks(
        np.empty((count, states, states)),
        np.empty((count, states, states)),
        since,
        until,
        inside,
        np.empty((n, states)),
        new,
        np.empty((n, most)),
        np.empty((n, states * len(space.noise))),
    )


@inlined
def _take_in(
    space: StateSpace,
    table: Floats,
    blocks: Blocks,
    variable: Integers,
    step: Floats,
    first: int,
    stop: int,
) -> None:
    """L and G of the rows first .. stop - 1, one block, from P(a) `table`."""
    sight, factor, root, width = blocks.inside.sight, blocks.factor, blocks.root, len(space.noise)
    with_left = np.empty(root.shape[1])
    for i in range(first, stop):
        fill(with_left, 0.0)
        for c in range(len(step)):
            add(with_left, sight[i, c], table[c * width + variable[i]])
        _relate(space, blocks, variable, with_left, first, i)
        _root(space, blocks, variable[i], step, with_left, i, 1.0 / factor[i, i - first])
        for j in range(first, i):
            add(root[i], -factor[i, j - first] / factor[i, i - first], root[j])


@inlined
def _relate(
    space: StateSpace, blocks: Blocks, variable: Integers, with_left: Floats, first: int, i: int
) -> None:
    """Row i of L, from its covariance `with_left` (D W,) with the state at a."""
    sight, new, factor, task, m = (
        blocks.inside.sight,
        blocks.new,
        blocks.factor,
        space.covariance,
        variable[i],
    )
    width = task.shape[1]
    for j in range(first, i + 1):
        total = space.noise[m] if i == j else 0.0
        for c in range(sight.shape[1]):
            total += sight[j, c] * with_left[c * width + variable[j]]
        for s in range(len(task)):
            total += new[s, i, j - first] * task[s, m, variable[j]]
        for b in range(j - first):
            total -= factor[i, b] * factor[j, b]
        factor[i, j - first] = np.sqrt(total) if i == j else total / factor[j, j - first]


@inlined
def _root(
    space: StateSpace, blocks: Blocks, m: int, step: Floats, with_left: Floats, i: int, scale: float
) -> None:
    """`scale` times the covariance of row i, of variable m, with the state at b, into its root."""
    onward, row, task, component = blocks.inside.onward, blocks.root[i], space.covariance, space.component
    states, width = len(step), task.shape[1]
    for c in range(states):
        for w in range(width):
            row[c * width + w] = scale * onward[i, c] * task[component[c], m, w]
        for b in range(states):
            weight = scale * step[c, b]
            if weight != 0.0:
                for w in range(width):
                    row[c * width + w] += weight * with_left[b * width + w]


@inlined
def _advance_diagonal(task: Floats, table: Floats, step: Floats, noise: Floats, out: Floats) -> None:
    """F P F^T + Q kron B where F is diagonal: Matern-1/2 components only."""
    states, width = len(step), task.shape[1]
    for c in range(states):
        for b in range(states):
            decay, driven = step[c, c] * step[b, b], noise[c, b]
            for w in range(width):
                before, row, prior = table[c * width + w], out[c * width + w], task[c, w]
                for j in range(width):
                    row[b * width + j] = decay * before[b * width + j] + driven * prior[j]


@compiled
def _advance(  # noqa: C901  nested tables
    space: StateSpace, table: Floats, step: Floats, noise: Floats, out: Floats
) -> None:
    """F P F^T + Q kron B, a row of every state at a time: F from the left, then from the right."""
    states, width = len(step), len(space.noise)
    mixed = np.empty((states, states * width))
    for w in range(width):
        for c in range(states):
            fill(mixed[c], 0.0)
            for d in range(states):
                if step[c, d] != 0.0:
                    add(mixed[c], step[c, d], table[d * width + w])
        for c in range(states):
            row, prior = out[c * width + w], space.covariance[space.component[c], w]
            for b in range(states):
                for j in range(width):
                    row[b * width + j] = noise[c, b] * prior[j]
                for d in range(states):
                    if step[b, d] != 0.0:
                        for j in range(width):
                            row[b * width + j] += step[b, d] * mixed[c, d * width + j]


@inlined
def _arrive(stationary: Floats, stop: Integers, blocks: Blocks) -> None:
    """F(b - t) Pinf h = F(b - a) Pinf sight^T + onward, of every row."""
    step, sight, onward, arrival = blocks.step, blocks.inside.sight, blocks.inside.onward, blocks.arrival
    states = len(stationary)
    for k in range(1, len(stop)):
        for i in range(stop[k - 1], stop[k]):
            for c in range(states):
                total = onward[i, c]
                for b in range(states):
                    for d in range(states):
                        total += step[k, c, b] * stationary[b, d] * sight[i, d]
                arrival[i, c] = total
