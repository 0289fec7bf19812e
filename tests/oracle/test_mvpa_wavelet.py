"""The segment's wavelet transform is PyWavelets' `wavedec` in its boundary mode "periodic"."""

import warnings

import numpy as np
import numpy.typing as npt
import pytest
import pywt  # type: ignore[import-untyped]
import torch

from models.mvpa.wavelet import LEVELS, coefficients, decompose


def by_pywavelets(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises against eight levels of a short signal
        bands = pywt.wavedec(samples, "db4", mode="periodic", level=LEVELS, axis=-1)
    return np.concatenate(bands, axis=-1)


@pytest.mark.parametrize("samples", [2560, 2559, 257, 37, 16, 5, 1])
def test_coefficients_are_those_of_pywavelets(samples: int) -> None:
    signal = np.random.default_rng(samples).normal(size=(2, 3, samples))
    expected = by_pywavelets(signal)
    assert expected.shape[-1] == coefficients(samples)
    np.testing.assert_allclose(decompose(torch.from_numpy(signal)).numpy(), expected, rtol=0, atol=1e-12)


def test_a_segment_of_5_s_at_512_hz_has_2610_coefficients() -> None:
    assert coefficients(2560) == 2610


def test_the_filter_is_that_of_pywavelets() -> None:
    impulse = np.zeros(64)
    impulse[20] = 1.0
    np.testing.assert_allclose(
        decompose(torch.from_numpy(impulse)).numpy(), by_pywavelets(impulse), rtol=0, atol=1e-15
    )
