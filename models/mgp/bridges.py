"""The process between two simulated states: what was measured there, noise included, for a draw.

    f*(t) | x(a), x(b)  ~  to_left(t) x(a) + to_right(t) x(b) + N(0, k_bridge(t, t'))
    to_right(t) = onward(t)^T Q(b - a)^-1       to_left(t) = sight(t) - to_right(t) F(b - a)
    k_bridge(t, t') = cov(new(t), new(t')) - onward(t)^T Q(b - a)^-1 onward(t')

with sight, onward and new of `spans`. So a few observations cost a small Cholesky factor instead of a state
each.

    k  observations    R  draws    D  temporal states    S  components    W  width, M variables padded

Source: Doucet 2010 (A note on efficient conditional simulation of Gaussian distributions).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import inlined
from models.mgp.products import fill
from models.mgp.spans import Spans
from models.mgp.statespace import StateSpace, semidefinite_factor

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LEFT, BETWEEN, RIGHT = 0, 1, 2  # where an observation lies in its gap


@inlined
def bridge(
    space: StateSpace,
    left: Floats,
    right: Floats,
    rows: tuple[Integers, Integers, Floats, Floats],
    first: int,
    stop: int,
    normals: npt.NDArray[np.floating],
    out: Floats,
) -> None:
    """y* of the rows first .. stop - 1 between two states (R, D, W), by `normals` (n, R), into `out` (n, R).

    `rows` are `variable` and `places` (n,), `parts` (4, n, D) and the covariances `new` (S, n, ...). In any
    order of time: a row depends on the rows before it alone.
    """
    variable, placed, parts, new = rows
    start, noise, inner, sides = space.start, space.noise, np.empty(stop - first, np.int64), out.shape[1]
    count = 0
    for i in range(first, stop):
        m = variable[i]
        fill(out[i], 0.0)
        if placed[i] == BETWEEN:
            inner[count] = i
            count += 1
            for c in range(parts.shape[2]):
                for r in range(sides):
                    out[i, r] += parts[2, i, c] * left[r, c, m] + parts[3, i, c] * right[r, c, m]
        else:  # given the states, nothing but noise is left
            end, deviation = left if placed[i] == LEFT else right, np.sqrt(noise[m])
            for r in range(sides):
                out[i, r] = deviation * normals[i, r]
                for f in start:
                    out[i, r] += end[r, f, m]
    factor = bridge_factor(space, parts[1], new, variable, inner[:count], first)
    for k in range(count):
        for j in range(k + 1):
            for r in range(sides):
                out[inner[k], r] += factor[k, j] * normals[inner[j], r]


@inlined
def bridge_factor(
    space: StateSpace, explained: Floats, new: Floats, variable: Integers, rows: Integers, first: int
) -> Floats:
    """The lower Cholesky factor (k, k) of `rows` (k,) between the ends of one gap, noise included.

    `explained` (n, D) is C^-1 onward, and `new` their covariances given the left end, whose rows begin with
    `first`.
    """
    count, task, component, noise = len(rows), space.covariance, space.component, space.noise
    factor = np.empty((count, count))
    for k in range(count):
        for j in range(k + 1):
            one, other = rows[k], rows[j]
            total = noise[variable[one]] if k == j else 0.0
            for s in range(len(task)):
                total += task[s, variable[one], variable[other]] * new[s, one, other - first]
            for c in range(explained.shape[1]):
                shared = explained[one, c] * explained[other, c]
                total -= task[component[c], variable[one], variable[other]] * shared
            for b in range(j):
                total -= factor[k, b] * factor[j, b]
            factor[k, j] = np.sqrt(total) if k == j else total / factor[j, j]
    return factor


@inlined
def bridge_parts(step: Floats, driven: Floats, inside: Spans, first: int, stop: int, parts: Floats) -> None:
    """h^T Q(t - a), C^-1 onward, to_left and to_right of the rows first .. stop - 1 into `parts` (4, n, D),
    of a gap with `step` F and the noise `driven` Q = C C^T.
    """
    states, factor = len(step), semidefinite_factor(driven)
    sight, noise, onward = inside.sight, inside.noise, inside.onward
    for i in range(first, stop):
        _solve_bridge(factor, onward[i], parts[1, i], parts[3, i])
        for c in range(states):
            parts[0, i, c], parts[2, i, c] = noise[i, c], sight[i, c]
            for b in range(states):
                parts[2, i, c] -= parts[3, i, b] * step[b, c]


@inlined
def _solve_bridge(factor: Floats, onward: Floats, explained: Floats, to_right: Floats) -> None:
    """C^-1 onward into `explained`, C^-T C^-1 onward into `to_right`; 0 where the gap leaves no variance."""
    states = len(onward)
    for c in range(states):
        total = onward[c]
        for b in range(c):
            total -= factor[c, b] * explained[b]
        explained[c] = total / factor[c, c] if factor[c, c] > 0.0 else 0.0
    for c in range(states - 1, -1, -1):
        total = explained[c]
        for b in range(c + 1, states):
            total -= factor[b, c] * to_right[b]
        to_right[c] = total / factor[c, c] if factor[c, c] > 0.0 else 0.0


@inlined
def places(since_hours: Floats, until_hours: Floats) -> Integers:
    """Where times (n,) lie in their gaps: at the LEFT end, at the RIGHT one, or BETWEEN."""
    out = np.full(len(since_hours), BETWEEN)
    for i in range(len(out)):
        if since_hours[i] == 0.0:
            out[i] = LEFT
        elif until_hours[i] == 0.0:
            out[i] = RIGHT
    return out
