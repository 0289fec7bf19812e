"""From rows to the concepts the models read; apart from the other queries, because pandas comes with it."""

from __future__ import annotations

from collections.abc import Sequence

from db.rows import ObservationRow, StayRow
from models.clinical.stay import Stay, observation_table


def clinical_stay(stay: StayRow, observations: Sequence[ObservationRow]) -> Stay:
    """The stay as the models read it."""
    return Stay(
        stay_id=stay.external_id,
        subject_id=stay.subject.external_id,
        admitted_at=stay.admitted_at,
        observations=observation_table(
            [row.time for row in observations],
            [row.known_at for row in observations],
            [row.variable for row in observations],
            [row.value for row in observations],
            known_until=[row.known_until for row in observations],
            censored=[row.censored for row in observations],
        ),
        age_years=stay.age_years,
        sex=stay.sex,
        care_unit=stay.care_unit,
        hospital_admitted_at=stay.hospital_admitted_at,
        synthetic=stay.synthetic,
    )
