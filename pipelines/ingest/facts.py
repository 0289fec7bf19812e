"""What a source says about a stay itself (age, sex, admissions), with the nonsense set aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import numpy as np

from models.clinical.quarantine import (
    Cell,
    Quarantined,
    Reason,
    as_json,
    cell_text,
    number_text,
    read_number,
    read_time,
)

Choice = TypeVar("Choice")

PLAUSIBLE_AGE = (0.0, 130.0)  # years


@dataclass
class Facts:
    """Reads the facts of one stay; each that makes no sense is None and goes to `quarantined`."""

    stay_id: str
    quarantined: list[Quarantined] = field(default_factory=list)

    def number(self, fact: str, cell: Cell, within: tuple[float, float], unit: str, row: int) -> float | None:
        """A number in `within`, inclusive; None if the cell holds nothing."""
        if cell is None or cell == "":
            return None
        value = read_number(cell)
        if within[0] <= value <= within[1]:
            return value
        bound = f"[{number_text(within[0])}, {number_text(within[1])}]"
        reason = Reason.NOT_A_NUMBER if np.isnan(value) else Reason.IMPLAUSIBLE
        detail = f"{fact} {cell_text(cell)} {unit} is outside {bound} {unit}"
        self.quarantined.append(
            Quarantined(reason, detail, row, self.stay_id, fact, as_json(cell), bound, unit)
        )
        return None

    def time(self, fact: str, cell: object, row: int) -> datetime | None:
        """A time with an offset, in UTC; None if the cell holds nothing."""
        if cell is None or cell == "":
            return None
        time = read_time(cell)
        if time is not None and time.tzinfo is not None:
            return time
        bound = "an ISO 8601 time with an offset"
        detail = f"{fact} {cell_text(cell)} is not {bound}"
        self.quarantined.append(
            Quarantined(Reason.MALFORMED, detail, row, self.stay_id, fact, as_json(cell), bound)
        )
        return None

    def choice(self, fact: str, cell: Cell, choices: Mapping[str, Choice], row: int) -> Choice | None:
        """One of `choices`, by its text in lower case; None if the cell holds nothing."""
        if cell is None or cell == "":
            return None
        text = cell_text(cell).strip("' ").casefold()
        if text in choices:
            return choices[text]
        bound = ", ".join(choices)
        detail = f"{fact} {cell_text(cell)} is not one of {bound}"
        self.quarantined.append(
            Quarantined(Reason.MALFORMED, detail, row, self.stay_id, fact, as_json(cell), bound)
        )
        return None
