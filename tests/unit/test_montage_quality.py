"""Montages, and which channels are worth reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame
from models.clinical.recording import Channel
from pipelines.ingest.recordings.arrays import recording_of
from pipelines.ingest.recordings.montage import Bipolar, CommonReference, derived, derived_frame, shaft_order
from pipelines.ingest.recordings.quality import best_channels, channel_quality, recording_quality
from pipelines.ingest.recordings.readers import open_recording

RANDOM = np.random.default_rng(0)
NAMES = ("B2", "A10", "ECG", "A2", "B1", "A1")
CHANNELS = tuple(Channel(name, 512.0) for name in NAMES)
VALUES = RANDOM.normal(0, 50, (6, 5120)).astype(np.float32)
RECORDING = recording_of(VALUES, 512.0, NAMES)


def test_channels_in_the_order_of_shaft_and_contact() -> None:
    assert [NAMES[position] for position in shaft_order(CHANNELS)] == ["A1", "A2", "A10", "B1", "B2", "ECG"]


def test_a_common_reference_leaves_bad_channels_out() -> None:
    channels = (*CHANNELS[:-1], replace(CHANNELS[-1], bad=True))
    good = VALUES[:-1].astype(np.float64)
    average, median = (
        CommonReference(channels).apply(VALUES),
        CommonReference(channels, "median").apply(VALUES),
    )
    np.testing.assert_allclose(average, VALUES - good.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(median, VALUES - np.median(good, axis=0), atol=1e-4)


def test_a_missing_sample_does_not_enter_the_reference() -> None:
    values = VALUES[:, :3].copy()
    values[0, 1] = np.nan
    values[:, 2] = np.nan
    got = CommonReference(CHANNELS).apply(values)
    assert np.isnan(got[:, 2]).all()
    assert np.isnan(got[0, 1])
    np.testing.assert_allclose(got[1:, 1], values[1:, 1] - values[1:, 1].mean(), atol=1e-4)


def test_bipolar_pairs_are_neighbours_on_a_shaft() -> None:
    bipolar = Bipolar(CHANNELS)
    assert [channel.name for channel in bipolar.channels] == ["A1-A2", "B1-B2"]
    np.testing.assert_array_equal(bipolar.apply(VALUES), VALUES[[5, 4]] - VALUES[[3, 0]])
    without = Bipolar((replace(CHANNELS[0], bad=True), *CHANNELS[1:]))
    assert [channel.name for channel in without.channels] == ["A1-A2"]


def test_a_recording_and_a_frame_are_derived_alike() -> None:
    bipolar = Bipolar(CHANNELS)
    window = derived(RECORDING, bipolar).select([1]).window(1.0, 2.0)
    np.testing.assert_array_equal(window, bipolar.apply(VALUES[:, 512:1024])[1:])
    frame = derived_frame(Frame(datetime(2024, 1, 1, tzinfo=UTC), 512.0, NAMES, VALUES), bipolar)
    assert frame.channels == ("A1-A2", "B1-B2")
    np.testing.assert_array_equal(frame.values, bipolar.apply(VALUES))


def test_a_montage_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="all of 1 channels are bad"):
        CommonReference((Channel("A1", 512.0, bad=True),))
    with pytest.raises(InvalidInput, match="no two of 2 channels"):
        Bipolar((Channel("A1", 512.0), Channel("A3", 512.0)))


def spoiled() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Good, flat, clipped, hum, mostly missing, all missing."""
    values = RANDOM.normal(0, 50, (6, 10_240)).astype(np.float32)
    values[1] = 3.0
    values[2] = np.clip(values[2], -60, 60)
    values[3] += 400 * np.sin(2 * np.pi * 50 * np.arange(10_240) / 512).astype(np.float32)
    values[4, :6000] = np.nan
    values[5] = np.nan
    return values


def test_what_is_wrong_with_a_channel_is_named() -> None:
    found = channel_quality(["good", "flat", "clipped", "hum", "gone", "never"], spoiled(), 512.0)
    assert [quality.unfit for quality in found] == [
        "",
        "flat and clipped",
        "clipped",
        "line",
        "missing",
        "missing",
    ]
    assert channel_quality(["hum"], spoiled()[3:4], 512.0, line_hz=60.0)[0].unfit == ""


def test_worth_is_variance_over_one_plus_kurtosis() -> None:
    (quality,) = channel_quality(["A1"], VALUES[:1], 512.0)
    row = VALUES[0].astype(np.float64)
    kurtosis = ((row - row.mean()) ** 4).mean() / row.var() ** 2
    assert quality.worth == pytest.approx(row.var() / (1 + kurtosis))


def test_the_best_channels_keep_their_order() -> None:
    values = VALUES * np.array([1, 5, 2, 4, 3, 0], dtype=np.float32)[:, None]
    qualities = channel_quality(NAMES, values, 512.0)
    assert best_channels(qualities, 3) == [1, 3, 4]
    assert best_channels(qualities, 128) == [0, 1, 2, 3, 4]


def test_no_fit_channel_is_an_error_that_says_why() -> None:
    qualities = channel_quality(["A1"], np.zeros((1, 512), np.float32), 512.0)
    with pytest.raises(InvalidInput, match="none of 1 channels is fit: flat and clipped"):
        best_channels(qualities, 4)
    with pytest.raises(InvalidInput, match="0 channels asked for"):
        best_channels(qualities, 0)


def test_a_recording_shorter_than_a_window_has_a_quality() -> None:
    assert [quality.unfit for quality in recording_quality(RECORDING)] == [""] * 6


@pytest.mark.data
def test_real_electrodes_are_fit(data_folder: Path) -> None:
    folder = data_folder / "ieeg"
    seizure = open_recording(folder / "ezfragility_pt01_ecog/pt01_seizure1_84ch_1000Hz_-1to2s.npz").recording
    qualities = recording_quality(seizure, line_hz=60.0)
    assert len(best_channels(qualities, 32)) == 32
    assert sum(bool(quality.unfit) for quality in qualities) < 10
    lead = np.array([(folder / "wisc_scalp8_seizure/c3").read_text().split()], dtype=np.float32)
    assert channel_quality(["c3"], lead, 100.0, line_hz=60.0)[0].unfit == ""
