"""Simulated stays as a source: what passes the quarantine, with the hourly label of CinC 2019."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from models.clinical.errors import UnreadableSource
from models.clinical.stay import Stay
from pipelines.bedside import BedsideStay
from pipelines.bedside import Reading as SentReading
from pipelines.ingest.readings import Reading, with_readings
from pipelines.ingest.source import IngestedStay, SetAside
from pipelines.simulate.stays import EPOCH, SOURCE, SimulatorConfig, simulate

LABEL_LEAD_HOURS = 6  # CinC 2019 labels an hour 1 from six hours before onset


def checked(raw: BedsideStay) -> IngestedStay:
    """The stay as a model reads it: readings that pass the quarantine, the others set aside with a reason."""
    ingested = with_readings(_stay(raw), [_received(row, one) for row, one in enumerate(raw.readings)])
    hour, label = hourly_label(raw)
    return replace(ingested, hour=hour, label=label)


def hourly_label(raw: BedsideStay) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
    """Hours 1, 2, … of the stay and their label: 1 from six hours before onset to the end, else 0."""
    hours = -(-(raw.ends_at - raw.admitted_at) // timedelta(hours=1))
    hour = np.arange(1, hours + 1, dtype=np.int64)
    if raw.onset is None:
        return hour, np.zeros(hours, dtype=np.int8)
    first = (raw.onset - raw.admitted_at) / timedelta(hours=1) - LABEL_LEAD_HOURS
    return hour, (hour >= first).astype(np.int8)


def _stay(raw: BedsideStay) -> Stay:
    return Stay(
        stay_id=raw.stay_id,
        subject_id=raw.subject_id,
        admitted_at=raw.admitted_at,
        age_years=raw.age_years,
        sex=raw.sex,
        care_unit=raw.care_unit,
        hospital_admitted_at=raw.hospital_admitted_at,
        synthetic=raw.synthetic,
        source=raw.source,
    )


def _received(row: int, sent: SentReading) -> Reading:
    clocks, withdrawn = (sent.time, sent.known_at), sent.status.withdraws
    return Reading(*clocks, sent.variable, sent.value, sent.unit, row, sent.identifier, withdrawn)


@dataclass(frozen=True)
class SimulatedSource:
    """The first `number` stays of `seed` as a source like any other."""

    seed: int
    number: int
    admitted_at: datetime = EPOCH
    config: SimulatorConfig | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{SOURCE} seed {self.seed} (synthetic)"

    @property
    def stay_count(self) -> int:
        """How many stays there are."""
        return self.number

    @property
    def failures(self) -> tuple[UnreadableSource, ...]:
        """Nothing that is drawn is unreadable."""
        return ()

    @property
    def set_aside(self) -> tuple[SetAside, ...]:
        """Every reading belongs to a stay."""
        return ()

    def stays(self) -> Iterator[IngestedStay]:
        """Every stay, checked; each call starts over and gives the same."""
        for raw in simulate(self.seed, self.number, admitted_at=self.admitted_at, config=self.config):
            yield checked(raw)
