"""Frames to segments: every sample at its place, pauses as missing segments that take no memory."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from models.clinical.frames import Frame
from models.clinical.segmenter import LONGEST_PAUSE, Segmenter

RATE_HZ, SAMPLES = 10.0, 50
START = datetime(2026, 3, 1, tzinfo=UTC)
SIGNAL = np.random.default_rng(0).normal(size=(3, 400)).astype(np.float32)


def frame(first: int, stop: int, names: str = "abc", *, pause: timedelta = timedelta()) -> Frame:
    values = SIGNAL[["abc".index(name) for name in names], first:stop]
    return Frame(START + pause + timedelta(seconds=first / RATE_HZ), RATE_HZ, tuple(names), values)


def equal(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(found, expected)


def test_a_pause_is_told_in_missing_segments() -> None:
    segmenter = Segmenter(SAMPLES, RATE_HZ, 8)
    assert segmenter.feed(frame(0, 20)) == []
    begun, *empty, broken = segmenter.feed(frame(230, 260))
    equal(begun.values[:, :20], SIGNAL[:, :20])
    assert np.isnan(begun.values[:, 20:]).all()
    assert len(empty) == 3
    assert all(np.isnan(segment.values).all() for segment in empty)
    assert np.isnan(broken.values[:, :30]).all()
    equal(broken.values[:, 30:], SIGNAL[:, 230:250])
    (last,) = segmenter.feed(frame(260, 300))
    equal(last.values, SIGNAL[:, 250:300])
    assert all(
        np.isnan(segment.values).all() for segment in empty
    )  # what came later is not written into them


def test_another_montage_in_and_between_segments() -> None:
    segmenter = Segmenter(SAMPLES, RATE_HZ, 8)
    segmenter.feed(frame(0, 20, "ab"))
    (mixed,) = segmenter.feed(frame(20, 50, "bc"))
    equal(mixed.values[0], SIGNAL[1, :50])
    assert np.isnan(mixed.values[1, :20]).all()
    equal(mixed.values[1, 20:], SIGNAL[2, 20:50])
    missing, whole = segmenter.feed(frame(100, 150, "abc"))
    assert (missing.channels, missing.values.shape) == (("b", "c"), (2, SAMPLES))
    equal(whole.values, SIGNAL[:, 100:150])
    (silent,) = segmenter.advance(START + timedelta(seconds=20))
    assert (silent.channels, silent.values.shape) == (("a", "b", "c"), (3, SAMPLES))


def test_a_pause_takes_no_memory_by_its_length() -> None:
    segmenter, names = Segmenter(2560, 512.0, 64), tuple(f"E{number}" for number in range(64))
    one = np.zeros((64, 2560), np.float32)
    segmenter.feed(Frame(START, 512.0, names, one))
    tracemalloc.start()
    found = segmenter.feed(Frame(START + LONGEST_PAUSE, 512.0, names, one))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 720
    assert peak_bytes < 3 * one.nbytes
