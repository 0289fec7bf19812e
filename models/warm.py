"""Compile what scoring needs, once after installation: `python -m models.warm`.

The first score of a fresh installation would otherwise wait about a minute for the compiler.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from models import registry
from models.base import Inquirable, Likening
from models.clinical.stay import Stay, observation_table
from models.mgp.standardise import VITAL_SIGNS

ADMITTED = datetime(2020, 1, 1, tzinfo=UTC)
PAST_STAYS = "dtw"  # whom the service compares with unless it is told otherwise


def example() -> Stay:
    """A stay with every vital sign in two hours, one of them known late."""
    time = [ADMITTED + timedelta(hours=hour) for hour in (0.5, 1.5) for _ in VITAL_SIGNS]
    known = [*time[:-1], time[-1] + timedelta(hours=2)]
    return Stay(
        "warm",
        "warm",
        ADMITTED,
        observation_table(time, known, [*VITAL_SIGNS, *VITAL_SIGNS], [40.0] * len(time)),
    )


def warm() -> None:
    """Score, explain and inquire with the default model, and lay the stay on past ones."""
    model, stay = registry.load("default"), example()
    model.score(stay)
    model.explain(stay, stay.last_known_at)
    if isinstance(model, Inquirable):
        model.inquire(stay, stay.last_known_at)
    past = registry.load(PAST_STAYS)
    assert isinstance(past, Likening)
    past.patients_like(stay, stay.last_known_at)


if __name__ == "__main__":
    warm()
