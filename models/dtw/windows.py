"""Which hours may be matched with which, and where a path may begin and end.

A window says for each hour i of a query of n which hours j of a reference of m a path may visit. The formulas
are tslearn's, of unequal lengths too: tests/oracle/test_dtw_tslearn.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput

Integers = npt.NDArray[np.int64]


class Window(Protocol):
    """The allowed cells as columns first[i] to last[i] - 1 of each row i, both rising with i."""

    def columns(self, n: int, m: int, *, open_end: bool = False) -> tuple[Integers, Integers]:
        """First and last, (n,) each."""


@dataclass(frozen=True)
class Full:
    """Every hour may be matched with every other."""

    def columns(self, n: int, m: int, *, open_end: bool = False) -> tuple[Integers, Integers]:
        """All m of every row."""
        return np.zeros(n, np.int64), np.full(n, m)


@dataclass(frozen=True)
class SakoeChiba:
    """Hours at most `radius` apart.

    -radius + min(0, m - n) <= j - i <= radius + max(0, m - n); with an open end |j - i| <= radius whatever m
    is, because the end of the stay is not known yet.

    Source: Sakoe & Chiba 1978, doi:10.1109/TASSP.1978.1163055.
    """

    radius: int

    def __post_init__(self) -> None:
        if self.radius < 0:
            raise InvalidInput(
                f"radius {self.radius} of a Sakoe-Chiba window is negative: at least 0 hours",
                value=self.radius,
                bound=">= 0",
                unit="h",
            )

    def columns(self, n: int, m: int, *, open_end: bool = False) -> tuple[Integers, Integers]:
        """A band of 2 radius + 1 columns about the diagonal, wider by the difference in length."""
        hour, longer = np.arange(n), 0 if open_end else m - n
        first = np.clip(hour - self.radius + min(0, longer), 0, m)
        return first, np.clip(hour + self.radius + max(0, longer) + 1, 0, m)


@dataclass(frozen=True)
class Itakura:
    """A parallelogram: from either corner a path is at most `max_slope` times as steep as the diagonal.

    Source: Itakura 1975, doi:10.1109/TASSP.1975.1162641. Bounds are rounded to 0.01 hours before they are
    taken to whole hours, as tslearn does.
    """

    max_slope: float = 2.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.max_slope < np.inf:
            raise InvalidInput(
                f"slope {self.max_slope} of an Itakura window: at least 1, finite (hours per hour)",
                value=self.max_slope,
                bound=">= 1",
                unit="h/h",
            )

    def columns(self, n: int, m: int, *, open_end: bool = False) -> tuple[Integers, Integers]:
        """The parallelogram's columns; none where n and m differ so much that no path exists."""
        steep, flat, column = self.max_slope * (n / m), 1.0 / self.max_slope * (n / m), np.arange(m)
        lowest = np.maximum(_cent(flat * column), _cent((n - 1) - steep * (m - 1) + steep * column))
        highest = np.minimum(_cent(steep * column), _cent((n - 1) - flat * (m - 1) + flat * column))
        top, bottom = np.ceil(lowest).astype(np.int64), np.floor(highest + 1).astype(np.int64)
        # both rise with the column, so that the columns of a row are those between two counts
        hour = np.arange(n)
        first, last = np.searchsorted(bottom, hour, side="right"), np.searchsorted(top, hour, side="right")
        return first, np.maximum(first, last)


def _cent(hours: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return np.round(hours, 2)


@dataclass(frozen=True)
class Alignment:
    """How two series are laid on each other.

    `open_end` leaves out the end of the reference: a stay in progress against complete stays. `open_begin`
    leaves out its beginning too or alone: both together find the stay as a part of the reference, such as the
    hours before onset.
    """

    window: Window = field(default_factory=Full)
    open_begin: bool = False
    open_end: bool = False

    def __post_init__(self) -> None:
        if self.open_begin and not isinstance(self.window, Full):
            raise InvalidInput(f"{self.window} needs a fixed beginning: open_begin goes with Full() alone")
        if self.open_end and isinstance(self.window, Itakura):
            raise InvalidInput(f"{self.window} needs a fixed end: open_end goes with Full() or SakoeChiba()")
