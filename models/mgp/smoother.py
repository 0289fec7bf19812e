"""The exact smoother: one pass forwards over a stay's blocks, one backwards.

Right-hand sides are the values and whatever is simulated for a draw; all of them share one factor (`blocks`).

    forwards    e = L^-1 (y - sight x(a))               x(b) = F x(a) + G^T e
    backwards   alpha = L^-T (e - G lambda(b))          lambda(a) = F^T lambda(b) + sum_i sight_i^T alpha_i
    mean(t)     = h^T x(t) + h^T P(t) lambda(t)         the filter's, and what comes after

alpha = (K + noise)^-1 y are the weights of a right-hand side. They and lambda are kept before the task
covariance is applied, so that a weight touches one variable's column.

    n  observations, in order of time     T  grid hours     K  cuts     R  right-hand sides
    D  temporal states     S  components     W  width (variables, padded)

Source: Bierman 1973 (doi:10.1016/0005-1098(73)90009-4), after Bryson and Frazier.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled, inlined
from models.mgp.blocks import Blocks, Cuts
from models.mgp.filter import LOG_TWO_PI
from models.mgp.products import add, add_product, advance_all, copy, dot, fill
from models.mgp.statespace import StateSpace

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled
def whiten(
    space: StateSpace, cuts: Cuts, blocks: Blocks, variable: Integers, value: Floats, mean: Floats
) -> Floats:
    """e (n, R) of right-hand sides `value` (n, R); the process at each grid hour, from what lies before it,
    into `mean` (T, R, W), or (0, R, W).
    """
    sides, states, width = value.shape[1], len(space.component), len(space.noise)
    white, tables, t = np.empty(value.shape), np.zeros((sides, states, width)), 0
    state, stop, at, start = tables.reshape(sides, states * width), cuts.stop, cuts.at, space.start
    step, root = blocks.step, blocks.root
    for k in range(len(stop)):
        first, last = stop[max(k - 1, 0)], stop[k]
        _whiten(blocks, variable, value, state, width, first, last, white)
        advance_all(tables, step[k])
        _add_roots(white, root, first, last, state)
        if t < len(mean) and at[t] == k:
            for r in range(sides):
                fill(mean[t, r], 0.0)
                for f in start:
                    add(mean[t, r], 1.0, tables[r, f])
            t += 1
    return white


@inlined
def _whiten(
    blocks: Blocks,
    variable: Integers,
    value: Floats,
    state: Floats,
    width: int,
    first: int,
    stop: int,
    white: Floats,
) -> None:
    """e of the rows first .. stop - 1, one block, from x(a) `state` (R, D W)."""
    sight, factor = blocks.inside.sight, blocks.factor
    for i in range(first, stop):
        copy(white[i], value[i])
        for c in range(sight.shape[1]):
            for r in range(len(state)):
                white[i, r] -= sight[i, c] * state[r, c * width + variable[i]]
        for j in range(first, i):
            add(white[i], -factor[i, j - first], white[j])
        scale = 1.0 / factor[i, i - first]
        for r in range(len(state)):
            white[i, r] *= scale


@inlined
def _add_roots(white: Floats, root: Floats, first: int, stop: int, state: Floats) -> None:
    """x + G^T e of the rows first .. stop - 1, in place, four at a time."""
    fours = first + (stop - first) // 4 * 4
    for r in range(len(state)):
        row = state[r]
        for k in range(first, fours, 4):
            one, two, three, four = white[k, r], white[k + 1, r], white[k + 2, r], white[k + 3, r]
            for j in range(len(row)):
                row[j] += (
                    one * root[k, j] + two * root[k + 1, j] + three * root[k + 2, j] + four * root[k + 3, j]
                )
        for k in range(fours, stop):
            add(row, white[k, r], root[k])


@compiled
def weigh(cuts: Cuts, blocks: Blocks, variable: Integers, white: Floats, adjoint: Floats) -> Floats:
    """The weights alpha (n, R) from e (n, R); lambda at each grid hour, of what comes after it, into
    `adjoint` (T, R, D, W), or (0, R, D, W).
    """
    (sides, states, width), weight, t = adjoint.shape[1:], white.copy(), len(adjoint) - 1
    tables, stop, at, step = np.zeros((sides, states, width)), cuts.stop, cuts.at, blocks.step
    state, sight = tables.reshape(sides, states * width), blocks.inside.sight
    for k in range(len(stop) - 1, -1, -1):
        if t >= 0 and at[t] == k:
            for r in range(sides):
                for c in range(states):
                    copy(adjoint[t, r, c], tables[r, c])
            t -= 1
        first, last = stop[max(k - 1, 0)], stop[k]
        _weigh(blocks, state, first, last, weight)
        advance_all(tables, step[k].T)
        for i in range(first, last):
            for c in range(states):
                for r in range(sides):
                    state[r, c * width + variable[i]] += sight[i, c] * weight[i, r]
    return weight


@inlined
def _weigh(blocks: Blocks, adjoint: Floats, first: int, stop: int, weight: Floats) -> None:
    """alpha of the rows first .. stop - 1 in the place of e, from lambda(b) `adjoint` (R, D W)."""
    factor, root = blocks.factor, blocks.root
    for i in range(stop - 1, first - 1, -1):
        for r in range(len(adjoint)):
            weight[i, r] -= dot(root[i], adjoint[r])
        for j in range(i + 1, stop):
            add(weight[i], -factor[j, i - first], weight[j])
        scale = 1.0 / factor[i, i - first]
        for r in range(len(adjoint)):
            weight[i, r] *= scale


@compiled
def weights(space: StateSpace, cuts: Cuts, blocks: Blocks, variable: Integers, value: Floats) -> Floats:
    """(K + noise)^-1 y of right-hand sides (n, R)."""
    nothing = np.empty((0, value.shape[1], len(space.component), len(space.noise)))
    white = whiten(space, cuts, blocks, variable, value, nothing[:, :, 0])
    return weigh(cuts, blocks, variable, white, nothing)


@compiled
def log_likelihood(cuts: Cuts, blocks: Blocks, white: Floats) -> float:
    """log p(y) of the first right-hand side."""
    total = 0.0
    for k in range(1, len(cuts.hours)):
        for i in range(cuts.stop[k - 1], cuts.stop[k]):
            spread = blocks.factor[i, i - cuts.stop[k - 1]]
            total -= 0.5 * (white[i, 0] ** 2 + LOG_TWO_PI) + np.log(spread)
    return total


@compiled
def add_later(space: StateSpace, table: Floats, adjoint: Floats, mean: Floats) -> None:
    """Add to the filter's `mean` (T, W) what was measured after each grid hour, P(t)[h, :] lambda(t).

    Draws do it by the weights alone; but those of thousands of near-duplicates are large (residual / noise)
    and cancel, where the filter has lost no digit.
    """
    states, width, start = adjoint.shape[1], adjoint.shape[2], space.start
    for t in range(len(mean)):
        for f in start:
            for c in range(states):
                rows = table[t, c * width : (c + 1) * width, f * width : (f + 1) * width]
                add_product(adjoint[t, c], rows, mean[t])
