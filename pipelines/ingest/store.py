"""An ingested source in the service's database: one transaction a stay, and a second run adds nothing.

Observations go in as reports, so the database finds for itself what it holds already; an observation that no
longer stands is followed by its withdrawal. The database has no place for interventions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from db.queries.observations import QuarantineFacts, append_observations, quarantine_rows
from db.queries.stays import StayConflict, StayFacts, upsert_stay
from db.schema import migrate
from db.session import make_engine, writing
from models.clinical.errors import InvalidInput
from models.clinical.ledger import ObservationFacts, Receipt, ReportStatus
from models.clinical.quarantine import Quarantined
from models.clinical.stay import Stay
from pipelines.ingest.source import IngestedStay


@dataclass
class StayStore:
    """Puts stays into a database; made by `opened`. `refused` says which it could not hold, and why."""

    engine: Engine
    new_stays: int = 0
    receipts: Counter[Receipt] = field(default_factory=Counter)
    quarantined: int = 0
    interventions_left_out: int = 0
    refused: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def opened(cls, url: str) -> Iterator[StayStore]:
        """A store over the database of that SQLAlchemy URL, brought to the newest schema.

        Raises InvalidInput for a database that cannot be reached or written.
        """
        try:
            engine = _engine(url)
            try:
                migrate(engine)
                yield cls(engine)
            finally:
                engine.dispose()
        except SQLAlchemyError as error:
            first_line = str(error).splitlines()[0]
            raise InvalidInput(
                f"database {_without_password(url)}: {first_line}", bound="a database"
            ) from error

    def add(self, ingested: IngestedStay) -> None:
        """Store one stay and what is new of it; what was set aside of it only with the stay's first run."""
        stay = ingested.stay
        now = datetime.now(UTC)
        try:
            facts = _stay_facts(stay)
            with writing(self.engine) as session:
                row, new = upsert_stay(session, facts)
                receipts = append_observations(session, row, _reports(stay), now)
                if new:
                    aside = (_quarantine_facts(stay.stay_id, entry) for entry in _all_aside(ingested))
                    quarantine_rows(session, aside, now)
        except (InvalidInput, StayConflict) as error:
            self.refused.append(f"stay {stay.stay_id} is not in the database: {error}")
            return
        self.new_stays += new
        self.receipts.update(receipts)
        self.quarantined += len(_all_aside(ingested)) if new else 0
        self.interventions_left_out += len(stay.interventions)

    def as_json(self) -> dict[str, Any]:
        """What the database took: counts."""
        return {
            "new_stays": self.new_stays,
            "observations": {str(receipt): count for receipt, count in self.receipts.most_common()},
            "quarantined": self.quarantined,
            "interventions_left_out": self.interventions_left_out,
            "refused": len(self.refused),
        }

    def sentence(self) -> str:
        """What the database took, for people."""
        taken, known = (self.receipts[one] for one in (Receipt.ACCEPTED, Receipt.DUPLICATE))
        left = (
            f", {self.interventions_left_out} interventions left out" if self.interventions_left_out else ""
        )
        return (
            f"database: {self.new_stays} new stays, {taken} observations accepted, {known} known before{left}"
        )


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return make_engine(url)


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "as given"  # no URL, so nobody knows where in it a password stands


def _stay_facts(stay: Stay) -> StayFacts:
    return StayFacts(
        stay_id=stay.stay_id,
        subject_id=stay.subject_id,
        admitted_at=stay.admitted_at,
        care_unit=stay.care_unit,
        age_years=stay.age_years,
        sex=stay.sex,
        hospital_admitted_at=stay.hospital_admitted_at,
        discharged_at=stay.discharged_at,
        synthetic=stay.synthetic,
    )


def _reports(stay: Stay) -> list[ObservationFacts]:
    """The observations in the order they became known, each end as a withdrawal of its own."""
    reports: list[ObservationFacts] = []
    table = stay.observations
    times, knowns = (table[name].dt.to_pydatetime() for name in ("time", "known_at"))
    rest = zip(
        table["known_until"], table["variable"], table["value"].tolist(), table["censored"], strict=True
    )
    for time, known_at, (until, variable, value, censored) in zip(times, knowns, rest, strict=True):
        if until is pd.NaT:
            reports.append(ObservationFacts(time, known_at, variable, value, censored))
            continue
        # the name makes sure that the withdrawal ends this one and no other that says the same
        name = f"ingested {time.isoformat()} {known_at.isoformat()} {value!r} {censored}"
        withdrawn = ReportStatus.ENTERED_IN_ERROR
        end = until.to_pydatetime()
        reports.append(ObservationFacts(time, known_at, variable, value, censored, name))
        reports.append(ObservationFacts(time, end, variable, value, censored, name, withdrawn))
    return reports


def _all_aside(ingested: IngestedStay) -> tuple[Quarantined, ...]:
    return (*ingested.quarantine, *ingested.facts_quarantined)


def _quarantine_facts(stay_id: str, entry: Quarantined) -> QuarantineFacts:
    return QuarantineFacts(
        reason=str(entry.reason),
        detail=entry.detail,
        input=f"{entry.variable} {entry.value} {entry.unit}".strip(),
        bound=entry.bound,
        unit=entry.unit,
        stay_id=stay_id,
    )
