"""The covariance of the filter's state: a pass over it in four observations, not in each.

    advance      P <- F P F^T + Q kron B
    observe      p = P h                         p (D, W): covariance of the state with the observed variable
                 S = h^T p + noise               K = p / S
                 P <- P - q q^T, q = p / sqrt S

P is large against everything else, so it is touched once in `ROOTS` observations; in between what it was, F
and Q since, and the q since stand for it,

    p = F P F^T h + Q B h - sum_j q_j (h^T q_j)

    D  temporal states    W  width (variables, padded)
    h  picks the observed variable's first state of every component, which add up to the process

P (D, W, D, W) is symmetric.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.products import advance
from models.mgp.statespace import StateSpace, process_noise, transition

Floats = npt.NDArray[np.float64]

ROOTS = 4  # a pass over P with four roots costs little more than with one; more run out of registers


class Covariance(NamedTuple):
    """`table` P (D, W, D, W) as it was `clock[0]` hours ago, and `roots` q (ROOTS, D, W) of the `clock[1]`
    observations since, as they are now; `step` F and `noise` Q (D, D) of those hours.
    """

    table: Floats
    roots: Floats
    step: Floats
    noise: Floats
    clock: Floats


@compiled
def covariance_at(covariance: Covariance, row: int) -> Covariance:
    """One of many, in place."""
    return Covariance(
        covariance.table[row],
        covariance.roots[row],
        covariance.step[row],
        covariance.noise[row],
        covariance.clock[row],
    )


@compiled
def prior_covariance(space: StateSpace) -> Covariance:
    """What is known before the first observation: P = Pinf kron B."""
    states, width = len(space.stationary), len(space.noise)
    table = np.zeros((states, width, states, width))
    for c in range(states):
        for b in range(states):
            if space.component[c] == space.component[b]:
                table[c, :, b] = space.stationary[c, b] * space.covariance[space.component[c]]
    roots = np.zeros((ROOTS, states, width))
    return Covariance(table, roots, np.eye(states), np.zeros((states, states)), np.zeros(2))


@compiled
def copy_covariance(source: Covariance, target: Covariance) -> None:
    """Make `target` what `source` is."""
    target.table[:] = source.table
    target.roots[:] = source.roots
    target.step[:] = source.step
    target.noise[:] = source.noise
    target.clock[:] = source.clock


@compiled
def observe(
    space: StateSpace, now: Covariance, step: Floats, gap_hours: float, m: int, gain: Floats
) -> float:
    """Advance P by a gap and its F, take in an observation of variable m: K into `gain` (D, W), S out."""
    count = int(now.clock[1])
    advance_covariance(space, now, step, gap_hours)
    root = now.roots[count]
    covariance_with(space, now, m, root, gain)
    spread: float = space.noise[m]
    for s in range(len(space.start)):
        spread += gain[space.start[s], m]
    per_root, per_spread = 1.0 / np.sqrt(spread), 1.0 / spread
    for c in range(gain.shape[0]):
        covariance, scaled = gain[c], root[c]
        for w in range(gain.shape[1]):
            scaled[w] = covariance[w] * per_root
            covariance[w] *= per_spread
    now.clock[1] += 1.0
    if count + 1 == ROOTS:
        settle(space, now)
    return spread


@compiled
def advance_covariance(space: StateSpace, now: Covariance, step: Floats, gap_hours: float) -> None:
    """P over a gap, whose F is `step`."""
    for j in range(int(now.clock[1])):
        advance(now.roots[j], step)
    now.clock[0] += gap_hours
    transition(space, now.clock[0], now.step)
    process_noise(space, now.clock[0], now.noise)


@compiled
def covariance_with(  # noqa: C901  nested tables
    space: StateSpace, now: Covariance, m: int, work: Floats, out: Floats
) -> None:
    """Covariance of the state with variable m, into `out` (D, W); `work` (D, W) is overwritten."""
    states, width = out.shape
    work[:] = 0.0
    for b in range(states):
        weight, row = step_of_process(space, now.step, b), now.table[b, m]
        for c in range(states):
            for w in range(width):
                work[c, w] += weight * row[c, w]
    for c in range(states):
        s = space.component[c]
        scale, row = now.noise[c, space.start[s]], space.covariance[s, m]
        for w in range(width):
            out[c, w] = scale * row[w]
        for b in range(states):
            if now.step[c, b] != 0.0:
                for w in range(width):
                    out[c, w] += now.step[c, b] * work[b, w]
    for j in range(int(now.clock[1])):
        weight = 0.0
        for s in range(len(space.start)):
            weight += now.roots[j, space.start[s], m]
        for c in range(states):
            row = now.roots[j, c]
            for w in range(width):
                out[c, w] -= weight * row[w]


@compiled
def step_of_process(space: StateSpace, step: Floats, b: int) -> float:
    """(h^T F)[b]: how much of temporal state b the process is made of after a step."""
    weight = 0.0
    for s in range(len(space.start)):
        weight += step[space.start[s], b]
    return weight


@compiled
def settle(space: StateSpace, now: Covariance) -> None:
    """P <- F P F^T + Q kron B - sum_j q_j q_j^T; no roots are left."""
    if len(space.start) == len(now.step):
        _settle_diagonal(space, now)
    else:
        _settle(space, now)
    now.step[:] = np.eye(len(now.step))
    now.noise[:] = 0.0
    now.clock[:] = 0.0


@compiled
def _settle_diagonal(space: StateSpace, now: Covariance) -> None:
    """`settle` where F is diagonal: Matern-1/2 components only."""
    states, width = now.roots.shape[1], now.roots.shape[2]
    now.roots[int(now.clock[1]) :] = 0.0
    first, second, third, fourth = now.roots[0], now.roots[1], now.roots[2], now.roots[3]
    for c in range(states):
        for b in range(states):
            decay, noise = now.step[c, c] * now.step[b, b], now.noise[c, b]
            one, two, three, four = first[b], second[b], third[b], fourth[b]
            for w in range(width):
                row, prior = now.table[c, w, b], space.covariance[c, w]
                k1, k2, k3, k4 = first[c, w], second[c, w], third[c, w], fourth[c, w]
                for j in range(width):
                    row[j] = (
                        decay * row[j] + noise * prior[j]
                        - (k1 * one[j] + k2 * two[j] + k3 * three[j] + k4 * four[j])
                    )  # fmt: skip


@compiled
def _settle(space: StateSpace, now: Covariance) -> None:
    """`settle`, a row of every state at a time: F from the left into `mixed`, then from the right."""
    states, width = now.roots.shape[1], now.roots.shape[2]
    mixed = np.empty((states, states, width))
    for w in range(width):
        for c in range(states):
            for b in range(states):
                _combine(space, c, now.step[c], now.table[:, w, b], mixed[c, b])
        for c in range(states):
            for b in range(states):
                row = now.table[c, w, b]
                _combine(space, b, now.step[b], mixed[c], row)
                for j in range(width):
                    row[j] += now.noise[c, b] * space.covariance[space.component[c], w, j]
                for k in range(int(now.clock[1])):
                    weight, root = now.roots[k, c, w], now.roots[k, b]
                    for j in range(width):
                        row[j] -= weight * root[j]


@compiled
def _combine(space: StateSpace, c: int, weight: Floats, rows: Floats, out: Floats) -> None:
    """sum_b weight[b] rows[b] over the states b of c's component, into `out`."""
    first = space.start[space.component[c]]
    row = rows[first]
    for j in range(len(out)):
        out[j] = weight[first] * row[j]
    for b in range(first + 1, first + space.order[space.component[c]]):
        row = rows[b]
        for j in range(len(out)):
            out[j] += weight[b] * row[j]


@compiled
def process_variance(space: StateSpace, now: Covariance, step: Floats, gap_hours: float, out: Floats) -> None:
    """Variance of every variable of the process a gap and its F after the state, into `out` (W,)."""
    states, width = len(step), len(out)
    whole, noise = np.empty((states, states)), np.empty((states, states))
    transition(space, now.clock[0] + gap_hours, whole)
    process_noise(space, now.clock[0] + gap_hours, noise)
    out[:] = 0.0
    for s in range(len(space.start)):
        for w in range(width):
            out[w] += noise[space.start[s], space.start[s]] * space.covariance[s, w, w]
    for b in range(states):
        for c in range(states):
            weight = step_of_process(space, whole, b) * step_of_process(space, whole, c)
            for w in range(width):
                out[w] += weight * now.table[b, w, c, w]
    for j in range(int(now.clock[1])):
        for w in range(width):
            root = 0.0
            for b in range(states):
                root += step_of_process(space, step, b) * now.roots[j, b, w]
            out[w] -= root * root
    for w in range(width):
        out[w] = max(out[w], 0.0)
