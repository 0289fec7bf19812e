"""What is kept of a stay besides its scores: its facts, what was measured of it, and how often.

The hourly table holds for every variable how many results were known by the hour and how many hours ago the
last one became known: nothing of what was measured, only that it was. It is what the floor of
`pipelines.evaluate.floor` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.interventions import InterventionKind
from models.clinical.stay import Stay
from models.clinical.variables import CATALOGUE
from pipelines.ingest.source import IngestedStay
from pipelines.metrics.horizon import onsets

VARIABLES = tuple(CATALOGUE)
NEVER = np.iinfo(np.uint16).max  # hours since a variable that nobody has measured yet
_PLACE = {name: place for place, name in enumerate(VARIABLES)}
_RECOGNITION = (InterventionKind.ANTIBIOTIC, InterventionKind.CULTURE)

FACTS = pa.schema(
    [
        ("site", pa.string()),
        ("stay_id", pa.string()),
        ("subject_id", pa.string()),
        ("age_years", pa.float64()),
        ("sex", pa.string()),
        ("care_unit", pa.string()),
        ("hours", pa.int64()),  # rows that were scored
        ("onset_hour", pa.float64()),  # null without an event
        ("onset_told", pa.bool_()),  # false where hourly labels are all there is, positive from the first row
        ("recognised_hour", pa.float64()),  # first antibiotic, culture or lactate; null where none is known
        ("observations", pa.int64()),
        ("quarantined", pa.int64()),
        *((f"median_{name}", pa.float64()) for name in VARIABLES),
        *((f"count_{name}", pa.int64()) for name in VARIABLES),
    ]
)
MEASUREMENTS = pa.schema(
    [
        ("hour", pa.int64()),
        *((f"count_{name}", pa.uint16()) for name in VARIABLES),
        *((f"since_{name}", pa.uint16()) for name in VARIABLES),
    ]
)


@dataclass(frozen=True)
class Measurements:
    """At each of R hours, of V variables: how many results were known, and hours since the last (R, V)."""

    count: npt.NDArray[np.uint16]
    since: npt.NDArray[np.uint16]


def measurements(stay: Stay, hour: npt.NDArray[np.int64]) -> Measurements:
    """What had been measured by each `hour` (R,), by when it became known."""
    last = int(hour[-1]) if len(hour) else 0
    table = stay.observations
    known = np.clip(np.ceil(stay.hours(table["known_at"])), 1, last + 1).astype(np.int64)
    place = np.array([_PLACE[name] for name in table["variable"].tolist()], dtype=np.int64)
    arrived = np.zeros((last + 1, len(VARIABLES)), dtype=np.int64)
    np.add.at(arrived, (known - 1, place), 1)
    grid = np.arange(1, last + 1)[:, None]
    count = np.cumsum(arrived[:last], axis=0)
    latest = np.maximum.accumulate(np.where(arrived[:last] > 0, grid, 0), axis=0)
    since = np.where(latest > 0, grid - latest, NEVER)
    at = hour - 1
    return Measurements(np.minimum(count, NEVER)[at].astype(np.uint16), since[at].astype(np.uint16))


def measurement_rows(ingested: Sequence[IngestedStay]) -> pa.Table:
    """`MEASUREMENTS` of some stays, end to end."""
    found = [(one.hour, measurements(one.stay, one.hour)) for one in ingested if one.hour is not None]
    count, since = (np.concatenate([getattr(one, side) for _, one in found]) for side in ("count", "since"))
    columns = [np.concatenate([hour for hour, _ in found]), *count.T, *since.T]
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=MEASUREMENTS)


def fact_rows(site: str, ingested: Sequence[IngestedStay]) -> pa.Table:
    """`FACTS` of some labelled stays."""
    rows = [_facts(site, one) | measured for one, measured in zip(ingested, _measured(ingested), strict=True)]
    return pa.Table.from_pylist(rows, schema=FACTS)


def _measured(ingested: Sequence[IngestedStay]) -> list[dict[str, float]]:
    """How often each variable of each stay was measured, and its median; of all stays in one pass."""
    tables = [one.stay.observations for one in ingested]
    whose = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    names = [name for table in tables for name in table["variable"].tolist()]
    values = pd.Series(np.concatenate([table["value"].to_numpy() for table in tables] + [np.empty(0)]))
    found: list[dict[str, float]] = [{f"count_{name}": 0 for name in VARIABLES} for _ in tables]
    if not names:
        return found
    groups = values.groupby([whose, np.array(names, dtype=object)])
    for figure, of_groups in (("median", groups.median()), ("count", groups.size())):
        stay, name = (of_groups.index.get_level_values(level).tolist() for level in range(2))
        for one, called, value in zip(stay, name, of_groups.tolist(), strict=True):
            found[one][f"{figure}_{called}"] = value
    return found


def _facts(site: str, ingested: IngestedStay) -> dict[str, object]:
    stay, hour, label = ingested.stay, ingested.hour, ingested.label
    assert hour is not None
    assert label is not None  # nobody else is evaluated
    onset, told = _onset(ingested, hour, label)
    return {
        "site": site,
        "stay_id": stay.stay_id,
        "subject_id": stay.subject_id,
        "age_years": stay.age_years,
        "sex": stay.sex,
        "care_unit": stay.care_unit,
        "hours": len(hour),
        "onset_hour": onset,
        "onset_told": told,
        "recognised_hour": recognised_hour(stay),
        "observations": len(stay.observations),
        "quarantined": len(ingested.quarantine) + len(ingested.facts_quarantined),
    }


def _onset(
    ingested: IngestedStay, hour: npt.NDArray[np.int64], label: npt.NDArray[np.int8]
) -> tuple[float | None, bool]:
    """When the event begins, as the source tells it or else its hourly label, and whether either does."""
    if ingested.onset_hour is not None:
        return ingested.onset_hour, True
    found = onsets(np.array([len(hour)], dtype=np.int64), hour, label)
    return (float(found.hour[0]) if label.any() else None), bool(found.case[0])


def recognised_hour(stay: Stay) -> float | None:
    """Hours from admission to the first antibiotic, culture or lactate order: somebody already suspected.

    None where the record holds none of them; a record without interventions may still hold a lactate.
    """
    acted = stay.interventions["start"][stay.interventions["kind"].isin(_RECOGNITION)]
    lactate = stay.observations["time"][stay.observations["variable"] == "lactate"]
    begun = [one.min() for one in (acted, lactate) if len(one)]
    return float(min((one - stay.admitted_at).total_seconds() for one in begun)) / 3600 if begun else None
