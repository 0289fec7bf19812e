"""Series as they are compared, and many of them laid out for comparison.

A series is values (hours, V) on one scale, standardised so that variables can be added, with a weight in [0,
1] for each: 0 where nothing is known, 1 where it was measured, something between where it was imputed. NaN
weighs 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.dtw.bounds import outline
from models.dtw.lanes import LANES, aligned

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

LARGEST = 1e15  # the squares of larger ones add up to infinity in single precision
FEWEST_HOURS = 2  # one point can be laid on anything
PADDING = -1


@dataclass(frozen=True, eq=False)
class Series:
    """Values and weights (V, hours); values are 0 where the weight is 0, weights None where all are 1."""

    values: Doubles
    weights: Doubles | None = None
    variables: tuple[str, ...] = ()

    @property
    def hours(self) -> int:
        """How many."""
        return int(self.values.shape[1])

    @cached_property
    def mean_weight(self) -> Doubles:
        """How much of each variable (V,) is known; 0 where it abstains."""
        return np.ones(len(self.values)) if self.weights is None else self.weights.mean(axis=1)


def series(
    values: npt.ArrayLike, weights: npt.ArrayLike | None = None, variables: Sequence[str] = ()
) -> Series:
    """A checked series of values (hours, V), or (hours,) of one variable; weights alike.

    Raises InvalidInput for fewer than two hours, infinite values, and weights that are not in [0, 1].
    """
    given, weight = checked(values, weights, variables)
    if len(given) < FEWEST_HOURS:
        raise InvalidInput(
            f"a series of {len(given)} hours: at least {FEWEST_HOURS}, one can be laid on anything",
            value=len(given),
            bound=f">= {FEWEST_HOURS}",
            unit="h",
        )
    rows = None if weight is None else np.ascontiguousarray(weight.T)
    return Series(np.ascontiguousarray(given.T), rows, tuple(variables))


def checked(
    values: npt.ArrayLike, weights: npt.ArrayLike | None, variables: Sequence[str]
) -> tuple[Doubles, Doubles | None]:
    """Values (hours, V), 0 where they weigh nothing, and their weights, None where all are 1."""
    given = np.asarray(values, np.float64)
    given = given[:, np.newaxis] if given.ndim == 1 else given
    _check_shape(given, variables)
    _check_finite(given, variables)
    weight = np.ones_like(given) if weights is None else _checked_weights(weights, given.shape)
    weight = np.where(np.isnan(given), 0.0, weight)
    return np.where(weight > 0.0, given, 0.0), None if (weight == 1.0).all() else weight


def _check_shape(given: Doubles, variables: Sequence[str]) -> None:
    if given.ndim != 2 or not given.shape[1]:  # noqa: PLR2004  hours, variables
        raise InvalidInput(
            f"values of shape {given.shape}: (hours, variables) or (hours,)", value=given.shape
        )
    if variables and len(variables) != given.shape[1]:
        raise InvalidInput(
            f"{len(variables)} names for {given.shape[1]} variables: one each", value=len(variables)
        )


def _check_finite(given: Doubles, variables: Sequence[str]) -> None:
    outside = np.abs(given) > LARGEST
    if not outside.any():
        return
    hour, variable = np.argwhere(outside)[0]
    name = variables[variable] if variables else f"variable {variable}"
    raise InvalidInput(
        f"{name} is {given[hour, variable]:g} in hour {hour}: at most {LARGEST:.0e}, or NaN",
        value=float(given[hour, variable]),
        bound=f"<= {LARGEST:.0e} in size, or NaN",
        unit="standardised",
    )


def _checked_weights(weights: npt.ArrayLike, shape: tuple[int, ...]) -> Doubles:
    weight = np.asarray(weights, np.float64)
    weight = weight[:, np.newaxis] if weight.ndim == 1 else weight
    if weight.shape != shape:
        raise InvalidInput(
            f"weights of shape {weight.shape}: that of the values, {shape}", value=weight.shape
        )
    outside = weight[~((weight >= 0.0) & (weight <= 1.0))]
    if outside.size:
        raise InvalidInput(
            f"weight {outside[0]}: between 0 (nothing known) and 1 (measured)",
            value=float(outside[0]),
            bound="[0, 1]",
        )
    return weight


@dataclass(frozen=True, eq=False)
class References:
    """Series in blocks of `LANES`, by rising length: B blocks, V variables, T hours, padded with zeros.

    A place of this layout is a *slot*, block * LANES + lane. An index on disk holds these arrays; map them
    into memory copy-on-write (`mmap_mode="c"`), because read-only arrays would be compiled for once more.
    """

    values: Singles  # (B, V, T, LANES): what a variable needs for all hours lies together
    weights: Singles | None  # alike; None where all are 1
    lengths: Integers  # (B, LANES) hours; 0 where there is no reference
    members: Integers  # (B, LANES) which series it is; -1 where there is none
    variables: tuple[str, ...] = ()
    originals: Doubles | None = None  # (N, V, T) where single precision would round the values

    @cached_property
    def count(self) -> int:
        """N, the number of references."""
        return int((self.members != PADDING).sum())

    @cached_property
    def slots(self) -> Integers:
        """Where each reference is, (N,)."""
        filled = np.flatnonzero(self.members.ravel() != PADDING)
        return filled[np.argsort(self.members.ravel()[filled])]

    @cached_property
    def placed(self) -> slice | Integers:
        """The slots as an index, cheaper where they are in order: that of equal lengths."""
        in_order = (self.slots == np.arange(self.count)).all()
        return slice(0, self.count) if in_order else self.slots

    @cached_property
    def hours(self) -> Integers:
        """The length of each, (N,)."""
        return self.lengths.ravel()[self.slots]

    def one(self, number: int) -> Series:
        """A reference by itself."""
        block, lane = divmod(int(self.slots[number]), LANES)
        hours = int(self.lengths[block, lane])
        weights = None if self.weights is None else self.weights[block, :, :hours, lane].astype(np.float64)
        return Series(self.values[block, :, :hours, lane].astype(np.float64), weights, self.variables)

    @cached_property
    def plans(self) -> dict[Hashable, Any]:
        """How queries of some length are laid on these, by models/dtw/sweep.py."""
        return {}

    @cached_property
    def distinct(self) -> Integers:
        """The lengths there are, rising."""
        return np.unique(self.lengths[self.lengths > 0])

    @cached_property
    def pieces(self) -> Integers:
        """(block, length) of each length in each block: what one window fits."""
        pairs = [
            (block, length) for block, row in enumerate(self.lengths) for length in np.unique(row[row > 0])
        ]
        return np.array(pairs, np.int64).reshape(-1, 2)

    @cached_property
    def outlines(self) -> Singles:
        """What the bounds read of each reference: (B, V, 4, LANES)."""
        return outline(self.values, self.lengths)

    @cached_property
    def largest(self) -> float:
        """The largest value, without its sign."""
        return float(np.abs(self.values).max())

    @cached_property
    def mean_weight(self) -> Doubles:
        """How much of each variable of each reference is known, (N, V)."""
        variables = self.values.shape[1]
        if self.weights is None:
            return np.ones((self.count, variables))
        total = self.weights.sum(axis=2, dtype=np.float64)  # (B, V, LANES)
        mean = total / np.maximum(self.lengths[:, np.newaxis], 1)
        return np.asarray(mean.transpose(0, 2, 1).reshape(-1, variables)[self.slots])


def references(many: Sequence[Series]) -> References:
    """Many series as references; they keep their numbers in the order given.

    Raises InvalidInput for none at all, and for different variables.
    """
    if not many:
        raise InvalidInput("no references: at least 1", value=0, bound=">= 1", unit="series")
    for one in many:
        check_same_variables(one, many[0].variables, len(many[0].values))
    order = np.argsort([one.hours for one in many], kind="stable")
    shape = (len(many[0].values), max(one.hours for one in many))
    members = np.full(-(-len(many) // LANES) * LANES, PADDING)
    members[: len(many)] = order
    lengths = np.array([0 if one == PADDING else many[one].hours for one in members])
    weighted = any(one.weights is not None for one in many)
    return References(
        values=_blocks([one.values for one in many], order, shape),
        weights=_blocks([_weights(one) for one in many], order, shape) if weighted else None,
        lengths=lengths.reshape(-1, LANES),
        members=members.reshape(-1, LANES),
        variables=many[0].variables,
        originals=_originals(many, shape),
    )


def check_same_variables(one: Series, variables: tuple[str, ...], count: int) -> None:
    """Raise InvalidInput unless a series has these variables, in this order."""
    if len(one.values) != count or one.variables != variables:
        have = ", ".join(one.variables) or f"{len(one.values)} without names"
        want = ", ".join(variables) or f"{count} without names"
        raise InvalidInput(
            f"variables of a series: {have}; the references have {want}", value=have, bound=want
        )


def _weights(one: Series) -> Doubles:
    return np.ones_like(one.values) if one.weights is None else one.weights


def _blocks(many: Sequence[Doubles], order: Integers, shape: tuple[int, int]) -> Singles:
    blocks = aligned((-(-len(many) // LANES), *shape, LANES))
    for slot, one in enumerate(order):
        blocks[slot // LANES, :, : many[one].shape[1], slot % LANES] = many[one]
    return blocks


def _originals(many: Sequence[Series], shape: tuple[int, int]) -> Doubles | None:
    """The values in double precision, unless single precision holds them as they are."""
    if all((one.values == one.values.astype(np.float32)).all() for one in many):
        return None
    originals = np.zeros((len(many), *shape))
    for place, one in enumerate(many):
        originals[place, :, : one.hours] = one.values
    return originals
