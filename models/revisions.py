"""A stay whose observations were corrected or withdrawn, as one after the other what was known of it.

An observation stands in [known_at, known_until). From the hour of a correction on the whole past is looked at
without the wrong value, so a model is asked once for each stretch of hours between two corrections, each time
about the stay without what had been withdrawn by the stretch's first hour:

    score_t = score of the stay without the rows with known_until <= t, at t

A stay without corrections is one stretch, the stay itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
import pandas as pd

from models.clinical.errors import InvalidInput
from models.clinical.score import GRID_STEP, ScoreSeries
from models.clinical.stay import Stay


@dataclass(frozen=True)
class Stretch:
    """Grid hours with the indices `first` to `stop` - 1, the stay as it stood in them, and the last hour."""

    known: Stay
    first: int
    stop: int
    end: datetime


def stretches(stay: Stay, grid: pd.DatetimeIndex) -> Iterator[Stretch]:
    """The stretches that make up `grid` (T,), in order; none where the grid is empty."""
    untils = stay.observations["known_until"]
    ended = untils.notna()
    begins = [0]
    if ended.any():
        begins += np.unique(grid.searchsorted(pd.DatetimeIndex(untils[ended]))).tolist()
    bounds = [*sorted({begin for begin in begins if begin < len(grid)}), len(grid)]
    for first, stop in pairwise(bounds):
        yield Stretch(stay.standing(grid[first]), first, stop, grid[stop - 1].to_pydatetime())


def as_at(stay: Stay, time: datetime) -> tuple[datetime, int, Stay]:
    """The last grid hour not after `time`, its number, and the stay as it stood then. Raises InvalidInput
    before the first grid hour.
    """
    hour = int((time - stay.admitted_at) // GRID_STEP)
    if hour < 1:
        raise InvalidInput(f"stay {stay.stay_id}: no score at {time} yet", value=time, bound=">= 1 h in")
    at = stay.admitted_at + hour * GRID_STEP
    return at, hour, stay.standing(at).until(at)


def score_as_known(
    stay: Stay, end: datetime | None, score: Callable[[Stay, datetime | None], ScoreSeries]
) -> ScoreSeries:
    """One series on `stay.grid(end)` of what `score`, which knows of no corrections, says of each stretch."""
    if not stay.revised:
        return score(stay, end)
    grid = stay.grid(end)
    parts = [(one, score(one.known, one.end)) for one in stretches(stay, grid)]
    if not parts:
        return score(stay, end)
    return ScoreSeries(
        stay.stay_id,
        parts[0][1].model,
        grid,
        np.concatenate([series.value[one.first : one.stop] for one, series in parts]),
        tuple(status for one, series in parts for status in series.status[one.first : one.stop]),
        tuple(reason for one, series in parts for reason in series.reason[one.first : one.stop]),
        np.concatenate([series.low[one.first : one.stop] for one, series in parts]),
        np.concatenate([series.high[one.first : one.stop] for one, series in parts]),
    )
