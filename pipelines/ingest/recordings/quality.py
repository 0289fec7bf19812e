"""Which channels are worth reading: strong and steady ones first, and none that is flat, clipped or all hum.

A channel's worth is variance / (1 + kurtosis), kurtosis 3 for a normal distribution: large where a signal
is strong, small where its strength lies in a few jumps. What the channel hides behind is measured apart:

    missing   share of samples that are NaN
    flat      share of samples equal to the one before
    clipped   share of samples at the channel's smallest or largest value, beyond one of each
    line      share of the power above 1 Hz that lies within 1 Hz of the mains' frequency or its harmonics
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import welch  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput
from models.clinical.recording import Recording, Samples

WINDOWS, WINDOW_SECONDS = 12, 10.0  # what is looked at of a recording
LOWEST_HZ, LINE_WIDTH_HZ = 1.0, 1.0
FEWEST_SAMPLES = 16  # fewer say nothing of a distribution


@dataclass(frozen=True)
class QualityLimits:
    """Shares beyond which a channel is unfit."""

    missing: float = 0.5
    flat: float = 0.5  # slow amplifiers repeat a sample now and then
    clipped: float = 0.01
    line: float = 0.5


@dataclass(frozen=True)
class ChannelQuality:
    """What one channel's samples say of it; `unfit` names what is wrong, "" where nothing is."""

    name: str
    worth: float
    missing: float
    flat: float
    clipped: float
    line: float
    unfit: str = ""


def channel_quality(
    names: Sequence[str],
    values: Samples,
    rate_hz: float,
    *,
    line_hz: float = 50.0,
    limits: QualityLimits = QualityLimits(),
) -> tuple[ChannelQuality, ...]:
    """The quality of each of `values` (C, n)."""
    found = (
        _measured(name, row.astype(np.float64), rate_hz, line_hz)
        for name, row in zip(names, values, strict=True)
    )
    return tuple(_judged(quality, limits) for quality in found)


def recording_quality(recording: Recording, line_hz: float = 50.0) -> tuple[ChannelQuality, ...]:
    """The quality of each channel in twelve windows of 10 s, evenly spread over an hour or a week."""
    last = max(recording.seconds - WINDOW_SECONDS, 0.0)
    length = min(WINDOW_SECONDS, recording.seconds)
    starts = np.unique(np.linspace(0.0, last, WINDOWS))
    values = np.concatenate([recording.window(start, start + length) for start in starts], axis=1)
    names = [channel.name for channel in recording.channels]
    return channel_quality(names, values, recording.rate_hz, line_hz=line_hz)


def best_channels(qualities: Sequence[ChannelQuality], count: int) -> list[int]:
    """Positions of the at most `count` fit channels of the greatest worth, in their given order.

    Raises InvalidInput where `count` < 1 or no channel is fit.
    """
    if count < 1:
        raise InvalidInput(f"{count} channels asked for; at least 1 is needed", value=count, bound=">= 1")
    fit = [position for position, quality in enumerate(qualities) if not quality.unfit]
    if not fit:
        reasons = sorted({quality.unfit for quality in qualities})
        raise InvalidInput(
            f"none of {len(qualities)} channels is fit: {', '.join(reasons)}", value=0, bound=">= 1"
        )
    return sorted(sorted(fit, key=lambda position: -qualities[position].worth)[:count])


def _measured(name: str, row: npt.NDArray[np.float64], rate_hz: float, line_hz: float) -> ChannelQuality:
    known = row[~np.isnan(row)]
    missing = 1.0 - len(known) / max(len(row), 1)
    if len(known) < FEWEST_SAMPLES:
        return ChannelQuality(name, 0.0, 1.0, 0.0, 0.0, 0.0)
    variance = float(known.var())
    # np.diff over the row itself: a gap is no repetition
    flat = float((np.diff(row) == 0.0).mean())
    if variance == 0.0:
        return ChannelQuality(name, 0.0, missing, 1.0, 1.0, 0.0)
    kurtosis = float(((known - known.mean()) ** 4).mean()) / variance**2
    extremes = int((known == known.min()).sum() + (known == known.max()).sum()) - 2
    line = _line_share(known, rate_hz, line_hz)
    return ChannelQuality(name, variance / (1 + kurtosis), missing, flat, extremes / len(known), line)


def _line_share(known: npt.NDArray[np.float64], rate_hz: float, line_hz: float) -> float:
    frequency, power = welch(known, rate_hz, nperseg=min(len(known), round(4 * rate_hz)))
    above = frequency >= LOWEST_HZ
    distance = np.abs(frequency - line_hz * np.maximum(np.round(frequency / line_hz), 1))
    total = float(power[above].sum())
    return float(power[above & (distance <= LINE_WIDTH_HZ)].sum()) / total if total else 0.0


def _judged(quality: ChannelQuality, limits: QualityLimits) -> ChannelQuality:
    faults = [
        name
        for name in ("missing", "flat", "clipped", "line")
        if getattr(quality, name) > getattr(limits, name)
    ]
    return ChannelQuality(
        quality.name,
        quality.worth,
        quality.missing,
        quality.flat,
        quality.clipped,
        quality.line,
        " and ".join(faults),
    )
