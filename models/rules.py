"""NEWS2, qSOFA and SIRS: the bedside rules, as models of the early-warning protocol.

A rule gives points for the latest value of each variable and calls at a published cut:

    score(t) = sum_c points_c(latest value known by t) / maximum,    positive when points >= cut

*Latest* is the newest measurement that stands at t, carried forward for a stated time and then missing.
A component nobody measured earns no points, so the sum is a lower bound: too few components give no score,
unless the bound already reaches the cut, because what is missing could only add to it.

Left out: consciousness (NEWS2, qSOFA), which no source of ours records, so the patient counts as alert; the
immature neutrophils of SIRS; SpO2 scale 2 of NEWS2, which needs a clinician's decision. NEWS2 infers
supplemental oxygen from FiO2 above room air.

Sources: NEWS2, Royal College of Physicians 2017, chart 1 (ISBN 978-1-86016-682-2); qSOFA, Singer et al. 2016,
doi:10.1001/jama.2016.0287; SIRS, Bone et al. 1992, doi:10.1378/chest.101.6.1644.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from math import inf, nextafter
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.base import Contribution, Explanation
from models.clinical.errors import UnreadableSource
from models.clinical.score import ScoreSeries, ScoreStatus
from models.clinical.stay import LabelledStay, Stay
from models.clinical.variables import Kind, variable
from models.folder import DESCRIPTION, write_folder
from models.revisions import score_as_known

_HOUR_MICROSECONDS = 3_600_000_000
_NEVER = -(2**62)  # microseconds; earlier than any measurement, and still subtractable


@dataclass(frozen=True)
class CarryForward:
    """For how long a value stands for the present, in hours.

    Vital signs: 12 h, the longest interval NEWS2 allows between two sets of observations. Laboratory values:
    24 h, a daily blood count. FiO2 is a setting that is charted when it changes: 24 h, because a therapy must
    not lapse from the score while nobody touched the dial.
    """

    vital_hours: float = 12.0
    setting_hours: float = 24.0
    laboratory_hours: float = 24.0

    def hours(self, name: str) -> float:
        """The carry time of the catalogue variable `name`, in hours."""
        if name == "fio2":
            return self.setting_hours
        return self.vital_hours if variable(name).kind is Kind.VITAL else self.laboratory_hours


@dataclass(frozen=True)
class Band:
    """Points of one variable: `points[i]` from `edges[i - 1]` (included) to `edges[i]` (excluded)."""

    variable: str
    edges: tuple[float, ...]
    points: tuple[int, ...]


@dataclass(frozen=True)
class Component:
    """One line of a chart: the highest points of its bands, known when any of them is.

    `inferred` components (oxygen from FiO2) mean their default when absent, so they do not count as known.
    """

    name: str
    bands: tuple[Band, ...]
    inferred: bool = False


@dataclass(frozen=True)
class Chart:
    """A published rule: `cut` and `maximum` in points; `needed` components must be known for a low score."""

    name: str
    components: tuple[Component, ...]
    maximum: int
    cut: int
    needed: int


@dataclass(frozen=True)
class _Latest:
    """The newest known value of the chart's V variables at T times."""

    value: npt.NDArray[np.float64]  # (V, T), NaN where never measured or older than its carry time
    censored: npt.NDArray[np.object_]  # (V, T) "<" or ">" where the value is a detection limit
    heard: npt.NDArray[np.bool_]  # (V, T) whether ever measured
    measured: npt.NDArray[np.int64]  # (V, T) when, in microseconds since 1970, where heard
    anything: npt.NDArray[np.bool_]  # (T,) whether any observation at all was known


def _microseconds(clock: pd.Series | pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    return np.asarray(clock, dtype="datetime64[us]").astype(np.int64)


def _above(bound: float) -> float:
    """The edge of a criterion that reads "more than `bound`"."""
    return nextafter(bound, inf)


def _single(name: str, edges: tuple[float, ...], points: tuple[int, ...]) -> Component:
    return Component(name, (Band(name, edges, points),))


# The NEWS2 chart is printed in whole units (temperature in tenths): an edge halfway rounds as a reader would.
_NEWS2 = Chart(
    name="news2",
    components=(
        _single("respiratory_rate", (8.5, 11.5, 20.5, 24.5), (3, 1, 0, 2, 3)),
        _single("oxygen_saturation", (91.5, 93.5, 95.5), (3, 2, 1, 0)),
        Component("supplemental_oxygen", (Band("fio2", (0.215,), (0, 2)),), inferred=True),
        _single("systolic_pressure", (90.5, 100.5, 110.5, 219.5), (3, 2, 1, 0, 3)),
        _single("heart_rate", (40.5, 50.5, 90.5, 110.5, 130.5), (3, 1, 0, 1, 2, 3)),
        _single("temperature", (35.05, 36.05, 38.05, 39.05), (3, 1, 0, 1, 2)),
    ),
    maximum=20,  # the chart's own, with the three points for consciousness that cannot be earned here
    cut=5,  # urgent response; 7 is the chart's emergency response
    needed=3,
)

_QSOFA = Chart(
    name="qsofa",
    components=(
        _single("respiratory_rate", (22.0,), (0, 1)),
        _single("systolic_pressure", (_above(100.0),), (1, 0)),
    ),
    maximum=3,
    cut=2,
    needed=2,
)

_SIRS = Chart(
    name="sirs",
    components=(
        _single("temperature", (36.0, _above(38.0)), (1, 0, 1)),
        _single("heart_rate", (_above(90.0),), (0, 1)),
        Component(
            "respiration",
            (Band("respiratory_rate", (_above(20.0),), (0, 1)), Band("paco2", (32.0,), (1, 0))),
        ),
        _single("wbc", (4.0, _above(12.0)), (1, 0, 1)),
    ),
    maximum=4,
    cut=2,
    needed=3,
)


class _Rule:
    """What the three rules share; a subclass gives its chart."""

    chart: ClassVar[Chart]

    def __init__(self, carry: CarryForward | None = None) -> None:
        self.carry = carry or CarryForward()
        self._bands = tuple(band for component in self.chart.components for band in component.bands)
        self._tables = [(np.array(band.edges), np.array(band.points)) for band in self._bands]
        self._variables = np.array([[band.variable] for band in self._bands], dtype=object)  # (V, 1)
        hours = np.array([[self.carry.hours(band.variable)] for band in self._bands])
        self._carry_microseconds = hours * _HOUR_MICROSECONDS
        counts = [len(component.bands) for component in self.chart.components]
        self._starts = np.cumsum([0, *counts[:-1]])  # first band of each component
        self._counted = np.array([not component.inferred for component in self.chart.components])

    @property
    def name(self) -> str:
        """The registry name."""
        return self.chart.name

    @property
    def version(self) -> str:
        """A hash of the chart and the carry times."""
        configuration = {"chart": asdict(self.chart), "carry": asdict(self.carry)}
        return sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def threshold(self) -> float:
        """The published cut as a share of the maximum."""
        return self.chart.cut / self.chart.maximum

    @property
    def prior(self) -> float:
        """0: no point has been given."""
        return 0.0

    @property
    def training(self) -> Mapping[str, Any]:
        """Nothing: a rule learns nothing."""
        return {}

    def fit(self, train: Sequence[LabelledStay], validation: Sequence[LabelledStay]) -> Self:  # noqa: ARG002
        """Itself: a rule learns nothing."""
        return self

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """Points / maximum on `stay.grid(end)`; indeterminate while too few components are known."""
        return score_as_known(stay, end, self._score)

    def _score(self, stay: Stay, end: datetime | None) -> ScoreSeries:
        grid = stay.grid(end)
        latest = self._latest(stay, grid)
        points, known = self._points(latest)
        total = points.sum(axis=0)
        enough = (known[self._counted].sum(axis=0) >= self.chart.needed) | (total >= self.chart.cut)
        present = enough & latest.anything
        status = [ScoreStatus.PRESENT] * len(grid)
        reason = [""] * len(grid)
        for hour in np.flatnonzero(~present):
            if latest.anything[hour]:
                status[hour] = ScoreStatus.INDETERMINATE
                reason[hour] = self._reason(known[:, hour], latest.heard[:, hour])
            else:
                status[hour], reason[hour] = ScoreStatus.ABSENT, "no observation yet"
        value = np.where(present, total / self.chart.maximum, np.nan)
        return ScoreSeries(stay.stay_id, self.name, grid, value, tuple(status), tuple(reason))

    def explain(self, stay: Stay, time: datetime) -> Explanation:
        """Each component's points as a share of the maximum; the shares add up to the score."""
        at = pd.DatetimeIndex([pd.Timestamp(time)]).as_unit("us")
        latest = self._latest(stay.standing(time), at)
        earned = self._band_points(latest)[:, 0]
        ends = [*self._starts[1:], len(self._bands)]
        contributions = []
        for start, stop in zip(self._starts, ends, strict=True):
            best = start + int(np.argmax(earned[start:stop]))
            contributions.append(self._contribution(best, max(earned[best], 0), latest))
        contributions.sort(key=lambda item: -item.share)
        return Explanation(time, tuple(contributions))

    def save(self, folder: Path) -> None:
        """Write `model.json`: a rule has no weights."""
        description = {"model": self.name, "version": self.version, "carry": asdict(self.carry)}
        write_folder(folder, json.dumps(description, indent=2), {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The rule saved in `folder`, or the published one where nothing was saved.

        Raises UnreadableSource when the folder holds another rule or another version of the chart.
        """
        path = folder / DESCRIPTION
        if not path.is_file():
            return cls()
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            model = cls(CarryForward(**saved["carry"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableSource(
                f"{path}: not a saved rule ({error}); expected model, version, carry"
            ) from error
        if (saved.get("model"), saved.get("version")) != (model.name, model.version):
            raise UnreadableSource(
                f"{path}: holds {saved.get('model')} {saved.get('version')}, "
                f"this is {model.name} {model.version}; scores would not agree"
            )
        return model

    def _latest(self, stay: Stay, times: pd.DatetimeIndex) -> _Latest:
        """Of two measurements of one moment the later known one, a correction, holds: rows come sorted so."""
        table = stay.observations
        at, known_at = _microseconds(times), _microseconds(table["known_at"])
        # row 0 stands for "never": it is no band's variable, and every lookup before the first value finds it
        measured_at = np.concatenate([[_NEVER], _microseconds(table["time"])])
        value = np.concatenate([[np.nan], table["value"].to_numpy()])
        censored = np.concatenate([[""], table["censored"].to_numpy(dtype=object)])
        name = np.concatenate([[""], table["variable"].to_numpy()])
        own = (name == self._variables) & np.isfinite(value)  # (V, 1 + N)
        newest = np.maximum.accumulate(np.where(own, measured_at, _NEVER), axis=1)
        leads = np.where(own & (measured_at == newest), np.arange(len(value)), 0)
        rows_known = np.searchsorted(known_at, at, side="right")
        chosen = np.maximum.accumulate(leads, axis=1)[:, rows_known]  # (V, T)
        measured = measured_at[chosen]
        fresh = at - measured <= self._carry_microseconds
        held = np.where(fresh, value[chosen], np.nan)
        return _Latest(held, censored[chosen], chosen > 0, measured, rows_known > 0)

    def _band_points(self, latest: _Latest) -> npt.NDArray[np.int64]:
        """(V, T) points of each band, -1 where its variable is missing."""
        earned = np.empty(latest.value.shape, dtype=np.int64)
        for row, (edges, points) in enumerate(self._tables):
            earned[row] = points[np.searchsorted(edges, latest.value[row], side="right")]
        return np.where(np.isnan(latest.value), -1, earned)

    def _points(self, latest: _Latest) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """(C, T) points of each component, and whether it is known."""
        highest = np.maximum.reduceat(self._band_points(latest), self._starts, axis=0)
        return np.maximum(highest, 0), highest >= 0

    def _contribution(self, row: int, points: int, latest: _Latest) -> Contribution:
        share, value = float(points / self.chart.maximum), float(latest.value[row, 0])
        if np.isnan(value):
            return Contribution(self._bands[row].variable, share, None, None)
        measured = pd.Timestamp(int(latest.measured[row, 0]), unit="us", tz="UTC")
        name, censored = self._bands[row].variable, str(latest.censored[row, 0])
        return Contribution(name, share, value, measured.to_pydatetime(), censored)

    def _reason(self, known: npt.NDArray[np.bool_], heard: npt.NDArray[np.bool_]) -> str:
        ever = np.logical_or.reduceat(heard, self._starts)
        lacking = self._counted & ~known
        names = np.array([component.name.replace("_", " ") for component in self.chart.components])
        parts = [
            f"{int((known & self._counted).sum())} of {int(self._counted.sum())} components known, "
            f"needs {self.chart.needed}"
        ]
        if (never := names[lacking & ~ever]).size:
            parts.append("not measured: " + ", ".join(never))
        if (old := names[lacking & ever]).size:
            parts.append("too old: " + ", ".join(old))
        return "; ".join(parts)


class NEWS2(_Rule):
    """National Early Warning Score 2: cut 5 of 20 (0.25); the emergency response begins at 7 (0.35)."""

    chart = _NEWS2


class QSOFA(_Rule):
    """Quick SOFA without mentation: cut 2 of 3, so both respiratory rate and pressure must be abnormal."""

    chart = _QSOFA


class SIRS(_Rule):
    """Systemic inflammatory response syndrome: cut 2 of 4 criteria."""

    chart = _SIRS
