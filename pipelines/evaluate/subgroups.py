"""Whether alarms serve everybody alike: by age, sex, unit, and whatever a table says of a stay.

Of each group: precision (PPV) of its alarms, sensitivity (events with an alarm in the window before), delay
(hours from when the window opens to the first alarm, over detected events, 0 being the earliest possible),
alarms per 100 patient-days, and AUROC of its hours. Each has an interval over subjects. A figure that a
group cannot have is None, and `note` says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.errors import UnreadableSource
from pipelines.evaluate.scored import Evidence
from pipelines.evaluate.settings import SubgroupSettings
from pipelines.ingest.tables import ROW, TableFile, rows
from pipelines.metrics.alarms import MICROSECONDS_AN_HOUR
from pipelines.metrics.bootstrap import Bootstrap, Interval, interval, subject_weights
from pipelines.metrics.burden import Burden
from pipelines.metrics.classification import RankedRows, auroc

Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]
Booleans = npt.NDArray[np.bool_]

UNKNOWN = "not recorded"


@dataclass(frozen=True)
class Figure:
    """A figure with its interval; None where it is undefined."""

    value: float | None
    interval: Interval


@dataclass(frozen=True)
class GroupFigures:
    """One group of stays: what it is `by`, its name, and its figures, or why it has none."""

    by: str
    group: str
    stays: int
    events: int
    precision: Figure
    sensitivity: Figure
    delay_hours: Figure
    alarms_per_100_patient_days: Figure
    auroc: Figure
    note: str = ""


_NONE = Figure(None, Interval(None, None))


def groups(stays: pd.DataFrame, settings: SubgroupSettings) -> dict[str, pd.Series]:
    """The group of each stay (S,) by each fact, as text."""
    found = {name: _group(stays, name, settings) for name in settings.by}
    if settings.table is not None:
        found |= _table_groups(stays, settings.table)
    return found


def _group(stays: pd.DataFrame, name: str, settings: SubgroupSettings) -> pd.Series:
    if name != "age_band":
        return stays[name].fillna(UNKNOWN).astype("str")
    edges = [f"{edge:g}" for edge in settings.age_edges]
    bands = [
        f"under {edges[0]}",
        *(f"{a} to {b}" for a, b in pairwise(edges)),
        f"{edges[-1]} on",
    ]
    age = stays["age_years"].to_numpy(dtype=np.float64)
    place = np.searchsorted(settings.age_edges, age, side="right")
    named = [UNKNOWN if np.isnan(one) else bands[at] for one, at in zip(age, place, strict=True)]
    return pd.Series(named, index=stays.index, dtype="str")


def read_facts(path: Path) -> tuple[tuple[str, ...], dict[str, tuple[object, ...]]]:
    """The columns of a table of facts, and the row of each stay. Raises UnreadableSource by file and row."""
    table = TableFile(path)
    columns = tuple(table.columns())
    if "stay" not in columns:
        raise UnreadableSource(f"{path}: missing column stay")
    told: dict[str, tuple[object, ...]] = {}
    for *cells, row in rows(table.batches(columns), (*columns, ROW)):
        stay = str(cells[columns.index("stay")])
        if stay in told:
            raise UnreadableSource(f"{path}: row {row} names stay {stay} again; expected one row a stay")
        told[stay] = tuple(cells)
    if table.broken_rows:
        raise table.broken_rows[0]
    return columns, told


def _table_groups(stays: pd.DataFrame, path: Path) -> dict[str, pd.Series]:
    columns, told = read_facts(path)
    if not stays["stay_id"].isin(list(told)).any():
        raise UnreadableSource(f"{path}: names none of the {len(stays)} stays that are evaluated")
    return {
        name: pd.Series(
            [_text(told[stay][place]) if stay in told else UNKNOWN for stay in stays["stay_id"]],
            index=stays.index,
            dtype="str",
        )
        for place, name in enumerate(columns)
        if name != "stay"
    }


def _text(cell: object) -> str:
    return UNKNOWN if cell is None or str(cell).strip() == "" else str(cell)


def by_group(
    evidence: Evidence,
    model: str,
    burden: Burden,
    *,
    window_hours: float,
    settings: SubgroupSettings,
    bootstrap: Bootstrap,
) -> Iterator[GroupFigures]:
    """The figures of every group, groups in the order of their names and of the numbers in them."""
    weights = subject_weights(evidence.subjects, bootstrap).astype(np.float32)  # (D, S): counts, exact in it
    per_stay = _PerStay.of(burden, window_hours)
    for by, group in groups(evidence.stays, settings).items():
        for name in sorted(group.unique(), key=_place):
            inside = (group == name).to_numpy()
            if inside.sum() < settings.fewest_stays:
                note = f"fewer than {settings.fewest_stays} stays"
                none = dict.fromkeys(_FIGURES, _NONE)
                yield GroupFigures(
                    by, name, int(inside.sum()), int(per_stay.events[inside].sum()), **none, note=note
                )
                continue
            yield _figures(
                evidence,
                model,
                (by, name),
                inside,
                per_stay=per_stay,
                weights=weights,
                level=bootstrap.level,
            )


def _place(name: str) -> tuple[bool, bool, list[tuple[bool, int, str]]]:
    """Where a group stands: numbers by size, so that 5 to 18 comes before 18 to 65, and the unknown last."""
    parts = [
        (not one.isdecimal(), int(one) if one.isdecimal() else 0, one) for one in re.split(r"(\d+)", name)
    ]
    return name == UNKNOWN, not name.startswith("under "), parts


_FIGURES = ("precision", "sensitivity", "delay_hours", "alarms_per_100_patient_days", "auroc")


@dataclass(frozen=True)
class _PerStay:
    """(S,) what figures sum over; `delay` NaN where no event was detected."""

    alarms: Floats  # outside events
    late: Floats  # during them: too late to warn, not false
    true: Floats
    events: Floats
    detected: Floats
    days: Floats
    delay: Floats

    @classmethod
    def of(cls, burden: Burden, window_hours: float) -> _PerStay:
        """At most one event a stay."""
        judged = burden.judged
        delay = np.full(len(judged.alarms), np.nan)
        lead = judged.lead / MICROSECONDS_AN_HOUR
        delay[judged.events > 0] = np.where(judged.lead >= 0, window_hours - lead, np.nan)
        counts = (judged.alarms, burden.late, judged.true_alarms, judged.events, judged.detected)
        alarms, late, true, events, detected = (one.astype(np.float64) for one in counts)
        return cls(
            alarms, late, true, events, detected, judged.exposed.watched / MICROSECONDS_AN_HOUR / 24, delay
        )


def _figures(
    evidence: Evidence,
    model: str,
    named: tuple[str, str],
    inside: Booleans,
    *,
    per_stay: _PerStay,
    weights: Weights,
    level: float,
) -> GroupFigures:
    weight = weights * inside

    def ratio(part: Floats, whole: Floats, scale: float = 1.0) -> Figure:
        below = float(whole[inside].sum())
        value = scale * float(part[inside].sum()) / below if below else None
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = scale * (weight @ part) / (weight @ whole)
        return Figure(value, interval(drawn, level) if value is not None else Interval(None, None))

    return GroupFigures(
        *named,
        stays=int(inside.sum()),
        events=int(per_stay.events[inside].sum()),
        precision=ratio(per_stay.true, per_stay.alarms),
        sensitivity=ratio(per_stay.detected, per_stay.events),
        delay_hours=_median(per_stay.delay, inside, weight, level),
        alarms_per_100_patient_days=ratio(per_stay.alarms + per_stay.late, per_stay.days, 100.0),
        auroc=_auroc(evidence.of(inside), model, weights[:, inside], level),
        note="; ".join(_notes(per_stay, inside)),
    )


def _notes(per_stay: _PerStay, inside: Booleans) -> Iterator[str]:
    """Why the group has a dash; and that it has no stay to compare with."""
    if not per_stay.events[inside].any():
        yield "no event in this group: no sensitivity, no delay, no AUROC"
    elif not per_stay.detected[inside].any():
        yield "no event foretold: no delay"
    if per_stay.events[inside].all():
        yield "every stay has an event"
    if not per_stay.alarms[inside].any():
        yield "no alarm outside events: no precision"


def _median(delay: Floats, inside: Booleans, weight: Weights, level: float) -> Figure:
    """The weighted median of the delays of detected events."""
    told = np.flatnonzero(inside & ~np.isnan(delay))
    if not len(told):
        return _NONE
    order = told[np.argsort(delay[told], kind="stable")]
    reached = np.cumsum(weight[:, order], axis=1)
    with np.errstate(invalid="ignore"):
        place = (reached < reached[:, -1:] / 2).sum(axis=1)
    drawn = np.where(reached[:, -1] > 0, delay[order][np.minimum(place, len(order) - 1)], np.nan)
    return Figure(float(np.median(delay[told])), interval(drawn, level))


def _auroc(evidence: Evidence, model: str, weights: Weights, level: float) -> Figure:
    probability = evidence.scores[model].probability
    value = auroc(evidence.label, probability)
    if value is None:
        return _NONE
    stay = np.repeat(np.arange(len(evidence.rows)), evidence.rows)
    ranked = RankedRows.of(evidence.label, probability, stay)
    return Figure(value, interval(ranked.areas(weights.astype(np.float64))[:, 0], level))
