"""The JSON shapes of the REST API. Rows of observations are read singly: a bad one never spoils a batch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
    model_validator,
)

from models.clinical.quarantine import YEARS


def read_instant(text: object) -> datetime:
    """An ISO 8601 time with an offset, in UTC. Raises ValueError saying what is wrong."""
    if isinstance(text, datetime):
        return text.astimezone(UTC)
    if not isinstance(text, str):
        raise ValueError("expected an ISO 8601 time with an offset, as text")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the time has no offset; add one, such as Z")
    if moment.year not in YEARS:
        raise ValueError(f"the year must lie in [{YEARS.start}, {YEARS.stop})")
    return moment.astimezone(UTC)


def storable(text: object) -> object:
    """Text that every database and encoding takes. Raises ValueError for NUL and lone surrogates."""
    if isinstance(text, str) and ("\x00" in text or (not text.isascii() and _half_character(text))):
        raise ValueError("the text holds a character that cannot be stored (NUL or half a character)")
    return text


def filled(text: str) -> str:
    """Text that is not blank. Raises ValueError."""
    if not text.strip():
        raise ValueError("the text is blank")
    return text


def _half_character(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


Instant = Annotated[
    datetime,
    BeforeValidator(read_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Text = Annotated[str, Field(min_length=1, max_length=200), BeforeValidator(storable)]
# names, and what people write: a blank would be an acknowledgement by nobody
Name = Annotated[Text, AfterValidator(filled)]
Comment = Annotated[
    str, Field(min_length=1, max_length=2000), BeforeValidator(storable), AfterValidator(filled)
]


class Shape(BaseModel):
    """What every shape shares: immutable; unknown members are ignored, as clients may know more."""

    model_config = ConfigDict(frozen=True)


class StayIn(Shape):
    """A stay to monitor."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "stay_id": "icu-7",
                    "subject_id": "s-7",
                    "admitted_at": "2026-11-02T08:00:00Z",
                    "bed": "07",
                    "care_unit": "4B",
                    "age_years": 71,
                    "sex": "female",
                    "hospital_admitted_at": None,
                    "discharged_at": None,
                    "synthetic": False,
                }
            ]
        }
    )

    stay_id: Name
    subject_id: Name
    admitted_at: Instant
    bed: Text | None = None
    care_unit: Text | None = None
    age_years: float | None = Field(default=None, ge=0, le=130, allow_inf_nan=False)
    sex: Literal["female", "male"] | None = None
    hospital_admitted_at: Instant | None = None
    discharged_at: Instant | None = None
    synthetic: bool = False


class ObservationIn(Shape):
    """One observation of a stateless request: `variable` is a catalogue name or LOINC code.

    `identifier` is the sender's name for the measurement, `status` one of FHIR's words for what became of it.
    """

    time: Instant
    known_at: Instant | None = None
    variable: Text
    value: float | int | str | bool | None = None
    unit: Text | None = None
    identifier: Text | None = None
    status: Literal["preliminary", "final", "amended", "corrected", "entered-in-error", "cancelled"] = "final"


class StayObservationIn(ObservationIn):
    """One observation of a stored stay."""

    stay_id: Text


_OBSERVATION: dict[str, JsonValue] = {
    "time": "2026-11-02T09:05:00Z",
    "known_at": "2026-11-02T09:05:30Z",
    "variable": "heart_rate",
    "value": 92,
    "unit": "1/min",
    "identifier": "monitor-7-118",
    "status": "final",
}


class ObservationBatch(Shape):
    """Observations of any number of stays; each row is accepted or rejected on its own."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"observations": [{"stay_id": "icu-7", **_OBSERVATION}]}]}
    )

    observations: Annotated[
        list[Any],
        WithJsonSchema({"type": "array", "items": StayObservationIn.model_json_schema()}),
    ]


class ScoreRequest(Shape):
    """A stay and its observations, to be scored without being stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "stay": {
                        "stay_id": "icu-7",
                        "subject_id": "s-7",
                        "admitted_at": "2026-11-02T08:00:00Z",
                    },
                    "observations": [_OBSERVATION],
                    "model": "default",
                }
            ]
        }
    )

    stay: StayIn
    observations: Annotated[
        list[Any],
        WithJsonSchema({"type": "array", "items": ObservationIn.model_json_schema()}),
    ]
    model: Text = "default"


class ChannelIn(Shape):
    """An electrode contact of a live recording; a bad one is named on the board with its reason."""

    name: Name
    bad: bool = False
    reason: Annotated[str, Field(max_length=200), BeforeValidator(storable)] = ""


Microvolt = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Bounds = Annotated[list[Microvolt | None], Field(min_length=1, max_length=60)]


class TraceIn(Shape):
    """A channel's segment as a picture: lowest and highest of each stretch, null where signal is missing.

    `surprise`: how far the segment was from what was forecast of it, 0 foreseen to 2 opposite.
    """

    channel: Name
    low: Bounds
    high: Bounds
    surprise: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)

    @model_validator(mode="after")
    def _low_below_high(self) -> Self:
        if len(self.low) != len(self.high):
            raise ValueError(
                f"{len(self.low)} lowest values and {len(self.high)} highest: as many are needed"
            )
        for low, high in zip(self.low, self.high, strict=True):
            if (low is None) != (high is None) or (low is not None and high is not None and low > high):
                raise ValueError(f"{low} to {high}: both or neither are there, and low <= high")
        return self


class SegmentIn(Shape):
    """A detector's score of the segment that ended at `time`: a value, or none and the reason."""

    time: Instant
    value: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    status: Literal["present", "indeterminate", "absent"]
    reason: Annotated[str, Field(max_length=500), BeforeValidator(storable)] = ""
    channels: Annotated[list[Name], Field(max_length=64)] = []
    signal: Annotated[list[TraceIn], Field(max_length=128)] = []

    @model_validator(mode="after")
    def _value_or_reason(self) -> Self:
        if (self.status == "present") != (self.value is not None):
            raise ValueError("a value stands exactly where the status is present")
        if self.status != "present" and not self.reason:
            raise ValueError(f"a score that is {self.status} needs a reason")
        if len({trace.channel for trace in self.signal}) < len(self.signal):
            raise ValueError("a channel has two pictures in one segment")
        return self


class SegmentScoresIn(Shape):
    """Scores of consecutive segments of one live recording, by one detector.

    `threshold` is the detector's own, from which a segment counts towards an alarm; 0.5 where none is stated.
    A detector of one name and version has one threshold. The operator's policy file comes before it.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "detector": "line-length",
                    "version": "1",
                    "threshold": 0.5,
                    "segment_seconds": 5,
                    "channels": [
                        {"name": "LA1", "bad": False, "reason": ""},
                        {"name": "LA2", "bad": True, "reason": "flat"},
                    ],
                    "segments": [
                        {
                            "time": "2026-11-02T09:05:05Z",
                            "value": 0.81,
                            "status": "present",
                            "channels": ["LA1"],
                            "signal": [
                                {
                                    "channel": "LA1",
                                    "low": [-81.5, None],
                                    "high": [64.0, None],
                                    "surprise": 0.4,
                                }
                            ],
                        }
                    ],
                }
            ]
        }
    )

    detector: Name
    version: Name
    threshold: float | None = Field(default=None, gt=0, le=1, allow_inf_nan=False)
    segment_seconds: float = Field(gt=0, le=60, allow_inf_nan=False)
    channels: Annotated[list[ChannelIn], Field(min_length=1, max_length=1024)]
    segments: Annotated[list[SegmentIn], Field(min_length=1, max_length=1000)]


class AcknowledgeIn(Shape):
    """Who saw the alert, and for how long that may keep it quiet."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "JK", "expires_minutes": 240}]})

    by: Name
    expires_minutes: float = Field(default=240, gt=0, le=24 * 60, allow_inf_nan=False)


class EvaluateIn(Shape):
    """What a clinician judged the alert to be."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "JK", "evaluation": "confirmed"}]})

    by: Name
    evaluation: Literal["confirmed", "refuted", "unsure"]


class ShelveIn(Shape):
    """Why the alert is to be out of the way, and for how long."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"by": "JK", "reason": "in theatre", "minutes": 120}]}
    )

    by: Name
    reason: Comment
    minutes: float = Field(gt=0, le=24 * 60, allow_inf_nan=False)


class NoteIn(Shape):
    """A remark in the alert's history."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "JK", "text": "blood cultures taken"}]})

    by: Name
    text: Comment
