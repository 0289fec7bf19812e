"""The worst misses and the worst false alarms of a run, kept with what was observed, to be looked at.

A miss is a stay whose event no alarm of the first policy foretold within the window; the worst are those
whose scores stayed lowest in it. An event that no score preceded there shows nothing of the model, and is
not kept. A false alarm is in a stay without an event; the worst are those with the
highest scores. Stays are ranked as they pass, and no more are held than are kept.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]

from models.base import EarlyWarningModel
from models.clinical.alarm import AlarmPolicy
from models.clinical.stay import Stay
from models.clinical.variables import CATALOGUE
from pipelines.evaluate.parts import Chunk, Part
from pipelines.metrics.alarms import Events, Watched, judge
from pipelines.metrics.burden import decide
from pipelines.prediction_files import replacing

TRAJECTORIES = "trajectories.json"
_SHOWN = (
    "heart_rate",
    "respiratory_rate",
    "systolic_pressure",
    "mean_arterial_pressure",
    "oxygen_saturation",
    "temperature",
    "lactate",
    "wbc",
    "creatinine",
)
_VARIABLES_SHOWN = 4  # of those above, the ones measured most


@runtime_checkable
class _WithPosterior(Protocol):
    """A model that has a process behind its score, `MGPTCN` for one."""

    def posterior(self, stay: Stay, variables: Sequence[str], end: datetime) -> Any:
        """Mean, low and high of each variable at each hour."""


@dataclass(frozen=True)
class Trajectory:
    """One stay's course, hours from admission, as the report draws it."""

    kind: str
    site: str
    stay: Stay
    hour: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    alarms: tuple[int, ...]
    onset_hour: float | None


@dataclass
class WorstStays:
    """The worst `misses` and `false_alarms` of `model` by `policy`, among all chunks given to `add`."""

    model: str
    policy: AlarmPolicy
    window_hours: float
    misses: int
    false_alarms: int
    _held: dict[str, list[tuple[float, str, Trajectory]]] = field(
        default_factory=lambda: {"miss": [], "false alarm": []}
    )

    def add(self, chunk: Chunk, part: Part) -> None:
        """Rank the stays of a chunk whose scores are in `part`."""
        table = part.scores.filter(pa.compute.equal(part.scores.column("model"), self.model))
        columns = {
            name: table.column(name).to_numpy(zero_copy_only=False)
            for name in ("hour", "value", "low", "high")
        }
        facts, begin = part.stays.to_pylist(), 0
        for one, fact in zip(chunk.stays, facts, strict=True):
            rows = slice(begin, begin + fact["hours"])
            begin = rows.stop
            self._rank(chunk.site, one.stay, fact, {name: values[rows] for name, values in columns.items()})

    def _rank(self, site: str, stay: Stay, fact: dict[str, Any], columns: dict[str, Any]) -> None:
        onset, value = fact["onset_hour"], columns["value"].astype(np.float64)
        untold = onset is not None and not fact["onset_told"]
        if untold or not np.isfinite(value).any():
            return
        watched = Watched.hourly(np.array([len(value)]), columns["hour"], value)
        alarm, _ = decide(watched, self.policy)
        events = Events.one_each(np.array([np.nan if onset is None else onset]), lasting=True)
        found = judge(watched, events, alarm, timedelta(hours=self.window_hours))
        if onset is not None and not found.detected[0]:
            open_ = (columns["hour"] >= onset - self.window_hours) & (columns["hour"] < onset)
            scored = value[open_ & np.isfinite(value)]
            if not len(scored):
                return
            kind, badness, most = "miss", -float(scored.max()), self.misses
        elif onset is None and alarm.any():
            kind, badness, most = "false alarm", float(np.nanmax(value)), self.false_alarms
        else:
            return
        low, high = (columns[name].astype(np.float64) for name in ("low", "high"))
        hours = tuple(columns["hour"][alarm].tolist())
        one = Trajectory(kind, site, stay, columns["hour"], value, low, high, hours, onset)
        # the name breaks ties, so that the order of the parts decides nothing
        entry = (badness, f"{site} {stay.stay_id}", one)
        held = self._held[kind]
        heapq.heappush(held, entry) if len(held) < most else heapq.heappushpop(held, entry)

    @property
    def worst(self) -> list[Trajectory]:
        """Misses, then false alarms, the worst first."""
        return [entry[2] for held in self._held.values() for entry in sorted(held, reverse=True)]


def write_trajectories(out: Path, model: EarlyWarningModel, found: Sequence[Trajectory]) -> None:
    """Write the stays with their observations, and with the process's band where `model` has one."""
    record = [_as_json(model, one) for one in found]
    with replacing(out / TRAJECTORIES) as unfinished:
        unfinished.write_text(json.dumps(record) + "\n", encoding="utf-8")


def _as_json(model: EarlyWarningModel, one: Trajectory) -> dict[str, Any]:
    stay = one.stay
    return {
        "kind": one.kind,
        "site": one.site,
        "stay_id": stay.stay_id,
        "age_years": stay.age_years,
        "sex": stay.sex,
        "care_unit": stay.care_unit,
        "hour": one.hour.tolist(),
        **{name: _numbers(getattr(one, name)) for name in ("value", "low", "high")},
        "alarms": list(one.alarms),
        "onset_hour": one.onset_hour,
        "variables": _variables(model, one),
    }


def _variables(model: EarlyWarningModel, one: Trajectory) -> list[dict[str, Any]]:
    table = one.stay.observations
    counts = table["variable"].value_counts()
    shown = sorted((name for name in _SHOWN if name in counts.index), key=lambda name: -int(counts[name]))
    names = [name for name in _SHOWN if name in shown[:_VARIABLES_SHOWN]]
    bands = _bands(model, one, names)
    return [
        {
            "name": name,
            "label": CATALOGUE[name].label,
            "unit": CATALOGUE[name].unit,
            "hour": one.stay.hours(table["time"][table["variable"] == name]).tolist(),
            "value": table["value"][table["variable"] == name].tolist(),
            "band": bands.get(name),
        }
        for name in names
    ]


def _bands(model: EarlyWarningModel, one: Trajectory, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the process said of each variable hour by hour, from what was known by the hour."""
    if not isinstance(model, _WithPosterior):
        return {}
    found = model.posterior(one.stay, names, one.stay.admitted_at + int(one.hour[-1]) * timedelta(hours=1))
    return {
        name: {"hour": list(range(1, len(found.time) + 1))}
        | {side: _numbers(getattr(found, side)[name]) for side in ("mean", "low", "high")}
        for name in names
    }


def _numbers(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [
        None if lacks else round(float(value), 5)
        for value, lacks in zip(values, np.isnan(values), strict=True)
    ]
