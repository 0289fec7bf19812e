"""A frame is checked where it enters."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def frame(
    values: npt.NDArray[np.float32], channels: tuple[str, ...] = ("A1", "A2"), rate_hz: float = 512.0
) -> Frame:
    return Frame(START, rate_hz, channels, values)


def samples(*shape: int) -> npt.NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


def test_a_frame_ends_when_its_next_sample_is_due() -> None:
    assert frame(samples(2, 256)).end == START + timedelta(seconds=0.5)


def test_times_are_kept_in_utc() -> None:
    zurich = timezone(timedelta(hours=1))
    local = Frame(datetime(2026, 3, 1, 13, tzinfo=zurich), 512.0, ("A1",), samples(1, 4))
    assert local.start == START
    assert local.start.tzinfo is UTC


def test_a_missing_sample_is_nan() -> None:
    values = samples(2, 4)
    values[1, 2] = np.nan
    assert frame(values).samples == 4


@pytest.mark.parametrize(
    ("values", "channels", "rate_hz", "named"),
    [
        (samples(2, 4), ("A1", "A1"), 512.0, "A1"),
        (samples(0, 4), (), 512.0, "0 channels"),
        (samples(2, 0), ("A1", "A2"), 512.0, "at least 1 sample"),
        (samples(3, 4), ("A1", "A2"), 512.0, r"\(3, 4\)"),
        (samples(2), ("A1", "A2"), 512.0, r"\(2,\)"),
        (samples(2, 4), ("A1", "A2"), 0.0, "0.0 Hz"),
        (samples(2, 4), ("A1", "A2"), float("nan"), "nan Hz"),
        (
            np.full((2, 4), np.inf, dtype=np.float32),
            ("A1", "A2"),
            512.0,
            "infinities, the first in channel A1 at ",
        ),
    ],
)
def test_a_frame_that_cannot_be_is_refused(
    values: npt.NDArray[np.float32], channels: tuple[str, ...], rate_hz: float, named: str
) -> None:
    with pytest.raises(InvalidInput, match=named):
        frame(values, channels, rate_hz)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no time zone"):
        Frame(datetime(2026, 3, 1), 512.0, ("A1",), samples(1, 4))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (np.zeros((1, 4)), "float64"),
        (np.zeros((1, 4), np.int16), "int16"),
        ([[0.0] * 4], "list"),
        (None, "None"),
    ],
)
def test_what_is_no_array_in_single_precision_is_refused(values: Any, named: str) -> None:
    with pytest.raises(InvalidInput, match=f"frame values are {named}.*, not an array of float32"):
        Frame(START, 512.0, ("A1",), values)
