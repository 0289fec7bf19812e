"""A seizure detector of one line: how far the signal travels, against how far it used to.

    length_c = mean |x_c[i] - x_c[i-1]|, each step at most 10 times the segment's median step
    ratio    = mean over the most risen channels of length_c / (running median of length_c)
    score    = ratio / (ratio + R), so that it is 1/2 where the ratio is R

The most risen channels are a tenth of them, at least two: a seizure begins in few. The cap on a step takes
the weight from a pop. It is the baseline that anything learned must beat, and knows nothing of what it
measures.

Source: Esteller et al. 2001, doi:10.1109/IEMBS.2001.1020545 (line length); the running median is ours.

C  channels     n  samples of a segment
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame
from models.clinical.score import Score, ScoreStatus
from models.clinical.segmenter import Segment, Segmenter
from models.seizure import SegmentScore

LARGEST_STEP = 10.0  # times the segment's median step
MOST_NAMED = 16  # channels that a score names


@dataclass(frozen=True)
class LineLengthConfig:
    """`ratio` R; `past` segments of the running median, of which `fewest` must be known.

    `share` of the channels that must have signal, and of those that are averaged, with `least` of these.
    Raises InvalidInput where these cannot be.
    """

    ratio: float = 1.8
    past: int = 120  # ten minutes: longer than a seizure, shorter than falling asleep
    fewest: int = 12  # a minute
    fewest_share: float = 0.5
    risen_share: float = 0.1
    least_risen: int = 2
    segment_seconds: float = 5.0
    rate_hz: float = 512.0
    most_channels: int = 1024

    def __post_init__(self) -> None:
        if not 1 <= self.fewest <= self.past:
            raise InvalidInput(
                f"fewest {self.fewest} of past {self.past}: needs 1 <= fewest <= past",
                value=self.fewest,
                bound=f"[1, {self.past}]",
            )
        if not self.ratio > 0.0:
            raise InvalidInput(f"ratio {self.ratio} must be > 0", value=self.ratio, bound="> 0")


class LineLengthDetector:
    """One stream scored by line length. Memory: one segment, and `past` numbers a channel."""

    name = "line-length"
    threshold = 0.5  # where the ratio is R

    @property
    def version(self) -> str:
        """Of the rule and its configuration."""
        return f"1-{hashlib.sha256(repr(self.config).encode()).hexdigest()[:12]}"

    def __init__(self, config: LineLengthConfig | None = None) -> None:
        self.config = config or LineLengthConfig()
        samples = round(self.config.segment_seconds * self.config.rate_hz)
        self._segmenter = Segmenter(samples, self.config.rate_hz, self.config.most_channels)
        self._past: dict[str, deque[float]] = {}

    @property
    def rate_hz(self) -> float:
        """The rate at which frames must come."""
        return self.config.rate_hz

    def feed(self, frame: Frame) -> Sequence[Score]:
        """The scores of the segments that `frame` completes."""
        return [self._score(segment) for segment in self._segmenter.feed(frame)]

    def advance(self, now: datetime) -> Sequence[Score]:
        """No score for each segment that is over by `now` though its samples never came."""
        return [self._score(segment) for segment in self._segmenter.advance(now)]

    def _score(self, segment: Segment) -> Score:
        if segment.restarted:
            self._past.clear()
        length = line_length(segment.values)
        present = np.isfinite(length) & (length > 0.0)
        risen = {
            name: float(length[row]) / float(np.median(past))
            for row, name in enumerate(segment.channels)
            if present[row] and len(past := self._past.get(name, deque())) >= self.config.fewest
        }
        self._remember(segment.channels, length, present)
        if present.mean() < self.config.fewest_share:
            absent = int((~present).sum())
            return _none(segment, f"{absent} of {len(present)} channels without signal")
        if len(risen) < self.config.fewest_share * len(present):
            return _none(segment, f"fewer than the {self.config.fewest} segments that a running median needs")
        averaged = max(self.config.least_risen, round(self.config.risen_share * len(risen)))
        ratio = float(np.mean(sorted(risen.values())[-averaged:]))
        value = ratio / (ratio + self.config.ratio)
        return SegmentScore(segment.end, value, ScoreStatus.PRESENT, channels=self._involved(risen))

    def _involved(self, risen: Mapping[str, float]) -> tuple[str, ...]:
        """The channels whose own ratio reaches R, the most risen first."""
        high = [name for name, ratio in risen.items() if ratio >= self.config.ratio]
        return tuple(sorted(high, key=lambda name: -risen[name])[:MOST_NAMED])

    def _remember(
        self, names: Sequence[str], length: npt.NDArray[np.float64], present: npt.NDArray[np.bool_]
    ) -> None:
        for row in np.flatnonzero(present).tolist():
            self._past.setdefault(names[row], deque(maxlen=self.config.past)).append(float(length[row]))
        for gone in self._past.keys() - set(names):  # another montage: else memory would grow with each
            del self._past[gone]


def line_length(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mean capped step (C,) of `values` (C, n), NaN where a sample is missing."""
    steps = np.abs(np.diff(values, axis=1))
    cap = LARGEST_STEP * np.median(steps, axis=1, keepdims=True)
    capped: npt.NDArray[np.float64] = np.minimum(steps, cap).mean(axis=1, dtype=np.float64)
    return capped


def _none(segment: Segment, reason: str) -> Score:
    return Score(segment.end, None, ScoreStatus.INDETERMINATE, reason)
