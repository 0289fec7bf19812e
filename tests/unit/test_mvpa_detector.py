"""The detector: a score a segment, the same however frames are cut, and never calm without signal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame
from models.clinical.score import Score, ScoreStatus
from models.mvpa import MVPAConfig, MVPFormer
from models.mvpa.context import Context, Entered, classify_together
from models.mvpa.detector import Detector, DetectorConfig
from models.seizure import SegmentScore

RATE, SAMPLES, CHANNELS = 16.0, 80, ("A1", "A2", "B1", "B2")
CONFIG = MVPAConfig(24, 2, 6, 2, 40, 8, 6, SAMPLES, content_window=2)
START = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = DetectorConfig(context=5, fewest_segments=2, rate_hz=RATE)


@pytest.fixture(scope="module")
def model() -> MVPFormer:
    torch.manual_seed(0)
    return MVPFormer(CONFIG)


@pytest.fixture
def detector(model: MVPFormer) -> Detector:
    return Detector(model, SETTINGS)


def signal(segments: int, channels: int = 4, seed: int = 0) -> npt.NDArray[np.float32]:
    draws = np.random.default_rng(seed).normal(scale=50.0, size=(channels, segments * SAMPLES))
    return draws.astype(np.float32)


def frames(values: npt.NDArray[np.float32], length: int, first: int = 0) -> Iterator[Frame]:
    """The signal in frames of `length` samples, its first sample `first` samples after the start."""
    for at in range(0, values.shape[1], length):
        start = START + timedelta(seconds=(first + at) / RATE)
        yield Frame(start, RATE, CHANNELS[: len(values)], values[:, at : at + length])


def after(segments: float) -> datetime:
    return START + timedelta(seconds=segments * SAMPLES / RATE)


def statuses(scores: list[Score]) -> list[str]:
    return [one.status.value for one in scores]


def test_a_score_at_the_end_of_each_segment_once_there_is_a_past(detector: Detector) -> None:
    scores = list(detector.run(frames(signal(7), 33)))
    assert [one.time for one in scores] == [after(count) for count in range(1, 8)]
    assert statuses(scores) == ["indeterminate"] + ["present"] * 6
    assert scores[0].reason == "1 of the 2 segments that a score needs"


def test_the_score_is_the_networks_on_the_last_segments(model: MVPFormer, detector: Detector) -> None:
    values = signal(7)
    *_, last = detector.run(frames(values, 80))
    segments = torch.from_numpy(values).view(4, 7, SAMPLES).transpose(0, 1)[None, -5:]
    expected = torch.softmax(model.classify(segments), dim=-1)[0, 1].item()
    assert last.value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("length", [1, 7, 80, 200, 700])
def test_frames_of_any_length_give_the_same_bits(model: MVPFormer, length: int) -> None:
    values = signal(7)
    values[1, 100:140] = np.nan
    values[:, 330:340] = np.nan
    expected = list(Detector(model, SETTINGS).run(frames(values, 400)))
    assert list(Detector(model, SETTINGS).run(frames(values, length))) == expected


def test_a_score_stays_whatever_follows(model: MVPFormer) -> None:
    values = signal(7)
    other = values.copy()
    other[:, 5 * SAMPLES :] *= -3.0
    first, second = (list(Detector(model, SETTINGS).run(frames(one, 50))) for one in (values, other))
    assert first[:5] == second[:5]
    assert first[5] != second[5]


def test_segments_that_nobody_sent_are_indeterminate(detector: Detector) -> None:
    values = signal(10)
    before = [score for frame in frames(values[:, : 3 * SAMPLES], 40) for score in detector.feed(frame)]
    later = list(frames(values[:, 6 * SAMPLES :], 40, first=6 * SAMPLES))
    following = [score for frame in later for score in detector.feed(frame)]
    assert statuses(before + following) == [
        "indeterminate",
        *["present"] * 2,
        *["indeterminate"] * 3,
        *["present"] * 4,
    ]
    assert following[0].reason == "4 of 4 channels without signal: A1, A2, B1, B2"
    assert [one.time for one in following] == [after(count) for count in range(4, 11)]


def test_a_silent_stream_is_told_by_the_clock(detector: Detector) -> None:
    list(detector.run(frames(signal(3), 40)))
    assert statuses(detector.advance(after(5.5))) == ["indeterminate"] * 2
    assert detector.advance(after(5.5)) == []


def test_few_bad_channels_are_left_out_and_many_are_no_score(detector: Detector) -> None:
    values = signal(6)
    values[0, 3 * SAMPLES : 5 * SAMPLES] = 0.0  # unplugged
    values[1:3, 4 * SAMPLES + 3] = np.nan
    scores = list(detector.run(frames(values, 80)))
    assert statuses(scores) == ["indeterminate", *["present"] * 3, "indeterminate", "present"]
    assert scores[4].reason == "3 of 4 channels without signal: A1, A2, B1"


def test_what_a_missing_channel_held_does_not_matter(model: MVPFormer) -> None:
    first, second = signal(6), signal(6)
    second[2, 250:280] *= 9.0
    first[2, 260], second[2, 270] = np.nan, np.nan
    runs = [list(Detector(model, SETTINGS).run(frames(one, 80))) for one in (first, second)]
    assert runs[0] == runs[1]


def test_the_montage_changes_without_a_restart(detector: Detector) -> None:
    values = signal(8)
    names = ("B1", "A1", "C1")  # A2 and B2 leave, C1 comes
    scores = list(detector.run(frames(values[:, : 4 * SAMPLES], 80)))
    changed = Frame(after(4), RATE, names, values[1:, 4 * SAMPLES :])
    scores += detector.feed(changed)
    assert statuses(scores) == ["indeterminate"] + ["present"] * 7


def test_a_new_montage_has_no_score_until_its_own_channels_have_a_past(detector: Detector) -> None:
    values = signal(8)
    list(detector.run(frames(values[:, : 4 * SAMPLES], 80)))
    scores = detector.feed(Frame(after(4), RATE, ("X", "Y", "A1"), values[:3, 4 * SAMPLES :]))
    assert statuses(scores) == ["indeterminate"] + ["present"] * 3
    assert scores[0].reason == "1 of the 2 segments that a score needs"


def test_a_channel_that_comes_inside_a_segment_begins_with_the_next(detector: Detector) -> None:
    values = signal(5)
    list(detector.run(frames(values[:1, : 2 * SAMPLES + 40], 40)))
    rest = Frame(after(2.5), RATE, CHANNELS, values[:, 2 * SAMPLES + 40 :])
    scores = detector.feed(rest)
    assert statuses(scores) == ["indeterminate", "indeterminate", "present"]
    assert scores[0].reason.startswith("3 of 4 channels")
    assert scores[1].reason == "1 of the 2 segments that a score needs"  # of A1 alone there are four


@pytest.mark.parametrize(
    ("start", "rate_hz", "channels", "named"),
    [
        (after(1), RATE, CHANNELS, "late, repeated or out of order"),
        (after(3) - timedelta(seconds=1), RATE, CHANNELS, "late, repeated or out of order"),
        (after(3), 32.0, CHANNELS, "32.0 Hz, this stream is read at 16.0 Hz"),
        (after(3), RATE, tuple("abcdefg"), "7 channels, at most 6"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_and_the_stream_goes_on(
    model: MVPFormer, start: datetime, rate_hz: float, channels: tuple[str, ...], named: str
) -> None:
    values, live = signal(6), Detector(model, SETTINGS)
    scores = list(live.run(frames(values[:, : 3 * SAMPLES], 40)))
    with pytest.raises(InvalidInput, match=named):
        live.feed(Frame(start, rate_hz, channels, np.ones((len(channels), 40), dtype=np.float32)))
    scores += live.run(frames(values[:, 3 * SAMPLES :], 40, first=3 * SAMPLES))
    assert scores == list(Detector(model, SETTINGS).run(frames(values, 40)))


def test_a_clock_that_is_off_by_milliseconds_leaves_no_gap(model: MVPFormer) -> None:
    values, wander = signal(5), np.random.default_rng(3)
    off = [
        Frame(one.start + timedelta(seconds=wander.uniform(-0.019, 0.019)), RATE, one.channels, one.values)
        for one in list(frames(values, 20))[1:]
    ]
    first = next(iter(frames(values, 20)))
    assert list(Detector(model, SETTINGS).run([first, *off])) == list(
        Detector(model, SETTINGS).run(frames(values, 20))
    )


def test_a_clock_set_far_forward_starts_anew(detector: Detector) -> None:
    list(detector.run(frames(signal(4), 80)))
    years = 10 * 365 * 24 * 3600 * int(RATE)
    scores = list(detector.run(frames(signal(3), 80, first=years)))
    assert statuses(scores) == ["indeterminate", "present", "present"]


def test_a_network_that_gives_no_number_is_absent(detector: Detector, model: MVPFormer) -> None:
    spoiled = MVPFormer(CONFIG)
    assert spoiled.classifier is not None
    torch.nn.init.constant_(spoiled.classifier.weight, torch.nan)
    scores = list(Detector(spoiled, SETTINGS).run(frames(signal(3), 80)))
    assert [one.status for one in scores[1:]] == [ScoreStatus.ABSENT] * 2
    assert scores[1].reason == "the network gave no number"


def test_a_detector_that_cannot_be_is_refused(model: MVPFormer) -> None:
    with pytest.raises(InvalidInput, match="context of 9 segments; this network takes 8"):
        Detector(model, DetectorConfig(context=9))
    with pytest.raises(InvalidInput, match="fewest_segments"):
        DetectorConfig(context=3, fewest_segments=4)
    with pytest.raises(InvalidInput, match="fewest_share"):
        DetectorConfig(fewest_share=0.0)
    generator = MVPFormer(CONFIG)
    generator.classifier = None
    with pytest.raises(InvalidInput, match="classifier head"):
        Detector(generator)


def test_streams_of_one_size_go_through_the_network_together(model: MVPFormer) -> None:
    torch.manual_seed(1)
    layouts = []
    for channels, segments in ((4, 3), (2, 3), (4, 3), (4, 2)):
        context = Context(5)
        for _ in range(segments):
            present = torch.rand(channels) < 0.8
            present[0] = True
            tokens = model.enter(torch.randn(1, 1, channels, 24))[0, 0].detach() * present[:, None]
            context.append(Entered(CHANNELS[:channels], tokens, present))
        layouts.append(context.layout())
    with torch.no_grad():
        together = classify_together(model, layouts)
        alone = torch.cat([model.classify_entered(one.tokens, one.missing) for one in layouts])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_an_empty_context_has_no_layout() -> None:
    with pytest.raises(InvalidInput, match="0 segments"):
        Context(3).layout()
    with pytest.raises(InvalidInput, match="at least 1"):
        Context(0)


def test_surprise_is_against_the_forecast_made_before_the_segment_came(model: MVPFormer) -> None:
    values = signal(7)
    values[3, 6 * SAMPLES + 5] = np.nan  # of a channel that lacks a sample nothing is told
    *_, last = Detector(model, SETTINGS).run(frames(values, 80))
    assert isinstance(last, SegmentScore)
    assert [name for name, _ in last.surprise] == ["A1", "A2", "B1"]
    segments = torch.from_numpy(values).view(4, 7, SAMPLES).transpose(0, 1)[None]
    expected = model.predict_next(segments[:, 1:6])[0, -1]
    came = model.embed(segments[:, 6:, :3])[0, 0]
    wanted = 1.0 - torch.nn.functional.cosine_similarity(expected[:3], came, dim=-1)
    np.testing.assert_allclose([far for _, far in last.surprise], wanted.detach(), atol=1e-5)


def test_a_network_without_a_generative_head_scores_the_same_and_tells_no_surprise(model: MVPFormer) -> None:
    plain = MVPFormer(CONFIG)
    plain.load_state_dict(model.state_dict())
    plain.generative = None
    told, silent = (list(Detector(one, SETTINGS).run(frames(signal(7), 80))) for one in (model, plain))
    assert [one.value for one in told] == [one.value for one in silent]
    assert [bool(one.surprise) for one in told if isinstance(one, SegmentScore)] == [False] + [True] * 5
    assert not any(one.surprise for one in silent if isinstance(one, SegmentScore))


def test_after_a_pause_there_is_no_forecast_to_be_surprised_by(model: MVPFormer) -> None:
    gone = Detector(model, DetectorConfig(context=5, fewest_segments=1, rate_hz=RATE))
    before = list(gone.run(frames(signal(4), 80)))
    later = list(gone.run(frames(signal(3), 80, first=1000 * SAMPLES)))
    told = [one.surprise for one in (*before, *later) if isinstance(one, SegmentScore)]
    assert [bool(one) for one in told] == [False, True, True, True, False, True, True]


class Elsewhere(MVPFormer):
    """A network that notes where what it is given lies."""

    def embed(self, segments: Tensor, missing: Tensor | None = None) -> Tensor:
        assert missing is not None
        self.given = {segments.device.type, missing.device.type}
        return super().embed(segments, missing)


def test_segments_go_where_the_weights_are() -> None:
    elsewhere = Elsewhere(CONFIG).to("meta")
    list(Detector(elsewhere, SETTINGS).run(frames(signal(1), 80)))
    assert elsewhere.given == {"meta"}
