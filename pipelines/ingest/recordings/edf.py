"""EDF, EDF+, BDF and BDF+: 16 or 24 bits a sample in records of all signals; gaps of EDF+D are kept.

Only the records that a window needs are read. Voltages come out in microvolt, whatever unit the file has. Two
signals of one label are told apart by `#2`. The start is the header's, to which EDF+ adds a fraction of a
second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from models.clinical.annotation import AnnotatedSpan
from models.clinical.errors import UnreadableSource
from models.clinical.recording import Channel, Recording, Samples, Stretch
from pipelines.ingest.recordings.edf_header import EdfHeader, EdfSignal, read_header
from pipelines.ingest.recordings.edf_times import as_annotations, read_record_times, stretches
from pipelines.ingest.recordings.kinds import kind_of
from pipelines.ingest.recordings.opened import OpenedRecording, in_microvolt


@dataclass(frozen=True)
class EdfSamples:
    """Samples of the signals at `places` in the header's list."""

    path: Path
    header: EdfHeader
    places: tuple[int, ...]

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        """Samples (C, stop - first) of channels of one rate, in the channels' units.

        Raises UnreadableSource where the file has become shorter since it was opened.
        """
        signals = [self.header.signals[self.places[channel]] for channel in channels]
        each = signals[0].samples_per_record if signals else 1
        first_record, last_record = first // each, -(-stop // each)
        digital = self._records(first_record, last_record)
        values = np.empty((len(signals), stop - first), dtype=np.float32)
        skipped = first - first_record * each
        for row, (channel, signal) in enumerate(zip(channels, signals, strict=True)):
            start = self._first_sample(self.places[channel])
            numbers = digital[:, start : start + each].reshape(-1)[skipped : skipped + stop - first]
            values[row] = _physical(numbers.astype(np.float64), signal)
        return values

    def _records(self, first: int, last: int) -> np.ndarray[tuple[int, int], np.dtype[np.signedinteger]]:
        """Digital samples (records, samples a record)."""
        header = self.header
        with self.path.open("rb") as file:
            file.seek(header.data_offset + first * header.record_bytes)
            raw = file.read((last - first) * header.record_bytes)
        if len(raw) < (last - first) * header.record_bytes:
            raise UnreadableSource(
                f"{self.path}: ends inside record {first + len(raw) // header.record_bytes}"
            )
        if header.sample_bytes == 2:  # noqa: PLR2004 16 bits
            return np.frombuffer(raw, dtype="<i2").reshape(-1, header.record_samples)
        widened = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
        widened[:, 1:] = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3)
        return (widened.view("<i4") >> 8).reshape(-1, header.record_samples)

    def _first_sample(self, place: int) -> int:
        return sum(signal.samples_per_record for signal in self.header.signals[:place])


def open_edf(path: Path) -> OpenedRecording:
    """The file as a recording; of a truncated one the whole records, and a complaint that says what is lost.

    Raises UnreadableSource where not one record is whole, or the file is not what its header says.
    """
    header = read_header(path)
    times = read_record_times(path, header)
    places = tuple(place for place, signal in enumerate(header.signals) if not signal.is_annotation)
    if not places:
        raise UnreadableSource(f"{path}: 0 signals besides annotations; expected at least 1")
    if header.record_seconds == 0.0:
        raise UnreadableSource(f"{path}: records of 0 s hold no signal; expected > 0 s")
    offset = times.starts[0] if times.starts else 0.0
    annotations = as_annotations(path, times, offset)
    return OpenedRecording(
        Recording(
            recording_id=path.stem,
            channels=_channels([header.signals[place] for place in places], header.record_seconds),
            stretches=tuple(_stretches(path, header, times.starts)),
            samples=EdfSamples(path, header, places),
            started_at=header.started_at and header.started_at + timedelta(seconds=offset),
            source=str(path),
        ),
        annotations,
        (*times.complaints, *_trailing(path, header)),
    )


def edf_annotations(path: Path) -> AnnotatedSpan:
    """The annotations of an EDF+ file, which need not hold any signal; a scored hypnogram does not."""
    header = read_header(path)
    if header.lost_records:  # an annotation that is lost would be taken for one that nobody made
        raise UnreadableSource(_truncated(path, header))
    times = read_record_times(path, header)
    offset = times.starts[0] if times.starts else 0.0
    return AnnotatedSpan(as_annotations(path, times, offset), header.started_at)


def _stretches(path: Path, header: EdfHeader, starts: list[float]) -> list[Stretch]:
    if not header.discontinuous:
        whole = header.record_count * header.record_seconds
        return [Stretch(0.0, whole)] if header.record_count else []
    if len(starts) < header.record_count:
        raise UnreadableSource(
            f"{path}: times of {len(starts)} of its {header.record_count} records; EDF+D needs all"
        )
    most = max(signal.samples_per_record for signal in header.signals if not signal.is_annotation)
    return stretches(path, header, starts, header.record_seconds / most / 2)


def _channels(signals: Sequence[EdfSignal], record_seconds: float) -> tuple[Channel, ...]:
    seen: Counter[str] = Counter()
    channels = []
    for signal in signals:
        seen[signal.label] += 1
        name = signal.label if seen[signal.label] == 1 else f"{signal.label}#{seen[signal.label]}"
        unit, _ = in_microvolt(signal.unit)
        rate_hz = signal.samples_per_record / record_seconds
        channels.append(Channel(name, rate_hz, unit, kind=kind_of(name)))
    return tuple(channels)


def _physical(
    digital: np.ndarray[tuple[int], np.dtype[np.float64]], signal: EdfSignal
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    _, factor = in_microvolt(signal.unit)
    return ((digital - signal.digital_min) * signal.gain + signal.physical_min) * factor


def _truncated(path: Path, header: EdfHeader) -> str:
    announced = header.record_count + header.lost_records
    return (
        f"{path}: truncated: {header.lost_records} of {announced} records are lost, "
        f"{header.lost_records * header.record_seconds:g} s from record {header.record_count} on"
    )


def _trailing(path: Path, header: EdfHeader) -> tuple[str, ...]:
    if header.lost_records:
        return (_truncated(path, header),)
    if not header.trailing_bytes:
        return ()
    return (f"{path}: {header.trailing_bytes} bytes behind record {header.record_count}; they are not read",)
