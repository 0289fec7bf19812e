"""A recording: channels by name, a clock with gaps, windows, frames, and copies that are recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.recording import UNKNOWN_START, Channel, Recording, Samples, Stretch

STARTED = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Counting:
    """Channel c's sample i is 1000 c + i."""

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        numbers = np.arange(first, stop, dtype=np.float32)
        return np.stack([1000 * channel + numbers for channel in channels])


def recording(*stretches: Stretch, channels: int = 2, rate_hz: float = 10.0) -> Recording:
    named = tuple(Channel(f"A{number}", rate_hz) for number in range(1, channels + 1))
    return Recording("r", named, stretches, Counting(), STARTED)


GAPPED = recording(Stretch(0.0, 1.0), Stretch(3.0, 1.0))


@pytest.mark.parametrize(
    ("name", "shaft", "contact"),
    [
        ("A1", "A", 1),
        ("A'12", "A'", 12),
        ("IAR03", "IAR", 3),
        ("POL B'1", "B'", 1),
        ("EEG A10-Ref", "A", 10),
        ("SEEG LTG 3", "LTG", 3),
        ("G1_12", "G1", 12),
        ("EEG Fp1-LE", "Fp", 1),
        ("ECG", "", None),
        ("A1-A2", "", None),
        ("12", "", None),
    ],
)
def test_shaft_and_contact_come_from_the_name(name: str, shaft: str, contact: int | None) -> None:
    channel = Channel(name, 512.0)
    assert (channel.shaft, channel.contact) == (shaft, contact)


def test_a_window_is_nan_where_nothing_was_recorded() -> None:
    window = GAPPED.window(0.8, 3.3)
    assert window.shape == (2, 25)
    assert window[0, :2].tolist() == [8, 9]
    assert np.isnan(window[:, 2:22]).all()
    assert window[1, 22:].tolist() == [1010, 1011, 1012]


def test_a_window_reaches_beyond_either_end() -> None:
    window = GAPPED.window(-0.2, 4.2)
    assert np.isnan(window[:, :2]).all()
    assert np.isnan(window[:, -2:]).all()
    assert window[0, 2] == 0
    assert window[0, -3] == 19


def test_no_block_spans_a_gap() -> None:
    blocks = [(start, values[0].tolist()) for start, values in GAPPED.blocks(6)]
    assert blocks == [
        (0.0, [0, 1, 2, 3, 4, 5]),
        (0.6, [6, 7, 8, 9]),
        (3.0, [10, 11, 12, 13, 14, 15]),
        (3.6, [16, 17, 18, 19]),
    ]


def test_frames_carry_the_clock() -> None:
    frames = list(GAPPED.frames(10))
    assert [frame.start for frame in frames] == [STARTED, STARTED + timedelta(seconds=3)]
    assert frames[0].channels == ("A1", "A2")
    unknown = replace(GAPPED, started_at=None)
    assert next(unknown.frames(10)).start == UNKNOWN_START


def test_selected_channels_are_read_in_their_order() -> None:
    chosen = recording(Stretch(0.0, 1.0), channels=4).select([3, 1]).select([1])
    assert [channel.name for channel in chosen.channels] == ["A2"]
    assert chosen.window(0.0, 0.2).tolist() == [[1000, 1001]]


def test_electrodes_leave_out_what_is_bad_or_no_voltage() -> None:
    channels = (Channel("A1", 10.0), Channel("A2", 10.0, bad=True), Channel("SpO2", 10.0, "%"))
    kept = replace(GAPPED, channels=channels).electrodes()
    assert [channel.name for channel in kept.channels] == ["A1"]


def test_frames_hold_voltages_only() -> None:
    mixed = replace(GAPPED, channels=(Channel("A1", 10.0), Channel("SpO2", 10.0, "%")))
    with pytest.raises(InvalidInput, match="SpO2 is not in uV"):
        next(mixed.frames(10))


def test_mixed_rates_have_no_common_window() -> None:
    mixed = replace(GAPPED, channels=(Channel("A1", 10.0), Channel("A2", 20.0)))
    with pytest.raises(InvalidInput, match="10, 20 Hz"):
        mixed.window(0.0, 1.0)
    assert mixed.sample_count(20.0) == 40


def test_a_copy_is_recognised_and_a_change_too() -> None:
    renamed = replace(GAPPED, recording_id="copy", channels=(Channel("X", 10.0), Channel("Y", 10.0)))
    assert renamed.content_hash() == GAPPED.content_hash()
    assert GAPPED.select([1, 0]).content_hash() != GAPPED.content_hash()
    assert recording(Stretch(0.0, 2.1)).content_hash() != GAPPED.content_hash()


def test_samples_of_odd_rates_fit_between_the_stretches() -> None:
    odd = recording(Stretch(0.0, 1.0), Stretch(2.0, 1.0), Stretch(5.0, 1.0), rate_hz=10.5)
    joined = np.concatenate([values[0] for _, values in odd.blocks(4)])
    assert joined.tolist() == list(range(odd.sample_count(10.5)))


@pytest.mark.parametrize(
    ("channels", "named"),
    [
        ((), "0 channels"),
        ((Channel("A1", 10.0), Channel("A1", 10.0)), "'A1'"),
        ((Channel("A1", 0.0),), r"0\.0 Hz"),
        ((Channel("A1", float("nan")),), "nan Hz"),
    ],
)
def test_channels_are_checked(channels: tuple[Channel, ...], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        Recording("r", channels, (Stretch(0.0, 1.0),), Counting())


@pytest.mark.parametrize("second", [Stretch(0.5, 1.0), Stretch(1.0, -1.0), Stretch(float("nan"), 1.0)])
def test_a_clock_never_goes_back(second: Stretch) -> None:
    with pytest.raises(InvalidInput, match="the one before ends at"):
        recording(Stretch(0.0, 1.0), second)


def test_a_recording_may_be_empty() -> None:
    empty = recording()
    assert (empty.seconds, list(empty.blocks(5))) == (0.0, [])
    assert np.isnan(empty.window(0.0, 1.0)).all()
