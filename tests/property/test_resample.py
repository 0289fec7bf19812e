"""Another rate: equal to scipy's, and the same bits however the signal is cut."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput
from models.clinical.recording import Channel, Recording, Stretch
from pipelines.ingest.recordings.arrays import ArraySamples
from pipelines.ingest.recordings.resample import (
    StreamingResampler,
    fraction_near,
    polyphase,
    resample,
    resampled,
)

RATES = st.sampled_from(
    [(512.0, 512.0), (1000.0, 512.0), (256.0, 512.0), (2000.0, 512.0), (500.0, 512.0), (3.0, 2.0)]
)
VALUES = np.random.default_rng(0).normal(0, 50, (2, 3000)).astype(np.float32)
quick = settings(max_examples=40)


@quick
@given(rates=RATES, length=st.integers(1, 3000))
def test_it_is_scipy_s(rates: tuple[float, float], length: int) -> None:
    change = polyphase(*rates)
    theirs = resample_poly(
        VALUES[:, :length].astype(np.float64), change.up, change.down, axis=1, padtype="edge"
    )
    np.testing.assert_allclose(resample(VALUES[:, :length], *rates), theirs, rtol=1e-5, atol=1e-4)


@quick
@given(rates=RATES, cuts=st.lists(st.integers(0, 3000), max_size=6), length=st.integers(1, 3000))
def test_a_stream_in_any_blocks_is_the_whole(
    rates: tuple[float, float], cuts: list[int], length: int
) -> None:
    values = VALUES[:, :length]
    stream = StreamingResampler(*rates)
    edges = [0, *sorted(min(cut, length) for cut in cuts), length]
    parts = [stream.push(values[:, start:stop]) for start, stop in pairwise(edges)]
    joined = np.concatenate([*parts, stream.finish()], axis=1)
    np.testing.assert_array_equal(joined, resample(values, *rates))


@quick
@given(rates=RATES, bounds=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_any_window_of_a_recording_is_the_whole_s(
    rates: tuple[float, float], bounds: tuple[float, float]
) -> None:
    from_hz, to_hz = rates
    channels = (Channel("A1", from_hz), Channel("A2", from_hz))
    recording = Recording("r", channels, (Stretch(0.0, 3000 / from_hz),), ArraySamples(VALUES))
    changed = resampled(recording, to_hz)
    count = changed.sample_count(to_hz)
    first, stop = sorted(round(bound * count) for bound in bounds)
    whole = resample(VALUES, from_hz, to_hz)
    np.testing.assert_array_equal(changed.samples.read([1, 0], first, stop), whole[[1, 0], first:stop])


def test_gaps_are_not_filtered_across_and_rates_meet() -> None:
    channels = (Channel("A1", 1000.0), Channel("A2", 1000.0))
    stretches = (Stretch(0.0, 1.0), Stretch(9.0, 2.0))
    changed = resampled(Recording("r", channels, stretches, ArraySamples(VALUES)), 512.0)
    assert changed.stretches == stretches
    np.testing.assert_array_equal(changed.window(0.0, 1.0), resample(VALUES[:, :1000], 1000.0, 512.0))
    np.testing.assert_array_equal(changed.window(9.0, 11.0), resample(VALUES[:, 1000:], 1000.0, 512.0))
    assert np.isnan(changed.window(1.0, 9.0)).all()


def test_a_stretch_too_short_for_a_sample_is_missing() -> None:
    recording = Recording(
        "r", (Channel("A1", 1.0),), (Stretch(0.0, 0.25), Stretch(1.0, 4.0)), ArraySamples(VALUES)
    )
    changed = resampled(recording, 4.0).window(0.0, 5.0)[0]
    assert np.isnan(changed[:4]).all()
    assert not np.isnan(changed[4:]).any()


def test_what_is_above_the_new_nyquist_frequency_is_gone() -> None:
    time = np.arange(20_000) / 2000.0
    kept, gone = np.sin(2 * np.pi * 40 * time), np.sin(2 * np.pi * 400 * time)
    changed = resample(np.stack([kept, gone]), 2000.0, 512.0)[:, 200:-200]
    assert changed[0].std() == pytest.approx(np.sqrt(0.5), rel=0.01)
    assert changed[1].std() < 0.01


def test_a_missing_sample_is_missing_only_where_it_reaches() -> None:
    values = VALUES.copy()
    values[0, 1500] = np.nan
    changed = resample(values, 1000.0, 512.0)
    missing = np.flatnonzero(np.isnan(changed[0])) / 512.0
    assert 0 < len(missing) < 50
    assert abs(missing - 1.5).max() < 0.03
    assert not np.isnan(changed[1]).any()


def test_the_delay_is_what_is_held_back() -> None:
    stream = StreamingResampler(1000.0, 500.0)
    assert stream.push(VALUES).shape[1] == (3000 - 20) // 2
    assert stream.delay_seconds == pytest.approx(0.02)


@pytest.mark.parametrize(
    "rates", [(0.0, 512.0), (512.0, -1.0), (float("nan"), 512.0), (1.0, 2e5), (2e5, 1.0), (1.0, 50_000.5)]
)
def test_rates_that_cannot_be(rates: tuple[float, float]) -> None:
    with pytest.raises(InvalidInput, match="Hz"):
        polyphase(*rates)


@pytest.mark.parametrize(
    ("from_hz", "factors"),
    [
        (173.61, (51_200, 17_361)),
        (511.999, (1, 1)),
        (512.0001, (1, 1)),
        (1024.0002, (1, 2)),
        (2048.0021, (1, 4)),
        (255.9999, (2, 1)),
        (499.9067, (3387, 3307)),
    ],
)
def test_a_rate_a_hair_off_is_read_as_what_it_nearly_is(from_hz: float, factors: tuple[int, int]) -> None:
    change = polyphase(from_hz, 512.0)
    assert (change.up, change.down) == factors


@quick
@given(from_hz=st.floats(30.0, 3e4), to_hz=st.floats(30.0, 3e4))
def test_any_two_rates_have_a_fraction_within_five_millionths(from_hz: float, to_hz: float) -> None:
    ratio = fraction_near(Fraction(to_hz) / Fraction(from_hz))
    assert max(ratio.numerator, ratio.denominator) <= 100_000
    assert float(ratio) == pytest.approx(to_hz / from_hz, rel=5.1e-6, abs=0.0)


def test_a_tone_keeps_its_frequency_at_a_rate_a_hair_off() -> None:
    from_hz = 199.997
    time = np.arange(round(60 * from_hz)) / from_hz
    changed = resample(np.sin(2 * np.pi * 10 * time)[np.newaxis], from_hz, 512.0)[0]
    theirs = np.sin(2 * np.pi * 10 * np.arange(len(changed)) / 512.0)
    np.testing.assert_allclose(changed[200:-200], theirs[200:-200], atol=0.01)


def test_a_stream_keeps_its_channels() -> None:
    stream = StreamingResampler(1000.0, 500.0)
    stream.push(VALUES)
    with pytest.raises(InvalidInput, match="1 channels; expected 2"):
        stream.push(VALUES[:1])
