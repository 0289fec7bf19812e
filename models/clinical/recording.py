"""A recording: many electrodes' signals over hours, read window by window and never as a whole.

A recording is a list of channels, a clock with gaps, and something that can read samples. Channels may have
different rates. The clock is a list of stretches without a gap; between two stretches nothing was recorded.

    seconds   0        10          25        40
    stretch   [--------)           [---------)
    samples   0 … 10·r             10·r … 25·r         of a channel of rate r: gaps hold none

C  channels     n  samples
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame

Samples = npt.NDArray[np.float32]

MICROVOLT = "uV"
UNKNOWN_START = datetime(2000, 1, 1, tzinfo=UTC)  # of frames, where a file does not say when it began
FINGERPRINT_WINDOWS = 16  # one second each, evenly spread: two recordings that agree there are one

# amplifiers write "EEG A1-Ref", "POL A'01", "SEEG LTG 3": modality and reference are no part of it
_MODALITY = re.compile(r"^(?:EEG|SEEG|IEEG|ECOG|POL)[ _]+", re.IGNORECASE)
_REFERENCE = re.compile(r"[-_ ](?:REF|LE|AVG|AV|CAR|G2|0)$", re.IGNORECASE)
_CONTACT = re.compile(r"(?P<shaft>[^\W\d](?:[^-]*\D)?)(?P<contact>\d{1,3})", re.ASCII)


@dataclass(frozen=True)
class Channel:
    """One electrode contact's signal: `unit` of the values that are read, `rate_hz` as recorded, `bad` if the
    source says that it is not to be used, `position_mm` (x, y, z) in the source's space where it is known,
    `kind` what the source calls it where that is no electrode of the brain: ECG, TRIG.
    """

    name: str
    rate_hz: float
    unit: str = MICROVOLT
    bad: bool = False
    position_mm: tuple[float, float, float] | None = None
    kind: str = ""

    @property
    def shaft(self) -> str:
        """The electrode that carries the contact (`A'` of `A'12`), "" where the name does not tell."""
        found = self._contact_match()
        return found["shaft"].rstrip(" _") if found else ""

    @property
    def contact(self) -> int | None:
        """The contact's number on its shaft, None where the name does not tell."""
        found = self._contact_match()
        return int(found["contact"]) if found else None

    def _contact_match(self) -> re.Match[str] | None:
        name = _REFERENCE.sub("", _MODALITY.sub("", self.name.strip()))
        return _CONTACT.fullmatch(name)


@dataclass(frozen=True)
class Stretch:
    """`seconds` recorded without a gap from `start_seconds` after the start of the recording on."""

    start_seconds: float
    seconds: float

    @property
    def end_seconds(self) -> float:
        """When the stretch is over."""
        return self.start_seconds + self.seconds


class SampleSource(Protocol):
    """What a file format can do: read some channels' samples."""

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        """Samples (C, stop - first) of channels of one rate, NaN where missing; gaps hold no sample."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Channels, clock and source of one recording.

    `stretches` in order and apart; `started_at` (UTC) or None where the source does not say; `source` is
    where it came from. Raises InvalidInput for no channel, two of one name, a rate that is not above 0, or
    stretches that overlap or go back in time.
    """

    recording_id: str
    channels: tuple[Channel, ...]
    stretches: tuple[Stretch, ...]
    samples: SampleSource
    started_at: datetime | None = None
    source: str = ""
    synthetic: bool = False

    def __post_init__(self) -> None:
        _check_channels(self.recording_id, self.channels)
        _check_stretches(self.recording_id, self.stretches)

    @property
    def seconds(self) -> float:
        """From the start to the end of the last stretch, gaps included."""
        return self.stretches[-1].end_seconds if self.stretches else 0.0

    @property
    def rate_hz(self) -> float:
        """The rate of all channels. Raises InvalidInput where they differ."""
        rates = sorted({channel.rate_hz for channel in self.channels})
        if len(rates) > 1:
            raise InvalidInput(
                f"{self.recording_id}: channels of {', '.join(f'{rate:g}' for rate in rates)} Hz; "
                "select or resample to one rate",
                value=rates,
                bound="one rate",
                unit="Hz",
            )
        return rates[0]

    def select(self, channels: Sequence[int]) -> Recording:
        """The recording of the channels at these positions, in this order."""
        chosen = tuple(self.channels[position] for position in channels)
        return replace(self, channels=chosen, samples=_Chosen(self.samples, tuple(channels)))

    def electrodes(self) -> Recording:
        """The recording of the brain's electrodes that hold voltage and are not bad."""
        kept = [
            channel.unit == MICROVOLT and not channel.bad and not channel.kind for channel in self.channels
        ]
        return self.select(np.flatnonzero(kept).tolist())

    def window(self, start_seconds: float, stop_seconds: float) -> Samples:
        """Values (C, n) between two times, n = (stop - start) · rate, NaN where nothing was recorded."""
        rate_hz = self.rate_hz
        length = round((stop_seconds - start_seconds) * rate_hz)
        values = np.full((len(self.channels), length), np.nan, dtype=np.float32)
        for stretch, first, count in self.numbered(rate_hz):
            offset = round((stretch.start_seconds - start_seconds) * rate_hz)
            begin, end = max(offset, 0), min(offset + count, length)
            if begin < end:
                values[:, begin:end] = self._read(first + begin - offset, first + end - offset)
        return values

    def blocks(self, samples: int) -> Iterator[tuple[float, Samples]]:
        """Start (seconds) and values (C, n <= `samples`) of one block after another; none spans a gap."""
        rate_hz = self.rate_hz
        for stretch, first, count in self.numbered(rate_hz):
            for begin in range(0, count, samples):
                end = min(begin + samples, count)
                yield stretch.start_seconds + begin / rate_hz, self._read(first + begin, first + end)

    def frames(self, samples: int) -> Iterator[Frame]:
        """Frames of at most `samples` each, as an amplifier would have sent them.

        Raises InvalidInput unless all channels are in microvolt and of one rate; see `electrodes`.
        """
        if others := [channel.name for channel in self.channels if channel.unit != MICROVOLT]:
            raise InvalidInput(
                f"{self.recording_id}: channel {others[0]} is not in {MICROVOLT}; frames hold voltages only",
                value=others[0],
                bound=MICROVOLT,
            )
        names, rate_hz = tuple(channel.name for channel in self.channels), self.rate_hz
        began = self.started_at or UNKNOWN_START
        for start, values in self.blocks(samples):
            yield Frame(began + timedelta(seconds=start), rate_hz, names, values)

    def content_hash(self) -> str:
        """SHA-256 of samples of 16 seconds spread over the recording: equal for a copy under another name.

        Names, times and the file format do not enter. A copy in other units or at another rate differs.
        """
        digest = hashlib.sha256()
        for rate_hz in sorted({channel.rate_hz for channel in self.channels}):
            members = [place for place, channel in enumerate(self.channels) if channel.rate_hz == rate_hz]
            count, second = self.sample_count(rate_hz), math.ceil(rate_hz)
            digest.update(f"{len(members)} {count} {rate_hz!r}".encode())
            for first in np.linspace(0, max(count - second, 0), FINGERPRINT_WINDOWS).astype(int).tolist():
                values = self.samples.read(members, first, min(first + second, count))
                digest.update(np.ascontiguousarray(values, dtype="<f4").tobytes())
        return digest.hexdigest()

    def sample_count(self, rate_hz: float) -> int:
        """How many samples a channel of this rate holds."""
        return sum(count for _, _, count in self.numbered(rate_hz))

    def numbered(self, rate_hz: float) -> Iterator[tuple[Stretch, int, int]]:
        """Each stretch with the number of its first sample and how many it holds."""
        recorded = 0.0
        for stretch in self.stretches:
            first, recorded = round(recorded * rate_hz), recorded + stretch.seconds
            yield stretch, first, round(recorded * rate_hz) - first

    def _read(self, first: int, stop: int) -> Samples:
        return self.samples.read(range(len(self.channels)), first, stop)


@dataclass(frozen=True)
class _Chosen:
    """Some channels of a source, renumbered."""

    samples: SampleSource
    positions: tuple[int, ...]

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        return self.samples.read([self.positions[channel] for channel in channels], first, stop)


def _check_channels(recording_id: str, channels: Sequence[Channel]) -> None:
    if not channels:
        raise InvalidInput(f"{recording_id}: 0 channels; at least 1 is needed", value=0, bound=">= 1 channel")
    names = [channel.name for channel in channels]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"{recording_id}: two channels named {twice!r}", value=twice, bound="unique names")
    for channel in channels:
        if not (math.isfinite(channel.rate_hz) and channel.rate_hz > 0.0):
            raise InvalidInput(
                f"{recording_id}: channel {channel.name} has {channel.rate_hz} Hz; must be finite and > 0 Hz",
                value=channel.rate_hz,
                bound="> 0",
                unit="Hz",
            )


def _check_stretches(recording_id: str, stretches: Sequence[Stretch]) -> None:
    before = 0.0
    for stretch in stretches:
        if not (
            stretch.seconds >= 0.0 and stretch.start_seconds >= before - 1e-6
        ):  # a microsecond of rounding
            raise InvalidInput(
                f"{recording_id}: a stretch of {stretch.seconds} s at {stretch.start_seconds} s, "
                f"where the one before ends at {before} s",
                value=stretch.start_seconds,
                bound=f">= {before}",
                unit="s",
            )
        before = stretch.end_seconds
