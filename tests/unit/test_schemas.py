"""The JSON shapes: strict about times and text, lenient about one row among many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from service import schemas
from service.schemas import Instant, ObservationBatch, StayIn, StayObservationIn

INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
ROW = {
    "stay_id": "icu-7",
    "time": "2026-11-22T09:05:00Z",
    "variable": "heart_rate",
    "value": 92,
    "unit": "1/min",
}


def test_a_time_comes_out_in_utc() -> None:
    moment = INSTANT.validate_python("2026-11-22T10:00:00.123456+02:00")
    assert moment == datetime(2026, 11, 22, 8, 0, 0, 123456, tzinfo=UTC)
    assert moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-22T10:00:00", "no offset"),
        ("2026-11-22", "no offset"),
        ("yesterday", "Invalid isoformat"),
        (1763800000, "as text"),
        ("0001-01-01T00:00:00+14:00", "year"),
        ("9999-12-31T23:59:59-12:00", "year"),
        (None, "as text"),
    ],
)
def test_a_time_without_meaning_is_refused(text: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        INSTANT.validate_python(text)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "", "x" * 201])
def test_text_that_no_database_takes_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        StayObservationIn.model_validate({**ROW, "stay_id": text})


@pytest.mark.parametrize("value", [92, 92.5, "<0.01", " 7.4 ", True, None, float("nan"), 10**400])
def test_a_value_keeps_its_kind_until_it_is_checked(value: object) -> None:
    read = StayObservationIn.model_validate({**ROW, "value": value}).value
    assert type(read) is type(value)
    assert repr(read) == repr(value)


def test_a_batch_takes_any_rows() -> None:
    rows = [ROW, {}, None, 7, "row", [1], {**ROW, "value": float("nan")}]
    assert len(ObservationBatch.model_validate({"observations": rows}).observations) == len(rows)
    with pytest.raises(ValidationError):
        ObservationBatch.model_validate({"rows": rows})


def test_an_age_must_be_possible() -> None:
    facts = {"stay_id": "a", "subject_id": "s", "admitted_at": "2026-11-22T08:00:00Z"}
    assert StayIn.model_validate({**facts, "age_years": 0}).age_years == 0
    for age in (-1, 131, float("nan")):
        with pytest.raises(ValidationError):
            StayIn.model_validate({**facts, "age_years": age})


def test_every_example_is_valid() -> None:
    shapes = [shape for shape in vars(schemas).values() if isinstance(shape, type)]
    examples = [
        (shape, example)
        for shape in shapes
        if issubclass(shape, schemas.Shape)
        for example in (shape.model_config.get("json_schema_extra") or {}).get("examples", [])  # type: ignore[union-attr]
    ]
    assert len(examples) == 8
    for shape, example in examples:
        shape.model_validate(example)
