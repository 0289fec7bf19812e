"""The protocol every early-warning model meets.

`score` is causal: `score(stay.until(t))` equals `score(stay)` up to t, bit for bit on one machine, whatever
else is scored beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from models.clinical.score import ScoreSeries
from models.clinical.stay import LabelledStay, Stay

if TYPE_CHECKING:
    from models.dtw.likeness import Likeness


@dataclass(frozen=True)
class Contribution:
    """How much one variable moves the score: `share` is signed, in score units; `value` is the last known.

    `censored` is "<" or ">" where that is a detection limit.
    """

    variable: str
    share: float
    value: float | None
    time: datetime | None
    censored: str = ""


@dataclass(frozen=True)
class Explanation:
    """Why a stay has its score at `time`: contributions by falling absolute share."""

    time: datetime
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True)
class Influence:
    """One observation that moved the score: without it the score would be `share` lower (signed, 0 to 1).

    `time` is when it was measured; `censored` is "<" or ">" where `value` is a detection limit.
    """

    variable: str
    time: datetime
    value: float
    share: float
    censored: str = ""


@dataclass(frozen=True)
class Measurement:
    """A variable that would tell the model something now: `narrows` is by how much the score's spread (high
    minus low, score units) is expected to shrink if it were measured.
    """

    variable: str
    narrows: float


@dataclass(frozen=True)
class Inquiry:
    """What stands behind the score at `time`, observation by observation, and what would make it surer.

    Influences by falling absolute share, measurements by falling `narrows`; either may name a few only.
    """

    time: datetime
    influences: tuple[Influence, ...] = ()
    next_measurements: tuple[Measurement, ...] = ()


@runtime_checkable
class Inquirable(Protocol):
    """A model that can be asked for more than `explain` says; asked on demand, never on a scoring pass."""

    def inquire(self, stay: Stay, time: datetime) -> Inquiry:
        """The observations that moved the score at `time`, from what stood then, and what to measure next."""


@runtime_checkable
class Likening(Protocol):
    """A model that remembers past stays and can say which are most like one."""

    @property
    def name(self) -> str:
        """The registry name."""

    @property
    def version(self) -> str:
        """A hash that equals for equal memories."""

    def remembered(self) -> tuple[int, int]:
        """How many references there are, and how many of them had an onset."""

    def patients_like(self, stay: Stay, time: datetime, count: int = 5) -> tuple[Likeness, ...]:
        """The references nearest to the stay at `time`, the nearest first; none where too little is known."""


class EarlyWarningModel(Protocol):
    """Reads a stay, gives a score each grid hour."""

    @property
    def name(self) -> str:
        """The registry name, for example `mgp-tcn`."""

    @property
    def version(self) -> str:
        """A hash of configuration and weights: equal versions give equal scores."""

    @property
    def threshold(self) -> float:
        """The score at or above which the model calls an hour positive."""

    @property
    def prior(self) -> float:
        """The probability of an hour before a stay's first score, as often as such hours were positive where
        the model learnt; 0 for a rule, which has learnt from none.
        """

    @property
    def training(self) -> Mapping[str, Any]:
        """How it was learnt, as JSON: data, split, figures on validation; empty for a rule."""

    def fit(self, train: Sequence[LabelledStay], validation: Sequence[LabelledStay]) -> Self:
        """Learn from labelled stays; a rule returns itself unchanged."""

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """The scores on `stay.grid(end)`, each from what stood at its time: known, and not withdrawn yet."""

    def explain(self, stay: Stay, time: datetime) -> Explanation:
        """What drives the score at `time`."""

    def save(self, folder: Path) -> None:
        """Write configuration (JSON) and weights (safetensors) to `folder`; never a pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
