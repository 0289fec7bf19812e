"""The stays of an evaluation: every source opened, its part taken, nobody whom a model has seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from models.clinical.errors import UnreadableSource
from models.clinical.stay import Stay
from pipelines.evaluate.parts import STAYS_A_PART, Chunk
from pipelines.evaluate.seen import Seen, holds
from pipelines.evaluate.settings import SourceSettings
from pipelines.ingest.source import IngestedStay, IngestSummary, Source
from pipelines.ingest.sources import open_named
from pipelines.onset_labels import LabelledSource, labelled_by, require_onsets_held


@dataclass
class OpenedSource:
    """One source of a run, and what became of its stays as they were read."""

    settings: SourceSettings
    source: Source
    ingest: IngestSummary = field(default_factory=IngestSummary)
    stays_read: int = 0
    outside_part: int = 0

    @classmethod
    def of(cls, settings: SourceSettings) -> OpenedSource:
        """Raises InvalidInput for an unknown source, UnreadableSource for what cannot be opened."""
        opened = open_named(settings.name, settings.path)
        return cls(settings, opened if settings.labels is None else labelled_by(opened, settings.labels))

    @property
    def unreadable(self) -> tuple[str, ...]:
        """One sentence for each stay that could not be read."""
        return tuple(str(failure) for failure in self.source.failures)

    @property
    def unlabelled(self) -> int:
        """How many stays the table of labels leaves out; they are not among `stays_read`."""
        return len(self.source.left_out) if isinstance(self.source, LabelledSource) else 0

    def stays(self, seen: Sequence[Seen], on_read: Callable[[], None]) -> Iterator[IngestedStay]:
        """The labelled stays of the part. Raises UnreadableSource for one without a label, InvalidInput for
        a subject that a model has seen.
        """
        inside, evaluated = holds(self.settings.part), 0
        for ingested in self.source.stays():
            self.stays_read += 1
            on_read()
            if not inside(ingested.stay):
                self.outside_part += 1
                continue
            self._check(ingested, seen)
            self.ingest.add(ingested)
            yield ingested
            evaluated += 1
            if evaluated == self.settings.first:
                return
        self.ingest.add_rows_of_no_stay(self.source)

    def _check(self, ingested: IngestedStay, seen: Sequence[Seen]) -> None:
        stay: Stay = ingested.stay
        if ingested.labelled is None:
            raise UnreadableSource(f"{self.source.name}: stay {stay.stay_id} has no hourly label to evaluate")
        if ingested.hour is not None and not len(ingested.hour):
            raise UnreadableSource(
                f"{self.source.name}: stay {stay.stay_id} has no hour that could be scored"
            )
        for one in seen:
            one.require_unseen(self.settings.path, stay)


def chunks(
    opened: Sequence[OpenedSource], seen: Sequence[Seen], on_read: Callable[[], None]
) -> Iterator[Chunk]:
    """The stays of all sources, `STAYS_A_PART` at a time, those of one site together."""
    number = 0
    for source in opened:
        remaining = source.stays(seen, on_read)
        while stays := tuple(islice(remaining, STAYS_A_PART)):
            yield Chunk(number, source.settings.called, stays)
            number += 1


def require_onsets(opened: Sequence[OpenedSource]) -> None:
    """Raises UnreadableSource, naming file and row, for an onset of a stay that no source of its table has.

    A source that was asked for its first stays alone does not tell.
    """
    tables: defaultdict[Path, list[LabelledSource]] = defaultdict(list)
    for one in opened:
        if isinstance(one.source, LabelledSource):
            tables[one.source.path].append(one.source)
    partial = {one.settings.labels for one in opened if one.settings.first is not None}
    for path, sources in tables.items():
        if path not in partial:
            require_onsets_held(sources)
