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

U (D, W, D, W) is symmetric. A state is (U, x); both stand just after its newest observation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.mgp.compiled import compiled
from models.mgp.schedule import EMIT, RESTORE, UPDATE, Tape
from models.mgp.statespace import StateSpace, transitions

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LOG_TWO_PI = float(np.log(2.0 * np.pi))


class Gains(NamedTuple):
    """`transition` F (k, D, D) of each operation; `gain` K (u, D, W) and `spread` S (u,) of each update, in
    the tape's order; `variance` (T, W) of the process at each EMIT.
    """

    transition: Floats
    gain: Floats
    spread: Floats
    variance: Floats


class Means(NamedTuple):
    """`innovation` v (u, R) of each update; `mean` (T, R, W) of the process at each EMIT; `log_likelihood`
    (R,) of what stands at the tape's end; `state` x (R, D, W) there.
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
    """Advance U by F, take in an observation of variable m: U changes, K goes into `gain` (D, W), S out."""
    root = np.empty_like(gain)
    covariance_with(space, explained, step, m, root, gain)
    spread: float = space.noise[m]
    for s in range(len(space.start)):
        spread += gain[space.start[s], m]
    for c in range(gain.shape[0]):
        for w in range(gain.shape[1]):
            root[c, w] = gain[c, w] / np.sqrt(spread)
            gain[c, w] /= spread
    absorb(space, explained, step, root)
    return spread


@compiled
def covariance_with(  # noqa: PLR0917  a compiled function has no keyword-only arguments
    space: StateSpace, explained: Floats, step: Floats, m: int, work: Floats, out: Floats
) -> None:
    """Covariance of the state, a `step` after U, with variable m of the process, into `out` (D, W).

    p = Pinf h B[:, m] - F U F^T h; `work` (D, W) is overwritten.
    """
    states, width = out.shape
    for c in range(states):
        work[c] = 0.0
        s = space.component[c]
        scale = space.stationary[c, space.start[s]]
        for w in range(width):
            out[c, w] = scale * space.covariance[s, m, w]
    for b in range(states):
        weight = step_of_process(space, step, b)
        for c in range(states):
            for w in range(width):
                work[c, w] += weight * explained[b, m, c, w]
    for c in range(states):
        for b in range(states):
            if step[c, b] != 0.0:
                for w in range(width):
                    out[c, w] -= step[c, b] * work[b, w]


@compiled
def step_of_process(space: StateSpace, step: Floats, b: int) -> float:
    """(h^T F)[b]: how much of temporal state b the process is made of after a step."""
    weight = 0.0
    for s in range(len(space.start)):
        weight += step[space.start[s], b]
    return weight


@compiled
def absorb(space: StateSpace, explained: Floats, step: Floats, root: Floats) -> None:
    """U <- F U F^T + q q^T for `step` F and `root` q = p / sqrt(S) (D, W)."""
    if len(space.start) == len(step):
        _absorb_diagonal(explained, step, root)
    else:
        _absorb(space, explained, step, root)


@compiled
def _absorb_diagonal(explained: Floats, step: Floats, root: Floats) -> None:
    """U <- F U F^T + q q^T where F is diagonal: Matern-1/2 components only."""
    states, width = root.shape
    for c in range(states):
        for b in range(states):
            decay, column = step[c, c] * step[b, b], root[b]
            for w in range(width):
                weight, row = root[c, w], explained[c, w, b]
                for j in range(width):
                    row[j] = decay * row[j] + weight * column[j]


@compiled
def _absorb(  # noqa: C901  four nested tables
    space: StateSpace, explained: Floats, step: Floats, root: Floats
) -> None:
    """U <- F U F^T + q q^T, a row of every state at a time: F from the left, then from the right."""
    states, width = root.shape
    mixed = np.empty((states, states, width))
    for w in range(width):
        mixed[:] = 0.0
        for c in range(states):
            first = space.start[space.component[c]]
            for a in range(first, first + space.order[space.component[c]]):
                for b in range(states):
                    for j in range(width):
                        mixed[c, b, j] += step[c, a] * explained[a, w, b, j]
        for c in range(states):
            for b in range(states):
                row, weight, column = explained[c, w, b], root[c, w], root[b]
                for j in range(width):
                    row[j] = weight * column[j]
                first = space.start[space.component[b]]
                for a in range(first, first + space.order[space.component[b]]):
                    for j in range(width):
                        row[j] += step[b, a] * mixed[c, a, j]


@compiled
def correct(  # noqa: PLR0917
    space: StateSpace, state: Floats, step: Floats, gain: Floats, m: int, value: Floats, innovation: Floats
) -> None:
    """Advance x (R, D, W) by F, take in `value` (R,) of variable m with K; v goes into `innovation` (R,)."""
    sides, states, width = state.shape
    for r in range(sides):
        if len(space.start) < states:
            advance(state[r], step)
        v = value[r]
        for s in range(len(space.start)):
            first = space.start[s]
            v -= (step[first, first] if len(space.start) == states else 1.0) * state[r, first, m]
        innovation[r] = v
        for c in range(states):
            row, column = state[r, c], gain[c]
            decay = step[c, c] if len(space.start) == states else 1.0
            for w in range(width):
                row[w] = decay * row[w] + v * column[w]


@compiled
def advance(table: Floats, step: Floats) -> None:
    """x <- F x for a state table (D, W)."""
    states, width = table.shape
    old = table.copy()
    for c in range(states):
        row = table[c]
        row[:] = 0.0
        for b in range(states):
            if step[c, b] != 0.0:
                for w in range(width):
                    row[w] += step[c, b] * old[b, w]


@compiled
def process_mean(space: StateSpace, state: Floats, step: Floats, out: Floats) -> None:
    """h^T F x of every variable into `out` (R, W); the state stays."""
    sides, states, width = state.shape
    out[:] = 0.0
    for b in range(states):
        weight = step_of_process(space, step, b)
        for r in range(sides):
            for w in range(width):
                out[r, w] += weight * state[r, b, w]


@compiled
def process_variance(space: StateSpace, explained: Floats, step: Floats, out: Floats) -> None:
    """Variance of every variable of the process a `step` after the state, into `out` (W,)."""
    states, width = len(space.stationary), len(out)
    out[:] = 0.0
    for s in range(len(space.start)):
        for w in range(width):
            out[w] += space.covariance[s, w, w]
    for b in range(states):
        for c in range(states):
            weight = step_of_process(space, step, b) * step_of_process(space, step, c)
            for w in range(width):
                out[w] -= weight * explained[b, w, c, w]
    for w in range(width):
        out[w] = max(out[w], 0.0)
