"""The kernel as a linear stochastic differential equation: everything the compiled engine needs of it.

A Matern process of order d is the first of d states whose law over a gap is

    x(t + gap) = F x(t) + N(0, Q)        Q = Pinf - F Pinf F^T        F = F(gap), Pinf = var x

With M variables and S components, F acts on the temporal index alone, so the state is a (D, W) table, D the
sum of the d; component s has covariance Pinf_s kron B_s. Derivatives are scaled by the rate, f' / rate and
f'' / rate^2, so that Pinf holds numbers of order one. A row of variables fills whole vector registers.

    S  components     D  temporal states, 1 to 3 a component     M  variables     W  M rounded up to 8
    rate = sqrt(2 nu) / lengthscale, 1 / h     x = rate * gap

The engine computes in float64 whatever the kernel's type: in float32 the covariance of a variable measured
with noise 1e-4 cancels to nothing, and float64 costs less than the transfers around it.

Source: Hartikainen & Sarkka 2010 (MLSP, doi:10.1109/MLSP.2010.5589113) for the Matern forms.
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.compiled import compiled, inlined
from models.mgp.kernel import Kernel

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LANES = 8  # two AVX2 registers of float64: rows of whole lanes leave no scalar remainder
ORDERS = {"matern12": 1, "matern32": 2, "matern52": 3}
_STATIONARY = {
    1: [[1.0]],
    2: [[1.0, 0.0], [0.0, 1.0]],
    3: [[1.0, 0.0, -1 / 3], [0.0, 1 / 3, 0.0], [-1 / 3, 0.0, 1.0]],
}


class StateSpace(NamedTuple):
    """`order`, `start` (S,): a component's temporal states are start .. start + order - 1; `component` (D,)
    of a state; `rate` (S,) 1/h; `stationary` (D, D) Pinf; `covariance`, `factor` (S, W, W) B and its lower
    Cholesky factor, zero beyond M; `noise` (W,), one beyond M; `variables` M.
    """

    order: Integers
    start: Integers
    component: Integers
    rate: Floats
    stationary: Floats
    covariance: Floats
    factor: Floats
    noise: Floats
    variables: int


_known: WeakKeyDictionary[Kernel, tuple[tuple[int, ...], StateSpace]] = WeakKeyDictionary()


def has_state_space(kernel: Kernel) -> bool:
    """Whether every temporal part of the kernel is a linear stochastic differential equation."""
    return set(kernel.temporal) <= set(ORDERS)


def state_space(kernel: Kernel) -> StateSpace:
    """The kernel's state space, made once a kernel. Raises InvalidInput for a kernel that has none."""
    tensors = (kernel.lengthscale_hours, kernel.task_covariance, kernel.noise)
    versions = tuple(tensor._version for tensor in tensors)  # an optimiser changes parameters in place
    if not has_state_space(kernel):
        raise InvalidInput(
            f"{kernel.temporal} has no state-space form", value=kernel.temporal, bound=" | ".join(ORDERS)
        )
    if kernel not in _known or _known[kernel][0] != versions:
        _known[kernel] = versions, _state_space(kernel.temporal, *tensors)
    return _known[kernel][1]


def _state_space(
    temporal: tuple[str, ...], lengthscale: Tensor, covariance: Tensor, noise: Tensor
) -> StateSpace:
    order = np.array([ORDERS[name] for name in temporal], dtype=np.int64)
    start = np.concatenate([[0], np.cumsum(order)[:-1]]).astype(np.int64)
    stationary = np.zeros((order.sum(), order.sum()))
    for first, size in zip(start, order, strict=True):
        stationary[first : first + size, first : first + size] = _STATIONARY[int(size)]
    width = max(-(-len(noise) // LANES) * LANES, LANES)
    padded = np.zeros((len(order), width, width))
    task = _array(covariance)
    padded[:, : len(noise), : len(noise)] = (task + task.transpose(0, 2, 1)) / 2
    wide_noise = np.ones(width)
    wide_noise[: len(noise)] = _array(noise)
    rate = np.sqrt(2.0 * order - 1.0) / _array(lengthscale)
    return StateSpace(
        order=order,
        start=start,
        component=np.repeat(np.arange(len(order)), order).astype(np.int64),
        rate=rate,
        stationary=stationary,
        covariance=padded,
        factor=np.stack([semidefinite_factor(one) for one in padded]),
        noise=wide_noise,
        variables=len(noise),
    )


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().double().numpy()
    return array


@compiled
def semidefinite_factor(covariance: Floats) -> Floats:
    """Lower L with L L^T = covariance (W, W), semidefinite: a column without variance left is zero."""
    width = len(covariance)
    factor = np.zeros((width, width))
    for j in range(width):
        left = covariance[j, j]
        for k in range(j):
            left -= factor[j, k] * factor[j, k]
        # what rounding leaves of a dependent variable is no variance, and its root would be large
        if left <= 1e-13 * covariance[j, j]:
            continue
        factor[j, j] = np.sqrt(left)
        for i in range(j + 1, width):
            total = covariance[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = total / factor[j, j]
    return factor


@inlined
def transition(space: StateSpace, gap_hours: float, out: Floats) -> None:
    """F(gap) into `out` (D, D)."""
    if len(space.order) == 1 and space.order[0] == 1:
        out[0, 0] = np.exp(-space.rate[0] * gap_hours)
    else:
        _transition(space.order, space.start, space.rate, gap_hours, out)


@compiled
def _transition(order: Integers, start: Integers, rate: Floats, gap_hours: float, out: Floats) -> None:
    out[:] = 0.0
    for s in range(len(order)):
        i = start[s]
        x = rate[s] * gap_hours
        decay = np.exp(-x)
        if order[s] == 1:
            out[i, i] = decay
        elif order[s] == 2:  # noqa: PLR2004
            out[i, i], out[i, i + 1] = decay * (1.0 + x), decay * x
            out[i + 1, i], out[i + 1, i + 1] = -decay * x, decay * (1.0 - x)
        else:
            half = 0.5 * x * x
            out[i, i], out[i, i + 1], out[i, i + 2] = (
                decay * (1 + x + half),
                decay * (x + x * x),
                decay * half,
            )
            out[i + 1, i], out[i + 1, i + 1], out[i + 1, i + 2] = (
                -decay * half, decay * (1 + x - x * x), decay * (x - half)
            )  # fmt: skip
            out[i + 2, i], out[i + 2, i + 1], out[i + 2, i + 2] = (
                decay * (half - x), decay * (x * x - 3 * x), decay * (1 - 2 * x + half)
            )  # fmt: skip


@compiled
def transitions(space: StateSpace, gap_hours: Floats) -> Floats:
    """F of every gap (k,): (k, D, D)."""
    states = len(space.stationary)
    out = np.empty((len(gap_hours), states, states))
    for i in range(len(gap_hours)):
        transition(space, gap_hours[i], out[i])
    return out


@compiled
def incomplete_gamma(power: int, x: float) -> float:
    """int_0^x u^power exp(-u) du, power <= 4, to the last digits for tiny x too: all terms are positive."""
    if x > 60.0:  # noqa: PLR2004  what is missing from power! is below 1e-18 of it
        return float(np.prod(np.arange(1.0, power + 1.0)))
    term = np.exp(-x) * x ** (power + 1) / (power + 1)
    total, i = term, power + 2
    while term > 1e-17 * total:
        term *= x / i
        total += term
        i += 1
    return float(total)


@inlined
def process_noise(space: StateSpace, gap_hours: float, out: Floats) -> None:
    """Q(gap) into `out` (D, D), every entry to full relative accuracy, however short the gap.

    Q = c int_0^x b(u) b(u)^T exp(-2 u) du with b the last column of F without its decay, and c such that Q
    tends to Pinf.
    """
    if len(space.order) == 1 and space.order[0] == 1:
        out[0, 0] = -np.expm1(-2.0 * space.rate[0] * gap_hours)
    else:
        _process_noise(space.order, space.start, space.rate, gap_hours, out)


@compiled
def _process_noise(order: Integers, start: Integers, rate: Floats, gap_hours: float, out: Floats) -> None:
    out[:] = 0.0
    for s in range(len(order)):
        i = start[s]
        x = rate[s] * gap_hours
        if order[s] == 1:
            out[i, i] = -np.expm1(-2.0 * x)
            continue
        g0, g1, g2 = _moment(0, x), _moment(1, x), _moment(2, x)
        if order[s] == 2:  # noqa: PLR2004  b = (u, 1 - u), c = 4
            out[i, i] = 4.0 * g2
            out[i, i + 1] = out[i + 1, i] = 4.0 * (g1 - g2)
            out[i + 1, i + 1] = 4.0 * (g0 - 2.0 * g1 + g2)
        else:  # b = (u^2 / 2, u - u^2 / 2, 1 - 2 u + u^2 / 2), c = 16 / 3
            g3, g4, c = _moment(3, x), _moment(4, x), 16.0 / 3.0
            out[i, i] = c * g4 / 4.0
            out[i, i + 1] = out[i + 1, i] = c * (g3 / 2.0 - g4 / 4.0)
            out[i, i + 2] = out[i + 2, i] = c * (g2 / 2.0 - g3 + g4 / 4.0)
            out[i + 1, i + 1] = c * (g2 - g3 + g4 / 4.0)
            out[i + 1, i + 2] = out[i + 2, i + 1] = c * (g1 - 2.5 * g2 + 1.5 * g3 - g4 / 4.0)
            out[i + 2, i + 2] = c * (g0 - 4.0 * g1 + 5.0 * g2 - 2.0 * g3 + g4 / 4.0)


@compiled
def _moment(power: int, x: float) -> float:
    """int_0^x u^power exp(-2 u) du."""
    return incomplete_gamma(power, 2.0 * x) / 2.0 ** (power + 1)
