"""The line-length detector: what it scores, what it refuses to score, and that frames may be cut anyhow."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame
from models.clinical.score import Score, ScoreStatus
from models.line_length import LineLengthConfig, LineLengthDetector, line_length

STARTED = datetime(2024, 1, 1, tzinfo=UTC)
CONFIG = LineLengthConfig(fewest=3, past=10, rate_hz=64.0)
SEGMENT = 320
NAMES = ("A1", "A2", "A3")
RANDOM = np.random.default_rng(0)
CALM = RANDOM.normal(0, 10, (3, 20 * SEGMENT)).astype(np.float32)


def scores(
    values: np.ndarray[tuple[int, int], np.dtype[np.float32]], cuts: list[int] | None = None
) -> list[Score]:
    detector = LineLengthDetector(CONFIG)
    found: list[Score] = []
    edges = [0, *sorted(cuts or []), values.shape[1]]
    for first, stop in pairwise(edges):
        if stop > first:
            start = STARTED + timedelta(seconds=first / 64.0)
            found += detector.feed(Frame(start, 64.0, NAMES, values[:, first:stop]))
    return found


def test_line_length_is_the_mean_step() -> None:
    values = np.array([[0, 1, -1, 0, 2], [5, 5, 5, 5, 5]], dtype=np.float32)
    assert line_length(values).tolist() == [1.5, 0.0]


def test_a_pop_weighs_as_ten_steps() -> None:
    values = np.tile([0.0, 1.0], 50)[None].astype(np.float32)
    popped = values.copy()
    popped[0, 50:] += 5000
    assert line_length(popped)[0] == pytest.approx(line_length(values)[0] * (98 + 10) / 99)


def test_a_missing_sample_leaves_no_length() -> None:
    values = CALM[:, :SEGMENT].copy()
    values[0, 3] = np.nan
    assert np.isnan(line_length(values)).tolist() == [True, False, False]


def test_no_score_before_there_is_a_past() -> None:
    found = scores(CALM)
    assert [score.status for score in found[:4]] == [ScoreStatus.INDETERMINATE] * 3 + [ScoreStatus.PRESENT]
    assert "running median" in found[0].reason
    assert found[0].time == STARTED + timedelta(seconds=5)


def test_a_ratio_of_r_is_one_half_and_calm_is_less() -> None:
    values = CALM.copy()
    values[:, 10 * SEGMENT : 11 * SEGMENT] *= CONFIG.ratio
    found = [score.value for score in scores(values)]
    assert found[10] == pytest.approx(0.5, abs=0.03)
    assert all(value is not None and value < 0.42 for value in (*found[3:10], *found[11:]))


def test_what_rises_in_few_channels_is_seen() -> None:
    values = CALM.copy()
    values[1:, 10 * SEGMENT : 11 * SEGMENT] *= 4
    value = scores(values)[10].value
    assert value is not None
    assert value > 0.6


def test_without_signal_there_is_no_score_and_the_reason() -> None:
    values = CALM.copy()
    values[:2, 10 * SEGMENT : 12 * SEGMENT] = np.nan
    values[:, 12 * SEGMENT : 13 * SEGMENT] = 7.0
    found = scores(values)
    assert [score.status for score in found[10:13]] == [ScoreStatus.INDETERMINATE] * 3
    assert found[10].reason == "2 of 3 channels without signal"
    assert found[12].reason == "3 of 3 channels without signal"
    assert found[13].status is ScoreStatus.PRESENT


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(1, 20 * SEGMENT - 1), max_size=30))
def test_frames_may_be_cut_anyhow(cuts: list[int]) -> None:
    assert scores(CALM, cuts) == scores(CALM)


@settings(max_examples=10)
@given(end=st.integers(1, 20))
def test_a_score_uses_nothing_later(end: int) -> None:
    assert scores(CALM[:, : end * SEGMENT]) == scores(CALM)[:end]


def test_a_stream_survives_a_bad_frame() -> None:
    detector = LineLengthDetector(CONFIG)
    detector.feed(Frame(STARTED, 64.0, NAMES, CALM[:, :SEGMENT]))
    with pytest.raises(InvalidInput, match="out of order"):
        detector.feed(Frame(STARTED, 64.0, NAMES, CALM[:, :SEGMENT]))
    with pytest.raises(InvalidInput, match=r"128\.0 Hz"):
        detector.feed(Frame(STARTED + timedelta(seconds=5), 128.0, NAMES, CALM[:, :SEGMENT]))
    (score,) = detector.feed(
        Frame(STARTED + timedelta(seconds=5), 64.0, NAMES, CALM[:, SEGMENT : 2 * SEGMENT])
    )
    assert score.time == STARTED + timedelta(seconds=10)


def test_a_silent_stream_is_not_calm() -> None:
    detector = LineLengthDetector(CONFIG)
    detector.feed(Frame(STARTED, 64.0, NAMES, CALM))
    late = detector.advance(STARTED + timedelta(seconds=111))
    assert [score.status for score in late] == [ScoreStatus.INDETERMINATE] * 2


def test_another_montage_goes_on_with_the_channels_it_shares() -> None:
    detector = LineLengthDetector(CONFIG)
    detector.feed(Frame(STARTED, 64.0, NAMES, CALM))
    start = STARTED + timedelta(seconds=100)
    (score,) = detector.feed(Frame(start, 64.0, ("A3", "A1"), CALM[:2, :SEGMENT]))
    assert score.status is ScoreStatus.PRESENT
    (score,) = detector.feed(Frame(start + timedelta(seconds=5), 64.0, ("B1", "B2"), CALM[:2, :SEGMENT]))
    assert score.status is ScoreStatus.INDETERMINATE


def test_after_a_long_pause_the_past_is_forgotten() -> None:
    detector = LineLengthDetector(CONFIG)
    detector.feed(Frame(STARTED, 64.0, NAMES, CALM))
    assert detector.feed(Frame(STARTED + timedelta(hours=5), 64.0, NAMES, CALM[:, :SEGMENT])) == []
    (score,) = detector.advance(STARTED + timedelta(hours=5, seconds=5))  # which agrees with its clock
    assert score.status is ScoreStatus.INDETERMINATE


@pytest.mark.parametrize("fewest", [0, 200])
def test_a_past_that_cannot_be(fewest: int) -> None:
    with pytest.raises(InvalidInput, match="fewest"):
        LineLengthConfig(fewest=fewest)
    with pytest.raises(InvalidInput, match="ratio"):
        LineLengthConfig(ratio=0.0)


@pytest.mark.data
def test_real_seizures_travel_further_than_the_same_electrodes_between_them(data_folder: Path) -> None:
    """Bonn sets D and F (interictal) and E and S (ictal), intracranial; Delhi, scalp."""
    with zipfile.ZipFile(data_folder / "ieeg/bonn_delhi_eeg/Bonn_EEG_dataset.zip") as archive:
        names = [name for name in archive.namelist() if name.lower().endswith(".txt")]
        between, during = (
            np.array(
                [archive.read(name).split() for name in names if name.startswith(which)], dtype=np.float32
            )
            for which in ("D_F/", "E_S/")
        )
    assert between.shape == during.shape == (100, 4097)
    assert np.median(line_length(during)) > 3 * np.median(line_length(between))


@pytest.mark.data
def test_a_real_scalp_seizure_is_scored_above_what_came_before_it(data_folder: Path) -> None:
    folder = data_folder / "ieeg/wisc_scalp8_seizure"
    names = ("c3", "c4", "cz", "p3", "p4", "t3", "t4", "t5")
    values = np.array([(folder / name).read_text().split() for name in names], dtype=np.float32)
    detector = LineLengthDetector(LineLengthConfig(rate_hz=100.0))
    found = [
        score.value
        for score in detector.feed(Frame(STARTED, 100.0, names, values))
        if score.value is not None
    ]
    half = len(found) // 2  # the seizure begins half way
    assert np.median(found[half + 2 : half + 12]) > np.quantile(found[: half - 4], 0.95)
