"""From sorted rows of a relational source to stays: values judged by batch, clocks and repeats by stay."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.errors import UnacceptedUnit
from models.clinical.interventions import empty_interventions, intervention_table
from models.clinical.quarantine import Cell, Quarantined, Reason, as_json, cell_text, check_values
from models.clinical.stay import Sex, Stay, observation_table
from models.clinical.units import accepted_unit, same_unit
from models.clinical.variables import variable
from pipelines.ingest.codes_table import Code, Rule
from pipelines.ingest.facts import PLAUSIBLE_AGE, Facts
from pipelines.ingest.source import IngestedStay
from pipelines.ingest.treatments import rate_in_canonical_unit

NOT_A_TIME = np.iinfo(np.int64).min  # microseconds; how numpy writes NaT
FAHRENHEIT_ABOVE = 50.0  # no living body has 50 degC, none has 50 degF
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEXES: Mapping[str, Sex] = MappingProxyType({"f": "female", "m": "male", "female": "female", "male": "male"})

Integers = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]


class StayFacts(NamedTuple):
    """What the source says of a stay itself; times are naive and mean UTC."""

    stay: str
    subject: str
    admitted_at: datetime
    discharged_at: datetime | None
    hospital_admitted_at: datetime | None
    age_years: str | float | None
    sex: str | None
    care_unit: str | None
    charting: str | None
    diagnoses: list[str] | None


@dataclass(frozen=True)
class RowBatch:
    """Rows (n,) of a source, sorted by stay: times in microseconds since 1970, NOT_A_TIME for none.

    `text` holds what is no finite number; `code` indexes the source's codes.
    """

    stay: Objects
    code: Integers
    time: Integers
    ended_at: Integers
    known_at: Integers
    number: npt.NDArray[np.float64]
    text: Objects
    unit: Objects
    withdrawn: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> Self:
        """The rows of an Arrow batch with these columns."""
        column = {name: batch.column(name) for name in batch.schema.names}
        times = {
            name: column[name].fill_null(NOT_A_TIME).to_numpy(zero_copy_only=False)
            for name in ("time", "ended_at", "known_at")
        }
        texts = {name: np.array(column[name].to_pylist(), dtype=object) for name in ("stay", "text", "unit")}
        return cls(
            code=column["code_id"].to_numpy(zero_copy_only=False).astype(np.int64),
            number=column["number"].fill_null(math.nan).to_numpy(zero_copy_only=False),
            withdrawn=column["withdrawn"].to_numpy(zero_copy_only=False),
            **times,
            **texts,
        )


@dataclass(frozen=True)
class JudgedRows:
    """The rows (n,) with the verdict on their values: `value` and `censored` as observations hold them,
    `fault` (n,) the Quarantined where the value is none, `converted` whether the unit was another.
    """

    rows: RowBatch
    value: npt.NDArray[np.float64]
    censored: npt.NDArray[np.str_]
    fault: Objects
    converted: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.value)

    def part(self, chosen: slice | npt.NDArray[np.intp]) -> JudgedRows:
        """Some of the rows."""
        return JudgedRows(
            RowBatch(*(getattr(self.rows, field.name)[chosen] for field in fields(RowBatch))),
            *(getattr(self, field.name)[chosen] for field in fields(JudgedRows)[1:]),
        )

    @classmethod
    def joined(cls, parts: Sequence[JudgedRows]) -> JudgedRows:
        """Parts one after the other."""
        if len(parts) == 1:
            return parts[0]
        rows = RowBatch(
            *(
                np.concatenate([getattr(part.rows, field.name) for part in parts])
                for field in fields(RowBatch)
            )
        )
        rest = (
            np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(JudgedRows)[1:]
        )
        return cls(rows, *rest)


def ingested_stays(
    source: str, codes: Sequence[Code], facts: Iterable[StayFacts], batches: Iterable[RowBatch]
) -> Iterator[IngestedStay]:
    """The stays in the order of `facts`, each with its rows; both are sorted by stay id."""
    groups = _by_stay(_judged(codes, batch) for batch in batches)
    stay, rows = next(groups, ("", None))
    for told in facts:
        if rows is not None and stay == told.stay:
            yield _ingested(source, codes, told, rows)
            stay, rows = next(groups, ("", None))
        else:
            yield _ingested(source, codes, told, None)


def _by_stay(batches: Iterable[JudgedRows]) -> Iterator[tuple[str, JudgedRows]]:
    held: list[JudgedRows] = []
    for batch in batches:
        stays = batch.rows.stay
        starts = [0, *(np.flatnonzero(stays[1:] != stays[:-1]) + 1).tolist(), len(batch)]
        for first, end in pairwise(starts):
            if held and held[0].rows.stay[0] != stays[first]:
                yield str(held[0].rows.stay[0]), JudgedRows.joined(held)
                held = []
            held.append(batch.part(slice(first, end)))
    if held:
        yield str(held[0].rows.stay[0]), JudgedRows.joined(held)


def _judged(codes: Sequence[Code], rows: RowBatch) -> JudgedRows:
    """The verdict on the value of each row, all of one code and unit together."""
    count = len(rows.code)
    judged = JudgedRows(
        rows,
        value=rows.number.copy(),
        censored=np.full(count, "", dtype="U1"),
        fault=np.full(count, None, dtype=object),
        converted=np.zeros(count, dtype=np.bool_),
    )
    units, unit_of = np.unique(
        np.array([unit or "" for unit in rows.unit], dtype=np.str_), return_inverse=True
    )
    key = rows.code * len(units) + unit_of
    order = np.argsort(key, kind="stable")
    edges = np.flatnonzero(np.diff(key[order], prepend=-1))
    for members in np.split(order, edges[1:]) if count else ():
        code = codes[int(rows.code[members[0]])]
        if code.intervention is None:
            _judge(judged, code, str(units[unit_of[members[0]]]), members)
    return judged


def _judge(judged: JudgedRows, code: Code, reported: str, members: npt.NDArray[np.intp]) -> None:
    number, text = judged.rows.number[members], judged.rows.text[members]
    for unit, chosen in _units(code, reported, number):
        places = members[chosen]
        cells: Sequence[Cell] | npt.NDArray[np.float64] = number[chosen]
        if np.isnan(number[chosen]).any():
            cells = [
                float(value) if words is None and not math.isnan(value) else words
                for value, words in zip(number[chosen], text[chosen], strict=True)
            ]
        checked = check_values(variable(code.target), cells, unit)
        judged.value[places] = checked.value
        judged.censored[places] = checked.censored
        for fault in checked.quarantined:
            judged.fault[places[fault.row or 0]] = replace(fault, row=None)
        judged.converted[places] = checked.accepted & (not _canonical(code, unit))


def _canonical(code: Code, unit: str) -> bool:
    try:
        return same_unit(variable(code.target), unit)
    except UnacceptedUnit:
        return True  # nothing in it was accepted


def _units(
    code: Code, reported: str, number: npt.NDArray[np.float64]
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """The unit of each value (n,), by the mapping's rule: the units with the values they hold for."""
    everywhere = np.ones(len(number), dtype=np.bool_)
    if code.rule is Rule.SHARE:
        above, low, high = number > 1.0, "fraction", "%"
    elif code.rule is Rule.TEMPERATURE:
        if _accepts(code, reported):
            return [(reported, everywhere)]
        above, low, high = number > FAHRENHEIT_ABOVE, "degC", "degF"
    else:
        unit = code.unit if code.rule is Rule.FIXED or not reported.strip() else reported
        return [(unit, everywhere)]
    return [(unit, chosen) for unit, chosen in ((low, ~above), (high, above)) if chosen.any()]


def _accepts(code: Code, unit: str) -> bool:
    try:
        accepted_unit(variable(code.target), unit)
    except UnacceptedUnit:
        return False
    return True


def _ingested(source: str, codes: Sequence[Code], told: StayFacts, rows: JudgedRows | None) -> IngestedStay:
    facts = Facts(told.stay)
    stay = Stay(
        told.stay,
        told.subject,
        admitted_at=told.admitted_at.replace(tzinfo=UTC),
        age_years=facts.number("age_years", told.age_years, PLAUSIBLE_AGE, "years", 0),
        sex=facts.choice("sex", told.sex, _SEXES, 0),
        care_unit=told.care_unit,
        hospital_admitted_at=_in_utc(told.hospital_admitted_at),
        discharged_at=_in_utc(told.discharged_at),
        source=source,
    )
    set_aside = tuple(facts.quarantined)
    diagnoses = tuple(told.diagnoses or ())
    if rows is None:
        return IngestedStay(stay, 0, (), set_aside, diagnoses=diagnoses, charting=told.charting)
    kind = np.array([codes[code].intervention is None for code in range(len(codes))])
    observed = kind[rows.rows.code]
    kept = _observations(stay, codes, rows.part(np.flatnonzero(observed)))
    done = _interventions(kept.table, codes, rows.part(np.flatnonzero(~observed)))
    quarantine = tuple(replace(entry, stay_id=told.stay) for entry in (*kept.quarantine, *done.quarantine))
    return IngestedStay(
        replace(stay, observations=kept.table, interventions=done.table),
        len(rows),
        quarantine,
        set_aside,
        converted=kept.converted,
        lag_assumed=kept.lag_assumed,
        diagnoses=diagnoses,
        charting=told.charting,
    )


def _in_utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Kept:
    table: pd.DataFrame
    quarantine: list[Quarantined]
    converted: Counter[tuple[str, str]]
    lag_assumed: Counter[str]


def _observations(stay: Stay, codes: Sequence[Code], judged: JudgedRows) -> _Kept:
    rows = judged.rows
    target = np.array([codes[code].target for code in rows.code.tolist()], dtype=np.str_)
    lag = _lags(codes)[rows.code]
    assumed = (rows.known_at == NOT_A_TIME) | (rows.known_at < rows.time)
    known_at = np.where(assumed, rows.time + lag, rows.known_at)
    admitted = (stay.admitted_at - _EPOCH) // timedelta(microseconds=1)
    early, timeless = rows.time < admitted, rows.time == NOT_A_TIME
    fault = judged.fault.copy()
    for index in np.flatnonzero((fault == None) & (rows.withdrawn | early | timeless)).tolist():  # noqa: E711
        fault[index] = _row_fault(stay, codes, judged, index)
    for index in np.flatnonzero(rows.withdrawn).tolist():
        fault[index] = _row_fault(stay, codes, judged, index)
    kept = np.flatnonzero(fault == None)  # noqa: E711
    repeated = _repeated(target[kept], rows.time[kept], known_at[kept], judged, kept)
    for index in repeated.tolist():
        fault[index] = _said_again(codes, judged, index)
    kept = np.setdiff1d(kept, repeated, assume_unique=True)
    return _Kept(
        observation_table(
            rows.time[kept].view("datetime64[us]"),
            known_at[kept].view("datetime64[us]"),
            target[kept],
            judged.value[kept],
            censored=judged.censored[kept],
        ),
        [entry for entry in fault if entry is not None],
        Counter(
            (str(target[index]), _unit_text(codes, judged, index))
            for index in kept[judged.converted[kept]].tolist()
        ),
        Counter(target[kept[assumed[kept]]].tolist()),
    )


def _lags(codes: Sequence[Code]) -> Integers:
    return np.array(
        [
            0 if code.intervention else variable(code.target).lag // timedelta(microseconds=1)
            for code in codes
        ],
        dtype=np.int64,
    )


def _repeated(
    target: npt.NDArray[np.str_],
    time: Integers,
    known_at: Integers,
    judged: JudgedRows,
    kept: npt.NDArray[np.intp],
) -> npt.NDArray[np.intp]:
    """Which of `kept` say again what an earlier known row of the same variable and moment says."""
    value = judged.value[kept]
    order = np.lexsort((known_at, value, time, target))
    same = np.zeros(len(order), dtype=np.bool_)
    first, second = order[:-1], order[1:]
    same[second] = (
        (target[first] == target[second]) & (time[first] == time[second]) & (value[first] == value[second])
    )
    repeated: npt.NDArray[np.intp] = kept[same]
    return repeated


def _row_fault(stay: Stay, codes: Sequence[Code], judged: JudgedRows, index: int) -> Quarantined:
    time = int(judged.rows.time[index])
    if judged.rows.withdrawn[index]:
        return _fault(Reason.WITHDRAWN, "is marked as an error", codes, judged, index)
    if time == NOT_A_TIME:
        return _fault(Reason.MALFORMED, "has no time", codes, judged, index, bound="a time")
    bound = f">= {stay.admitted_at.isoformat()}"
    what = f"was measured at {_text(time)}, before the admission: expected {bound}"
    return _fault(Reason.BEFORE_ADMISSION, what, codes, judged, index, bound=bound)


def _said_again(codes: Sequence[Code], judged: JudgedRows, index: int) -> Quarantined:
    what = f"of {_text(int(judged.rows.time[index]))} was read before"
    return _fault(Reason.DUPLICATE, what, codes, judged, index)


def _fault(
    reason: Reason, what: str, codes: Sequence[Code], judged: JudgedRows, index: int, *, bound: str = ""
) -> Quarantined:
    code, number = codes[int(judged.rows.code[index])], float(judged.rows.number[index])
    cell: Any = judged.rows.text[index] if math.isnan(number) else number
    unit = _unit_text(codes, judged, index)
    detail = f"{code.target} {cell_text(cell)} {unit} ({code.table} {code.code}) {what}"
    return Quarantined(reason, detail, None, "", code.target, as_json(cell), bound, unit)


def _unit_text(codes: Sequence[Code], judged: JudgedRows, index: int) -> str:
    return str(judged.rows.unit[index] or codes[int(judged.rows.code[index])].unit)


def _text(microseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()


@dataclass(frozen=True)
class _Done:
    table: pd.DataFrame
    quarantine: list[Quarantined]


def _interventions(observations: pd.DataFrame, codes: Sequence[Code], judged: JudgedRows) -> _Done:
    rows, quarantine = judged.rows, []
    kept: list[tuple[int, int, str, float, str]] = []
    seen: set[tuple[Any, ...]] = set()
    weight = _Weight(observations)
    for index in range(len(judged)):
        code, start = codes[int(rows.code[index])], int(rows.time[index])
        kind = code.intervention
        assert kind is not None  # the caller chose the rows so
        if rows.withdrawn[index]:
            quarantine.append(_fault(Reason.WITHDRAWN, "was not given", codes, judged, index))
            continue
        if start == NOT_A_TIME:
            quarantine.append(_fault(Reason.MALFORMED, "has no time", codes, judged, index, bound="a time"))
            continue
        ended = int(rows.ended_at[index])
        rate = rate_in_canonical_unit(
            kind, float(rows.number[index]), _unit_text(codes, judged, index), weight.at(start)
        )
        done = (start, max(start, ended), str(kind), math.nan if rate is None else rate, code.agent)
        key = (*done[:3], None if rate is None else rate, code.agent)
        if key in seen:
            quarantine.append(_said_again(codes, judged, index))
            continue
        seen.add(key)
        kept.append(done)
    if not kept:
        return _Done(empty_interventions(), quarantine)
    starts, ends, kinds, rates, agents = zip(*kept, strict=True)
    began, over = (np.array(times, dtype=np.int64).view("datetime64[us]") for times in (starts, ends))
    return _Done(intervention_table(began, over, kinds, rates, agents), quarantine)


class _Weight:
    """The body weight in kg at a moment: the last one measured by then, else the first later one."""

    def __init__(self, observations: pd.DataFrame) -> None:
        weighed = observations[observations["variable"] == "body_weight"].sort_values("time", kind="stable")
        self._time = np.asarray(weighed["time"], dtype="datetime64[us]").astype(np.int64)
        self._value = weighed["value"].to_numpy(dtype=np.float64)

    def at(self, time: int) -> float | None:
        if not len(self._time):
            return None
        return float(self._value[max(int(np.searchsorted(self._time, time, side="right")) - 1, 0)])
