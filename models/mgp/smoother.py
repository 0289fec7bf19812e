"""The exact smoother: one pass backwards over the filter's gains, one forwards over their weights.

    backwards   lambda <- F^T lambda over a gap
                alpha_i = v_i / S_i - K_i^T lambda          lambda <- lambda + h alpha_i
    forwards    pi <- F pi over a gap                       pi <- pi + Pinf h alpha_i
    mean(t)   = sum_s B_s h_s^T (pi(t) + Pinf lambda(t))    what came before, and what comes after

alpha = (K + noise)^-1 y are the weights of any right-hand side. pi and lambda are kept before the task
covariance is applied, so that a weight touches one variable's column and B enters once a grid hour. Variances
take the same way backwards with matrices, at a cost of W^3 a grid hour:

    Lambda <- F^T Lambda F over a gap     Lambda <- (I - K h^T)^T Lambda (I - K h^T) + h h^T / S
    variance(t) = P(t)[h, h] - P(t)[h, :] Lambda(t) P(t)[:, h]        P(t) the filter's

    n  observations, in order of time     T  grid hours, not decreasing     R  right-hand sides
    D  temporal states     S  components     W  width (variables, padded)

Source: Bierman 1973 (doi:10.1016/0005-1098(73)90009-4), after Bryson and Frazier.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.filter import (
    LOG_TWO_PI,
    Covariance,
    Gains,
    advance,
    advance_covariance,
    copy_covariance,
    correct,
    covariance_with,
    observe,
    prior_covariance,
    process_mean,
    settle,
)
from models.mgp.schedule import in_time_order
from models.mgp.statespace import StateSpace, transition, transitions

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Weights(NamedTuple):
    """`weight` alpha (n, R); `adjoint` lambda (T, R, D, W) at each grid hour, of what comes after it."""

    weight: Floats
    adjoint: Floats


@compiled
def weigh(
    space: StateSpace,
    time_hours: Floats,
    variable: Integers,
    run: Gains,
    innovation: Floats,
    grid_hours: Floats,
) -> Weights:
    """The backwards pass over a run in order of time, n updates and nothing else, for innovations (n, R)."""
    states, width, sides = len(space.stationary), len(space.noise), innovation.shape[1]
    weight, adjoint = np.empty(innovation.shape), np.zeros((len(grid_hours), sides, states, width))
    state, step = np.zeros((sides, states, width)), np.empty((states, states))
    t, n = len(grid_hours) - 1, len(time_hours)
    for i in range(n - 1, -1, -1):
        while t >= 0 and grid_hours[t] >= time_hours[i]:
            if i + 1 < n:
                adjoint[t] = state
                transition(space, time_hours[i + 1] - grid_hours[t], step)
                advance_all(adjoint[t], step.T)
            t -= 1
        if i + 1 < n:
            advance_all(state, run.transition[i + 1].T)
        for r in range(sides):
            total = innovation[i, r] / run.spread[i]
            for c in range(states):
                row, column = state[r, c], run.gain[i, c]
                for w in range(width):
                    total -= row[w] * column[w]
            weight[i, r] = total
            for s in range(len(space.start)):
                state[r, space.start[s], variable[i]] += total
    while t >= 0 and n > 0:
        adjoint[t] = state
        transition(space, time_hours[0] - grid_hours[t], step)
        advance_all(adjoint[t], step.T)
        t -= 1
    return Weights(weight, adjoint)


@compiled
def advance_all(state: Floats, step: Floats) -> None:
    """x <- F x for every table of (R, D, W)."""
    if len(step) == 1:
        flat = state.reshape(state.size)
        for j in range(len(flat)):
            flat[j] *= step[0, 0]
        return
    for r in range(len(state)):
        advance(state[r], step)


@compiled
def smoothed_mean(
    space: StateSpace, time_hours: Floats, variable: Integers, weights: Weights, grid_hours: Floats
) -> Floats:
    """The process at the grid given all observations, for every right-hand side: (T, R, W)."""
    states, width, sides = len(space.stationary), len(space.noise), weights.weight.shape[1]
    mean, before = np.zeros((len(grid_hours), sides, width)), np.zeros((sides, states, width))
    step, share = np.empty((states, states)), np.empty((sides, width))
    i = 0
    for t in range(len(grid_hours)):
        transition(space, grid_hours[t] - grid_hours[max(t - 1, 0)], step)
        advance_all(before, step)
        while i < len(time_hours) and time_hours[i] <= grid_hours[t]:
            transition(space, grid_hours[t] - time_hours[i], step)
            _arrive(space, step, variable[i], weights.weight[i], before)
            i += 1
        for s in range(len(space.start)):
            for r in range(sides):
                _share(space, s, before[r], weights.adjoint[t, r], share[r])
            add_products(share, space.covariance[s], mean[t])
    return mean


@compiled
def _arrive(space: StateSpace, step: Floats, m: int, weight: Floats, before: Floats) -> None:
    """pi += F Pinf h alpha, in the column of variable m."""
    for c in range(len(step)):
        arrived = 0.0
        for b in range(len(step)):
            arrived += step[c, b] * space.stationary[b, space.start[space.component[b]]]
        for r in range(len(weight)):
            before[r, c, m] += arrived * weight[r]


@compiled
def _share(space: StateSpace, s: int, before: Floats, after: Floats, out: Floats) -> None:
    """h_s^T (pi + Pinf lambda) into `out` (W,): what component s adds before its task covariance."""
    first = space.start[s]
    out[:] = before[first]
    for b in range(first, first + space.order[s]):
        for w in range(len(out)):
            out[w] += space.stationary[first, b] * after[b, w]


@compiled
def add_products(rows: Floats, matrix: Floats, out: Floats) -> None:
    """out += rows @ matrix, two rows at a time, which share what is loaded of the matrix."""
    width = out.shape[1]
    for pair in range(len(rows) // 2):
        left, right = rows[2 * pair], rows[2 * pair + 1]
        sum_left, sum_right = out[2 * pair], out[2 * pair + 1]
        for block in range(len(left) // 4):
            k = 4 * block
            first, second, third, fourth = matrix[k], matrix[k + 1], matrix[k + 2], matrix[k + 3]
            l1, l2, l3, l4 = left[k], left[k + 1], left[k + 2], left[k + 3]
            r1, r2, r3, r4 = right[k], right[k + 1], right[k + 2], right[k + 3]
            for w in range(width):
                sum_left[w] += l1 * first[w] + l2 * second[w] + l3 * third[w] + l4 * fourth[w]
                sum_right[w] += r1 * first[w] + r2 * second[w] + r3 * third[w] + r4 * fourth[w]
    if len(rows) % 2:
        add_product(rows[-1], matrix, out[-1])


@compiled
def add_product(row: Floats, matrix: Floats, out: Floats) -> None:
    """out += row @ matrix, four rows of the matrix at a time; the same sum, whatever stands beside it."""
    width = len(out)
    for block in range(len(row) // 4):
        k = 4 * block
        first, second, third, fourth = matrix[k], matrix[k + 1], matrix[k + 2], matrix[k + 3]
        for w in range(width):
            out[w] += (
                row[k] * first[w] + row[k + 1] * second[w] + row[k + 2] * third[w] + row[k + 3] * fourth[w]
            )


class Forward(NamedTuple):
    """A filter over rows in order of time: `gains`, `innovation` (n, 1), `log_likelihood`, and at each grid
    hour the process's `mean` (T, W) and P(t), `table` (T, D, W, D, W).
    """

    gains: Gains
    innovation: Floats
    log_likelihood: float
    mean: Floats
    table: Floats


@compiled
def run_forward(
    space: StateSpace, time_hours: Floats, variable: Integers, value: Floats, grid_hours: Floats
) -> Forward:
    """The filter of `value` (n,), with what the grid needs of it."""
    states, width, n = len(space.stationary), len(space.noise), len(time_hours)
    gap = in_time_order(time_hours).gap_hours
    step, ahead = transitions(space, gap), np.empty((states, states))
    gain, spread, innovation = np.empty((n, states, width)), np.empty(n), np.empty((n, 1))
    mean, table = (
        np.empty((len(grid_hours), 1, width)),
        np.empty((len(grid_hours), states, width, states, width)),
    )
    now, there, state = prior_covariance(space), prior_covariance(space), np.zeros((1, states, width))
    i, likelihood = 0, 0.0
    for t in range(len(grid_hours) + 1):
        while i < n and (t == len(grid_hours) or time_hours[i] <= grid_hours[t]):
            spread[i] = observe(space, now, step[i], gap[i], variable[i], gain[i])
            correct(space, state, step[i], gain[i], variable[i], value[i : i + 1], innovation[i])
            likelihood -= 0.5 * (innovation[i, 0] ** 2 / spread[i] + np.log(spread[i]) + LOG_TWO_PI)
            i += 1
        if t < len(grid_hours):
            later = grid_hours[t] - time_hours[i - 1] if i else 0.0
            transition(space, later, ahead)
            process_mean(space, state, ahead, mean[t])
            place = Covariance(table[t], there.roots, there.step, there.noise, there.clock)
            copy_covariance(now, place)
            advance_covariance(space, place, ahead, later)
            settle(space, place)
    return Forward(Gains(step, gain, spread, mean[:0, 0]), innovation, likelihood, mean[:, 0], table)


@compiled
def add_later(space: StateSpace, forward: Forward, adjoint: Floats) -> Floats:
    """The filter's mean with what was measured after each grid hour, P(t)[h, :] lambda(t): (T, W).

    `smoothed_mean` gives the same from weights alone, as draws do; but the weights of thousands of
    near-duplicates are large (residual / noise) and cancel, where the filter has lost no digit.
    """
    mean = forward.mean.copy()
    for t in range(len(mean)):
        for s in range(len(space.start)):
            for c in range(len(space.stationary)):
                add_product(adjoint[t, 0, c], forward.table[t, c, :, space.start[s]], mean[t])
    return mean


@compiled
def smoothed_variance(
    space: StateSpace, time_hours: Floats, variable: Integers, run: Gains, grid_hours: Floats
) -> Floats:
    """The variance of the process at the grid given all observations: (T, W)."""
    states, width, n = len(space.stationary), len(space.noise), len(time_hours)
    filtered = _filtered_rows(space, time_hours, variable, run, grid_hours)
    variance, step = np.empty((len(grid_hours), width)), np.eye(states)
    adjoint = np.zeros((states, width, states, width))
    ahead = np.zeros_like(adjoint)
    t = len(grid_hours) - 1
    for i in range(n - 1, -2, -1):
        while t >= 0 and (i < 0 or grid_hours[t] >= time_hours[i]):
            ahead[:] = adjoint
            if i + 1 < n:
                transition(space, time_hours[i + 1] - grid_hours[t], step)
                _advance_back(ahead, step)
            _reduce(space, filtered[t], ahead, variance[t])
            t -= 1
        if i >= 0:
            if i + 1 < n:
                _advance_back(adjoint, run.transition[i + 1])
            _unobserve(space, adjoint, run.gain[i], run.spread[i], variable[i])
    return variance


@compiled
def _filtered_rows(
    space: StateSpace, time_hours: Floats, variable: Integers, run: Gains, grid_hours: Floats
) -> Floats:
    """P(t)[h m, :] of the filter at each grid hour, for every variable m: (T, W, D, W)."""
    states, width = len(space.stationary), len(space.noise)
    rows, now = np.empty((len(grid_hours), width, states, width)), prior_covariance(space)
    ahead, step = prior_covariance(space), np.empty((states, states))
    nothing = np.empty((states, width))
    i = 0
    for t in range(len(grid_hours)):
        while i < len(time_hours) and time_hours[i] <= grid_hours[t]:
            gap = time_hours[i] - time_hours[max(i - 1, 0)]
            observe(space, now, run.transition[i], gap, variable[i], nothing)
            i += 1
        copy_covariance(now, ahead)
        if i > 0:
            gap = grid_hours[t] - time_hours[i - 1]
            transition(space, gap, step)
            advance_covariance(space, ahead, step, gap)
        for m in range(width):
            covariance_with(space, ahead, m, nothing, rows[t, m])
    return rows


@compiled
def _advance_back(adjoint: Floats, step: Floats) -> None:
    """Lambda <- F^T Lambda F, (D, W, D, W)."""
    states, width = adjoint.shape[0], adjoint.shape[1]
    for c in range(states):
        for w in range(width):
            advance(adjoint[c, w], step.T)
    advance(adjoint.reshape(states, width * states * width), step.T)


@compiled
def _unobserve(space: StateSpace, adjoint: Floats, gain: Floats, spread: float, m: int) -> None:
    """Lambda <- (I - K h^T)^T Lambda (I - K h^T) + h h^T / S: only rows and columns of variable m change."""
    states, width = gain.shape
    product, inner = np.zeros((states, width)), 1.0 / spread
    for c in range(states):
        for w in range(width):
            for b in range(states):
                row, column = adjoint[c, w, b], gain[b]
                for j in range(width):
                    product[c, w] += row[j] * column[j]
            inner += product[c, w] * gain[c, w]
    for s in range(len(space.start)):
        first = space.start[s]
        for c in range(states):
            for w in range(width):
                adjoint[c, w, first, m] -= product[c, w]
                adjoint[first, m, c, w] -= product[c, w]
    for s in range(len(space.start)):
        for z in range(len(space.start)):
            adjoint[space.start[s], m, space.start[z], m] += inner


@compiled
def _reduce(space: StateSpace, rows: Floats, adjoint: Floats, out: Floats) -> None:
    """P[h, h] - P[h, :] Lambda P[:, h] of every variable, from `rows` (W, D, W)."""
    width, states = rows.shape[0], rows.shape[1]
    product = np.empty(width)
    for m in range(width):
        total = 0.0
        for s in range(len(space.start)):
            total += rows[m, space.start[s], m]
        for c in range(states):
            product[:] = 0.0
            for b in range(states):
                add_product(rows[m, b], adjoint[b, :, c], product)
            for w in range(width):
                total -= product[w] * rows[m, c, w]
        out[m] = max(total, 0.0)
