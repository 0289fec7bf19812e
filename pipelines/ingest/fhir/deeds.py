"""Treatments and cultures of one patient, from what was staged of them to a stay's interventions."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from models.clinical.interventions import InterventionKind, intervention_table
from models.clinical.quarantine import Quarantined, Reason
from models.clinical.stay import Stay
from pipelines.ingest.fhir.elements import clock
from pipelines.ingest.fhir.staging import StagedRow
from pipelines.ingest.fhir.tally import Tally
from pipelines.ingest.fhir.treatments import (
    Done,
    Formulary,
    StagedCulture,
    StagedSpecimen,
    StagedTreatment,
    called,
    culture,
    meaning,
)
from pipelines.ingest.treatments import rate_in_canonical_unit

_NO_SPECIMEN = StagedSpecimen("", "", [], cultured=False)


@dataclass(frozen=True)
class Deed:
    """Something done to a patient: what, and when.

    `start` is None where `told` is no readable time, `end` where it goes on.
    """

    number: int
    done: Done
    encounter: str
    told: str
    start: datetime | None
    end: datetime | None
    rate: float | None
    rate_unit: str
    withdrawn: bool


def deeds(rows: Sequence[StagedRow], formulary: Formulary, aside: Tally) -> Iterator[Deed]:
    """What the rows of a patient say was done; what is no intervention is counted in `aside`."""
    yield from _treatments(rows, formulary, aside)
    yield from _cultures(rows, aside)


def _treatments(rows: Sequence[StagedRow], formulary: Formulary, aside: Tally) -> Iterator[Deed]:
    routes = {key: row.content[0] for row in rows if row.kind == "request" for key in row.content[1]}
    for row in rows:
        if row.kind != "treatment":
            continue
        treatment = StagedTreatment._make(row.content)
        if (done := meaning(treatment, formulary, routes)) is None:
            name = next(iter(called(treatment, formulary)), "without a name")
            aside.add(Reason.UNKNOWN_VARIABLE, f"medication {name}", f"{name} is no treatment that is kept")
            continue
        yield Deed(
            row.number,
            done,
            row.encounter,
            treatment.start,
            clock(treatment.start),
            clock(treatment.end),
            treatment.rate,
            treatment.rate_unit,
            treatment.withdrawn,
        )


def _cultures(rows: Sequence[StagedRow], aside: Tally) -> Iterator[Deed]:
    """Tests that are cultures, and specimens taken for one that no test speaks of yet."""
    taken = [(row, StagedSpecimen._make(row.content)) for row in rows if row.kind == "specimen"]
    specimens = {key: specimen for _, specimen in taken for key in specimen.keys}
    used: set[str] = set()
    for row in rows:
        if row.kind != "culture":
            continue
        test = StagedCulture._make(row.content)
        used.add(test.specimen)
        specimen = specimens.get(test.specimen, _NO_SPECIMEN)
        if (done := culture(test, specimen.kind)) is None:
            detail = f"{test.test} of {specimen.kind!r} is no culture"
            aside.add(Reason.UNKNOWN_VARIABLE, f"test {test.test}", detail)
        else:
            yield _culture(row, done, specimen.time or test.time, withdrawn=test.withdrawn)
    for row, specimen in taken:
        if specimen.cultured and used.isdisjoint(specimen.keys):
            done = Done(InterventionKind.CULTURE, specimen.kind.casefold())
            yield _culture(row, done, specimen.time, withdrawn=False)


def _culture(row: StagedRow, done: Done, told: str, *, withdrawn: bool) -> Deed:
    time = clock(told)
    return Deed(row.number, done, row.encounter, told, time, time, None, "", withdrawn)


def interventions(stay: Stay, done: Sequence[Deed]) -> tuple[pd.DataFrame, list[Quarantined]]:
    """The interventions of a stay and what of them was set aside; weights come from its observations.

    What goes on ends with the stay, or in the moment it began while the stay goes on too.
    """
    if not done:
        return stay.interventions, []
    weighed = stay.observations[stay.observations["variable"] == "body_weight"].sort_values("time")
    weights = _Weights(list(weighed["time"]), weighed["value"].tolist())
    quarantine: list[Quarantined] = []
    kept: dict[tuple[datetime, datetime, str, float | None, str], None] = {}
    for deed in done:
        if deed.withdrawn:
            quarantine.append(_fault(Reason.WITHDRAWN, "was not done", deed))
        elif deed.start is None:
            quarantine.append(_fault(Reason.MALFORMED, "has no time of day with an offset", deed))
        else:
            rate = _rate(deed, deed.start, weights)
            end = max(deed.start, deed.end or stay.discharged_at or deed.start)
            row = (deed.start, end, str(deed.done.kind), rate, deed.done.agent)
            if row in kept:
                quarantine.append(_fault(Reason.DUPLICATE, "was read before", deed))
            kept[row] = None
    starts, ends, kinds, rates, agents = zip(*kept, strict=True) if kept else ((),) * 5
    numbers = [math.nan if rate is None else rate for rate in rates]
    return intervention_table(starts, ends, kinds, numbers, agents), quarantine


@dataclass(frozen=True)
class _Weights:
    """The weighings of a stay by time, in kg."""

    times: list[datetime]
    kg: list[float]

    def at(self, moment: datetime) -> float | None:
        """The last weight before a moment, else the first after it; None where nobody was weighed."""
        return self.kg[max(bisect_right(self.times, moment) - 1, 0)] if self.kg else None


def _rate(deed: Deed, start: datetime, weights: _Weights) -> float | None:
    if deed.rate is None:
        return None
    return rate_in_canonical_unit(deed.done.kind, deed.rate, deed.rate_unit, weights.at(start))


def _fault(reason: Reason, what: str, deed: Deed) -> Quarantined:
    detail = f"{deed.done.kind} {deed.done.agent} of {deed.told or 'no time'} {what}"
    return Quarantined(reason, detail, deed.number, "", str(deed.done.kind), deed.done.agent)
