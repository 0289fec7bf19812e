"""Annotations: what somebody, or a detector, says of a stretch of a recording.

Labels read them and detectors write them; no model reads one. The words of `event_type` are those of
HED-SCORE as SzCORE uses them: `sz` and what begins with it is a seizure, `bckg` is background.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from models.clinical.errors import InvalidInput

SEIZURE = "sz"
BACKGROUND = "bckg"
_SEIZURE_WORDS = ("sz", "seiz")  # sz, sz_foc_ia, seiz, seizure
_BACKGROUND_WORDS = (BACKGROUND, "background")


@dataclass(frozen=True, order=True)
class Annotation:
    """One stretch of a recording and what it is called.

    `onset_seconds` after the start of the recording, and `duration_seconds`, both >= 0; `confidence` in [0,
    1] or None where none is stated; `channels` the names it is about, empty where it is about all of them.
    Raises InvalidInput where one of these does not hold.
    """

    onset_seconds: float
    duration_seconds: float
    event_type: str = SEIZURE
    confidence: float | None = None
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("onset", self.onset_seconds), ("duration", self.duration_seconds)):
            if not (math.isfinite(value) and value >= 0.0):
                raise InvalidInput(
                    f"{name} {value} s must be finite and >= 0 s", value=value, bound=">= 0", unit="s"
                )
        if self.confidence is not None and not 0.0 <= self.confidence <= 1.0:
            raise InvalidInput(
                f"confidence {self.confidence} is outside [0, 1]", value=self.confidence, bound="[0, 1]"
            )

    @property
    def end_seconds(self) -> float:
        """When it is over, after the start of the recording."""
        return self.onset_seconds + self.duration_seconds

    @property
    def is_seizure(self) -> bool:
        """Whether the event type is one of the words for a seizure."""
        return self.event_type.lower().startswith(_SEIZURE_WORDS)

    @property
    def is_background(self) -> bool:
        """Whether it says that there is none: somebody looked."""
        return self.event_type.lower().startswith(_BACKGROUND_WORDS)


@dataclass(frozen=True)
class AnnotatedSpan:
    """One recording's annotations and how long it is, which no annotation says.

    `started_at` (UTC) and `seconds` are None where the source does not say.
    """

    annotations: tuple[Annotation, ...]
    started_at: datetime | None = None
    seconds: float | None = None

    @property
    def seizures(self) -> tuple[Annotation, ...]:
        """The annotations that are seizures, by onset; seizures of one onset in the order they were given."""
        found = [annotation for annotation in self.annotations if annotation.is_seizure]
        return tuple(sorted(found, key=lambda annotation: annotation.onset_seconds))
