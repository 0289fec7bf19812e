"""Labels from a table of onsets: stays that carry none, labelled hour by hour as the challenge does.

Hour h of a stay is positive from `LEAD_HOURS` before its onset on; a stay without an onset has no positive
hour. A stay that the table does not name is in no cohort and is left out, and so is one without observations:
it has no hour that anybody could score.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import read_number
from pipelines.ingest.source import IngestedStay, SetAside, Source
from pipelines.ingest.tables import ROW, TableFile, rows

LEAD_HOURS = 6  # of the challenge: doi:10.1097/CCM.0000000000004145
_COLUMNS = ("stay", "onset_hour")
_NO_ONSET = (None, "", "NaN", "nan")


@dataclass(frozen=True)
class LabelledSource:
    """A source with labels from `onset_hour`, NaN for a stay without one; made by `labelled_by`."""

    source: Source
    onset_hour: Mapping[str, float]

    @property
    def name(self) -> str:
        """The path of the source."""
        return self.source.name

    @property
    def stay_count(self) -> int | None:
        """How many stays there are at most."""
        return self.source.stay_count

    @property
    def failures(self) -> Sequence[UnreadableSource]:
        """What of the source could not be read."""
        return self.source.failures

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """The rows of the source that belong to no stay or no variable."""
        return self.source.set_aside

    def stays(self) -> Iterator[IngestedStay]:
        """Every stay that has a label, with it."""
        for ingested in self.source.stays():
            onset = self.onset_hour.get(ingested.stay.stay_id)
            if onset is not None and len(ingested.stay.observations):
                yield _labelled(ingested, onset)


def labelled_by(source: Source, path: Path) -> LabelledSource:
    """`source` with the labels of a table (.parquet or .csv) that has the columns stay and onset_hour.

    Raises UnreadableSource if the table cannot be read, lacks a column, names a stay twice, or none, or has
    an onset before admission.
    """
    table = TableFile(path)
    missing = [name for name in _COLUMNS if name not in table.columns()]
    if missing:
        raise UnreadableSource(f"{path}: missing column {', '.join(missing)}")
    onset_hour: dict[str, float] = {}
    for stay, hour, row in rows(table.batches(_COLUMNS), (*_COLUMNS, ROW)):
        number = read_number(hour)
        if str(stay) in onset_hour:
            raise UnreadableSource(f"{path}: stay {stay} stands twice; expected one onset a stay")
        onset_hour[str(stay)] = number
        if math.isnan(number) and not isinstance(hour, float) and hour not in _NO_ONSET:
            fault = f"stay {stay} has onset_hour {hour!r}; expected hours or nothing"
            raise UnreadableSource(f"{path}: row {row}: {fault}")
        if number < 0:
            fault = f"stay {stay} has its onset {-number:g} h before admission; leave such stays out"
            raise UnreadableSource(f"{path}: row {row}: {fault}")
    if not onset_hour:
        raise UnreadableSource(f"{path}: no row; expected one a stay")
    return LabelledSource(source, onset_hour)


def _labelled(ingested: IngestedStay, onset: float) -> IngestedStay:
    hour = ingested.hour
    if hour is None:
        hour = np.arange(1, len(ingested.stay.grid()) + 1, dtype=np.int64)
    positive = hour >= onset - LEAD_HOURS  # nothing compares with NaN
    return replace(ingested, hour=hour, label=positive.astype(np.int8))
