"""The names of sources: one way to say which kind of records a path holds, for every command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from models.clinical.errors import InvalidInput

if TYPE_CHECKING:
    from pipelines.ingest.source import Source


@dataclass(frozen=True)
class SourceKind:
    """A kind of source: the `module` whose `open_source` reads it, and in words what its path is.

    `out_of_core`: it sorts on disk, within a memory that a caller may set.
    """

    module: str
    path: str
    out_of_core: bool = False


# imported only when asked for, so that naming a source costs nothing
SOURCES: Mapping[str, SourceKind] = MappingProxyType(
    {
        "cinc2019": SourceKind("cinc2019", "a .psv file, a folder of them, or the zip as it is"),
        "cinc2012": SourceKind("cinc2012", "a folder of record files, or the zip as it is"),
        "mimic3": SourceKind("mimic3", "the folder of the CSV export", out_of_core=True),
        "mimic4": SourceKind("mimic4", "the folder with hosp and icu", out_of_core=True),
        "eicu": SourceKind("eicu", "the folder of the CSV export", out_of_core=True),
        "meds": SourceKind("meds", "the folder with data and metadata", out_of_core=True),
        "fhir": SourceKind("fhir", "a Bundle, an ndjson file, or a folder of them"),
        "hl7v2": SourceKind("hl7v2", "a file of messages, or a folder of them"),
        "table": SourceKind("long_table", "a long table, CSV or Parquet"),
        "ingested": SourceKind("folder", "a folder that prodrome ingest wrote"),
    }
)


def open_named(name: str, path: Path, memory_mb: int | None = None) -> Source:
    """The source of that name at `path`; `memory_mb` bounds what a source that sorts on disk may hold.

    Raises InvalidInput for a name that is not in SOURCES, UnreadableSource for a path that is no such source.
    """
    if name not in SOURCES:
        known = ", ".join(SOURCES)
        raise InvalidInput(f"no source {name!r}; there are: {known}", value=name, bound=known)
    kind = SOURCES[name]
    options: dict[str, Any] = {}
    if kind.out_of_core and memory_mb is not None:
        options["limits"] = import_module("pipelines.ingest.relational.engine").Limits(memory_mb=memory_mb)
    opened: Source = import_module(f"pipelines.ingest.{kind.module}").open_source(path, **options)
    return opened
