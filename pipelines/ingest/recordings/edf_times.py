"""The text inside EDF+ and BDF+ records: when each record began, and annotations.

A record of an annotation signal is a row of time-stamped annotation lists, each closed by a zero byte:

    +onset [\\x15 duration] \\x14 text \\x14 text \\x14 \\x00

The first list of a record's first annotation signal has an empty first text and says when the record began.
In EDF+D records may be apart; this is the only place that says so.

Source: https://www.edfplus.info/specs/edfplus.html, 2.2.2 to 2.2.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from models.clinical.annotation import Annotation
from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import cell_text
from models.clinical.recording import Stretch
from pipelines.ingest.recordings.edf_header import EdfHeader

_ONSET = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?")
OF_CHANNEL = "@@"  # EDF+ 2.2.4 as extended in 2019: text@@signal label


@dataclass
class RecordTimes:
    """When each record began (seconds after the header's start time), and what the annotations say.

    `annotations` count from the header's start time: (onset, duration, text).
    """

    starts: list[float] = field(default_factory=list)
    annotations: list[tuple[float, float, str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def read_record_times(path: Path, header: EdfHeader) -> RecordTimes:
    """Every record's start and every annotation. Raises UnreadableSource where an EDF+D record has no start.

    An annotation that cannot be read is set aside with a sentence that names its record.
    """
    found = RecordTimes()
    for number, texts in enumerate(_annotation_bytes(path, header)):
        start = _record_start(texts[0])
        if start is None and header.discontinuous:
            raise UnreadableSource(
                f"{path}: record {number} begins with {texts[0][:20]!r}; expected its time, +seconds"
            )
        if start is not None:
            found.starts.append(start)
        for text in texts:
            _read_lists(path, number, text, found)
    return found


def stretches(path: Path, header: EdfHeader, starts: list[float], tolerance_seconds: float) -> list[Stretch]:
    """Records that follow each other within `tolerance_seconds`, joined; the first begins at 0.

    Raises UnreadableSource where a record begins before the one before it is over.
    """
    joined: list[Stretch] = []
    for number, start in enumerate(starts):
        begun = start - starts[0]
        last = joined[-1] if joined else None
        if last is not None and begun < last.end_seconds - tolerance_seconds:
            raise UnreadableSource(
                f"{path}: record {number} begins at {begun:g} s; expected >= {last.end_seconds:g} s, "
                "where the record before it ends"
            )
        if last is not None and begun <= last.end_seconds + tolerance_seconds:
            joined[-1] = Stretch(last.start_seconds, last.seconds + header.record_seconds)
        else:
            joined.append(Stretch(begun, header.record_seconds))
    return joined


def _annotation_bytes(path: Path, header: EdfHeader) -> Iterator[list[bytes]]:
    """Of each record, the bytes of its annotation signals."""
    places, start = [], 0
    for signal in header.signals:
        length = signal.samples_per_record * header.sample_bytes
        if signal.is_annotation:
            places.append((start, length))
        start += length
    if not places:
        return
    with path.open("rb") as file:
        for record in range(header.record_count):
            texts = []
            for place, length in places:
                file.seek(header.data_offset + record * header.record_bytes + place)
                texts.append(file.read(length))
            yield texts


def _record_start(text: bytes) -> float | None:
    found = _ONSET.match(text)
    return float(found[1]) if found and text[found.end() : found.end() + 2] == b"\x14\x14" else None


def _read_lists(path: Path, record: int, text: bytes, found: RecordTimes) -> None:
    for entry in filter(None, text.split(b"\x00")):
        stamp = _ONSET.match(entry)
        if stamp is None or entry[stamp.end() : stamp.end() + 1] != b"\x14" or not entry.endswith(b"\x14"):
            shown = cell_text(entry.decode("utf-8", errors="replace"))
            found.complaints.append(
                f"{path}: record {record}: annotation {shown} has no +onset in seconds before its text"
            )
            continue
        for label in filter(None, entry[stamp.end() + 1 :].split(b"\x14")):
            found.annotations.append(
                (float(stamp[1]), float(stamp[2] or 0.0), label.decode("utf-8", errors="replace"))
            )


def as_annotations(path: Path, times: RecordTimes, offset_seconds: float) -> tuple[Annotation, ...]:
    """The annotations on the recording's clock; what lies before its start is set aside with a sentence."""
    kept = []
    for onset, duration, text in times.annotations:
        event_type, _, channel = text.partition(OF_CHANNEL)
        begun = round(onset - offset_seconds, 9)
        if begun < 0.0:
            times.complaints.append(f"{path}: annotation {text!r} at {begun:g} s; expected >= 0 s")
            continue
        kept.append(Annotation(begun, duration, event_type, channels=(channel,) if channel else ()))
    return tuple(kept)
