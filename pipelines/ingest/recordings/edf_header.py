"""The header of an EDF, EDF+, BDF or BDF+ file, checked: fixed-width ASCII, 256 bytes and 256 a signal.

Source: Kemp et al. 1992, doi:10.1016/0013-4694(92)90009-7; Kemp and Olivan 2003,
doi:10.1016/S1388-2457(03)00123-8; https://www.edfplus.info/specs/. BDF has 24 bits a sample:
https://www.biosemi.com/faq/file_format.htm.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import read_number

FIXED_BYTES = 256
MOST_SIGNALS = 9999  # what four characters hold
MOST_EIGHT_DIGITS = 99_999_999
LONGEST_RECORD_BYTES = 2**28  # the standard asks for 61,440 a record; what is beyond this is no record
CENTURY_TURN = 85  # the two-digit years 85 to 99 are of the last century
ANNOTATION_LABELS = ("EDF Annotations", "BDF Annotations")
_INTEGER = re.compile(r"[+-]?\d{1,8}", re.ASCII)
# name and width of a signal's fields, each field stored for all signals before the next
SIGNAL_FIELDS = (
    ("label", 16),
    ("transducer", 80),
    ("unit", 8),
    ("physical_min", 8),
    ("physical_max", 8),
    ("digital_min", 8),
    ("digital_max", 8),
    ("prefilter", 80),
    ("samples", 8),
    ("reserved", 32),
)


@dataclass(frozen=True)
class EdfSignal:
    """One signal of the header: value = (digital - digital_min) · gain + physical_min, in `unit`."""

    label: str
    unit: str
    physical_min: float
    physical_max: float
    digital_min: int
    digital_max: int
    samples_per_record: int

    @property
    def gain(self) -> float:
        """Physical units a digital step."""
        return (self.physical_max - self.physical_min) / (self.digital_max - self.digital_min)

    @property
    def is_annotation(self) -> bool:
        """Whether it holds text instead of samples."""
        return self.label in ANNOTATION_LABELS


@dataclass(frozen=True)
class EdfHeader:
    """What the header says. `record_count` is counted from the file's size where the header leaves it open.

    So it is where the file ends too early; `lost_records` are those that it lacks.

    `started_at` has whole seconds and no offset in the file; it is read as UTC, None where it is no date.
    """

    signals: tuple[EdfSignal, ...]
    sample_bytes: int
    data_offset: int
    record_count: int
    record_seconds: float
    started_at: datetime | None
    discontinuous: bool
    trailing_bytes: int
    lost_records: int = 0

    @property
    def record_samples(self) -> int:
        """Samples of all signals in a record."""
        return sum(signal.samples_per_record for signal in self.signals)

    @property
    def record_bytes(self) -> int:
        """Bytes a record."""
        return self.record_samples * self.sample_bytes


def read_header(path: Path) -> EdfHeader:
    """The header of the file. Raises UnreadableSource that names field, value and bound."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            fixed = file.read(FIXED_BYTES)
            sample_bytes = _sample_bytes(path, fixed)
            signal_count = _whole(path, "number of signals", fixed[252:256], 1, MOST_SIGNALS)
            table = file.read(signal_count * FIXED_BYTES)
    except OSError as error:
        raise UnreadableSource(f"{path}: cannot be read: {error}") from error
    offset = FIXED_BYTES * (1 + signal_count)
    if len(table) < signal_count * FIXED_BYTES:
        raise UnreadableSource(
            f"{path}: ends inside its header, at byte {size}; expected {offset} bytes of it"
        )
    _whole(path, "header bytes", fixed[184:192], offset, offset)
    signals = _signals(path, table, signal_count, sample_bytes)
    record_bytes = sum(signal.samples_per_record for signal in signals) * sample_bytes
    if record_bytes > LONGEST_RECORD_BYTES:
        raise UnreadableSource(
            f"{path}: a record of {record_bytes} bytes; expected at most {LONGEST_RECORD_BYTES}"
        )
    count, trailing, lost = _record_count(path, fixed[236:244], size - offset, record_bytes)
    seconds = _number(path, "record duration", fixed[244:252])
    if seconds < 0.0:
        raise UnreadableSource(f"{path}: record duration {seconds} s; expected >= 0 s")
    return EdfHeader(
        signals=signals,
        sample_bytes=sample_bytes,
        data_offset=offset,
        record_count=count,
        record_seconds=seconds,
        started_at=_started_at(fixed),
        discontinuous=_text(fixed[192:236])[:5] in {"EDF+D", "BDF+D"},
        trailing_bytes=trailing,
        lost_records=lost,
    )


def _sample_bytes(path: Path, fixed: bytes) -> int:
    if len(fixed) == FIXED_BYTES and fixed[:8].strip() == b"0":
        return 2
    if len(fixed) == FIXED_BYTES and fixed[:8] == b"\xffBIOSEMI":
        return 3
    raise UnreadableSource(
        f"{path}: starts with {fixed[:8]!r} and has {len(fixed)} bytes; expected an EDF or BDF header"
    )


def _signals(path: Path, table: bytes, count: int, sample_bytes: int) -> tuple[EdfSignal, ...]:
    columns: dict[str, list[bytes]] = {}
    start = 0
    for name, width in SIGNAL_FIELDS:
        columns[name] = [table[start + width * row : start + width * (row + 1)] for row in range(count)]
        start += width * count
    return tuple(
        _signal(path, {name: cells[row] for name, cells in columns.items()}, row, sample_bytes)
        for row in range(count)
    )


def _signal(path: Path, cells: dict[str, bytes], row: int, sample_bytes: int) -> EdfSignal:
    label = _text(cells["label"])
    where = f"signal {row} ({label})"
    lowest, highest = -(2 ** (8 * sample_bytes - 1)), 2 ** (8 * sample_bytes - 1) - 1
    signal = EdfSignal(
        label=label,
        unit=_text(cells["unit"]),
        physical_min=_number(path, f"{where}: physical minimum", cells["physical_min"]),
        physical_max=_number(path, f"{where}: physical maximum", cells["physical_max"]),
        digital_min=_whole(path, f"{where}: digital minimum", cells["digital_min"], lowest, highest),
        digital_max=_whole(path, f"{where}: digital maximum", cells["digital_max"], lowest, highest),
        samples_per_record=_whole(path, f"{where}: samples a record", cells["samples"], 1, MOST_EIGHT_DIGITS),
    )
    if signal.is_annotation:
        return signal
    if signal.digital_min >= signal.digital_max:
        raise UnreadableSource(
            f"{path}: {where}: digital range [{signal.digital_min}, {signal.digital_max}]; "
            "expected minimum < maximum"
        )
    if signal.physical_min == signal.physical_max or not math.isfinite(signal.gain):
        raise UnreadableSource(
            f"{path}: {where}: physical range [{signal.physical_min:g}, {signal.physical_max:g}] "
            f"{signal.unit}; expected two different numbers"
        )
    return signal


def _record_count(path: Path, cell: bytes, data_bytes: int, record_bytes: int) -> tuple[int, int, int]:
    """How many whole records there are, how many bytes behind the last, how many records are lost."""
    announced = _whole(path, "number of records", cell, -1, MOST_EIGHT_DIGITS)
    held = data_bytes // record_bytes
    if announced == -1:  # the recorder was still writing
        return held, data_bytes - held * record_bytes, 0
    if held == 0 < announced:
        raise UnreadableSource(
            f"{path}: truncated: {data_bytes / record_bytes:.2f} records of {record_bytes} bytes; "
            f"expected {announced}"
        )
    count = min(held, announced)
    return count, data_bytes - count * record_bytes, announced - count


def _started_at(fixed: bytes) -> datetime | None:
    try:
        day, month, year = (int(part) for part in _text(fixed[168:176]).split("."))
        hour, minute, second = (int(part) for part in _text(fixed[176:184]).split("."))
        century = 1900 if year >= CENTURY_TURN else 2000
        return datetime(century + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _whole(path: Path, name: str, cell: bytes, lowest: int, highest: int) -> int:
    bound = f"{lowest}" if lowest == highest else f"in [{lowest}, {highest}]"
    text = _text(cell)
    if not _INTEGER.fullmatch(text) or not lowest <= int(text) <= highest:
        raise UnreadableSource(f"{path}: {name} is {text!r}; expected {bound}")
    return int(text)


def _number(path: Path, name: str, cell: bytes) -> float:
    value = read_number(_text(cell))
    if not math.isfinite(value):
        raise UnreadableSource(f"{path}: {name} is {_text(cell)!r}; expected a finite number")
    return value


def _text(cell: bytes) -> str:
    # the standard says ASCII; old recorders write the µ of a unit in Latin 1
    return cell.decode("latin-1").strip(" \0")
