"""What a bed sends before anybody has checked it: the raw form of a stay, as replay posts it.

A reading may be an artefact, a text or in any unit. `models.clinical.quarantine` decides what of it becomes
an observation, once at the API and once on the way to a model, by the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.clinical.ledger import ReportStatus
from models.clinical.stay import Sex


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement as it was sent; `artefact` names what is wrong with it, empty where nothing is.

    Versions of one measurement share an `identifier`; `status` says whether this one corrects or withdraws.
    """

    time: datetime
    known_at: datetime
    variable: str
    value: float | str
    unit: str
    artefact: str = ""
    identifier: str = ""
    status: ReportStatus = ReportStatus.FINAL

    def shifted(self, offset: timedelta) -> Reading:
        """The same reading `offset` later, exact to the microsecond."""
        return replace(self, time=self.time + offset, known_at=self.known_at + offset)


@dataclass(frozen=True)
class BedsideStay:
    """One admission to a bed and all its readings, by (known_at, time, variable).

    `onset` is the labelled event time where the source knows one: a fact for evaluation, never sent.
    """

    stay_id: str
    subject_id: str
    admitted_at: datetime
    discharged_at: datetime | None
    readings: tuple[Reading, ...]
    bed: str | None = None
    care_unit: str | None = None
    age_years: float | None = None
    sex: Sex | None = None
    hospital_admitted_at: datetime | None = None
    onset: datetime | None = None
    synthetic: bool = False
    source: str = ""

    @property
    def ends_at(self) -> datetime:
        """The discharge; where there is none, the last thing known."""
        last = self.readings[-1].known_at if self.readings else self.admitted_at
        return self.discharged_at or last
