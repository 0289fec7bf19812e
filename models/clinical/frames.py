"""Frames: what an amplifier sends, a few samples of every channel at a time.

A frame says when it began, how fast it was sampled, which channels it holds and in which order. Nothing is
assumed of the next one: a montage or a rate may change between two frames, and a receiver must say what that
means for it.

C  channels     n  samples
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Frame:
    """Samples of all channels over one stretch of time.

    `start` the time of the first sample, aware, kept in UTC; `rate_hz` samples a second; `channels` (C,)
    names, no two alike; `values` (C, n) float32 in microvolt, NaN where a sample is missing. Raises
    InvalidInput where one of these does not hold, n or C is 0, or a value is infinite.
    """

    start: datetime
    rate_hz: float
    channels: tuple[str, ...]
    values: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise InvalidInput(f"frame start {self.start} has no time zone", value=self.start, bound="UTC")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        if not (math.isfinite(self.rate_hz) and self.rate_hz > 0.0):
            raise InvalidInput(
                f"sampling rate {self.rate_hz} Hz must be finite and above 0 Hz",
                value=self.rate_hz,
                bound="> 0",
                unit="Hz",
            )
        object.__setattr__(self, "channels", tuple(self.channels))
        _check_channels(self.channels)
        _check_values(self.values, len(self.channels))
        self._check_finite()

    @property
    def samples(self) -> int:
        """How many samples each channel has."""
        return int(self.values.shape[1])

    @property
    def end(self) -> datetime:
        """When the sample after the last is due."""
        return self.start + timedelta(seconds=self.samples / self.rate_hz)

    def _check_finite(self) -> None:
        infinite = np.isinf(self.values)
        if infinite.any():
            row, sample = np.argwhere(infinite)[0].tolist()
            at = self.start + timedelta(seconds=sample / self.rate_hz)
            raise InvalidInput(
                f"frame values hold infinities, the first in channel {self.channels[row]} at {at}; "
                "a missing sample is NaN",
                value=float(self.values[row, sample]),
                bound="finite or NaN",
                unit="uV",
            )


def _check_channels(channels: tuple[str, ...]) -> None:
    if not channels:
        raise InvalidInput("a frame of 0 channels; at least 1 is needed", value=0, bound=">= 1 channel")
    twice = sorted({name for name in channels if channels.count(name) > 1})
    if twice:
        raise InvalidInput(f"channels named more than once: {', '.join(twice)}", value=twice, bound="unique")


def _check_values(values: npt.NDArray[np.float32], channels: int) -> None:
    found = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
    if found != np.float32:
        raise InvalidInput(
            f"frame values are {found}, not an array of float32",
            value=str(found),
            bound="float32",
            unit="uV",
        )
    if values.ndim != 2 or values.shape[0] != channels or values.shape[1] == 0:  # noqa: PLR2004 channels, samples
        raise InvalidInput(
            f"frame values have shape {values.shape}, not ({channels} channels, at least 1 sample)",
            value=values.shape,
            bound=f"({channels}, >= 1)",
        )
