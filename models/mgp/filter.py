"""The exact filter: one pass over a tape, cost linear in its length.

What the observations explain of the prior covariance is carried, not what is left:

    P = Pinf kron B - U            U = 0 before the first observation
    advance      U <- F U F^T                x <- F x
    observe      p = P h               p (D, W): covariance of the state with the observed variable
                 S = h^T p + noise     K = p / S
                 U <- U + p p^T / S    x <- x + K v,  v = y - h^T x

so that no process noise enters, and after a gap of weeks U is exactly nothing. Gains do not depend on values:
`gains` runs once, `means` as often as there are right-hand sides (the values, and every draw's residual).

    n  observations    u  updates on the tape (n, and repetitions)    k  operations    T  grid hours
    D  temporal states    W  width (variables, padded)    R  right-hand sides
    h  picks the observed variable's first state of every component, which add up to the process

U (D, W, D, W) is symmetric; of a row w only the columns from w's own lane block on are kept (`explained_column`
reads the rest by symmetry). A state is (U, x); both stand just after its newest observation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.mgp.compiled import compiled
from models.mgp.schedule import EMIT, RESTORE, UPDATE, Tape
from models.mgp.statespace import LANES, StateSpace, transitions

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LOG_TWO_PI = float(np.log(2.0 * np.pi))


class Gains(NamedTuple):
    """`transition` F (k, D, D) of each operation; `gain` K (u, D, W) and `spread` S (u,) of each update in the
    tape's order; `variance` (T, W) of the process at each EMIT.
    """

    transition: Floats
    gain: Floats
    spread: Floats
    variance: Floats


class Means(NamedTuple):
    """`innovation` v (u, R) of each update; `mean` (T, R, W) of the process at each EMIT; `log_likelihood` (R,)
    of what stands at the tape's end; `state` x (R, D, W) there.
    """

    innovation: Floats
    mean: Floats
    log_likelihood: Floats
    state: Floats


@compiled
def gains(space: StateSpace, tape: Tape, variable: Integers, kept: npt.NDArray[np.floating]) -> Gains:
    """Run the covariances along a tape, for observations of `variable` (n,).

    `kept` (u, D, W, D, W) receives U before each update, not advanced yet; (0, ...) keeps none.
    """
    states, width = len(space.stationary), len(space.noise)
    step = transitions(space, tape.gap_hours)
    gain, spread = np.empty((tape.updates, states, width)), np.empty(tape.updates)
    variance = np.empty((tape.hours, width))
    explained = np.zeros((states, width, states, width))
    saved = np.zeros((tape.checkpoints, states, width, states, width))
    u = 0
    for k in range(len(tape.op)):
        op, index = tape.op[k], tape.item[k]
        if op == UPDATE:
            if len(kept):
                kept[u] = explained
            spread[u] = observe(space, explained, step[k], variable[index], gain[u])
            u += 1
        elif op == EMIT:
            process_variance(space, explained, step[k], variance[index])
        elif op == RESTORE:
            explained[:] = saved[index]
        else:
            saved[index] = explained
    return Gains(step, gain, spread, variance)


@compiled
def means(space: StateSpace, tape: Tape, run: Gains, variable: Integers, value: Floats) -> Means:
    """Run right-hand sides `value` (n, R) along a tape with the gains of `run`."""
    states, width, sides = len(space.stationary), len(space.noise), value.shape[1]
    innovation, mean = np.empty((tape.updates, sides)), np.empty((tape.hours, sides, width))
    state, likelihood = np.zeros((sides, states, width)), np.zeros(sides)
    saved, saved_likelihood = (
        np.zeros((tape.checkpoints, sides, states, width)),
        np.zeros((tape.checkpoints, sides)),
    )
    u = 0
    for k in range(len(tape.op)):
        op, index = tape.op[k], tape.item[k]
        if op == UPDATE:
            correct(
                space, state, run.transition[k], run.gain[u], variable[index], value[index], innovation[u]
            )
            for r in range(sides):
                likelihood[r] -= 0.5 * (
                    innovation[u, r] ** 2 / run.spread[u] + np.log(run.spread[u]) + LOG_TWO_PI
                )
            u += 1
        elif op == EMIT:
            process_mean(space, state, run.transition[k], mean[index])
        elif op == RESTORE:
            state[:], likelihood[:] = saved[index], saved_likelihood[index]
        else:
            saved[index], saved_likelihood[index] = state, likelihood
    return Means(innovation, mean, likelihood, state)


@compiled
def observe(space: StateSpace, explained: Floats, step: Floats, m: int, gain: Floats) -> float:
    """Advance U by `step` F, take in an observation of variable m: U changes, K goes into `gain`, S returns."""
    states, width = gain.shape
    column = np.empty((states, width))
    explained_column(space, explained, step, m, column)
    spread = space.noise[m]
    for s in range(len(space.start)):
        spread += _prior(space, space.start[s], m, m)
        for c in range(states):
            spread -= step[space.start[s], c] * column[c, m]
    for c in range(states):
        for w in range(width):
            gain[c, w] = _prior(space, c, w, m)
        for b in range(states):
            if step[c, b] != 0.0:
                for w in range(width):
                    gain[c, w] -= step[c, b] * column[b, w]
    root = 1.0 / np.sqrt(spread)
    for c in range(states):
        for w in range(width):
            column[c, w] = gain[c, w] * root
            gain[c, w] /= spread
    absorb(space, explained, step, column)
    return spread


@compiled
def _prior(space: StateSpace, c: int, w: int, m: int) -> float:
    """cov(state (c, w), f_m) before any observation."""
    s = space.component[c]
    return space.stationary[c, space.start[s]] * space.covariance[s, w, m]


@compiled
def explained_column(space: StateSpace, explained: Floats, step: Floats, m: int, out: Floats) -> None:
    """U F^T h for variable m into `out` (D, W): not advanced on the left."""
    states, width = out.shape
    end = (m // LANES + 1) * LANES  # rows before it hold column m, of the others row m holds them
    out[:] = 0.0
    for b in range(states):
        weight = 0.0
        for s in range(len(space.start)):
            weight += step[space.start[s], b]
        for c in range(states):
            for w in range(end):
                out[c, w] += weight * explained[c, w, b, m]
            for w in range(end, width):
                out[c, w] += weight * explained[b, m, c, w]


@compiled
def absorb(space: StateSpace, explained: Floats, step: Floats, column: Floats) -> None:
    """U <- F U F^T + q q^T for `step` F and `column` q (D, W)."""
    if len(step) == 1:
        _absorb_one(explained[0, :, 0], step[0, 0] * step[0, 0], column[0])
    elif len(step) == len(space.start):
        _absorb_diagonal(explained, step, column)
    else:
        _absorb(explained, step, column)


@compiled
def _absorb_one(explained: Floats, decay: float, column: Floats) -> None:
    """U <- decay U + q q^T for a single temporal state; q (W,) = p / sqrt(S)."""
    width = len(column)
    for w in range(width):
        weight = column[w]
        for block in range(w // LANES * LANES, width, LANES):
            for lane in range(LANES):
                j = block + lane
                explained[w, j] = decay * explained[w, j] + weight * column[j]


@compiled
def _absorb_diagonal(explained: Floats, step: Floats, column: Floats) -> None:
    """U <- F U F^T + q q^T where F is diagonal: Matern-1/2 components only."""
    states, width = column.shape
    for c in range(states):
        for w in range(width):
            weight = column[c, w]
            for b in range(states):
                decay = step[c, c] * step[b, b]
                for block in range(w // LANES * LANES, width, LANES):
                    for lane in range(LANES):
                        j = block + lane
                        explained[c, w, b, j] = decay * explained[c, w, b, j] + weight * column[b, j]


@compiled
def _absorb(explained: Floats, step: Floats, column: Floats) -> None:
    """U <- F U F^T + q q^T, row by row: F from the left into `mixed`, then from the right."""
    states, width = column.shape
    mixed = np.empty((states, states, width))
    for w in range(width):
        first = w // LANES * LANES
        for c in range(states):
            for b in range(states):
                mixed[c, b, first:] = 0.0
                for a in range(states):
                    if step[c, a] != 0.0:
                        for j in range(first, width):
                            mixed[c, b, j] += step[c, a] * explained[a, w, b, j]
        for c in range(states):
            for b in range(states):
                for j in range(first, width):
                    explained[c, w, b, j] = column[c, w] * column[b, j]
                for a in range(states):
                    if step[b, a] != 0.0:
                        for j in range(first, width):
                            explained[c, w, b, j] += step[b, a] * mixed[c, a, j]


@compiled
def correct(
    space: StateSpace, state: Floats, step: Floats, gain: Floats, m: int, value: Floats, innovation: Floats
) -> None:
    """Advance x (R, D, W) by `step`, take in `value` (R,) of variable m with K; v goes into `innovation` (R,)."""
    sides, states, width = state.shape
    for r in range(sides):
        advance(state[r], step)
        v = value[r]
        for s in range(len(space.start)):
            v -= state[r, space.start[s], m]
        innovation[r] = v
        for c in range(states):
            for w in range(width):
                state[r, c, w] += gain[c, w] * v


@compiled
def advance(table: Floats, step: Floats) -> None:
    """x <- F x for a state table (D, W)."""
    states, width = table.shape
    if states == 1:
        for w in range(width):
            table[0, w] *= step[0, 0]
        return
    for w in range(width):
        old = table[:, w].copy()
        for c in range(states):
            table[c, w] = 0.0
            for b in range(states):
                table[c, w] += step[c, b] * old[b]


@compiled
def process_mean(space: StateSpace, state: Floats, step: Floats, out: Floats) -> None:
    """h^T F x of every variable into `out` (R, W); the state stays."""
    sides, states, width = state.shape
    out[:] = 0.0
    for b in range(states):
        weight = 0.0
        for s in range(len(space.start)):
            weight += step[space.start[s], b]
        for r in range(sides):
            for w in range(width):
                out[r, w] += weight * state[r, b, w]


@compiled
def process_variance(space: StateSpace, explained: Floats, step: Floats, out: Floats) -> None:
    """Variance of every variable of the process a `step` after the state, into `out` (W,)."""
    states, width = len(space.stationary), len(out)
    for w in range(width):
        total = 0.0
        for s in range(len(space.start)):
            total += _prior(space, space.start[s], w, w)
        for b in range(states):
            for c in range(states):
                weight = 0.0
                for s in range(len(space.start)):
                    for z in range(len(space.start)):
                        weight += step[space.start[s], b] * step[space.start[z], c]
                total -= weight * explained[b, w, c, w]
        out[w] = max(total, 0.0)
