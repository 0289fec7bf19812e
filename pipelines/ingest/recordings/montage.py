"""Montages: how electrodes are ordered and what each is measured against.

A derivation turns values (C, n) of one montage into values (C', n) of another; it is the same for a
recording's windows and for live frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame
from models.clinical.recording import Channel, Recording, Samples


class Derivation(Protocol):
    """A montage made of another one."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels that come out."""

    def apply(self, values: Samples) -> Samples:
        """Values (C, n) in, (C', n) out; what is made of a missing sample is missing."""


@dataclass(frozen=True)
class CommonReference:
    """Every channel against the mean or the median of all that are not bad, sample by sample.

    Missing samples do not enter it. Raises InvalidInput where every channel is bad.
    """

    channels: tuple[Channel, ...]
    statistic: Literal["mean", "median"] = "mean"

    def __post_init__(self) -> None:
        if all(channel.bad for channel in self.channels):
            raise InvalidInput(f"all of {len(self.channels)} channels are bad", value=0, bound=">= 1")

    def apply(self, values: Samples) -> Samples:
        """Values (C, n) less their common reference."""
        good = values[[not channel.bad for channel in self.channels]].astype(np.float64)
        reference = np.full(values.shape[1], np.nan)
        known = ~np.isnan(good).all(axis=0)
        statistic = np.nanmean if self.statistic == "mean" else np.nanmedian
        reference[known] = statistic(good[:, known], axis=0) if known.any() else 0.0
        less: Samples = (values - reference).astype(np.float32)
        return less


@dataclass(frozen=True)
class Bipolar:
    """Neighbouring contacts of a shaft, n against n + 1, named `A1-A2`, without pairs of a bad contact.

    Raises InvalidInput where no two contacts are neighbours.
    """

    of: tuple[Channel, ...]

    def __post_init__(self) -> None:
        if not self.pairs:
            raise InvalidInput(
                f"no two of {len(self.of)} channels are neighbours on a shaft", value=0, bound=">= 1 pair"
            )

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Positions of both contacts, in the order of shaft and contact."""
        good = [position for position in shaft_order(self.of) if not self.of[position].bad]
        return tuple(
            (one, other) for one, other in pairwise(good) if _neighbours(self.of[one], self.of[other])
        )

    @property
    def channels(self) -> tuple[Channel, ...]:
        """One channel a pair, where the first contact is."""
        return tuple(
            replace(self.of[one], name=f"{self.of[one].name}-{self.of[other].name}")
            for one, other in self.pairs
        )

    def apply(self, values: Samples) -> Samples:
        """Values (C, n) as differences (pairs, n)."""
        ones, others = zip(*self.pairs, strict=True)
        return values[list(ones)] - values[list(others)]


def shaft_order(channels: Sequence[Channel]) -> list[int]:
    """Positions by shaft and contact; channels without either stay as they are, at the end."""
    return sorted(range(len(channels)), key=lambda position: _shaft_key(channels[position]))


def derived(recording: Recording, derivation: Derivation) -> Recording:
    """The recording in the derivation's montage, still read in windows."""
    samples = _DerivedSamples(recording, derivation)
    return replace(recording, channels=derivation.channels, samples=samples)


def derived_frame(frame: Frame, derivation: Derivation) -> Frame:
    """A live frame in the derivation's montage."""
    names = tuple(channel.name for channel in derivation.channels)
    return replace(frame, channels=names, values=derivation.apply(frame.values))


@dataclass(frozen=True, eq=False)
class _DerivedSamples:
    recording: Recording
    derivation: Derivation

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        every = range(len(self.recording.channels))
        derived_values = self.derivation.apply(self.recording.samples.read(every, first, stop))
        chosen: npt.NDArray[np.float32] = derived_values[list(channels)]
        return chosen


def _neighbours(one: Channel, other: Channel) -> bool:
    if one.contact is None or other.contact is None:
        return False
    return one.shaft == other.shaft and other.contact == one.contact + 1 and one.rate_hz == other.rate_hz


def _shaft_key(channel: Channel) -> tuple[bool, str, int]:
    return channel.contact is None, channel.shaft, channel.contact or 0
