"""The signal as a picture: extremes of each stretch, and nothing where a sample is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.clinical.envelope import envelope
from models.clinical.errors import InvalidInput


@given(st.integers(1, 60), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_every_sample_lies_in_its_stretch_and_every_bound_is_a_sample(
    stretches: int, more: int, seed: int
) -> None:
    samples = stretches + more
    values = np.random.default_rng(seed).normal(size=(2, samples)).astype(np.float32)
    low, high = envelope(values, stretches)
    at = np.searchsorted(np.arange(stretches) * samples // stretches, np.arange(samples), "right") - 1
    assert (low[:, at] <= values).all()
    assert (values <= high[:, at]).all()
    assert np.isin(low, values).all()
    assert np.isin(high, values).all()


def test_one_missing_sample_empties_its_stretch_alone() -> None:
    values = np.arange(12, dtype=np.float32)[None].copy()
    values[0, 5] = np.nan
    low, high = envelope(values, 3)
    np.testing.assert_array_equal(low, [[0.0, np.nan, 8.0]])
    np.testing.assert_array_equal(high, [[3.0, np.nan, 11.0]])


@pytest.mark.parametrize("stretches", [0, 13])
def test_more_stretches_than_samples_are_refused(stretches: int) -> None:
    with pytest.raises(InvalidInput, match="of 12 samples"):
        envelope(np.zeros((1, 12), np.float32), stretches)
