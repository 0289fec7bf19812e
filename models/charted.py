"""A stay as the models on the hourly grid read it: worked out once for all members of an ensemble.

T  grid hours     C  channels
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

import pandas as pd

from models.channels import Channels, channels
from models.clinical.score import ScoreSeries
from models.clinical.stay import Stay
from models.mgp.encoding import EncodedStay, encode
from models.mgp.standardise import Standardisation


@dataclass(frozen=True, eq=False)
class Charted:
    """`stay` by its grid hours `time` (T,): its rows `encoded`, and what each hour knows besides, `channels`
    (T, C).
    """

    stay: Stay
    time: pd.DatetimeIndex
    encoded: EncodedStay
    channels: Channels


def charted(stay: Stay, end: datetime | None, standardisation: Standardisation) -> Charted:
    """A stay on `stay.grid(end)`. Raises UnknownVariable, InvalidInput for a value not finite."""
    time = stay.grid(end)
    encoded = encode(stay, standardisation, len(time))
    return Charted(stay, time, encoded, channels(stay, encoded, standardisation.learnt))


@runtime_checkable
class Charting(Protocol):
    """A model that scores what is charted."""

    @property
    def standardisation(self) -> Standardisation:
        """The scale of what it reads."""

    def score_charted(self, chart: Charted) -> ScoreSeries:
        """The scores on the chart's grid."""
