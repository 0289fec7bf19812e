"""BrainVision: a header (.vhdr) and markers (.vmrk) as text, and samples (.eeg) as bare numbers.

Read are binary files of 16- or 32-bit integers or 32-bit floats, of either byte order, multiplexed or
vectorized. Text that is not UTF-8 is of the code page 1252, which Windows calls ANSI; `$b` in the name of a
file stands for the header's own. A marker `New Segment` with a date begins a new stretch where its date
leaves a gap. Other markers become annotations by their description.

Source: BrainVision Core Data Format 1.0,
https://www.brainproducts.com/support-resources/brainvision-core-data-format-1-0/.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from models.clinical.annotation import Annotation
from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import read_number
from models.clinical.recording import Channel, Recording, Samples, Stretch
from pipelines.ingest.recordings.kinds import kind_of
from pipelines.ingest.recordings.opened import OpenedRecording, as_samples, in_microvolt

FORMATS: dict[str, np.dtype[Any]] = {
    "INT_16": np.dtype("<i2"),
    "INT_32": np.dtype("<i4"),
    "IEEE_FLOAT_32": np.dtype("<f4"),
}
BIG_ENDIAN = {"YES": True, "NO": False, "": False}  # by what UseBigEndianOrder says
MICROSECONDS = 1e6
NEW_SEGMENT = "New Segment"
BASE_NAME = "$b"
_COMMA = "\\1"  # how a comma inside a field is written


@dataclass(frozen=True)
class BrainVisionSamples:
    """`scale` (C,) brings a stored number to the channel's unit; `shape` is (C, samples)."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, int]
    vectorized: bool
    scale: tuple[float, ...]

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        """Samples (C, stop - first) in the channels' units."""
        count, samples = self.shape
        size = self.dtype.itemsize
        with self.path.open("rb") as file:
            if self.vectorized:
                rows = []
                for channel in channels:
                    file.seek((channel * samples + first) * size)
                    rows.append(np.frombuffer(file.read((stop - first) * size), self.dtype))
                stored = np.stack(rows)
            else:
                file.seek(first * count * size)
                block = np.frombuffer(file.read((stop - first) * count * size), self.dtype)
                stored = block.reshape(-1, count)[:, list(channels)].T
        scale = np.array([self.scale[channel] for channel in channels])
        return as_samples(stored * scale[:, None])


def open_brainvision(path: Path) -> OpenedRecording:
    """The recording behind a .vhdr file. Raises UnreadableSource that names key, value and bound."""
    header = _sections(path)
    samples, channels = _layout(path, header)
    rate_hz = channels[0].rate_hz
    marker_file = _beside(path, header.get("Common Infos", {}).get("MarkerFile", ""))
    markers = _markers(marker_file) if marker_file else []
    stretches, started_at = _stretches(path, markers, samples.shape[1], rate_hz)
    recording = Recording(path.stem, channels, tuple(stretches), samples, started_at, str(path))
    return OpenedRecording(recording, _annotations(markers, stretches, rate_hz))


@dataclass(frozen=True)
class _Marker:
    kind: str
    description: str
    first: int  # sample, from 0
    samples: int
    time: datetime | None


def _sections(path: Path) -> dict[str, dict[str, str]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableSource(f"{path}: cannot be read: {error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    found: dict[str, dict[str, str]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        elif "=" in line and not line.startswith(";"):
            key, _, value = line.partition("=")
            found.setdefault(section, {})[key.strip()] = value.strip()
    return found


def _layout(path: Path, header: dict[str, dict[str, str]]) -> tuple[BrainVisionSamples, tuple[Channel, ...]]:
    common = header.get("Common Infos", {})
    count = _positive(path, common, "NumberOfChannels")
    rate_hz = MICROSECONDS / _positive(path, common, "SamplingInterval")
    dtype = _number_type(path, common, header.get("Binary Infos", {}))
    infos = header.get("Channel Infos", {})
    if len(infos) != count:
        raise UnreadableSource(f"{path}: {len(infos)} channel infos; expected NumberOfChannels={count:g}")
    numbered = [
        _channel(path, key, infos.get(key, ""), rate_hz)
        for key in map("Ch{}".format, range(1, int(count) + 1))
    ]
    channels, scale = zip(*numbered, strict=True)
    data = _beside(path, common.get("DataFile", ""))
    if data is None:
        raise UnreadableSource(f"{path}: no DataFile; expected the name of the file of samples")
    vectorized = common.get("DataOrientation", "MULTIPLEXED") == "VECTORIZED"
    shape = (int(count), _samples_each(data, int(count) * dtype.itemsize))
    return BrainVisionSamples(data, dtype, shape, vectorized, scale), channels


def _number_type(path: Path, common: dict[str, str], binary: dict[str, str]) -> np.dtype[Any]:
    number_format = binary.get("BinaryFormat", "")
    if common.get("DataFormat", "BINARY") != "BINARY" or number_format not in FORMATS:
        raise UnreadableSource(
            f"{path}: DataFormat {common.get('DataFormat')}, BinaryFormat {number_format!r}; "
            f"expected BINARY, {' or '.join(FORMATS)}"
        )
    big_endian = binary.get("UseBigEndianOrder", "")
    if big_endian.upper() not in BIG_ENDIAN:
        raise UnreadableSource(f"{path}: UseBigEndianOrder is {big_endian!r}; expected YES or NO")
    stored = FORMATS[number_format]
    return stored.newbyteorder(">") if BIG_ENDIAN[big_endian.upper()] else stored


def _channel(path: Path, key: str, info: str, rate_hz: float) -> tuple[Channel, float]:
    """The channel and what brings its stored numbers to its unit."""
    name, _, resolution, unit, *_ = [*info.split(","), "", "", ""]
    name = name.replace(_COMMA, ",") or key
    step = read_number(resolution) if resolution.strip() else 1.0
    if not math.isfinite(step) or step == 0.0:
        raise UnreadableSource(
            f"{path}: channel {name}: its resolution is {resolution!r}; expected a number other than 0"
        )
    kept, factor = in_microvolt(unit or "µV")
    return Channel(name, rate_hz, kept, kind=kind_of(name)), factor * step


def _beside(path: Path, name: str) -> Path | None:
    return path.parent / name.replace(BASE_NAME, path.stem) if name else None


def _samples_each(data: Path, width: int) -> int:
    try:
        size = data.stat().st_size
    except OSError as error:
        raise UnreadableSource(f"{data}: cannot be read: {error}") from error
    if not data.is_file() or size % width:
        raise UnreadableSource(
            f"{data}: truncated: {size} bytes; expected a multiple of {width}, one sample of all"
        )
    return size // width


def _positive(path: Path, values: dict[str, str], key: str) -> float:
    value = read_number(values.get(key, ""))
    if not (math.isfinite(value) and value > 0):
        raise UnreadableSource(f"{path}: {key} is {values.get(key)!r}; expected a number above 0")
    return value


def _markers(path: Path) -> list[_Marker]:
    markers = []
    for key, value in _sections(path).get("Marker Infos", {}).items():
        kind, description, first, samples, _, date, *_ = [*value.split(","), *([""] * 6)]
        if not re.fullmatch(r"\d{1,15}", first):
            raise UnreadableSource(
                f"{path}: marker {key} is at {first!r}; expected a position in data points"
            )
        length = int(samples) if samples.isdecimal() else 0
        text = description.replace(_COMMA, ",")
        markers.append(_Marker(kind, text, max(int(first) - 1, 0), length, _time(date)))
    return markers


def _time(date: str) -> datetime | None:
    try:
        return datetime.strptime(date, "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return None


def _stretches(
    path: Path, markers: Sequence[_Marker], samples: int, rate_hz: float
) -> tuple[list[Stretch], datetime | None]:
    begun = [one for one in markers if one.kind == NEW_SEGMENT and one.time and one.first < samples]
    if not begun or begun[0].first != 0:
        return [Stretch(0.0, samples / rate_hz)], None
    began = begun[0].time or datetime.min.replace(tzinfo=UTC)
    ends = [*(marker.first for marker in begun[1:]), samples]
    stretches = [
        Stretch(((marker.time or began) - began).total_seconds(), (end - marker.first) / rate_hz)
        for marker, end in zip(begun, ends, strict=True)
    ]
    for before, after in pairwise(stretches):
        if after.start_seconds < before.end_seconds - 1 / rate_hz:
            raise UnreadableSource(
                f"{path}: a new segment at {after.start_seconds:g} s; expected >= {before.end_seconds:g} s"
            )
    return stretches, began


def _annotations(
    markers: Sequence[_Marker], stretches: Sequence[Stretch], rate_hz: float
) -> tuple[Annotation, ...]:
    kept, first = [], 0
    starts = []
    for stretch in stretches:
        starts.append((first, stretch.start_seconds))
        first += round(stretch.seconds * rate_hz)
    for marker in markers:
        if marker.kind == NEW_SEGMENT:
            continue
        number, start = next(pair for pair in reversed(starts) if pair[0] <= marker.first)
        onset = start + (marker.first - number) / rate_hz
        kept.append(Annotation(onset, marker.samples / rate_hz, marker.description or marker.kind))
    return tuple(kept)
