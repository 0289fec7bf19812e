"""A whole source, read once: into a folder with its quality report, into the service's database, or both."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.clinical.errors import InvalidInput
from models.clinical.variables import CATALOGUE
from pipelines.ingest.layout import FORMAT, SHARD_RULE
from pipelines.ingest.quality.report import write_quality
from pipelines.ingest.source import IngestedStay, IngestSummary, Source
from pipelines.ingest.store import StayStore
from pipelines.ingest.write import FolderWriter, replacing_folder, write_record

DEFAULT_MEMORY_MB = 1024
_PACKAGES = ("prodrome", "duckdb", "numpy", "pandas", "pyarrow")


@dataclass(frozen=True)
class Ingestion:
    """What an ingest did: its totals, what of the source could not be read, and what the database took.

    `stored` is None where no database was given.
    """

    summary: IngestSummary
    failures: tuple[str, ...]
    stored: StayStore | None

    def as_json(self) -> dict[str, Any]:
        """The totals, and the failures as sentences."""
        counts = self.summary.as_json() | {"failures": list(self.failures)}
        return counts if self.stored is None else counts | {"stored": self.stored.as_json()}


def ingest(
    source: Source,
    kind: str,
    *,
    out: Path | None = None,
    database: str | None = None,
    memory_mb: int = DEFAULT_MEMORY_MB,
    progress: Callable[[int], None] | None = None,
) -> Ingestion:
    """Read `source`, which is one of the `kind` of that name, and keep all of it.

    `out` gets the folder that `layout` describes, with its quality report; `database` (an SQLAlchemy URL) the
    stays and observations, where they are not there yet. `memory_mb` bounds what the report may hold. Raises
    InvalidInput without either, and for a folder that holds something else; UnreadableSource if the source
    ends early: the folder is then as it was before.
    """
    if out is None and database is None:
        raise InvalidInput("an ingest needs a folder (--out), a database (--database), or both")
    summary = IngestSummary()
    with ExitStack() as whole:
        folder = None if out is None else whole.enter_context(replacing_folder(out))
        store = None if database is None else whole.enter_context(StayStore.opened(database))
        with ExitStack() as writing:
            takers: list[Callable[[IngestedStay], None]] = [] if store is None else [store.add]
            if folder is not None:
                takers.append(writing.enter_context(FolderWriter.writing(folder)).add)
            for ingested in summary.counting_all(source):
                for take in takers:
                    take(ingested)
                if progress is not None:
                    progress(1)
        if folder is not None:
            record = _record(source, kind, summary)
            write_quality(folder, record, memory_mb)
            write_record(folder, record)
    refused = () if store is None else tuple(store.refused)
    return Ingestion(summary, (*(str(failure) for failure in source.failures), *refused), store)


def _record(source: Source, kind: str, summary: IngestSummary) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "source": kind,
        "path": source.name,
        "ingested_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        "subject_shard": SHARD_RULE,
        "units": {name: row.unit for name, row in CATALOGUE.items()},
        "counts": summary.as_json(),
        "set_aside": [asdict(rows) for rows in source.set_aside],
        "failures": [str(failure) for failure in source.failures],
    }
