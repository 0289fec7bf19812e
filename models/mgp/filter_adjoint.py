"""Gradients of the filter's means: its tape, run backwards over states.

A bar marks the derivative of the loss by a quantity.

    means   e = y - h^T x            reverse   gain_bar   += x_bar e          e_bar = K^T x_bar - l_bar e / S
            x <- x + K e                       spread_bar += l_bar (e^2 / S^2 - 1 / S) / 2
            l <- l + log N(e; 0, S)            x_bar      <- x_bar - h e_bar                 y_bar += e_bar
    advance x <- F x                           x_bar <- F^T x_bar

Because F = exp(A rate gap) commutes with A, the rate's derivative needs the advanced quantities alone:
rate_bar += gap <x_bar, A x>. From gain_bar and spread_bar it goes on in `gains_adjoint`. Of the forward run
only gains are kept; the states are computed again.

    n  observations    u  updates on the tape    k  operations    R  right-hand sides    T  grid hours
    D  temporal states    W  width (variables, padded)    S  components
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.filter import Gains
from models.mgp.kernel_gradient import KernelGradient, add_slopes, generator
from models.mgp.products import add, advance, dot
from models.mgp.schedule import EMIT, RESTORE, SAVE, UPDATE, Tape
from models.mgp.statespace import StateSpace

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled
def reverse_means(  # noqa: C901  one branch an operation of the tape
    space: StateSpace,
    tape: Tape,
    run: Gains,
    variable: Integers,
    innovation: Floats,
    mean_bar: Floats,
    likelihood_bar: float,
    gradient: KernelGradient,
) -> tuple[Floats, Floats, Floats]:
    """From `mean_bar` (T, R, W), and the derivative by the first side's log likelihood where the tape repeats
    nothing, to value_bar (n, R), gain_bar (u, D, W) and spread_bar (u,); the rates' share goes to `gradient`.
    """
    sides, width, states = innovation.shape[1], len(space.noise), len(space.stationary)
    value_bar, gain_bar = np.zeros((len(variable), sides)), np.zeros_like(run.gain)
    spread_bar = np.zeros_like(run.spread)
    before, shift = _states(tape, run, innovation), generator(space)
    bar, pulled = np.zeros((sides, states, width)), np.empty((states, width))
    saved = np.zeros((tape.checkpoints, sides, states, width))
    u = tape.updates
    for k in range(len(tape.op) - 1, -1, -1):
        op, index, step = tape.op[k], tape.item[k], run.transition[k]
        back = np.ascontiguousarray(step.T)
        if op == UPDATE:
            u -= 1
            weight = likelihood_bar / run.spread[u]
            spread_bar[u] += 0.5 * weight * (innovation[u, 0] ** 2 / run.spread[u] - 1.0)
            for r in range(sides):
                residual_bar = -weight * innovation[u, 0] if r == 0 else 0.0
                for c in range(states):
                    add(gain_bar[u, c], innovation[u, r], bar[r, c])
                    residual_bar += dot(run.gain[u, c], bar[r, c])
                value_bar[index, r] += residual_bar
                for first in space.start:
                    bar[r, first, variable[index]] -= residual_bar
                advance(bar[r], back)
                add_slopes(space.component, shift, tape.gap_hours[k], bar[r], before[k, r], gradient.rate)
        elif op == EMIT:
            for r in range(sides):
                pulled[:] = 0.0
                for first in space.start:
                    for c in range(states):
                        add(pulled[c], step[first, c], mean_bar[index, r])
                add_slopes(space.component, shift, tape.gap_hours[k], pulled, before[k, r], gradient.rate)
                bar[r] += pulled
        elif op == RESTORE:
            saved[index] += bar
            bar[:] = 0.0
        else:
            bar += saved[index]
            saved[index] = 0.0
    return value_bar, gain_bar, spread_bar


@compiled
def _states(tape: Tape, run: Gains, innovation: Floats) -> Floats:
    """x before each operation: (k, R, D, W)."""
    sides, states, width = innovation.shape[1], run.gain.shape[1], run.gain.shape[2]
    before = np.empty((len(tape.op), sides, states, width))
    saved = np.zeros((tape.checkpoints, sides, states, width))
    state = np.zeros((sides, states, width))
    u = 0
    for k in range(len(tape.op)):
        before[k] = state
        if tape.op[k] == UPDATE:
            for r in range(sides):
                advance(state[r], run.transition[k])
                for c in range(states):
                    add(state[r, c], innovation[u, r], run.gain[u, c])
            u += 1
        elif tape.op[k] == SAVE:
            saved[tape.item[k]] = state
        elif tape.op[k] == RESTORE:
            state[:] = saved[tape.item[k]]
    return before
