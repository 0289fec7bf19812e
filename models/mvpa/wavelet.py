"""A segment as wavelet coefficients: Daubechies' db4, eight levels, the segment continued periodically.

    low[k] = sum_j h[j] x[2k + 1 - j],    high[k] = sum_j g[j] x[2k + 1 - j],    x[i] = x[i mod n]
    g[j] = (-1)^(j+1) h[7 - j],           k = 0 .. floor((n + 7) / 2) - 1

The low band is split again; the result is [low_8, high_8, high_7, ..., high_1]. This is PyWavelets' boundary
mode "periodic": a band is a little longer than half of what it was made of, so 2,560 samples give 2,610
coefficients ("periodization" would give 2,560). In torch, so that it runs where the network runs.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 8
# the low-pass decomposition filter of db4 (Daubechies 1992, table 6.1), in the order of PyWavelets
_LOW = (
    -0.010597401785069032,
    0.0328830116668852,
    0.030841381835560764,
    -0.18703481171909309,
    -0.027983769416859854,
    0.6308807679298589,
    0.7148465705529157,
    0.2303778133088965,
)
_TAPS = len(_LOW)


def _band(samples: int) -> int:
    """The length of either band of a signal of `samples`."""
    return (samples + _TAPS - 1) // 2


def coefficients(samples: int) -> int:
    """How many coefficients `samples` samples give."""
    total = 0
    for _ in range(LEVELS):
        samples = _band(samples)
        total += samples
    return total + samples


def decompose(samples: Tensor) -> Tensor:
    """Samples (..., n) to coefficients (..., `coefficients(n)`), coarsest first."""
    filters = _filters(samples)
    low, bands = samples, []
    for _ in range(LEVELS):
        low, high = _split(low, filters).unbind(-1)
        bands.append(high)
    return torch.cat([low, *reversed(bands)], dim=-1)


def _filters(like: Tensor) -> Tensor:
    """Both filters (taps, 2) in the order of time, low first."""
    low = torch.tensor(_LOW, dtype=like.dtype, device=like.device)
    sign = torch.tensor([-1.0, 1.0] * (_TAPS // 2), dtype=like.dtype, device=like.device)
    return torch.stack([low.flip(0), low * sign.flip(0)], dim=-1)


def _split(samples: Tensor, filters: Tensor) -> Tensor:
    """Both bands (..., k, 2) of samples (..., n)."""
    length = samples.shape[-1]
    around = torch.arange(2 - _TAPS, 2 * _band(length), device=samples.device) % length
    return samples[..., around].unfold(-1, _TAPS, 2) @ filters  # (..., k, taps) @ (taps, 2)
