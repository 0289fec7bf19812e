"""The key of a part: equal where everything that was read is equal, another where anything differs."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from models.clinical.interventions import intervention_table
from models.clinical.quarantine import Quarantined, Reason
from models.clinical.stay import Stay, observation_table
from pipelines.evaluate.parts import Chunk, key_of
from pipelines.ingest.source import IngestedStay

ADMITTED = datetime(2026, 3, 1, tzinfo=UTC)


def at(*hours: float) -> list[datetime]:
    return [ADMITTED + timedelta(hours=hour) for hour in hours]


def read(antibiotic: float = 3.0, agent: str = "ceftriaxone", value: float = 80.0) -> IngestedStay:
    """A stay of three hours as a source gives it, every object made anew."""
    table = observation_table(at(1), at(1), ["heart_rate"], [value])
    acted = intervention_table(at(antibiotic), at(antibiotic), ["antibiotic"], [np.nan], [agent])
    stay = Stay("s", "p", ADMITTED, table, age_years=61.0, interventions=acted, source="table")
    hour, label = np.arange(1, 4), np.array([0, 1, 1], dtype=np.int8)
    return IngestedStay(stay, 2, hour=hour, label=label, onset_hour=7.5)


def key(one: IngestedStay) -> str:
    return key_of("models", Chunk(0, "A", (one,)))


def of_stay(**changes: Any) -> Callable[[], IngestedStay]:
    return lambda: replace(read(), stay=replace(read().stay, **changes))


ASIDE = (Quarantined(Reason.IMPLAUSIBLE, "900 1/min is above 300", row=4, variable="heart_rate"),)
CORRECTED: dict[str, Callable[[], IngestedStay]] = {
    "when an antibiotic began": lambda: read(antibiotic=2.0),
    "which antibiotic": lambda: read(agent="vancomycin"),
    "a value": lambda: read(value=81.0),
    "when the stay ended": of_stay(discharged_at=ADMITTED + timedelta(hours=9)),
    "the age": of_stay(age_years=62.0),
    "the source": of_stay(source="cinc2019"),
    "what was set aside": lambda: replace(read(), cells_read=3, quarantine=ASIDE),
    "a fact that was set aside": lambda: replace(read(), facts_quarantined=ASIDE),
    "the onset": lambda: replace(read(), onset_hour=7.25),
    "no onset": lambda: replace(read(), onset_hour=None),
    "a label": lambda: replace(read(), label=np.array([0, 0, 1], dtype=np.int8)),
    "an hour": lambda: replace(read(), hour=np.array([1, 2, 4])),
}


def test_the_same_stay_read_again_has_the_same_key() -> None:
    assert key(read()) == key(read())
    assert key_of("others", Chunk(0, "A", (read(),))) != key(read())


@pytest.mark.parametrize("corrected", CORRECTED.values(), ids=CORRECTED.keys())
def test_whatever_is_corrected_has_the_part_scored_again(corrected: Callable[[], IngestedStay]) -> None:
    assert key(corrected()) != key(read())


def test_every_fact_of_a_stay_counts() -> None:
    facts = [
        one.name for one in fields(Stay) if one.name not in ("observations", "interventions", "admitted_at")
    ]
    changed = {name: key(of_stay(**{name: "another"})()) for name in facts}
    assert len({key(read()), *changed.values()}) == len(facts) + 1
