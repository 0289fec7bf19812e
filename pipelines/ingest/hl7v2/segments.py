"""HL7 v2 on the wire: bytes to messages, messages to segments, fields to text.

Segments end in CR, LF or both; MLLP framing, a byte order mark and the envelopes of batches and files are
passed over. Separators are what MSH says, as python-hl7 reads it; fields are split only when they are asked
for, because its object for each of them costs ten times the rest. Source: HL7 v2.5.1, chapter 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import BinaryIO

import hl7.parser  # type: ignore[import-untyped]

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import read_time

LONGEST_MESSAGE = 16 * 2**20  # bytes; a message of a monitor has some kilobytes
_CHUNK = 2**20
_FRAMING = b"\x0b\x1c \t"  # MLLP's start and end of a block
_ENVELOPE = (b"FHS", b"BHS", b"BTS", b"FTS")
_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_TIME = re.compile(
    r"(?P<clock>\d{12})(?P<seconds>[0-5]\d(\.\d+)?)?(?P<sign>[+-])?(?P<offset>(?(sign)\d{4}|))", re.ASCII
)
_OFFSET = re.compile(r"([+-])(0\d|1[0-4])([0-5]\d)", re.ASCII)


@dataclass(frozen=True)
class RawMessage:
    """One message as it stands in a file: `line` is its first, from 1; MSH is its first segment."""

    line: int
    content: bytes


@dataclass(slots=True)
class Segment:
    """One segment: `place` counts the message's segments from 1, `fields` are its fields as sent.

    `separators` are those of python-hl7: segment, field, repetition, component, subcomponent.
    """

    name: str
    place: int
    fields: Sequence[str]
    separators: str
    escape: str
    _read: dict[int, list[list[str]]] = field(default_factory=dict, repr=False, compare=False)

    def repetitions(self, number: int) -> list[list[str]]:
        """The components of each repetition of a field, escapes resolved; empty where it holds nothing."""
        found = self._read.get(number)
        if found is None:
            sent = self.fields[number] if number < len(self.fields) else ""
            found = self._read[number] = self._split(sent) if sent else []
        return found

    def text(self, number: int, component: int = 1) -> str:
        """A component of a field's first repetition, from 1; "" where there is none."""
        found = self.repetitions(number)
        return found[0][component - 1] if found and component <= len(found[0]) else ""

    def _split(self, sent: str) -> list[list[str]]:
        if not (self.separators[2] in sent or self.separators[3] in sent or self.escape in sent):
            return [[bare]] if (bare := sent.strip()) else []
        found = [
            [self._unescaped(part).strip() for part in repetition.split(self.separators[3])]
            for repetition in sent.split(self.separators[2])
        ]
        return [components for components in found if any(components)]

    def _unescaped(self, text: str) -> str:
        # not by the library: it writes what it cannot resolve to a log, and a field holds patient data
        if self.escape not in text:
            return text
        named = dict(zip("FRSTE", (*self.separators[1:5], self.escape), strict=True))
        mark = re.escape(self.escape)
        return re.sub(f"{mark}([^{mark}]*){mark}", lambda found: _resolved(found[1], named), text)


def _resolved(sequence: str, named: dict[str, str]) -> str:
    if sequence in named:
        return named[sequence]
    if re.fullmatch(r"X([0-9A-Fa-f]{2})+", sequence):
        return bytes.fromhex(sequence[1:]).decode("utf-8", "replace")
    return " " if sequence.startswith(".") else ""  # layout and highlighting


def raw_messages(file: BinaryIO) -> Iterator[RawMessage | UnreadableSource]:
    """The messages of a file, one at a time, and an error for each line that belongs to none."""
    lines: list[bytes] = []
    first = size = 0
    for number, line in _lines(file):
        size += len(line)
        if line.startswith(b"MSH") or line.startswith(_ENVELOPE):
            if lines:
                yield RawMessage(first, b"\r".join(lines))
            lines = [line] if line.startswith(b"MSH") else []
            first, size = number, len(line)
        elif not lines:
            yield UnreadableSource(f"line {number} stands before any MSH: {_shown(line)}")
        elif size > LONGEST_MESSAGE:
            yield UnreadableSource(f"line {number}: a message of more than {LONGEST_MESSAGE} bytes is cut")
            yield RawMessage(first, b"\r".join(lines))
            lines = []
        else:
            lines.append(line)
    if lines:
        yield RawMessage(first, b"\r".join(lines))


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines that hold something, with their numbers; CR, LF and CRLF end one."""
    rest, number = b"", 0
    while chunk := file.read(_CHUNK):
        if chunk.endswith(b"\r"):
            chunk += file.read(1)  # CRLF across two chunks is one line end
        *lines, rest = re.split(rb"\r\n|\r|\n", rest + chunk)
        if len(rest) > LONGEST_MESSAGE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            number += 1
            if stripped := _stripped(line):
                yield number, stripped
    if stripped := _stripped(rest):
        yield number + 1, stripped


def _stripped(line: bytes) -> bytes:
    return line.strip(_FRAMING).removeprefix(b"\xef\xbb\xbf").strip(_FRAMING)


def segments(text: str) -> tuple[list[Segment], list[UnreadableSource]]:
    """The segments of one message and an error for each line that is none.

    Raises UnreadableSource where MSH does not say its separators.
    """
    text = re.sub(r"\r\n|\n", "\r", text.strip("\x0b\x1c\ufeff \t\r\n"))
    header = text.split("\r", 1)[0]
    if not re.match(r"MSH([^\w\s])(?!\1)[^\w\s]{2,5}(\1|$)", header):
        raise UnreadableSource(f"expected MSH and its separators, such as MSH|^~\\&|; found {_shown(header)}")
    try:
        plan = hl7.parser.create_parse_plan(header + header[3])  # it looks for the end of MSH-2
    except (hl7.HL7Exception, IndexError, ValueError) as error:
        raise UnreadableSource(f"no HL7 v2 message: {error}") from error
    if len(set(plan.separators)) != len(plan.separators):
        raise UnreadableSource(f"no HL7 v2 message: a separator stands for two things in {_shown(header)}")
    found: list[Segment] = []
    broken = []
    for place, line in enumerate(text.split("\r"), start=1):
        fields = line.split(plan.separators[1])
        if place == 1:
            fields.insert(1, plan.separators[1])  # the field separator is MSH's first field
        name = fields[0].strip()
        if _SEGMENT_NAME.fullmatch(name):
            found.append(Segment(name, place, fields, plan.separators, plan.esc))
        elif line.strip():
            broken.append(UnreadableSource(f"segment {place} has no name: {_shown(line)}"))
    return found, broken


def decoded(content: bytes) -> str:
    """A message as text: UTF-8, else what MSH-18 names, else Latin 1. Never raises."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        named = re.search(rb"8859/(\d{1,2})", content.split(b"\r", 1)[0])
        try:
            return content.decode(f"iso8859-{named[1].decode()}" if named else "latin-1")
        except (LookupError, UnicodeDecodeError):
            return content.decode("latin-1")


def read_offset(text: str) -> tzinfo | None:
    """The offset at the end of an HL7 time; None where it has none."""
    found = _OFFSET.fullmatch(text[-5:])
    if found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))


@lru_cache(maxsize=4096)  # bounded: times come from outside; a panel's results share theirs
def read_hl7_time(text: str, zone: tzinfo | None) -> datetime | None:
    """An HL7 time to the minute or finer, at its own offset or else in `zone`, in UTC; None where it is none.

    A date alone is no time: it would be midnight, and that is a guess of up to a day. Without an offset and
    without a `zone` it is none either.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    own = read_offset(text) if found["sign"] else zone
    if own is None:
        return None
    clock = found["clock"]
    try:
        day = (int(clock[:4]), int(clock[4:6]), int(clock[6:8]))
        time = datetime(*day, int(clock[8:10]), int(clock[10:]), tzinfo=own)
        return read_time(time + timedelta(seconds=float(found["seconds"] or 0)))
    except (ValueError, OverflowError):
        return None


def first_text(segment: Segment | None, fields: Sequence[int]) -> str:
    """The first component of the first of `fields` that holds something."""
    if segment is None:
        return ""
    return next((text for field in fields if (text := segment.text(field))), "")


def _shown(line: bytes | str) -> str:
    """A line's beginning only: the rest may name a patient."""
    text = line.decode("latin-1") if isinstance(line, bytes) else line
    return repr(text[:12])
