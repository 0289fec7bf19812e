"""The loss's derivatives by the kernel, as every pass that runs backwards adds to them.

D  temporal states    W  width (variables, padded)    S  components
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled, inlined
from models.mgp.products import dot
from models.mgp.statespace import StateSpace

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


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


@inlined
def add_slopes(
    component: Integers, generator: Floats, factor: float, state_bar: Floats, state: Floats, rate_bar: Floats
) -> None:
    """rate_bar (S,) += factor <x_bar, A x> of every component; states (D, W) before the gap."""
    for a in range(len(generator)):
        for b in range(len(generator)):
            if generator[a, b] != 0.0:
                product = dot(state_bar[a], state[b])
                rate_bar[component[a]] += factor * generator[a, b] * product
