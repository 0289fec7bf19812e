"""Labels from a table of onsets: stays that carry none, labelled hour by hour as the challenge does.

Hour h of a stay is positive from `LEAD_HOURS` before its onset on; a stay without an onset has no positive
hour. A stay that the table does not name is in no cohort and is left out, and so is one without observations:
it has no hour that anybody could score. A stay whose onset no hour foretells counts as one without, and is
named. The onset itself goes along as it is told: hourly labels alone would make it a whole hour, 7 at least.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import read_number
from pipelines.ingest.source import IngestedStay, SetAside, Source
from pipelines.ingest.tables import ROW, TableFile, rows
from pipelines.metrics.alarm_columns import NO_TIME

LEAD_HOURS = 6  # of the challenge: doi:10.1097/CCM.0000000000004145
_COLUMNS = ("stay", "onset_hour")


@dataclass(frozen=True)
class Onset:
    """What `row` of a table says of a stay: hours after admission, NaN without an onset."""

    hour: float
    row: int


@dataclass(frozen=True)
class LabelledSource:
    """A source with labels from the `onsets` of a table, by stay; made by `labelled_by`.

    `held` are the stays of the table that the latest pass of `stays` has met in the source; `left_out` those
    of the source that the table does not name, or that hold no observation; `lost` are onsets that it has not
    met, or that came too late for their stay.
    """

    source: Source
    path: Path
    onsets: Mapping[str, Onset]
    held: set[str] = field(default_factory=set)
    left_out: set[str] = field(default_factory=set)
    lost: list[UnreadableSource] = field(default_factory=list)

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
        return (*self.source.failures, *self.lost)

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """The rows of the source that belong to no stay or no variable."""
        return self.source.set_aside

    def stays(self) -> Iterator[IngestedStay]:
        """Every stay that has a label, with it."""
        for noted in (self.held, self.left_out, self.lost):
            noted.clear()
        for ingested in self.source.stays():
            stay_id, onset = ingested.stay.stay_id, self.onsets.get(ingested.stay.stay_id)
            if onset is not None:
                self.held.add(stay_id)
            if onset is None or not len(ingested.stay.observations):
                self.left_out.add(stay_id)
                continue
            yield self._labelled(ingested, onset)

    def _labelled(self, ingested: IngestedStay, onset: Onset) -> IngestedStay:
        hour = ingested.hour
        if hour is None:
            hour = np.arange(1, len(ingested.stay.grid()) + 1, dtype=np.int64)
        positive = hour >= onset.hour - LEAD_HOURS  # nothing compares with NaN
        foretold = bool(positive.any())
        if not math.isnan(onset.hour) and len(hour) and not foretold:
            fault = f"stay {ingested.stay.stay_id} has its onset at {onset.hour:g} h"
            bound = f"expected at most {LEAD_HOURS} h after its last hour, {hour[-1]}"
            self.lost.append(UnreadableSource(f"{self.path}: row {onset.row}: {fault}; {bound}"))
        told = onset.hour if foretold else None
        return replace(ingested, hour=hour, label=positive.astype(np.int8), onset_hour=told)


def labelled_by(source: Source, path: Path) -> LabelledSource:
    """`source` with the labels of a table (.parquet or .csv) that has the columns stay and onset_hour.

    Raises UnreadableSource if the table or a row of it cannot be read, if it lacks a column, names a stay
    twice, or none, or has an onset before admission.
    """
    table = TableFile(path)
    missing = [name for name in _COLUMNS if name not in table.columns()]
    if missing:
        raise UnreadableSource(f"{path}: missing column {', '.join(missing)}")
    onsets: dict[str, Onset] = {}
    for stay, hour, row in rows(table.batches(_COLUMNS), (*_COLUMNS, ROW)):
        number = read_number(hour)
        if str(stay) in onsets:
            raise UnreadableSource(f"{path}: row {row}: stay {stay} stands twice; expected one onset a stay")
        onsets[str(stay)] = Onset(number, row)
        if math.isnan(number) and not isinstance(hour, float) and not _nothing(hour):
            fault = f"stay {stay} has onset_hour {hour!r}; expected hours or nothing"
            raise UnreadableSource(f"{path}: row {row}: {fault}")
        if number < 0:
            fault = f"stay {stay} has its onset {-number:g} h before admission; leave such stays out"
            raise UnreadableSource(f"{path}: row {row}: {fault}")
    if table.broken_rows:
        raise table.broken_rows[0]
    if not onsets:
        raise UnreadableSource(f"{path}: no row; expected one a stay")
    return LabelledSource(source, path, onsets)


def _nothing(cell: object) -> bool:
    """Whether a cell that is no number says that there is no onset."""
    return cell is None or str(cell).strip() in {"", *NO_TIME}


def require_onsets_held(sources: Sequence[LabelledSource]) -> None:
    """After a whole pass of all `sources` of one table: every onset must be of a stay that one of them has.

    Raises UnreadableSource, naming file and row. Where stays could not be read the lost onsets may be theirs:
    they are told among the failures of the first source.
    """
    held = {stay for source in sources for stay in source.held}
    first = sources[0]
    lost = [stay for stay, onset in first.onsets.items() if not (math.isnan(onset.hour) or stay in held)]
    if not lost:
        return
    names = ", ".join(source.name for source in sources)
    more = f" ({len(lost)} onsets are of such stays)" if len(lost) > 1 else ""
    fault = f"stay {lost[0]} has an onset, but is not in {names}{more}"
    refusal = UnreadableSource(f"{first.path}: row {first.onsets[lost[0]].row}: {fault}")
    if not any(one.source.failures for one in sources):
        raise refusal
    first.lost.append(refusal)
