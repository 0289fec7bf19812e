"""Simulated iEEG: the same whatever window is read, the seizures where the annotations say, subjects that
differ.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import welch  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput
from models.clinical.recording import Channel, Recording, Samples
from pipelines.simulate.ieeg import IEEGConfig, simulate_ieeg
from pipelines.simulate.ieeg_events import EventRates

QUIET = EventRates(muscle=0.0, movement=0.0, pops=0.0)
BUSY = EventRates(muscle=300.0, movement=300.0, pops=300.0)


CONFIG = IEEGConfig(120.0, rate_hz=128.0, channel_count=6, seizure_onsets=(40.0,), events=BUSY)


def simulated(config: IEEGConfig = CONFIG) -> Recording:
    return simulate_ieeg(3, 5, config).recording


WHOLE = simulated().window(0.0, 120.0)


@settings(max_examples=30)
@given(bounds=st.tuples(st.integers(0, 120 * 128), st.integers(0, 120 * 128)))
def test_any_window_in_any_order_is_a_part_of_the_whole(bounds: tuple[int, int]) -> None:
    first, stop = sorted(bounds)
    read = simulated().samples.read([4, 1], first, stop)
    np.testing.assert_array_equal(read, WHOLE[[4, 1], first:stop])


def test_the_length_changes_nothing_before_it() -> None:
    longer = simulated(replace(CONFIG, seconds=86_400.0))
    np.testing.assert_array_equal(longer.window(0.0, 120.0), WHOLE)
    assert longer.window(80_000.0, 80_001.0).shape == (6, 128)


def test_another_seed_or_subject_is_another_recording() -> None:
    config = IEEGConfig(60.0, rate_hz=128.0, channel_count=6)
    hashes = {
        simulate_ieeg(seed, subject, config).recording.content_hash() for seed in (1, 2) for subject in (1, 2)
    }
    assert len(hashes) == 4


def test_subjects_keep_their_montage_and_zone_in_every_recording() -> None:
    config = IEEGConfig(3600.0, channel_count=40, seizure_onsets=(600.0,))
    first, second, other = (simulate_ieeg(*which, config) for which in ((1, 7), (2, 7), (1, 8)))
    names = [[channel.name for channel in one.recording.channels] for one in (first, second, other)]
    assert names[0] == names[1] != names[2]
    assert first.annotations[0].channels == second.annotations[0].channels != other.annotations[0].channels


def test_it_says_that_it_is_synthetic() -> None:
    recording = simulated()
    assert (recording.synthetic, recording.source) == (True, "simulator")


def line_length(values: Samples) -> float:
    return float(np.abs(np.diff(values, axis=1)).mean())


@pytest.mark.parametrize("subject", range(5))
def test_a_seizure_is_where_its_annotation_says_and_strongest_in_its_zone(subject: int) -> None:
    config = IEEGConfig(400.0, channel_count=24, seizure_onsets=(200.0,), events=QUIET)
    opened = simulate_ieeg(1, subject, config)
    (seizure,) = opened.annotations
    names = [channel.name for channel in opened.recording.channels]
    zone = [names.index(name) for name in seizure.channels]
    before = opened.recording.window(100.0, 200.0)
    during = opened.recording.window(seizure.onset_seconds + 5, seizure.end_seconds - 2)
    after = opened.recording.window(seizure.end_seconds + 2, seizure.end_seconds + 12)
    assert during[zone].std() > 1.5 * before[zone].std()
    assert line_length(during[zone]) > 1.1 * line_length(before[zone])
    assert after.std() < 0.8 * before.std()


def test_the_discharge_slows_down() -> None:
    config = IEEGConfig(400.0, channel_count=8, seizure_onsets=(200.0,), events=QUIET)
    opened = simulate_ieeg(1, 2, config)
    (seizure,) = opened.annotations
    zone = [[channel.name for channel in opened.recording.channels].index(name) for name in seizure.channels]

    def rhythm(start: float) -> float:
        frequency, power = welch(opened.recording.window(start, start + 6.0)[zone], 512.0, nperseg=3072)
        return float(frequency[power.mean(axis=0).argmax()])

    assert rhythm(seizure.onset_seconds + 3.0) > 1.5 * rhythm(seizure.end_seconds - 8.0)


def test_the_background_falls_as_one_over_f_and_hums() -> None:
    recording = simulate_ieeg(
        1, 1, IEEGConfig(120.0, channel_count=16, seizure_onsets=(), events=QUIET)
    ).recording
    frequency, power = welch(recording.window(0.0, 120.0), 512.0, nperseg=4096)
    spectrum = power.mean(axis=0)
    rising = (frequency > 20) & (frequency < 45)
    slope = np.polyfit(np.log(frequency[rising]), np.log(spectrum[rising]), 1)[0]
    assert -2.5 < slope < -1.0
    at_mains = spectrum[np.argmin(abs(frequency - 50))]
    assert at_mains > 5 * spectrum[np.argmin(abs(frequency - 46))]


def test_blocks_meet_without_a_seam() -> None:
    values = simulated(replace(CONFIG, seizure_onsets=(), events=QUIET, seconds=800.0)).window(0.0, 800.0)
    steps = np.abs(np.diff(values, axis=1)).mean(axis=0)
    seams = np.arange(1, 100) * 8 * 128 - 1
    assert steps[seams].mean() < 1.2 * steps.mean()
    variance = values.reshape(6, 100, -1).var(axis=2).mean(axis=0)
    assert variance.std() / variance.mean() < 0.5


def test_artefacts_and_pops_are_there_when_asked_for() -> None:
    calm = simulated(replace(CONFIG, events=QUIET)).window(0.0, 120.0)
    assert np.abs(WHOLE).max() > 400
    assert np.abs(WHOLE - calm).max(axis=1).min() > 50


def test_seizures_are_drawn_apart() -> None:
    opened = simulate_ieeg(2, 3, IEEGConfig(86_400.0, channel_count=4, seizures_per_day=40.0))
    onsets = [one.onset_seconds for one in opened.annotations]
    assert len(onsets) > 10
    assert min(np.diff(onsets)) >= 600.0


def test_any_montage_may_be_given() -> None:
    grid = tuple(
        Channel(f"G{n}", 1000.0, position_mm=(10.0 * (n % 4), 10.0 * (n // 4), 0.0)) for n in range(16)
    )
    recording = simulate_ieeg(1, 1, IEEGConfig(10.0, rate_hz=512.0, channels=grid)).recording
    assert [channel.name for channel in recording.channels] == [channel.name for channel in grid]
    assert recording.rate_hz == 512.0


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"seconds": 0.0}, "length 0.0 s"),
        ({"seconds": 1.0, "rate_hz": -1.0}, r"rate -1\.0 Hz"),
        ({"seconds": 1.0, "channel_count": 0}, r"0 channels; must be in \[1, 512\]"),
        ({"seconds": 1.0, "channels": ()}, "0 channels"),
    ],
)
def test_what_cannot_be_recorded_is_refused(bad: dict[str, float], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        IEEGConfig(**bad)  # type: ignore[arg-type]
