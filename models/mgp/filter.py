"""The exact filter: one pass over a tape, cost linear in its length.

    advance      x <- F x                        P as in `covariance`
    observe      x <- x + K v,  v = y - h^T x

Gains do not depend on values: `gains` runs once, `means` as often as there are right-hand sides (the values,
and every draw's residual).

    n  observations    u  updates on the tape (n, and repetitions)    k  operations    T  grid hours
    D  temporal states    W  width (variables, padded)    R  right-hand sides
    h  picks the observed variable's first state of every component, which add up to the process

A state is (P, x); both stand just after its newest observation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.covariance import (
    Covariance,
    copy_covariance,
    covariance_at,
    observe,
    prior_covariance,
    process_variance,
    step_of_process,
)
from models.mgp.products import advance
from models.mgp.schedule import EMIT, RESTORE, SAVE, UPDATE, Tape
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


class States(NamedTuple):
    """`covariance`, `mean` x (c, R, D, W) and `likelihood` (c, R), a row each: first of the prior, then of a
    tape's checkpoints, last of where the filter stands.
    """

    covariance: Covariance
    mean: Floats
    likelihood: Floats


@compiled
def prior_states(space: StateSpace, checkpoints: int, sides: int) -> States:
    """A filter that stands at the prior, with room for a tape's `checkpoints`, R = `sides`."""
    prior, rows = prior_covariance(space), checkpoints + 1
    covariance = Covariance(
        np.empty((rows, *prior.table.shape)),
        np.empty((rows, *prior.roots.shape)),
        np.empty((rows, *prior.step.shape)),
        np.empty((rows, *prior.noise.shape)),
        np.empty((rows, *prior.clock.shape)),
    )
    mean, likelihood = np.empty((rows, sides, *prior.roots.shape[1:])), np.zeros((rows, sides))
    for row in (0, checkpoints):
        copy_covariance(prior, covariance_at(covariance, row))
        mean[row] = 0.0
    return States(covariance, mean, likelihood)


@compiled
def gains(space: StateSpace, tape: Tape, variable: Integers) -> Gains:
    """Run the covariances along a tape from the prior, for observations of `variable` (n,)."""
    return gains_from(space, tape, variable, prior_states(space, tape.checkpoints, 0).covariance)


@compiled
def gains_from(space: StateSpace, tape: Tape, variable: Integers, saved: Covariance) -> Gains:
    """`gains` from where `saved`, a row for each state, stands; it moves along."""
    step = transitions(space, tape.gap_hours)
    gain = np.empty((tape.updates, len(space.stationary), len(space.noise)))
    spread, variance = np.empty(tape.updates), np.empty((tape.hours, len(space.noise)))
    now, u = covariance_at(saved, len(saved.table) - 1), 0
    for k in range(len(tape.op)):
        op, item, gap = tape.op[k], tape.item[k], tape.gap_hours[k]
        if op == UPDATE:
            spread[u] = observe(space, now, step[k], gap, variable[item], gain[u])
            u += 1
        elif op == EMIT:
            process_variance(space, now, step[k], gap, variance[item])
        elif op == SAVE:
            copy_covariance(now, covariance_at(saved, item))
        else:
            copy_covariance(covariance_at(saved, item), now)
    return Gains(step, gain, spread, variance)


@compiled
def means(space: StateSpace, tape: Tape, run: Gains, variable: Integers, value: Floats) -> Means:
    """Run right-hand sides `value` (n, R) along a tape from the prior, with the gains of `run`."""
    rows, sides = tape.checkpoints + 1, value.shape[1]
    saved = np.zeros((rows, sides, len(space.stationary), len(space.noise)))
    return means_from(space, tape, run, variable, value, saved, np.zeros((rows, sides)))


@compiled
def means_from(
    space: StateSpace,
    tape: Tape,
    run: Gains,
    variable: Integers,
    value: Floats,
    saved: Floats,
    saved_likelihood: Floats,
) -> Means:
    """`means` from where `saved` (c, R, D, W) and `saved_likelihood` (c, R) stand, which move along."""
    sides, last = value.shape[1], len(saved) - 1
    innovation, mean = np.empty((tape.updates, sides)), np.empty((tape.hours, sides, len(space.noise)))
    state, likelihood = saved[last].copy(), saved_likelihood[last].copy()  # alone in memory: a tenth faster
    u = 0
    for k in range(len(tape.op)):
        op, index = tape.op[k], tape.item[k]
        if op == UPDATE:
            correct(
                space, state, run.transition[k], run.gain[u], variable[index], value[index], innovation[u]
            )
            density = np.log(run.spread[u]) + LOG_TWO_PI
            for r in range(sides):
                likelihood[r] -= 0.5 * (innovation[u, r] ** 2 / run.spread[u] + density)
            u += 1
        elif op == EMIT:
            process_mean(space, state, run.transition[k], mean[index])
        elif op == RESTORE:
            state[:], likelihood[:] = saved[index], saved_likelihood[index]
        else:
            saved[index], saved_likelihood[index] = state, likelihood
    saved[last], saved_likelihood[last] = state, likelihood
    return Means(innovation, mean, likelihood, state)


@compiled
def correct(
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
def process_mean(space: StateSpace, state: Floats, step: Floats, out: Floats) -> None:
    """h^T F x of every variable into `out` (R, W); the state stays."""
    sides, states, width = state.shape
    out[:] = 0.0
    for b in range(states):
        weight = step_of_process(space, step, b)
        for r in range(sides):
            for w in range(width):
                out[r, w] += weight * state[r, b, w]
