"""Frames to segments: where each sample belongs, and what is missing.

The clock starts with the first frame; a segment is complete when a frame reaches its end, or a later frame
shows that it never will. Samples that nobody sent are missing, never zero. A frame that cannot be placed is
refused, and the stream goes on as if it had not been sent.

An amplifier's clock runs a little fast or slow. How far frames are off their place is followed, no faster
than such a clock drifts, and moves the stream's clock once it is half of the tolerance: a drift loses no
frame, and what is lost or sent twice is told however far the clock has drifted by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame

# a pause that is told segment by segment; a longer one, or a clock set forward, starts the stream anew
LONGEST_PAUSE = timedelta(hours=1)
# by which a frame's clock may be off its place: clocks are read in milliseconds
JITTER_SECONDS = 0.02
# seconds a second by which two clocks part, poor crystals of 100 ppm each; what parts faster was lost
FASTEST_DRIFT = 2e-4


@dataclass(frozen=True, eq=False)
class Segment:
    """One complete segment: `end` the time after its last sample, `values` (C, samples) uV, NaN missing.

    Segments of which nothing came share their `values`: they are for reading. `restarted` is True for the
    first segment after a pause beyond `LONGEST_PAUSE`.
    """

    end: datetime
    channels: tuple[str, ...]
    values: npt.NDArray[np.float32]
    restarted: bool = False


class Segmenter:
    """Cuts one stream. Memory is one segment, and what a missing one looks like."""

    def __init__(self, samples: int, rate_hz: float, most_channels: int) -> None:
        self.samples, self.rate_hz, self.most_channels = samples, rate_hz, most_channels
        self._origin: datetime | None = None
        self._filled = 0  # samples since the origin that are past
        self._drift = 0.0  # samples by which frames have come to be off their place
        self._channels: tuple[str, ...] = ()
        self._values: npt.NDArray[np.float32] | None = None  # until a sample of the segment comes
        self._missing = self._nothing(0)
        self._restarted = False

    @property
    def expected(self) -> datetime | None:
        """When the next sample is due; None before the first frame."""
        return None if self._origin is None else self._time(self._filled)

    def feed(self, frame: Frame) -> list[Segment]:
        """The segments that `frame` completes, in order.

        Raises InvalidInput, before anything changes, where the frame has another rate, too many channels, or
        samples from before the time that is expected next: late, twice or out of order.
        """
        first = self._place(frame)
        if first == self._filled:
            self._follow(frame)
        return list(self._taken(frame, first))

    def advance(self, now: datetime) -> list[Segment]:
        """The segments that are over by `now` although no frame has said so; what was not sent is missing."""
        if self._origin is None:
            return []
        over = int((now - self._origin).total_seconds() * self.rate_hz) // self.samples * self.samples
        return list(self._skip(over))

    def _place(self, frame: Frame) -> int | None:
        """The place of the frame's first sample since the origin; None where the clock starts with it."""
        if frame.rate_hz != self.rate_hz:
            raise InvalidInput(
                f"frame at {frame.start}: {frame.rate_hz} Hz, this stream is read at {self.rate_hz} Hz",
                value=frame.rate_hz,
                bound=str(self.rate_hz),
                unit="Hz",
            )
        if len(frame.channels) > self.most_channels:
            raise InvalidInput(
                f"frame at {frame.start}: {len(frame.channels)} channels, at most {self.most_channels}",
                value=len(frame.channels),
                bound=f"<= {self.most_channels} channels",
            )
        if self._origin is None or frame.start - self._time(self._filled) > LONGEST_PAUSE:
            return None
        off = self._off(frame)
        if min(abs(off), abs(off - self._drift)) <= self._jitter(frame):
            return self._filled
        if off < 0.0:
            due = self._time(self._filled)
            raise InvalidInput(
                f"frame at {frame.start} is late, repeated or out of order: {due} is next",
                value=frame.start,
                bound=f">= {due}",
            )
        return max(self._filled, round(self._filled + off - self._drift))

    def _off(self, frame: Frame) -> float:
        """Samples by which the frame comes before (below 0) or after the place that is due."""
        return (frame.start - self._time(0)).total_seconds() * self.rate_hz - self._filled

    def _jitter(self, frame: Frame) -> float:
        """Samples that it may be off: short frames less, so that one lost or sent twice is still told."""
        return min(JITTER_SECONDS * self.rate_hz, frame.samples / 2)

    def _follow(self, frame: Frame) -> None:
        """Let the drift approach where this frame is; the clock takes over what is beyond half the jitter."""
        most, kept = FASTEST_DRIFT * frame.samples, self._jitter(frame) / 2
        self._drift += min(max(self._off(frame) - self._drift, -most), most)
        excess = self._drift - min(max(self._drift, -kept), kept)
        moved = timedelta(seconds=excess / self.rate_hz)  # in whole microseconds: the rest waits
        self._origin = self._time(0) + moved
        self._drift -= moved.total_seconds() * self.rate_hz

    def _taken(self, frame: Frame, first: int | None) -> Iterator[Segment]:
        if first is None:
            self._restart(frame)
        elif first > self._filled:
            yield from self._skip(first)
        if frame.channels != self._channels:
            self._rearrange(frame.channels)
        taken = 0
        while taken < frame.samples:
            at = self._filled % self.samples
            count = min(self.samples - at, frame.samples - taken)
            if self._values is None:
                self._values = self._nothing(len(self._channels))
            self._values[:, at : at + count] = frame.values[:, taken : taken + count]
            taken += count
            yield from self._move(count)

    def _skip(self, to: int) -> Iterator[Segment]:
        """Let time pass up to place `to`; what was to come is missing already."""
        while self._filled < to:
            at = self._filled % self.samples
            yield from self._move(min(self.samples - at, to - self._filled))

    def _move(self, count: int) -> Iterator[Segment]:
        self._filled += count
        if self._filled % self.samples == 0:
            values = self._missing if self._values is None else self._values
            yield Segment(self._time(self._filled), self._channels, values, self._restarted)
            self._values, self._restarted = None, False

    def _restart(self, frame: Frame) -> None:
        self._restarted = self._origin is not None
        self._origin, self._filled, self._drift = frame.start, 0, 0.0
        self._channels = frame.channels
        self._values, self._missing = None, self._nothing(len(frame.channels))

    def _rearrange(self, channels: tuple[str, ...]) -> None:
        """A montage change inside a segment: what is known by name stays, what is new was missing."""
        self._missing = self._nothing(len(channels))
        if self._values is not None:
            values = self._nothing(len(channels))
            for row, name in enumerate(channels):
                if name in self._channels:
                    values[row] = self._values[self._channels.index(name)]
            self._values = values
        self._channels = channels

    def _nothing(self, channels: int) -> npt.NDArray[np.float32]:
        return np.full((channels, self.samples), np.nan, dtype=np.float32)

    def _time(self, place: int) -> datetime:
        if self._origin is None:
            raise InvalidInput("the stream's clock has not started", value=None, bound="a first frame")
        return self._origin + timedelta(seconds=place / self.rate_hz)
