"""Frames to segments: where each sample belongs, and what is missing.

The clock starts with the first frame; a segment is complete when a frame reaches its end, or a later frame
shows that it never will. Samples that nobody sent are missing, never zero. A frame that cannot be placed is
refused, and the stream goes on as if it had not been sent.

A frame far ahead of the clock is held: one clock that was read wrong must not end the stream. Once frames
that follow agree with it, a segment of them, they are placed and what lies before is missing; if one fits
where the stream was instead, what was held is refused. So no frame is lost to a real pause, and no score
comes later: a segment takes as long to fill.

An amplifier's clock runs a little fast or slow. How far frames are off their place is followed, no faster
than such a clock drifts, and moves the stream's clock once it is half of the tolerance: a drift loses no
frame, and what is lost or sent twice is told however far the clock has drifted by then.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame

# a pause that is told segment by segment; a longer one, or a clock set forward, starts the stream anew
LONGEST_PAUSE = timedelta(hours=1)
# by which a frame's clock may be ahead of the stream and be believed at once
FURTHEST_AHEAD = timedelta(minutes=1)
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


@dataclass(frozen=True)
class Refused:
    """A frame that could not be placed: its `start`, and why."""

    start: datetime
    reason: str


class Segmenter:
    """Cuts one stream. Memory is one segment, what a missing one looks like, and a segment that is held.

    `refused` are frames that were held before and that the newest call refused.
    """

    def __init__(self, samples: int, rate_hz: float, most_channels: int) -> None:
        self.samples, self.rate_hz, self.most_channels = samples, rate_hz, most_channels
        self._origin: datetime | None = None
        self._filled = 0  # samples since the origin that are past
        self._drift = 0.0  # samples by which frames have come to be off their place
        self._channels: tuple[str, ...] = ()
        self._values: npt.NDArray[np.float32] | None = None  # until a sample of the segment comes
        self._missing = self._nothing(0)
        self._restarted, self._told = False, False
        self._held: list[Frame] = []
        self.refused: tuple[Refused, ...] = ()

    @property
    def expected(self) -> datetime | None:
        """When the next sample is due; None before the first frame."""
        return None if self._origin is None else self._time(self._filled)

    def feed(self, frame: Frame) -> list[Segment]:
        """The segments that `frame` completes, in order; none where it is held.

        Raises InvalidInput, before anything changes, where the frame has another rate, too many channels, or
        samples from before the time that is expected next: late, twice or out of order.
        """
        self._check(frame)
        self.refused = ()
        if self._origin is not None and self._strays(frame):
            return self._hold(frame)
        first = self._place(frame)
        self._refuse_held()
        return list(self._put(frame, first))

    def advance(self, now: datetime) -> list[Segment]:
        """The segments that are over by `now` although no frame has said so; what was not sent is missing.

        Frames that are held and began by `now` are believed. Of a silence longer than `LONGEST_PAUSE` only
        the newest segments are told, as many as it holds, and the stream starts anew with them.
        """
        self.refused = ()
        if self._origin is None:
            return []
        found = list(self._release()) if self._held and self._held[0].start <= now else []
        over = int((now - self._time(0)).total_seconds() * self.rate_hz) // self.samples * self.samples
        most = int(LONGEST_PAUSE.total_seconds() * self.rate_hz) // self.samples * self.samples
        if over - self._filled > most:
            self._filled, self._values, self._restarted = over - most, None, True
        return found + list(self._skip(over))

    def give_up(self) -> None:
        """Refuse the frames that are held: none follows."""
        self.refused = ()
        self._refuse_held()

    def _refuse_held(self) -> None:
        due, bound = self.expected, f"{FURTHEST_AHEAD.total_seconds():g} s"
        for frame in self._held:
            reason = f"{due} is next, a clock alone may be {bound} ahead, and no other agreed with this one"
            self._refuse(frame.start, f"frame at {frame.start}: {reason}")
        self._held = []

    def _refuse(self, start: datetime, reason: str) -> None:
        logging.getLogger(__name__).warning("refused: %s", reason)
        self.refused += (Refused(start, reason),)

    def _strays(self, frame: Frame) -> bool:
        """Whether the frame is so far off the clock that it is not believed alone.

        Backwards only before a segment was told: until then the stream's clock may be the wrong one, later it
        never goes back.
        """
        ahead = frame.start - self._time(self._filled)
        return ahead > FURTHEST_AHEAD or (ahead < -FURTHEST_AHEAD and not self._told)

    def _hold(self, frame: Frame) -> list[Segment]:
        """Keep the frame until others agree with it, or with the stream; the segments, where now they do."""
        if self._held:
            due = self._held[-1].end
            if self._held[0].start <= frame.start < due - timedelta(seconds=JITTER_SECONDS):
                raise _late(frame, due)
            if not timedelta(0) <= frame.start - due + timedelta(seconds=JITTER_SECONDS) <= FURTHEST_AHEAD:
                self._refuse_held()
        self._held.append(frame)
        if len(self._held) == 1 or sum(one.samples for one in self._held) < self.samples:
            return []
        return list(self._release())

    def _release(self) -> Iterator[Segment]:
        """Place what was held: the stream goes on, or starts anew, on its clock."""
        held, self._held = self._held, []
        if held[0].start < self._time(self._filled):
            began = self._time(0)
            self._refuse(began, f"frames from {began} on: what followed is of {held[0].start} and agrees")
        for frame in held:
            try:
                first = self._place(frame)
            except InvalidInput as error:
                self._refuse(frame.start, str(error))
            else:
                yield from self._put(frame, first)

    def _check(self, frame: Frame) -> None:
        """Raise InvalidInput for another rate or too many channels."""
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

    def _place(self, frame: Frame) -> int | None:
        """The place of the frame's first sample since the origin; None where the clock starts with it."""
        if self._origin is None:
            return None
        ahead = frame.start - self._time(self._filled)
        if ahead > LONGEST_PAUSE or (ahead < -FURTHEST_AHEAD and not self._told):
            return None
        off = self._off(frame)
        if min(abs(off), abs(off - self._drift)) <= self._jitter(frame):
            return self._filled
        if off < 0.0:
            raise _late(frame, self._time(self._filled))
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

    def _put(self, frame: Frame, first: int | None) -> Iterator[Segment]:
        if first == self._filled:
            self._follow(frame)
        yield from self._taken(frame, first)

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
            self._told = True
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


def _late(frame: Frame, due: datetime) -> InvalidInput:
    return InvalidInput(
        f"frame at {frame.start} is late, repeated or out of order: {due} is next",
        value=frame.start,
        bound=f">= {due}",
    )
