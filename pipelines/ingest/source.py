"""What every source of stays gives: stays, what was kept of them, and what was set aside and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Quarantined, Reason
from models.clinical.stay import LabelledStay, Stay


@dataclass(frozen=True)
class SetAside:
    """Rows that belong to no stay or to no variable: `count` of them for one `reason` and one `code`.

    `example` is one of them in words, naming value, bound and unit where it has them.
    """

    reason: Reason
    code: str
    count: int
    example: str


@dataclass(frozen=True)
class IngestedStay:
    """A stay as read from a source.

    `cells_read` counts the rows or cells that held something; each became an observation, an intervention or
    an entry of `quarantine`. `facts_quarantined` holds what was set aside of the stay itself (age, sex,
    hospital admission). `converted` counts the kept cells that came in another unit, by variable and that
    unit; `lag_assumed` by variable those whose source does not say when they became known. `hour` (R,) int64
    is the hour after admission of each input row, where the source has hourly rows; `label` (R,) int8 in
    {0, 1} where it also has labels; `onset_hour` is when its event begins, hours after admission, where that
    is told beside the labels. `diagnoses` are codes of the hospital admission (ICD), `charting` the system a
    bedside was charted with, where the source tells. Raises UnreadableSource if a cell was lost.
    """

    stay: Stay
    cells_read: int
    quarantine: tuple[Quarantined, ...] = ()
    facts_quarantined: tuple[Quarantined, ...] = ()
    converted: Mapping[tuple[str, str], int] = field(default_factory=dict)
    lag_assumed: Mapping[str, int] = field(default_factory=dict)
    hour: npt.NDArray[np.int64] | None = None
    label: npt.NDArray[np.int8] | None = None
    onset_hour: float | None = None
    diagnoses: tuple[str, ...] = ()
    charting: str | None = None

    def __post_init__(self) -> None:
        accounted = self.cells_kept + len(self.quarantine)
        if accounted != self.cells_read:
            raise UnreadableSource(
                f"stay {self.stay.stay_id}: {self.cells_read} cells read, but {self.cells_kept} kept and "
                f"{len(self.quarantine)} quarantined"
            )

    @property
    def cells_kept(self) -> int:
        """How many cells became observations or interventions."""
        return len(self.stay.observations) + len(self.stay.interventions)

    @property
    def labelled(self) -> LabelledStay | None:
        """The stay with its hourly label; None where the source has no labels."""
        if self.hour is None or self.label is None:
            return None
        return LabelledStay(self.stay, self.hour, self.label)


class Source(Protocol):
    """A place that stays come from, one at a time."""

    @property
    def name(self) -> str:
        """What messages call the source: its path."""

    @property
    def stay_count(self) -> int | None:
        """How many stays there are at most, for progress; None if only reading would tell."""

    @property
    def failures(self) -> Sequence[UnreadableSource]:
        """What could not be read so far in the latest pass of `stays`."""

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """The rows of the latest whole pass of `stays` that belong to no stay or no variable, counted."""

    def stays(self) -> Iterator[IngestedStay]:
        """Every readable stay, in a fixed order; each call starts over."""


@dataclass
class IngestSummary:
    """Running totals over the stays given to `add`; both counters count by reason and variable or fact."""

    stays: int = 0
    cells_read: int = 0
    cells_kept: int = 0
    quarantined: Counter[tuple[Reason, str]] = field(default_factory=Counter)
    facts_quarantined: Counter[tuple[Reason, str]] = field(default_factory=Counter)

    def add(self, ingested: IngestedStay) -> None:
        """Count one stay."""
        self.stays += 1
        self.cells_read += ingested.cells_read
        self.cells_kept += ingested.cells_kept
        self.quarantined.update((entry.reason, entry.variable) for entry in ingested.quarantine)
        self.facts_quarantined.update((entry.reason, entry.variable) for entry in ingested.facts_quarantined)

    def counting(self, stays: Iterable[IngestedStay]) -> Iterator[IngestedStay]:
        """The same stays, counted as they pass."""
        for ingested in stays:
            self.add(ingested)
            yield ingested

    def counting_all(self, source: Source) -> Iterator[IngestedStay]:
        """Every stay of a source, counted as it passes; at the end also the rows that belong to none."""
        yield from self.counting(source.stays())
        self.add_rows_of_no_stay(source)

    def add_rows_of_no_stay(self, source: Source) -> None:
        """Count what a source, read to its end, has set aside that belongs to no stay or variable."""
        for rows in source.set_aside:
            self.cells_read += rows.count
            self.quarantined[rows.reason, rows.code] += rows.count

    def as_json(self) -> dict[str, Any]:
        """The totals, quarantined cells by reason."""
        return {
            "stays": self.stays,
            "cells_read": self.cells_read,
            "cells_kept": self.cells_kept,
            "quarantined": {str(reason): count for reason, count in self.by_reason().items()},
            "facts_quarantined": self.facts_quarantined.total(),
        }

    def sentence(self) -> str:
        """The totals for people."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.by_reason().items())
        aside = f"{self.cells_read - self.cells_kept} quarantined" + (f" ({reasons})" if reasons else "")
        return f"read {self.stays} stays, {self.cells_read} values: {self.cells_kept} kept, {aside}"

    def by_reason(self) -> dict[Reason, int]:
        """How many observation cells were quarantined for each reason, most first."""
        totals: Counter[Reason] = Counter()
        for (reason, _), count in self.quarantined.items():
            totals[reason] += count
        return dict(totals.most_common())
