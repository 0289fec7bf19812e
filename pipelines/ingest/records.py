"""Records: sources in which a file is a stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.files import RecordFiles
from pipelines.ingest.source import IngestedStay, SetAside

# the stay in a file of this name and content, and how many of its rows have a code that is not mapped
ReadRecord = Callable[[str, bytes], tuple[IngestedStay, Counter[str]]]


class RecordSource:
    """A source of record files, each read by `read`, which raises UnreadableSource for what is no record."""

    def __init__(self, files: RecordFiles, read: ReadRecord) -> None:
        self._files = files
        self._read = read
        self._failures: list[UnreadableSource] = []
        self._unmapped: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """The path that was opened."""
        return str(self._files.path)

    @property
    def stay_count(self) -> int:
        """How many files there are."""
        return len(self._files.names)

    @property
    def failures(self) -> Sequence[UnreadableSource]:
        """One error for each file that could not be read in the latest pass of `stays`."""
        return tuple(self._failures)

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """The rows of the latest pass whose code is not mapped to the catalogue."""
        return [
            SetAside(Reason.UNKNOWN_VARIABLE, code, count, f"{code} is not mapped to the catalogue")
            for code, count in self._unmapped.most_common()
        ]

    def stays(self) -> Iterator[IngestedStay]:
        """Every readable stay, by file name; a file that cannot be read is added to `failures`."""
        self._failures = []
        self._unmapped.clear()
        seen: set[str] = set()
        for name, content in self._files.contents():
            try:
                if isinstance(content, UnreadableSource):
                    raise content
                ingested, unmapped = self._read(name, content)
                if ingested.stay.stay_id in seen:
                    raise UnreadableSource(f"{name}: a stay {ingested.stay.stay_id} was read before")
            except UnreadableSource as failure:
                self._failures.append(failure)
                continue
            seen.add(ingested.stay.stay_id)
            self._unmapped.update(unmapped)
            yield ingested
