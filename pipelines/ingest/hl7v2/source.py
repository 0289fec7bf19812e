"""HL7 v2 messages as stays: ORU^R01 and IHE PCD-01, with the ADT messages of the same feed.

Reads a file of one or many messages or a folder of files; which files hold messages is seen by how they
begin. A stay is a visit: PV1-19, or PID-18 where it is typed as a visit number. A result that names no visit
belongs to the visit of its patient that it falls into, else to a stay of the patient, admitted at the full
hour before its first result. Admission and discharge come from PV1-44 and PV1-45, or from ADT^A01, A04 and
A03; the latest message counts, also for the care unit.

Every OBX is one cell: kept, quarantined, or counted in `set_aside` where its code is not mapped or its
patient not named. Rows wait sorted on disk for the end of the feed, so memory grows with the patients in it
and not with its messages.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from itertools import groupby
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.hl7v2.results import Message, PatientResults, Result, parse_message
from pipelines.ingest.hl7v2.segments import RawMessage, decoded, raw_messages
from pipelines.ingest.hl7v2.stays import ROW_SCHEMA, Person, ResultRow, result_row, stays_of
from pipelines.ingest.source import IngestedStay, SetAside
from pipelines.ingest.tables import BATCH_ROWS, rows, sorted_by

_BEGINNINGS = (b"MSH", b"FHS", b"BHS")
_SUFFIXES = frozenset({".hl7", ".er7", ".mllp"})  # a file of that name that holds no message is a failure


class Hl7v2:
    """A source of stays from HL7 v2 messages; see `open_source`."""

    def __init__(self, path: Path, files: Sequence[Path], zone: tzinfo | None) -> None:
        self._path = path
        self._files = files
        self._zone = zone
        self._failures: list[UnreadableSource] = []
        self._set_aside: Counter[tuple[Reason, str]] = Counter()
        self._examples: dict[tuple[Reason, str], str] = {}

    @property
    def name(self) -> str:
        """The path that was opened."""
        return str(self._path)

    @property
    def stay_count(self) -> None:
        """Unknown before the messages are read."""
        return

    @property
    def failures(self) -> Sequence[UnreadableSource]:
        """Files, messages and lines that could not be read, each with its place."""
        return tuple(self._failures)

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """The OBX of the latest pass whose code is not mapped, or that belong to no stay."""
        return [SetAside(*key, count, self._examples[key]) for key, count in self._set_aside.most_common()]

    def stays(self) -> Iterator[IngestedStay]:
        """Every stay, by patient and visit number."""
        self._failures, self._examples = [], {}
        self._set_aside.clear()
        people: defaultdict[str, Person] = defaultdict(Person)
        sorted_rows = sorted_by(_batches(self._rows(people)), ["subject", "row"])
        groups = groupby(
            map(ResultRow._make, rows(sorted_rows, ResultRow._fields)), key=lambda row: row.subject
        )
        subject, results = next(groups, ("", iter(())))
        named = Counter(number for person in people.values() for number in person.visits)
        named.update(people.keys())  # a patient's own stay is named as the patient
        for known in sorted(people):
            while subject < known and (another := next(groups, None)) is not None:
                subject, results = another
            mine = list(results) if subject == known else []
            for found in stays_of(known, people[known], mine, named):
                if isinstance(found, IngestedStay):
                    yield found
                    continue
                for row in found:
                    self._aside(Reason.MALFORMED, row.code, f"{row.code} of patient {known} has no time")

    def _rows(self, people: defaultdict[str, Person]) -> Iterator[ResultRow]:
        """The OBX of all messages that may become something; the rest is counted as set aside."""
        count = 0
        for message in self._messages():
            for patient in message.patients:
                if patient.subject:
                    people[patient.subject].learn(patient)
                for result in patient.results:
                    if not self._counted(message, patient, result):
                        yield result_row(message, patient, result, count)
                    count += 1

    def _messages(self) -> Iterator[Message]:
        for file in self._files:
            raw = None
            try:
                with file.open("rb") as opened:
                    for raw in raw_messages(opened):
                        yield from self._parsed(file, raw)
                if raw is None:
                    self._failures.append(UnreadableSource(f"{file}: is empty; expected HL7 v2 messages"))
            except OSError as error:
                self._failures.append(UnreadableSource(f"{file}: cannot be read: {error}"))

    def _parsed(self, file: Path, raw: RawMessage | UnreadableSource) -> Iterator[Message]:
        try:
            if isinstance(raw, UnreadableSource):
                raise raw
            message = parse_message(decoded(raw.content), self._zone)
        except UnreadableSource as failure:
            line = f" line {raw.line}" if isinstance(raw, RawMessage) else ""
            self._failures.append(UnreadableSource(f"{file}{line}: {failure}"))
            return
        for broken in message.broken:
            place = f"{file} line {raw.line}, message {message.control_id}"
            self._failures.append(UnreadableSource(f"{place}: {broken}"))
        yield message

    def _counted(self, message: Message, patient: PatientResults, result: Result) -> bool:
        where = f"message {message.control_id} segment {result.place}"
        if result.fault is not None and result.fault.reason is Reason.UNKNOWN_VARIABLE:
            self._aside(Reason.UNKNOWN_VARIABLE, result.label, f"{where}: {result.fault.detail}")
            return True
        if not patient.subject:
            self._aside(Reason.UNKNOWN_STAY, result.reading.code, f"{where}: {result.label} names no patient")
            return True
        return False

    def _aside(self, reason: Reason, code: str, example: str) -> None:
        self._set_aside[reason, code] += 1
        self._examples.setdefault((reason, code), example)


def open_source(path: Path, zone: tzinfo | None = None) -> Hl7v2:
    """The stays of a file of messages or of a folder of such files, recursively, by name.

    `zone` is that of times where neither they nor their message's MSH-7 have an offset; without it they are
    malformed. Raises UnreadableSource if the path is absent or holds no message.
    """
    path = Path(path)
    if path.is_file():
        return Hl7v2(path, [path], zone)
    if not path.is_dir():
        raise UnreadableSource(f"{path}: no such file or folder; expected HL7 v2 messages")
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and _holds_messages(file)]
    if not files:
        raise UnreadableSource(f"{path}: no file here begins with MSH, BHS or FHS")
    return Hl7v2(path, files, zone)


def _holds_messages(file: Path) -> bool:
    if file.suffix.casefold() in _SUFFIXES:
        return True
    with file.open("rb") as opened:
        return opened.read(64).lstrip(b"\xef\xbb\xbf\x0b\x1c \t\r\n").startswith(_BEGINNINGS)


def _batches(found: Iterator[ResultRow]) -> Iterator[pa.Table]:
    batch: list[ResultRow] = []
    for row in found:
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            yield _table(batch)
            batch = []
    yield _table(batch)


def _table(batch: Sequence[ResultRow]) -> pa.Table:
    columns = zip(*batch, strict=True) if batch else ([] for _ in ROW_SCHEMA)
    arrays = [pa.array(column, one.type) for column, one in zip(columns, ROW_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=ROW_SCHEMA)
