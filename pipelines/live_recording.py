"""A live recording of one bed: signal up to now, read in order, scored, as rows for the service.

Signal comes from a recording that is played as if it were recorded now, or from the simulator. Segments lie
on a grid that counts from the bed's start, so a process that was started again scores the same segments.
With the newest scores goes a picture of the signal, never the signal.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Protocol

import numpy as np

from models.clinical.envelope import envelope
from models.clinical.frames import Frame
from models.clinical.recording import Channel, Recording, Samples
from models.clinical.score import Score
from models.seizure import SEGMENT_SECONDS, SegmentScore, SeizureDetector
from pipelines.bedside import BedsideStay
from pipelines.simulate.ieeg import IEEGConfig, simulate_ieeg

WARM_UP = timedelta(minutes=10)  # read again after a restart, so that a detector knows its past
PICTURED_SEGMENTS = 60  # five minutes, what the service keeps
STRETCHES = 20  # of a segment's picture: a lowest and a highest value for each quarter of a second
_SEGMENT = timedelta(seconds=SEGMENT_SECONDS)

Picture = dict[str, dict[str, list[float | None]]]  # channel: low and high, in microvolt


class Signal(Protocol):
    """What an amplifier hears: `channels` of one rate, and any window of them."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The electrode contacts."""

    @property
    def seconds(self) -> float:
        """How long it goes on; infinite where it does not end."""

    def window(self, start_seconds: float, stop_seconds: float) -> Samples:
        """Values (C, n) in microvolt, NaN where nothing was recorded."""


@dataclass(frozen=True)
class SimulatedPatient:
    """Simulated signal without an end: one recording after another, a seizure in each.

    `every_seconds`, a multiple of the segment, is the length of each; the seizure begins `onset_seconds` into
    it. The montage is the subject's, the same in all of them.
    """

    subject: int
    channels: tuple[Channel, ...]
    every_seconds: float
    onset_seconds: float

    @property
    def seconds(self) -> float:
        """It goes on."""
        return float("inf")

    def window(self, start_seconds: float, stop_seconds: float) -> Samples:
        """Values (C, n); the window must not be longer than one recording."""
        number = int(start_seconds // self.every_seconds)
        begins = number * self.every_seconds
        parts = [
            self._recording(number).window(
                start_seconds - begins, min(stop_seconds - begins, self.every_seconds)
            )
        ]
        if stop_seconds - begins > self.every_seconds:
            parts.append(self._recording(number + 1).window(0.0, stop_seconds - begins - self.every_seconds))
        return np.concatenate(parts, axis=1)

    def _recording(self, number: int) -> Recording:
        return _simulated(self, number)


@lru_cache(maxsize=4)
def _simulated(patient: SimulatedPatient, number: int) -> Recording:
    config = IEEGConfig(
        seconds=patient.every_seconds,
        rate_hz=patient.channels[0].rate_hz,
        channels=patient.channels,
        seizure_onsets=(patient.onset_seconds,),
    )
    return simulate_ieeg(number, patient.subject, config).recording


class LiveBed:
    """One bed's signal read up to a time. Memory: a segment of samples and what the detector holds."""

    def __init__(
        self, stay: BedsideStay, signal: Signal, detector: SeizureDetector, bad: dict[str, str]
    ) -> None:
        self.stay, self.signal, self.detector = stay, signal, detector
        self._marked, self._silent = bad, dict[str, str]()
        self._read = 0.0  # seconds of the signal
        self._pictures: deque[tuple[datetime, Picture]] = deque(maxlen=PICTURED_SEGMENTS)

    @property
    def read_until(self) -> datetime:
        """The time up to which signal was read."""
        return self.stay.admitted_at + timedelta(seconds=self._read)

    @property
    def next_due(self) -> datetime:
        """When the next segment is complete."""
        return self.read_until + _SEGMENT

    @property
    def ended(self) -> bool:
        """Whether the signal is over."""
        return self._read + SEGMENT_SECONDS > self.signal.seconds

    @property
    def bad(self) -> dict[str, str]:
        """Channels not to be trusted and why: marked by the source, or silent in the last segment."""
        return self._marked | self._silent

    @property
    def pictures(self) -> dict[datetime, Picture]:
        """Of the newest segments, by their ends."""
        return dict(self._pictures)

    def skip_to(self, time: datetime) -> None:
        """Read nothing before `time` (to the grid); what was skipped is missing, never calm."""
        passed = (time - self.stay.admitted_at) // _SEGMENT * SEGMENT_SECONDS
        self._read = max(self._read, passed)

    def scores(self, now: datetime, most: int) -> Iterator[Score]:
        """The scores of the segments that are complete by `now`, at most `most` frames of them."""
        for _ in range(most):
            if self.ended or self.next_due > now:
                return
            yield from self._next()

    def _next(self) -> Sequence[Score]:
        values = self.signal.window(self._read, self._read + SEGMENT_SECONDS)
        names = tuple(channel.name for channel in self.signal.channels)
        self._silent = _silent(names, values)
        start, self._read = self.read_until, self._read + SEGMENT_SECONDS
        self._pictures.append((self.read_until, _picture(names, values)))
        frame = Frame(start, self.detector.rate_hz, names, values)
        # the bed's clock is right: after a long pause nothing waits for a second frame to agree
        return [*self.detector.feed(frame), *self.detector.advance(self.read_until)]


def _silent(names: Sequence[str], values: Samples) -> dict[str, str]:
    """Channels without a usable sample in this segment."""
    silent = {}
    for name, row in zip(names, values, strict=True):
        if not np.isfinite(row).all():
            silent[name] = "signal missing"
        elif row.max() == row.min():
            silent[name] = "flat"
    return silent


def _picture(names: Sequence[str], values: Samples) -> Picture:
    low, high = (_numbers(bound) for bound in envelope(values, STRETCHES))
    return {name: {"low": low[row], "high": high[row]} for row, name in enumerate(names)}


def _numbers(values: Samples) -> list[list[float | None]]:
    """To a tenth of a microvolt; None where a sample is missing."""
    rounded: list[list[float]] = np.round(values.astype(np.float64), 1).tolist()
    return [[value if math.isfinite(value) else None for value in row] for row in rounded]


def segment_body(bed: LiveBed, scores: Sequence[Score]) -> dict[str, object]:
    """Scores as `POST /v1/stays/{stay_id}/segment-scores` takes them."""
    names = [*dict.fromkeys([channel.name for channel in bed.signal.channels] + list(bed.bad))]
    pictures = bed.pictures
    return {
        "detector": bed.detector.name,
        "version": bed.detector.version,
        "threshold": bed.detector.threshold,
        "segment_seconds": SEGMENT_SECONDS,
        "channels": [
            {"name": name, "bad": name in bed.bad, "reason": bed.bad.get(name, "")} for name in names
        ],
        "segments": [
            {
                "time": score.time.isoformat(),
                "value": score.value,
                "status": str(score.status),
                "reason": score.reason,
                "channels": list(score.channels) if isinstance(score, SegmentScore) else [],
                "signal": _traces(score, pictures.get(score.time, {})),
            }
            for score in scores
        ],
    }


def _traces(score: Score, picture: Picture) -> list[dict[str, object]]:
    """What the service shows of a segment's signal, a channel each; nothing where there is no picture."""
    surprise = dict(score.surprise) if isinstance(score, SegmentScore) else {}
    return [
        {"channel": name, **bounds, "surprise": _rounded(surprise.get(name))}
        for name, bounds in picture.items()
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
