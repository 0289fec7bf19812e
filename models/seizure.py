"""The protocol every seizure detector meets: frames in as they come, a score each segment out.

A score at t says how much like a seizure the segment that ends at t is, from nothing later. It is a number
in [0, 1], or none with its reason where signal is missing or a past is needed that is not there yet. How
frames are cut changes no score, so a recording read from a file and the same one live score alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from models.clinical.frames import Frame
from models.clinical.score import Score

SEGMENT_SECONDS = 5.0


@dataclass(frozen=True)
class SegmentScore(Score):
    """A score with what a detector can tell besides.

    `channels` that made it high, the most involved first; `surprise`, for each channel that was forecast, how
    far its segment was from the forecast: 0 foreseen, 2 opposite.
    """

    channels: tuple[str, ...] = ()
    surprise: tuple[tuple[str, float], ...] = ()


class SeizureDetector(Protocol):
    """Follows one stream of one patient's electrodes; it holds its past, so each stream has its own."""

    @property
    def name(self) -> str:
        """What it is called on the command line and in reports."""

    @property
    def rate_hz(self) -> float:
        """The rate at which frames must come."""

    @property
    def threshold(self) -> float:
        """The score from which a segment counts towards an alarm, chosen where the detector was made."""

    @property
    def version(self) -> str:
        """Changes with weights and configuration: two detectors of one name and version score alike."""

    def feed(self, frame: Frame) -> Sequence[Score]:
        """The scores of the segments that `frame` completes, in order; see `SegmentScore`.

        A frame more than a minute ahead is held until others agree with its clock, see
        `models.clinical.segmenter`. Raises InvalidInput where the frame is refused (another rate, too many
        channels, late, repeated or out of order); the stream goes on as if it had not been sent.
        """

    def advance(self, now: datetime) -> Sequence[Score]:
        """No score, and the reason, for each segment that is over by `now` though its samples never came.

        At most an hour of them, the newest; frames that are held and began by `now` are believed and scored.
        """
