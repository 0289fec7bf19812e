"""An endless ward: people come to N beds, stay, leave, and the next one comes.

At `start` every bed is already occupied, some for many hours, so that a board has history at once. A few
first occupants follow a script that shows what a board is for; everybody after them is drawn like any stay.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count

import numpy as np

from models.clinical.errors import InvalidInput
from pipelines.bedside import BedsideStay
from pipelines.simulate.course import CourseKind, between
from pipelines.simulate.stays import Seed, SimulatorConfig, Wish, simulate_stay

_WARD_STAYS = 1  # the first part of a seed's key; `simulate` uses 0

# What a ward's streams are for, apart from each bed's own; beds are counted from 0.
_SHUFFLE, _OCCUPANCY = range(2)


@dataclass(frozen=True)
class FirstOccupant:
    """Who lies in a bed at the start: hours in the unit by then, hours still to come, and what happens.

    `onset_in_hours` and `silent_in_hours` count from the start; a negative one has already happened.
    """

    kind: CourseKind | None
    hours_ago: float
    remains_hours: float
    onset_in_hours: float | None = None
    silent_in_hours: float | None = None

    def wish(self) -> Wish:
        """The same, counted from the admission."""
        return Wish(
            kind=self.kind,
            onset_hour=None if self.onset_in_hours is None else self.hours_ago + self.onset_in_hours,
            length_hours=self.hours_ago + self.remains_hours,
            silent_after_hour=None if self.silent_in_hours is None else self.hours_ago + self.silent_in_hours,
        )


# One alert is there at once, the next ones come while somebody watches; one gets better, one falls silent.
SCRIPT = (
    FirstOccupant(CourseKind.SEPTIC, 13.0, 36.0, onset_in_hours=-0.5),
    FirstOccupant(CourseKind.SEPTIC, 10.0, 40.0, onset_in_hours=2.0),
    FirstOccupant(CourseKind.RECOVERING, 3.0, 45.0),
    FirstOccupant(CourseKind.STABLE, 11.0, 60.0, silent_in_hours=0.5),
    FirstOccupant(CourseKind.SEPTIC, 7.0, 42.0, onset_in_hours=6.0),
    FirstOccupant(CourseKind.SEPTIC, 5.0, 60.0, onset_in_hours=14.0),
)


@dataclass(frozen=True)
class WardConfig:
    """How a ward is occupied; (low, high) bound a uniform draw."""

    script: tuple[FirstOccupant, ...] = SCRIPT
    care_units: tuple[str, ...] = ("4A", "4B")  # beds are dealt to them in equal blocks
    hours_ago: tuple[float, float] = (1.0, 14.0)  # fills the board's 12 h without alerts of past days
    remains_hours: tuple[float, float] = (4.0, 40.0)
    empty_hours: tuple[float, float] = (0.5, 3.0)
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)


def ward(seed: int, beds: int, start: datetime, config: WardConfig | None = None) -> Iterator[BedsideStay]:
    """The stays of a ward by admission, without end: the first `beds` of them were admitted before `start`.

    Raises InvalidInput unless `seed` >= 0, `beds` >= 1 and `start` has a time zone.
    """
    if seed < 0 or beds < 1 or start.tzinfo is None:
        raise InvalidInput(
            f"seed {seed}, beds {beds}, start {start}: needs seed >= 0, beds >= 1 and a time zone", value=beds
        )
    config = config or WardConfig()
    shuffled = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_WARD_STAYS, _SHUFFLE)))
    scripted = dict(zip(shuffled.permutation(beds).tolist(), config.script, strict=False))
    occupants = []
    for bed in range(beds):
        key = Seed(seed, (_WARD_STAYS, _OCCUPANCY, bed))
        care_unit = config.care_units[bed * len(config.care_units) // beds]
        stays = _occupants(key, f"{bed + 1:02d}", start, scripted.get(bed), config)
        occupants.append(map(partial(replace, care_unit=care_unit), stays))
    return heapq.merge(*occupants, key=lambda stay: stay.admitted_at)


def _occupants(
    seed: Seed, bed: str, start: datetime, first: FirstOccupant | None, config: WardConfig
) -> Iterator[BedsideStay]:
    """The people in one bed, one after the other; stay ids name the start, so that two wards never mix."""
    random = np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=seed.key))
    hours_ago, remains = random.random(2)
    if first is None:
        first = FirstOccupant(
            None, between(config.hours_ago, hours_ago), between(config.remains_hours, remains)
        )
    admitted_at, wish = start - timedelta(hours=first.hours_ago), first.wish()
    for number in count():
        stay_id = f"sim-{start:%Y%m%dT%H%M%S}-{seed.entropy}-{bed}-{number}"
        key = replace(seed, key=(*seed.key, number))
        stay = simulate_stay(stay_id, key, admitted_at, wish, config.simulator)
        yield replace(stay, bed=bed)
        admitted_at = stay.ends_at + timedelta(hours=between(config.empty_hours, random.random()))
        wish = Wish()
