"""Annotations as tab-separated tables: SzCORE (HED-SCORE) in and out, BIDS events in.

SzCORE: `onset duration eventType confidence channels dateTime recordingDuration`, seconds after the start
of the recording, `n/a` where nothing is stated; `dateTime` is when the recording began, read as UTC where
it has no offset. One file may hold several recordings, told apart by `dateTime`. BIDS events name the type
`trial_type`; their missing duration is 0. A recording without a seizure has rows `bckg` over what is known to
be calm, which also puts its length on file.

A row that cannot be used is set aside with its reason and the good rows are kept. Rows are counted from 1,
the first row below the header. Source: https://github.com/esl-epfl/sz-validation-framework; BIDS 1.10,
"Task events".
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import numpy as np

from models.clinical.annotation import AnnotatedSpan, Annotation
from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.quarantine import Quarantined, Reason, as_json, cell_text, read_number, read_time
from pipelines.ingest.files import LARGEST_FILE

COLUMNS = ("onset", "duration", "eventType", "confidence", "channels", "dateTime", "recordingDuration")
TYPE_COLUMNS = ("eventType", "trial_type", "description")
NOTHING = frozenset({"", "n/a", "N/A", "na", "nan", "NaN"})


@dataclass(frozen=True)
class AnnotationTable:
    """The recordings of one file in the order in which it names them, and the rows that were set aside."""

    path: Path
    spans: tuple[AnnotatedSpan, ...]
    set_aside: tuple[Quarantined, ...]

    def complaints(self) -> tuple[str, ...]:
        """One sentence a row that was set aside: file, row, value and bound."""
        return tuple(f"{self.path} row {entry.row}: {entry.detail}" for entry in self.set_aside)

    def beyond(self) -> tuple[str, ...]:
        """One sentence a seizure that begins after its recording's stated length; see `read_szcore`."""
        return tuple(
            f"{self.path}: a seizure at {seizure.onset_seconds:g} s of a recording of {span.seconds:g} s"
            for span in self.spans
            for seizure in span.seizures
            if span.seconds is not None and seizure.onset_seconds > span.seconds
        )


class _BadRow(Exception):
    def __init__(self, reason: Reason, detail: str, value: object, bound: str) -> None:
        super().__init__(detail)
        self.entry = (reason, detail, value, bound)


def read_annotations(path: Path) -> AnnotationTable:
    """Every usable row of the table. Raises UnreadableSource where it is no table or lacks a column."""
    return _read(path, *_table(path), within=True)


def read_szcore(path: Path) -> AnnotationTable:
    """A table that is scored, or scored against.

    As `read_annotations`, but a column must say which rows are seizures, or UnreadableSource is raised: a
    table without one would be a night without a seizure. A row that begins after the stated length of its
    recording is kept, because `timescoring` counts it: as false, or as not detected.
    """
    header, rows = _table(path)
    if not set(header) & set(TYPE_COLUMNS):
        raise UnreadableSource(
            f"{path}: no column eventType, so no row says that it is a seizure; expected {', '.join(COLUMNS)}"
        )
    return _read(path, header, rows, within=False)


def _read(path: Path, header: list[str], table: list[list[str]], *, within: bool) -> AnnotationTable:
    """The usable rows; `within`: none may begin after its recording's end."""
    held: dict[datetime | None, list[Annotation]] = {}
    lengths: dict[datetime | None, float] = {}
    set_aside: list[Quarantined] = []
    for number, cells in enumerate(table, 1):
        try:
            row = _row(header, cells)
            started, seconds = _started_at(row), _seconds(row, "recordingDuration")
            annotation = _annotation(row, seconds if within else None)
            _require_one_length(seconds, lengths.get(started))
        except _BadRow as bad:
            reason, detail, value, bound = bad.entry
            set_aside.append(
                Quarantined(reason, detail, row=number, value=as_json(value), bound=bound, unit="s")
            )
            continue
        held.setdefault(started, []).append(annotation)
        if seconds is not None:
            lengths[started] = seconds
    spans = [AnnotatedSpan(tuple(rows), started, lengths.get(started)) for started, rows in held.items()]
    return AnnotationTable(path, tuple(spans), tuple(set_aside))


def write_annotations(path: Path, spans: Sequence[AnnotatedSpan]) -> None:
    """Write the recordings as one SzCORE table, which appears whole or not at all.

    Raises InvalidInput for a recording without an annotation: a table has no row for it, and one that said
    `bckg` would claim that somebody had looked.
    """
    if silent := [place for place, span in enumerate(spans) if not span.annotations]:
        raise InvalidInput(
            f"{path}: recording {silent[0]} has no annotation; say bckg where it is known to be calm",
            value=0,
            bound=">= 1 annotation",
        )
    text = StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for span in spans:
        for annotation in span.annotations:
            writer.writerow(_cells(annotation, span))
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text.getvalue(), encoding="utf-8")
    beside.replace(path)


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise UnreadableSource(f"{path}: {size} bytes; expected at most {LARGEST_FILE}")
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableSource(f"{path}: expected a tab-separated table in UTF-8, but {error}") from error
    lines = [line for line in text.splitlines() if line.strip()]
    header = [name.strip() for name in (lines[0].split("\t") if lines else [])]
    if missing := [name for name in ("onset", "duration") if name not in header]:
        raise UnreadableSource(f"{path}: no column {', '.join(missing)}; expected {', '.join(COLUMNS)}")
    return header, [line.split("\t") for line in lines[1:]]


def _row(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(header):
        bound = f"{len(header)} cells"
        raise _BadRow(Reason.MALFORMED, f"{len(cells)} cells; expected {len(header)}", len(cells), bound)
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True)}


def _annotation(row: dict[str, str], latest: float | None) -> Annotation:
    onset = _seconds(row, "onset", latest)
    duration = _seconds(row, "duration")
    if onset is None:
        raise _BadRow(Reason.NO_VALUE, "onset holds no value; expected seconds >= 0", "n/a", ">= 0 s")
    kind = next((row[name] for name in TYPE_COLUMNS if row.get(name, "") not in NOTHING), "n/a")
    return Annotation(onset, duration or 0.0, kind, _confidence(row), _channels(row))


def _require_one_length(seconds: float | None, before: float | None) -> None:
    if seconds is not None and before is not None and seconds != before:
        detail = f"recordingDuration {seconds:g} s; earlier rows of the same recording say {before:g} s"
        raise _BadRow(Reason.MALFORMED, detail, seconds, f"{before:g} s")


def _seconds(row: dict[str, str], name: str, most: float | None = None) -> float | None:
    """The seconds in a cell in [0, most], None where nothing is stated."""
    cell = row.get(name, "")
    if cell in NOTHING:
        return None
    value, bound = read_number(cell), ">= 0 s" if most is None else f"[0, {most:g}] s"
    if math.isfinite(value) and 0.0 <= value <= (math.inf if most is None else most):
        return value
    reason = Reason.NOT_A_NUMBER if math.isnan(value) else Reason.IMPLAUSIBLE
    raise _BadRow(reason, f"{name} {cell_text(cell)} is not in {bound}", cell, bound)


def _confidence(row: dict[str, str]) -> float | None:
    cell = row.get("confidence", "")
    if cell in NOTHING:
        return None
    value = read_number(cell)
    if not 0.0 <= value <= 1.0:
        raise _BadRow(Reason.IMPLAUSIBLE, f"confidence {cell_text(cell)} is not in [0, 1]", cell, "[0, 1]")
    return value


def _channels(row: dict[str, str]) -> tuple[str, ...]:
    cell = row.get("channels", "")
    return () if cell in NOTHING else tuple(name.strip() for name in cell.split(",") if name.strip())


def _started_at(row: dict[str, str]) -> datetime | None:
    cell = row.get("dateTime", "")
    if cell in NOTHING:
        return None
    time = read_time(cell)
    if time is None:
        bound = "YYYY-MM-DD HH:MM:SS"
        raise _BadRow(Reason.MALFORMED, f"dateTime {cell_text(cell)} is not {bound}", cell, bound)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _cells(annotation: Annotation, span: AnnotatedSpan) -> list[str]:
    started = "n/a" if span.started_at is None else f"{span.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return [
        _decimal(annotation.onset_seconds),
        _decimal(annotation.duration_seconds),
        annotation.event_type,
        _decimal(annotation.confidence),
        ",".join(annotation.channels) or "n/a",
        started,
        _decimal(span.seconds),
    ]


def _decimal(value: float | None) -> str:
    """The shortest decimal that reads back as the same number, never in scientific notation."""
    return "n/a" if value is None else np.format_float_positional(value, trim="0")
