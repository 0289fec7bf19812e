"""BIDS-iEEG: a recording (EDF or BrainVision) with the tables that lie beside it.

`channels.tsv` says which channels are bad and which are no electrodes of the brain (ECG, TRIG),
`electrodes.tsv` where they lie (in `coordsystem.json`'s unit, else mm), `events.tsv` what happened. A table
that is not there is done without; a name that the recording does not have is set aside. Values keep the unit
of the recording's own header: `units` of channels.tsv is often wrong.

Source: BIDS 1.10,
https://bids-specification.readthedocs.io/en/stable/modality-specific-files/intracranial-electroencephalography.html.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import read_number
from models.clinical.recording import Channel, Recording
from pipelines.ingest.annotations import read_annotations
from pipelines.ingest.recordings.opened import OpenedRecording

SUFFIX = "_ieeg"
ELECTRODES = {"SEEG", "ECOG", "DBS", "EEG", "IEEG"}  # the last is no type of BIDS, but written
NOT_STATED = {"", "N/A"}
MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
RATE_TOLERANCE = 1e-3  # relative: sidecars round

Row = dict[str, str]


def is_bids(path: Path) -> bool:
    """Whether the file is named as BIDS names a recording and has a table of channels beside it."""
    return path.stem.endswith((SUFFIX, "_eeg")) and _beside(path, "_channels.tsv") is not None


def with_sidecars(path: Path, opened: OpenedRecording) -> OpenedRecording:
    """The recording as its BIDS tables complete it. Raises UnreadableSource where a table is broken."""
    complaints = list(opened.complaints)
    recording = opened.recording
    if table := _beside(path, "_channels.tsv"):
        recording = _completed(recording, table, complaints, _with_status)
    if table := _beside(path, "_electrodes.tsv"):
        scale = _scale(path)
        recording = _completed(
            recording, table, complaints, lambda channel, row, _: _with_position(channel, row, scale)
        )
    annotations = opened.annotations
    if table := _beside(path, "_events.tsv"):
        read = read_annotations(table)
        annotations += tuple(one for span in read.spans for one in span.annotations)
        complaints += read.complaints()
    return OpenedRecording(recording, annotations, tuple(complaints))


def _beside(path: Path, ending: str) -> Path | None:
    """The sidecar with the most entities, all of them of the recording's name, as BIDS inherits.

    A space, which electrodes have and recordings do not, is no objection.
    """
    own = set(path.stem.split("_"))
    fitting = [
        (len(entities), file)
        for file in sorted(path.parent.glob(f"*{ending}"))
        if (entities := _entities(file, ending)) <= own
    ]
    return max(fitting, key=lambda found: found[0])[1] if fitting else None


def _entities(file: Path, ending: str) -> set[str]:
    parts = file.name.removesuffix(ending).split("_")
    return {part for part in parts if not part.startswith("space-")}


def _completed(
    recording: Recording,
    table: Path,
    complaints: list[str],
    complete: Callable[[Channel, Row, Path], Channel],
) -> Recording:
    rows = _rows(table)
    known = {channel.name for channel in recording.channels}
    complaints += [f"{table}: no channel {name!r} in the recording" for name in rows if name not in known]
    channels = tuple(
        complete(channel, rows[channel.name], table) if channel.name in rows else channel
        for channel in recording.channels
    )
    return replace(recording, channels=channels)


def _with_status(channel: Channel, row: Row, table: Path) -> Channel:
    rate_hz = read_number(row.get("sampling_frequency", ""))
    if abs(rate_hz - channel.rate_hz) > RATE_TOLERANCE * channel.rate_hz:  # false where none is stated
        raise UnreadableSource(
            f"{table}: {channel.name} has {rate_hz:g} Hz; expected {channel.rate_hz:g} Hz, as recorded"
        )
    kind = row.get("type", "").strip().upper()
    told = "" if kind in ELECTRODES else channel.kind if kind in NOT_STATED else kind
    return replace(channel, bad=row.get("status", "").lower() == "bad", kind=told)


def _with_position(channel: Channel, row: Row, scale: float) -> Channel:
    x, y, z = (read_number(row.get(axis, "")) * scale for axis in "xyz")
    return channel if x + y + z != x + y + z else replace(channel, position_mm=(x, y, z))


def _scale(path: Path) -> float:
    file = _beside(path, "_coordsystem.json")
    if file is None:
        return 1.0
    try:
        unit = json.loads(file.read_text(encoding="utf-8")).get("iEEGCoordinateUnits", "mm")
    except (ValueError, AttributeError) as error:
        raise UnreadableSource(f"{file}: expected a JSON object, but {error}") from error
    return MILLIMETRES.get(unit, 1.0)


def _rows(table: Path) -> dict[str, Row]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableSource(f"{table}: expected a tab-separated table in UTF-8, but {error}") from error
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows or "name" not in rows[0]:
        raise UnreadableSource(f"{table}: no column name; expected one row a channel")
    return {row["name"].strip(): {key: value or "" for key, value in row.items() if key} for row in rows}
