"""Gradients of what the filter gives: its tape, run backwards.

A bar marks the derivative of the loss by a quantity. The filter has two halves, and so has its reverse.

    means   e = y - h^T x            reverse   gain_bar   += x_bar e          e_bar = K^T x_bar - l_bar e / S
            x <- x + K e                       spread_bar += l_bar (e^2 / S^2 - 1 / S) / 2
            l <- l + log N(e; 0, S)            x_bar      <- x_bar - h e_bar                 y_bar += e_bar
    gains   p = P h,  S = h^T p + noise        S_bar = spread_bar - K^T U_bar K - K^T gain_bar / S
            K = p / S                          p_bar = 2 U_bar K + gain_bar / S + h S_bar   noise_bar += S_bar
            U <- U + p p^T / S                 U_bar <- U_bar - (p_bar h^T + h p_bar^T) / 2
    advance x <- F x,  U <- F U F^T            x_bar <- F^T x_bar,  U_bar <- F^T U_bar F

Because F = exp(A rate gap) commutes with A, the rate's derivative needs the advanced quantities alone:

    rate_bar += gap <x_bar, A x> + 2 gap <U_bar, A U>

The filter carries P; its derivative is shorter in U = Pinf kron B - P, what the observations explain.

Of the forward run only gains are kept. The states are computed again, U from checkpoints a square root of the
tape apart, so that memory grows as that root.

    n  observations    u  updates on the tape    k  operations    R  right-hand sides    T  grid hours
    D  temporal states    W  width (variables, padded)    S  components

Source: Giles 2008 (doi:10.1007/978-3-540-68942-3_4) for reverse mode on matrices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.filter import Gains, advance
from models.mgp.schedule import EMIT, RESTORE, SAVE, UPDATE, Tape
from models.mgp.statespace import StateSpace

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SEGMENT_BYTES = 2e6  # states kept at once: most stays are one segment and are run again only once


class KernelGradient(NamedTuple):
    """The loss's derivatives by `rate` (S,), `covariance` (S, W, W), of which only the symmetric part means
    anything, its `factor` (S, W, W), and `noise` (W,)."""

    rate: Floats
    covariance: Floats
    factor: Floats
    noise: Floats


@compiled
def no_gradient(space: StateSpace) -> KernelGradient:
    """Zeros, to add to."""
    return KernelGradient(
        np.zeros_like(space.rate),
        np.zeros_like(space.covariance),
        np.zeros_like(space.covariance),
        np.zeros_like(space.noise),
    )


@compiled
def dot(first: Floats, second: Floats) -> float:
    """<first, second> of two rows."""
    total = 0.0
    for w in range(len(first)):
        total += first[w] * second[w]
    return total


@compiled
def add(target: Floats, factor: float, source: Floats) -> None:
    """target += factor source, of two rows."""
    for w in range(len(target)):
        target[w] += factor * source[w]


@compiled
def generator(space: StateSpace) -> Floats:
    """A (D, D) with F = exp(A rate gap), a block each component: (d/dt + rate)^order f is white noise."""
    out = np.zeros_like(space.stationary)
    for s in range(len(space.start)):
        first, order = space.start[s], space.order[s]
        last = first + order - 1
        for c in range(first, last):
            out[c, c + 1] = 1.0
            out[last, c + 1] = -float(order)
        out[last, first] = -1.0
    return out


@compiled
def add_slopes(
    component: Integers, generator: Floats, factor: float, state_bar: Floats, state: Floats, rate_bar: Floats
) -> None:
    """rate_bar (S,) += factor <x_bar, A x> of every component; states (D, W) before the gap."""
    for a in range(len(generator)):
        for b in range(len(generator)):
            if generator[a, b] != 0.0:
                product = dot(state_bar[a], state[b])
                rate_bar[component[a]] += factor * generator[a, b] * product


@compiled
def add_explained_slopes(
    space: StateSpace,
    generator: Floats,
    factor: float,
    bar: Floats,
    explained: Floats,
    gradient: KernelGradient,
) -> None:
    """rate_bar += factor <U_bar, A U>; tables (D, W, D, W)."""
    states, width = bar.shape[0], bar.shape[1]
    for a in range(states):
        for b in range(states):
            if generator[a, b] != 0.0:
                total = 0.0
                for w in range(width):
                    for c in range(states):
                        total += dot(bar[a, w, c], explained[b, w, c])
                gradient.rate[space.component[a]] += factor * generator[a, b] * total


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


@compiled
def reverse_gains(
    space: StateSpace,
    tape: Tape,
    run: Gains,
    variable: Integers,
    gain_bar: Floats,
    spread_bar: Floats,
    variance_bar: Floats,
    gradient: KernelGradient,
) -> None:
    """From gain_bar (u, D, W), spread_bar (u,) and `variance_bar` (T, W) to `gradient`."""
    states, width = len(space.stationary), len(space.noise)
    shift, nothing = generator(space), np.zeros((states, width))
    bar = np.zeros((states, width, states, width))
    saved = np.zeros((tape.checkpoints, states, width, states, width))
    earlier = updates_before(tape)
    start, kept = _checkpoints(space, tape, run)
    for segment in range(len(kept) - 1, -1, -1):
        before = _replay(space, tape, run, start[segment], start[segment + 1], kept[segment])
        for k in range(start[segment + 1] - 1, start[segment] - 1, -1):
            op, index, explained = tape.op[k], tape.item[k], before[k - start[segment]]
            step, gap = run.transition[k], tape.gap_hours[k]
            if op == UPDATE:
                u = earlier[k]
                _reverse_observe(
                    space,
                    bar,
                    run.gain[u],
                    run.spread[u],
                    gain_bar[u],
                    spread_bar[u],
                    variable[index],
                    gradient,
                )
                if gap == 0.0:
                    continue
                absorb(space, bar, np.ascontiguousarray(step.T), nothing)
                add_explained_slopes(space, shift, 2.0 * gap, bar, explained, gradient)
            elif op == EMIT:
                _reverse_variance(space, shift, gap, bar, explained, step, variance_bar[index], gradient)
            elif op == RESTORE:
                saved[index] += bar
                bar[:] = 0.0
            else:
                bar += saved[index]
                saved[index] = 0.0


@compiled
def _reverse_observe(
    space: StateSpace,
    bar: Floats,
    gain: Floats,
    spread: float,
    gain_bar: Floats,
    spread_bar: float,
    m: int,
    gradient: KernelGradient,
) -> None:
    """Back through one observation of variable m: `bar` U_bar changes, B and noise get their share."""
    states, width = gain.shape
    column_bar = np.empty((states, width))
    for c in range(states):
        product_bar = column_bar[c]
        for w in range(width):
            product = 0.0
            for b in range(states):
                product += dot(bar[c, w, b], gain[b])
            spread_bar -= gain[c, w] * (product + gain_bar[c, w] / spread)
            product_bar[w] = 2.0 * product + gain_bar[c, w] / spread
    gradient.noise[m] += spread_bar
    for first in space.start:
        column_bar[first, m] += spread_bar
    for c in range(states):
        s = space.component[c]
        add(gradient.covariance[s, m], space.stationary[c, space.start[s]], column_bar[c])
        for first in space.start:
            add(bar[first, m, c], -0.5, column_bar[c])
            for w in range(width):
                bar[c, w, first, m] -= 0.5 * column_bar[c, w]


@compiled
def _reverse_variance(
    space: StateSpace,
    generator: Floats,
    gap_hours: float,
    bar: Floats,
    explained: Floats,
    step: Floats,
    variance_bar: Floats,
    gradient: KernelGradient,
) -> None:
    """Back through an EMIT of the variances: var = sum_s B_s[w, w] - h^T F U F^T h."""
    states, width = len(step), len(variance_bar)
    weighted, row = np.empty((states, width)), np.zeros((states, width))
    weight = np.zeros(states)
    for first in space.start:
        weight += step[first]
    for b in range(states):
        for w in range(width):
            weighted[b, w] = -weight[b] * variance_bar[w]
            for c in range(states):
                row[b, w] += weight[c] * explained[b, w, c, w]
                bar[b, w, c, w] += weighted[b, w] * weight[c]
    add_slopes(space.component, generator, 2.0 * gap_hours, weighted, row, gradient.rate)
    for s in range(len(space.start)):
        for w in range(width):
            gradient.covariance[s, w, w] += variance_bar[w]


@compiled
def updates_before(tape: Tape) -> Integers:
    """How many updates come before each operation: (k,)."""
    updates: Integers = (tape.op == UPDATE).astype(np.int64)
    before: Integers = np.cumsum(updates) - updates
    return before


@compiled
def _checkpoints(space: StateSpace, tape: Tape, run: Gains) -> tuple[Integers, Floats]:
    """Where segments of the tape start (s + 1,), its end the last, and U there (s, D, W, D, W).

    A segment ends after a RESTORE, so that none is inside one.
    """
    operations, earlier = len(tape.op), updates_before(tape)
    longest = int(max(np.sqrt(operations), SEGMENT_BYTES / (8.0 * run.gain[0].size ** 2))) + 1
    start = np.zeros(operations + 2, np.int64)
    segments = 1
    for k in range(1, operations):
        if tape.op[k - 1] == RESTORE or k - start[segments - 1] >= longest:
            start[segments] = k
            segments += 1
    start[segments] = operations
    states, width = run.gain.shape[1], run.gain.shape[2]
    kept = np.zeros((segments, states, width, states, width))
    saved = np.zeros((tape.checkpoints, states, width, states, width))
    explained, segment = np.zeros((states, width, states, width)), 0
    for k in range(start[segments - 1] + 1):
        if k == start[segment]:
            kept[segment] = explained
            segment += 1
        if tape.op[k] == SAVE:
            saved[tape.item[k]] = explained
        elif tape.op[k] == RESTORE:
            explained[:] = saved[tape.item[k]]
        elif tape.op[k] == UPDATE:
            _repeat(space, explained, run, k, earlier[k])
    return start[: segments + 1], kept


@compiled
def _replay(space: StateSpace, tape: Tape, run: Gains, start: int, stop: int, explained: Floats) -> Floats:
    """U before each of the operations start .. stop - 1: (stop - start, D, W, D, W)."""
    states, width = run.gain.shape[1], run.gain.shape[2]
    before = np.empty((stop - start, states, width, states, width))
    earlier = updates_before(tape)
    for k in range(start, stop):
        if tape.op[k] == EMIT or tape.gap_hours[k] > 0.0:
            before[k - start] = explained
        if tape.op[k] == UPDATE:
            _repeat(space, explained, run, k, earlier[k])
    return before


@compiled
def _repeat(space: StateSpace, explained: Floats, run: Gains, k: int, u: int) -> None:
    """Operation k, the update u, once more, from its gain: U <- F U F^T + K K^T S."""
    absorb(space, explained, run.transition[k], run.gain[u] * np.sqrt(run.spread[u]))


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
