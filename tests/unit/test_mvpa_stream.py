"""The queue before the detector: full means full, order is kept, a bad frame is told and survived."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame
from models.clinical.score import Score
from models.clinical.segmenter import Refused
from models.mvpa import MVPAConfig, MVPFormer
from models.mvpa.detector import Detector, DetectorConfig
from models.mvpa.stream import DetectorStream

RATE, SAMPLES = 16.0, 80
START = datetime(2026, 3, 1, tzinfo=UTC)


def detector() -> Detector:
    torch.manual_seed(0)
    model = MVPFormer(MVPAConfig(8, 1, 2, 1, 8, 8, 4, SAMPLES))
    return Detector(model, DetectorConfig(context=4, fewest_segments=1, rate_hz=RATE))


def frames(count: int) -> list[Frame]:
    draws = np.random.default_rng(0).normal(size=(count, 2, 40)).astype(np.float32)
    return [
        Frame(START + timedelta(seconds=2.5 * index), RATE, ("A", "B"), values)
        for index, values in enumerate(draws)
    ]


def send(stream: DetectorStream, sent: list[Frame]) -> None:
    for one in sent:
        stream.put(one)
    stream.finish()


def test_live_equals_offline() -> None:
    sent = frames(20)
    with DetectorStream(detector()) as stream:
        sender = threading.Thread(target=send, args=(stream, sent))
        sender.start()
        live = list(stream.outcomes())
        sender.join()
    assert live == list(detector().run(sent))
    assert stream.slowest_seconds > 0.0


def test_a_refused_frame_is_told_in_its_place_and_the_stream_goes_on() -> None:
    first, second, third, fourth = frames(4)
    with DetectorStream(detector()) as stream:
        for one in (first, second, first, third, fourth):
            stream.put(one)
        stream.finish()
        told = list(stream.outcomes())
    assert [isinstance(one, Score) for one in told] == [True, False, True]
    assert isinstance(told[1], Refused)
    assert told[1].start == START
    assert "late, repeated or out of order" in told[1].reason


def test_when_nobody_reads_the_sender_is_told_that_there_is_no_room() -> None:
    sent = frames(40)
    with DetectorStream(detector(), frames=2, outcomes=2) as stream:
        for one in sent[:8]:  # two outcomes wait, one more is in hand: six frames are done, two wait
            stream.put(one)
        assert not stream.offer(sent[8])
        sender = threading.Thread(target=send, args=(stream, sent[8:]))
        sender.start()
        outcomes = list(stream.outcomes())
        sender.join()
    assert outcomes == list(detector().run(sent))


def test_a_closed_stream_takes_nothing() -> None:
    stream = DetectorStream(detector())
    stream.close()
    with pytest.raises(InvalidInput, match="closed"):
        stream.put(frames(1)[0])
    assert list(stream.outcomes()) == []


def test_a_queue_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 1"):
        DetectorStream(detector(), frames=0)


class Failing(MVPFormer):
    """A network that fails once, in the pass that is asked for."""

    fails: str = ""

    def embed(self, segments: Tensor, missing: Tensor | None = None) -> Tensor:
        self._fail("embed")
        return super().embed(segments, missing)

    def classify_last(self, last: Tensor, missing: Tensor | None = None) -> Tensor:
        self._fail("classify")
        return super().classify_last(last, missing)

    def _fail(self, step: str) -> None:
        if self.fails == step:
            self.fails = ""
            raise KeyError("out of luck")


@pytest.mark.parametrize("step", ["embed", "classify"])
def test_whatever_the_network_raises_the_segment_is_absent_and_the_stream_goes_on(step: str) -> None:
    torch.manual_seed(0)
    failing = Failing(MVPAConfig(8, 1, 2, 1, 8, 8, 4, SAMPLES))
    scoring = Detector(failing, DetectorConfig(context=4, fewest_segments=1, rate_hz=RATE))
    sent = frames(20)
    with DetectorStream(scoring) as stream:
        for one in sent[:4]:
            stream.put(one)
        outcomes = stream.outcomes()
        told = [next(outcomes), next(outcomes)]
        failing.fails = step
        sender = threading.Thread(target=send, args=(stream, sent[4:]))
        sender.start()
        told += outcomes
        sender.join()
    scores = [one for one in told if isinstance(one, Score)]
    assert [one.status.value for one in scores] == ["present"] * 2 + ["absent"] + ["present"] * 7
    assert scores[2].reason == "the network failed: 'out of luck'"
    expected = list(detector().run(sent))
    assert scores[:2] == expected[:2]
    assert scores[7:] == expected[7:]  # the failed segment has left the context of 4, and the forecast


def test_nothing_is_taken_after_the_end() -> None:
    with DetectorStream(detector()) as stream:
        stream.finish()
        for taking in (stream.put, stream.offer):
            with pytest.raises(InvalidInput, match="finished"):
                taking(frames(1)[0])
        with pytest.raises(InvalidInput, match="finished"):
            stream.finish()
        assert list(stream.outcomes()) == []


def test_a_frame_with_a_wrong_clock_is_told_and_the_stream_goes_on() -> None:
    sent = frames(8)
    wild = replace(sent[4], start=sent[4].start + timedelta(days=3650))
    with DetectorStream(detector()) as stream:
        for one in [*sent[:4], wild, *sent[4:], wild]:
            stream.put(one)
        stream.finish()
        told = list(stream.outcomes())
    assert [one for one in told if isinstance(one, Score)] == list(detector().run(sent))
    refused = [one for one in told if isinstance(one, Refused)]
    assert [one.start for one in refused] == [wild.start] * 2
    assert "a clock alone may be 60 s ahead" in refused[0].reason
