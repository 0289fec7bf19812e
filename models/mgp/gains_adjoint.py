"""Gradients of the filter's gains: its tape, run backwards over covariances.

A bar marks the derivative of the loss by a quantity.

    gains   p = P h,  S = h^T p + noise        S_bar = spread_bar - K^T U_bar K - K^T gain_bar / S
            K = p / S                          p_bar = 2 U_bar K + gain_bar / S + h S_bar   noise_bar += S_bar
            U <- U + p p^T / S                 U_bar <- U_bar - (p_bar h^T + h p_bar^T) / 2
    advance U <- F U F^T                       U_bar <- F^T U_bar F       rate_bar += 2 gap <U_bar, A U>

The filter carries P; its derivative is shorter in U = Pinf kron B - P, what the observations explain. Of the
forward run only gains are kept. U is computed again, from checkpoints a square root of the tape apart, so
that memory grows as that root.

    u  updates on the tape    k  operations    T  grid hours    D  temporal states
    W  width (variables, padded)    S  components

Source: Giles 2008 (doi:10.1007/978-3-540-68942-3_4) for reverse mode on matrices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.filter import Gains
from models.mgp.kernel_gradient import KernelGradient, add_slopes, generator
from models.mgp.products import add, dot
from models.mgp.schedule import EMIT, RESTORE, SAVE, UPDATE, Tape
from models.mgp.statespace import StateSpace

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SEGMENT_BYTES = 2e6  # states kept at once: most stays are one segment and are run again only once


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
