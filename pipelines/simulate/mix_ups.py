"""Laboratory results that were somebody else's: told, noticed after a while, then corrected or withdrawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from models.clinical.ledger import ReportStatus
from models.clinical.variables import CATALOGUE, Kind
from pipelines.bedside import Reading
from pipelines.simulate.course import between
from pipelines.simulate.disturbances import DisturbanceConfig
from pipelines.simulate.physiology import DECIMALS

MIXED_UP, WITHDRAWAL = "mixed-up sample", "withdrawal"


def mixed_up(
    random: np.random.Generator, readings: Sequence[Reading], config: DisturbanceConfig, ends_at: datetime
) -> Iterator[Reading]:
    """The readings, a few of them first with another person's value; nothing is noticed after `ends_at`."""
    draws = random.random((len(readings), 4))
    for number, (reading, draw) in enumerate(zip(readings, draws.tolist(), strict=True)):
        happens, whose, when, becomes = draw
        noticed_at = reading.known_at + timedelta(seconds=round(3600 * between(config.noticed_hours, when)))
        other = round(between(CATALOGUE[reading.variable].normal, whose), DECIMALS[reading.variable])
        unfit = reading.artefact or CATALOGUE[reading.variable].kind is not Kind.LAB or other == reading.value
        if happens >= config.mixed_up_share or unfit or noticed_at > ends_at:
            yield reading
            continue
        named = replace(reading, identifier=f"{reading.variable}-{number}")
        wrong = replace(named, value=other, artefact=MIXED_UP)
        yield wrong
        if becomes < config.withdrawn_share:
            status = ReportStatus.ENTERED_IN_ERROR
            yield replace(wrong, known_at=noticed_at, artefact=WITHDRAWAL, status=status)
        else:
            yield replace(named, known_at=noticed_at, status=ReportStatus.CORRECTED)
