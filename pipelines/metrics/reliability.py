"""Reliability curve: what was predicted, and what came true, bin by bin.

Bins are those of the calibration error (`pipelines.metrics.calibration`), equally full, so that the mean gap
between both columns, weighted by count, is that error where no bin mixes gaps of both signs.
Source: DeGroot and Fienberg 1983, doi:10.2307/2987588.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.metrics.calibration import BINS, equal_bins

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Reliability:
    """Of each bin that holds a row, (B,): mean score, share of positive rows, and how many rows."""

    predicted: Floats
    observed: Floats
    count: Integers


def reliability(label: Labels, probability: Floats) -> Reliability:
    """The curve of rows (N,), at most `BINS` bins; equal scores share one."""
    if not len(label):
        return Reliability(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))
    place = equal_bins(probability)
    count = np.bincount(place, minlength=BINS)
    held = count > 0
    predicted, observed = (np.bincount(place, values, BINS)[held] for values in (probability, label))
    return Reliability(predicted / count[held], observed / count[held], count[held].astype(np.int64))
