"""Whatever way a signal is cut into frames and whatever follows it, its scores are the same bits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame
from models.clinical.score import Score, ScoreStatus
from models.mvpa import MVPAConfig, MVPFormer
from models.mvpa.detector import Detector, DetectorConfig

RATE, SAMPLES = 16.0, 80
START = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = DetectorConfig(context=4, fewest_segments=2, rate_hz=RATE)
torch.manual_seed(0)
MODEL = MVPFormer(MVPAConfig(8, 2, 2, 1, 8, 6, 4, SAMPLES, content_window=1))


def frames(values: npt.NDArray[np.float32], cuts: list[int]) -> list[Frame]:
    edges = sorted({0, values.shape[1], *(cut for cut in cuts if cut < values.shape[1])})
    names = ("A", "B", "C")[: len(values)]
    return [
        Frame(START + timedelta(seconds=first / RATE), RATE, names, values[:, first:stop])
        for first, stop in pairwise(edges)
    ]


@st.composite
def signals(draw: st.DrawFn) -> npt.NDArray[np.float32]:
    """Some seconds of noise with holes."""
    seed, segments = draw(st.integers(0, 99)), draw(st.integers(1, 7))
    values = np.random.default_rng(seed).normal(scale=50.0, size=(3, segments * SAMPLES + 11))
    for _ in range(draw(st.integers(0, 3))):
        channel, first = draw(st.integers(0, 2)), draw(st.integers(0, values.shape[1] - 1))
        values[channel, first : first + draw(st.integers(1, 200))] = np.nan
    return values.astype(np.float32)


def scores(given_frames: list[Frame]) -> list[Score]:
    return list(Detector(MODEL, SETTINGS).run(given_frames))


@settings(max_examples=25)
@given(signals(), st.lists(st.integers(1, 600), max_size=12))
def test_cuts_do_not_matter(values: npt.NDArray[np.float32], cuts: list[int]) -> None:
    assert scores(frames(values, cuts)) == scores(frames(values, []))


Piece = tuple[float, tuple[str, ...], int]  # seconds of pause before it, channels, samples


@st.composite
def pieces(draw: st.DrawFn) -> Piece:
    """A stretch without a pause, from one sample to six segments, of channels in any order."""
    pause = draw(st.sampled_from([0.0, 0.25, 3.0, 35.0, 61.0, 3601.0]))
    channels = draw(st.permutations(["A", "B", "C", "D"]))[: draw(st.integers(1, 4))]
    return pause, tuple(channels), draw(st.integers(1, 6 * SAMPLES))


@settings(max_examples=40)
@given(st.lists(pieces(), min_size=2, max_size=5), st.lists(st.integers(1, 400), max_size=8))
@example([(0.0, ("A",), 90), (61.0, ("A",), 400), (61.0, ("A",), 400)], [])
def test_cuts_do_not_matter_across_pauses_and_montages(given_pieces: list[Piece], cuts: list[int]) -> None:
    random, start = np.random.default_rng(len(given_pieces)), START
    whole, cut = list[Frame](), list[Frame]()
    for pause, channels, samples in given_pieces:
        start += timedelta(seconds=pause)
        values = random.normal(scale=50.0, size=(len(channels), samples)).astype(np.float32)
        whole.append(Frame(start, RATE, channels, values))
        edges = sorted({0, samples, *(at for at in (1, *cuts) if at < samples)})
        cut += [
            Frame(start + timedelta(seconds=first / RATE), RATE, channels, values[:, first:stop])
            for first, stop in pairwise(edges)
        ]
        start += timedelta(seconds=samples / RATE)
    assert scores(cut) == scores(whole)


@settings(max_examples=25)
@given(signals(), st.integers(1, 600))
def test_what_follows_does_not_matter(values: npt.NDArray[np.float32], length: int) -> None:
    before = scores(frames(values[:, :length], []))
    assert scores(frames(values, []))[: len(before)] == before


@settings(max_examples=25)
@given(signals(), st.lists(st.integers(1, 600), min_size=2, max_size=8), st.data())
def test_lost_and_repeated_frames_never_make_a_score_of_nothing(
    values: npt.NDArray[np.float32], cuts: list[int], data: st.DataObject
) -> None:
    sent = frames(values, cuts)
    lost = data.draw(st.sets(st.integers(0, len(sent) - 1), max_size=len(sent) - 1))
    detector, found = Detector(MODEL, SETTINGS), []
    for index, frame in enumerate(sent):
        if index in lost:
            continue
        found += detector.feed(frame)
        try:
            found += detector.feed(frame)  # the same again
        except InvalidInput:
            continue
    for score in found:
        assert (score.value is None) == (score.status is not ScoreStatus.PRESENT)
        assert score.value is not None or score.reason
    assert [one.time for one in found] == sorted({one.time for one in found})
