"""From sorted rows of a relational source to stays: values judged by batch, clocks and repeats by stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from models.clinical.interventions import empty_interventions
from models.clinical.quarantine import Quarantined, Reason
from models.clinical.stay import Sex, Stay, empty_observations, observation_table
from models.clinical.variables import variable
from pipelines.ingest.codes_table import Code
from pipelines.ingest.facts import PLAUSIBLE_AGE, Facts
from pipelines.ingest.relational.rows import (
    NOT_A_TIME,
    Integers,
    JudgedRows,
    Places,
    RowBatch,
    judged,
    moment_text,
    row_fault,
)
from pipelines.ingest.relational.treatments import Treatments
from pipelines.ingest.source import IngestedStay

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEXES: Mapping[str, Sex] = MappingProxyType({"f": "female", "m": "male", "female": "female", "male": "male"})


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


def ingested_stays(
    source: str, codes: Sequence[Code], facts: Iterable[StayFacts], batches: Iterable[RowBatch]
) -> Iterator[IngestedStay]:
    """The stays in the order of `facts`, each with its rows, which name a stay by its place in that order."""
    making = _Making(source, codes)
    groups = _by_stay(judged(codes, batch) for batch in batches)
    rows = next(groups, None)
    for place, told in enumerate(facts):
        if rows is not None and rows.rows.stay[0] == place:
            yield making.ingested(told, rows)
            rows = next(groups, None)
        else:
            yield making.ingested(told, None)


def _by_stay(batches: Iterable[JudgedRows]) -> Iterator[JudgedRows]:
    held: list[JudgedRows] = []
    for batch in batches:
        stays = batch.rows.stay
        edges = [0, *(np.flatnonzero(np.diff(stays)) + 1).tolist(), len(batch)]
        for first, end in pairwise(edges):
            if held and held[0].rows.stay[0] != stays[first]:
                yield JudgedRows.joined(held)
                held = []
            held.append(batch.part(slice(first, end)))
    if held:
        yield JudgedRows.joined(held)


class _Making:
    """Makes stays of one source; what depends on its codes alone is worked out once."""

    def __init__(self, source: str, codes: Sequence[Code]) -> None:
        self._source = source
        self._codes = codes
        self._target = np.array([code.target for code in codes], dtype=np.str_)
        self._number = np.unique(self._target, return_inverse=True)[1]
        self._observed = np.array([code.intervention is None for code in codes], dtype=np.bool_)
        self._lag = np.array([_lag(code) for code in codes], dtype=np.int64)
        self._treatments = Treatments(codes)

    def ingested(self, told: StayFacts, rows: JudgedRows | None) -> IngestedStay:
        """One stay with its rows."""
        kept, treated, untreated = self._kept(told.admitted_at, rows)
        stay, set_aside = _stay(self._source, told, kept.table, treated)
        return IngestedStay(
            stay,
            0 if rows is None else len(rows),
            tuple(replace(entry, stay_id=told.stay) for entry in (*kept.quarantine, *untreated)),
            set_aside,
            converted=kept.converted,
            lag_assumed=kept.lag_assumed,
            diagnoses=tuple(told.diagnoses or ()),
            charting=told.charting,
        )

    def _kept(
        self, admitted_at: datetime, rows: JudgedRows | None
    ) -> tuple[_Kept, pd.DataFrame, list[Quarantined]]:
        """The observations, the interventions, and what of the latter was set aside."""
        if rows is None:
            return _Kept(empty_observations(), [], Counter(), Counter()), empty_interventions(), []
        observed = self._observed[rows.rows.code]
        kept = self._observations(admitted_at, rows.part(np.flatnonzero(observed)))
        if observed.all():
            return kept, empty_interventions(), []
        treated = self._treatments.of(rows.part(np.flatnonzero(~observed)), kept.table)
        return kept, *treated

    def _observations(self, admitted_at: datetime, values: JudgedRows) -> _Kept:
        rows = values.rows
        assumed = (rows.known_at == NOT_A_TIME) | (rows.known_at < rows.time)
        known_at = np.where(assumed, rows.time + self._lag[rows.code], rows.known_at)
        admitted = (_utc(admitted_at) - _EPOCH) // timedelta(microseconds=1)
        unfit = values.faulty | rows.withdrawn | (rows.time < admitted)  # NOT_A_TIME is before everything
        entries = [self._fault(admitted_at, values, index) for index in np.flatnonzero(unfit).tolist()]
        kept = np.flatnonzero(~unfit)
        repeats = self._repeats(values, known_at, kept)
        entries += [self._said_again(values, index) for index in repeats.tolist()]
        kept = np.setdiff1d(kept, repeats, assume_unique=True)
        target, converted = self._target[rows.code[kept]], values.converted[kept]
        table = observation_table(
            rows.time[kept].view("datetime64[us]"),
            known_at[kept].view("datetime64[us]"),
            target,
            values.value[kept],
            known_until=np.full(len(kept), "NaT", dtype="datetime64[us]"),
            censored=values.censored[kept],
        )
        units = zip(target[converted].tolist(), values.unit[kept[converted]].tolist(), strict=True)
        return _Kept(table, entries, Counter(units), Counter(target[assumed[kept]].tolist()))

    def _repeats(self, values: JudgedRows, known_at: Integers, kept: Places) -> Places:
        """Which of `kept` say again what an earlier known row of the same variable and moment says."""
        keys = (
            values.censored[kept],
            values.value[kept],
            values.rows.time[kept],
            self._number[values.rows.code[kept]],
        )
        order = np.lexsort((known_at[kept], *keys))
        first, second = order[:-1], order[1:]
        same = np.all([key[first] == key[second] for key in keys], axis=0)
        repeats: Places = kept[second[same]]
        return repeats

    def _fault(self, admitted_at: datetime, values: JudgedRows, index: int) -> Quarantined:
        """Why a row is set aside: withdrawn before all else, its value before its time."""
        rows, time = values.rows, int(values.rows.time[index])
        if rows.withdrawn[index]:
            return row_fault(Reason.WITHDRAWN, "is marked as an error", self._codes, values, index)
        if values.faulty[index]:
            found: Quarantined = values.fault[index]
            return found
        if time == NOT_A_TIME:
            return row_fault(Reason.MALFORMED, "has no time", self._codes, values, index, bound="a time")
        bound = f">= {_utc(admitted_at).isoformat()}"
        what = f"was measured at {moment_text(time)}, before the admission: expected {bound}"
        return row_fault(Reason.BEFORE_ADMISSION, what, self._codes, values, index, bound=bound)

    def _said_again(self, values: JudgedRows, index: int) -> Quarantined:
        what = f"of {moment_text(int(values.rows.time[index]))} was read before"
        return row_fault(Reason.DUPLICATE, what, self._codes, values, index)


@dataclass(frozen=True)
class _Kept:
    table: pd.DataFrame
    quarantine: list[Quarantined]
    converted: Counter[tuple[str, str]]
    lag_assumed: Counter[str]


def _lag(code: Code) -> int:
    return 0 if code.intervention else variable(code.target).lag // timedelta(microseconds=1)


def _stay(
    source: str, told: StayFacts, observations: pd.DataFrame, interventions: pd.DataFrame
) -> tuple[Stay, tuple[Quarantined, ...]]:
    facts = Facts(told.stay)
    discharged_at = told.discharged_at
    if discharged_at is not None and discharged_at < told.admitted_at:
        discharged_at = None
        facts.quarantined.append(_discharged_early(told))
    stay = Stay(
        told.stay,
        told.subject,
        admitted_at=_utc(told.admitted_at),
        observations=observations,
        age_years=facts.number("age_years", told.age_years, PLAUSIBLE_AGE, "years", 0),
        sex=facts.choice("sex", told.sex, _SEXES, 0),
        care_unit=told.care_unit,
        hospital_admitted_at=None if told.hospital_admitted_at is None else _utc(told.hospital_admitted_at),
        discharged_at=None if discharged_at is None else _utc(discharged_at),
        interventions=interventions,
        source=source,
    )
    return stay, tuple(facts.quarantined)


def _discharged_early(told: StayFacts) -> Quarantined:
    bound = f">= {told.admitted_at.isoformat()}"
    detail = f"discharged_at {told.discharged_at} is before the admission: expected {bound}"
    value = str(told.discharged_at)
    return Quarantined(Reason.IMPLAUSIBLE, detail, 0, told.stay, "discharged_at", value, bound)


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC)
