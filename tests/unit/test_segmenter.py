"""Frames to segments: every sample at its place, pauses as missing segments that take no memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame
from models.clinical.segmenter import FURTHEST_AHEAD, JITTER_SECONDS, LONGEST_PAUSE, Segment, Segmenter

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


def drifting(ppm: float, length: int, seconds: float, jitter: float = 0.0) -> Iterator[Frame]:
    """One channel that counts at 100 Hz, of an amplifier whose seconds are longer than ours by `ppm`."""
    random, values = np.random.default_rng(1), np.arange(100 * seconds, dtype=np.float32)[None]
    for first in range(0, values.shape[1], length):
        late = random.uniform(-jitter, jitter) if first else 0.0
        start = START + timedelta(seconds=first / 100.0 * (1.0 + ppm * 1e-6) + late)
        yield Frame(start, 100.0, ("a",), values[:, first : first + length])


def cut(frames: Iterable[Frame]) -> list[Segment]:
    segmenter = Segmenter(500, 100.0, 8)
    return [segment for frame in frames for segment in segmenter.feed(frame)]


def joined(segments: list[Segment]) -> npt.NDArray[np.float32]:
    return np.concatenate([segment.values[0] for segment in segments])


@pytest.mark.parametrize(
    ("length", "jitter"), [(5, 0.0), (100, 0.0), (100, 0.008), (3000, 0.0), (3000, 0.003)]
)
@pytest.mark.parametrize("ppm", [-100.0, -20.0, 20.0, 100.0])
def test_a_clock_that_drifts_loses_nothing(ppm: float, length: int, jitter: float) -> None:
    found = cut(drifting(ppm, length, 1200.0, jitter))  # 120 ms at 100 ppm
    equal(joined(found), np.arange(120_000, dtype=np.float32))
    for count, segment in enumerate(found, 1):
        true = START + timedelta(seconds=5 * count * (1.0 + ppm * 1e-6))
        assert abs(segment.end - true) < timedelta(seconds=JITTER_SECONDS)


@pytest.mark.parametrize("ppm", [-100.0, 100.0])
def test_single_samples_of_a_clock_that_drifts(ppm: float) -> None:
    equal(joined(cut(drifting(ppm, 1, 120.0))), np.arange(12_000, dtype=np.float32))


@pytest.mark.parametrize("ppm", [-100.0, 0.0, 100.0])
def test_however_far_a_clock_has_drifted_what_is_lost_or_sent_twice_is_told(ppm: float) -> None:
    segmenter, found = Segmenter(500, 100.0, 8), list[Segment]()
    for place, one in enumerate(drifting(ppm, 100, 600.0)):
        if place % 37 == 36:
            continue
        found += segmenter.feed(one)
        for again in (one.start, one.end - timedelta(seconds=0.035)):
            with pytest.raises(InvalidInput, match="late, repeated or out of order"):
                segmenter.feed(Frame(again, 100.0, ("a",), one.values))
    expected = np.arange(60_000, dtype=np.float32).reshape(-1, 100)
    expected[36::37] = np.nan
    equal(joined(found), expected.ravel())


@pytest.mark.parametrize("place", [200, 250, 300, 350])
def test_a_gap_beyond_the_tolerance_is_told_while_the_clock_drifts(place: int) -> None:
    sent = list(drifting(100.0, 100, 600.0))
    later = [replace(one, start=one.start + timedelta(seconds=0.04)) for one in sent[place:]]  # four samples
    lost = np.flatnonzero(np.isnan(joined(cut([*sent[:place], *later]))))
    assert len(lost) == pytest.approx(4, abs=1)
    assert lost[0] == 100 * place


def test_what_is_lost_little_by_little_is_no_drift() -> None:
    found = cut(drifting(10_000.0, 100, 600.0))  # a hundredth, six seconds in all
    assert np.isnan(joined(found)).sum() == pytest.approx(600, abs=15)


def test_a_pause_takes_no_memory_by_its_length() -> None:
    segmenter, names = Segmenter(2560, 512.0, 64), tuple(f"E{number}" for number in range(64))
    one = np.zeros((64, 2560), np.float32)
    segmenter.feed(Frame(START, 512.0, names, one))
    tracemalloc.start()
    found = segmenter.feed(Frame(START + LONGEST_PAUSE, 512.0, names, one))
    found += segmenter.feed(Frame(START + LONGEST_PAUSE + timedelta(seconds=5), 512.0, names, one))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 721
    assert peak_bytes < 4 * one.nbytes


def same(found: list[Segment], expected: list[Segment]) -> None:
    assert [(one.end, one.restarted) for one in found] == [(one.end, one.restarted) for one in expected]
    for one, other in zip(found, expected, strict=True):
        equal(one.values, other.values)


def seconds(first: int, stop: int, pause: timedelta = timedelta()) -> list[Frame]:
    """Frames of a second each."""
    return [frame(10 * second, 10 * second + 10, pause=pause) for second in range(first, stop)]


@pytest.mark.parametrize(
    "ahead", [timedelta(days=3650), timedelta(minutes=50), FURTHEST_AHEAD + timedelta(seconds=1)]
)
@pytest.mark.parametrize("wrong", [1, 4])
def test_a_clock_that_is_wrong_for_some_frames_costs_those_frames(ahead: timedelta, wrong: int) -> None:
    plain, troubled = Segmenter(SAMPLES, RATE_HZ, 8), Segmenter(SAMPLES, RATE_HZ, 8)
    expected = [segment for one in seconds(0, 7) + seconds(7 + wrong, 40) for segment in plain.feed(one)]
    found, refused = list[Segment](), list[datetime]()
    for one in seconds(0, 7) + seconds(7, 7 + wrong, ahead) + seconds(7 + wrong, 40):
        found += troubled.feed(one)
        refused += [held.start for held in troubled.refused]
    same(found, expected)
    assert refused == [one.start for one in seconds(7, 7 + wrong, ahead)]


@pytest.mark.parametrize("pause", [timedelta(minutes=2), timedelta(minutes=50), timedelta(hours=5)])
@pytest.mark.parametrize("length", [1, 10, 70])
def test_a_pause_is_believed_once_frames_agree_and_nothing_is_lost(pause: timedelta, length: int) -> None:
    segmenter, found = Segmenter(SAMPLES, RATE_HZ, 8), list[Segment]()
    for first, wait in ((0, timedelta()), (200, pause)):
        for place in range(first, first + 140, length):
            found += segmenter.feed(frame(place, place + length, pause=wait))
            assert segmenter.refused == ()
    assert sum(one.restarted for one in found) == (pause > LONGEST_PAUSE)
    for one, first in zip(found[-2:], (200, 250), strict=True):
        assert one.end == START + pause + timedelta(seconds=(first + SAMPLES) / RATE_HZ)
        equal(one.values, SIGNAL[:, first : first + SAMPLES])
    ends = [one.end for one in found]
    assert ends == sorted(set(ends))


def test_a_first_frame_with_a_wrong_clock_does_not_shut_the_others_out() -> None:
    plain, troubled = Segmenter(SAMPLES, RATE_HZ, 8), Segmenter(SAMPLES, RATE_HZ, 8)
    expected = [segment for one in seconds(1, 21) for segment in plain.feed(one)]
    sent = seconds(0, 1, timedelta(days=3650)) + seconds(1, 21)
    found = [segment for one in sent for segment in troubled.feed(one)]
    assert [one.end for one in found] == [one.end for one in expected]
    equal(found[0].values, SIGNAL[:, 10:60])


def test_a_silence_of_any_length_is_bounded_work_and_ends_on_the_grid() -> None:
    segmenter = Segmenter(SAMPLES, RATE_HZ, 8)
    for one in seconds(0, 12):
        segmenter.feed(one)
    now = START + timedelta(days=3650, seconds=3)
    told = segmenter.advance(now)
    assert len(told) == LONGEST_PAUSE / timedelta(seconds=5)
    assert told[-1].end == now - timedelta(seconds=3)
    assert [one.restarted for one in told] == [True] + [False] * 719
    assert segmenter.advance(now + timedelta(seconds=2))[0].end == now + timedelta(seconds=2)
    (whole,) = segmenter.feed(frame(0, 50, pause=timedelta(days=3650, seconds=5)))
    equal(whole.values, SIGNAL[:, :50])


def test_a_frame_that_is_held_is_believed_when_the_clock_has_reached_it() -> None:
    segmenter = Segmenter(SAMPLES, RATE_HZ, 8)
    segmenter.feed(frame(0, 50))
    assert segmenter.feed(frame(50, 100, pause=timedelta(minutes=10))) == []
    assert len(segmenter.advance(START + timedelta(minutes=5))) == 59
    told = segmenter.advance(START + timedelta(minutes=10, seconds=10))
    assert told[-1].end == START + timedelta(minutes=10, seconds=10)
    equal(told[-1].values, SIGNAL[:, 50:100])
