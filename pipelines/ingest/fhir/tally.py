"""What a pass over FHIR resources sets aside outside every stay, counted with an example of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from models.clinical.quarantine import Reason, cell_text
from pipelines.ingest.source import SetAside


@dataclass
class Tally:
    """Rows set aside outside every stay, counted by reason and code with an example of each."""

    counts: Counter[tuple[Reason, str]] = field(default_factory=Counter)
    examples: dict[tuple[Reason, str], str] = field(default_factory=dict)

    def add(self, reason: Reason, code: str, example: str) -> None:
        """Count one row."""
        self.counts[reason, code] += 1
        self.examples.setdefault((reason, code), example)

    def outside(self, code: str, what: str, time: datetime | None, told: str, *, withdrawn: bool) -> None:
        """Count a row that belongs to no stay; `told` is its time as sent, `time` what that means."""
        if withdrawn:
            self.add(
                Reason.WITHDRAWN, code, f"{what} of {told or 'no time'} was withdrawn, outside every stay"
            )
        elif time is None:
            detail = f"{what}: its time {cell_text(told)} is not a time of day with an offset"
            self.add(Reason.MALFORMED, code, detail)
        else:
            self.add(Reason.OUTSIDE_STAY, code, f"{what} of {told} lies outside every stay of its patient")

    def set_aside(self) -> tuple[SetAside, ...]:
        """The counts, most first."""
        return tuple(
            SetAside(reason, code, count, self.examples[reason, code])
            for (reason, code), count in self.counts.most_common()
        )
