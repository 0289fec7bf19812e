"""The stays of a seed: raw as a bed sends them, and checked as a model reads them.

A stay's randomness hangs on (seed, its key) alone: stay 7 is the same whether eight are drawn or eight
thousand. Equal seeds give equal stays on every machine with the same numpy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.clinical.stay import Sex
from models.clinical.variables import CATALOGUE
from pipelines.bedside import BedsideStay, Reading
from pipelines.simulate.charting import PANELS, ChartingConfig, lag_hours, round_hours
from pipelines.simulate.course import CourseConfig, CourseKind, draw_course
from pipelines.simulate.derived import charted
from pipelines.simulate.disturbances import (
    PROBE_OFF,
    DisturbanceConfig,
    disturbed,
    off_probe,
    stretches,
    within,
)
from pipelines.simulate.latent import Body, draw_body
from pipelines.simulate.mix_ups import mixed_up

Array = npt.NDArray[np.float64]

SOURCE = "simulator"
EPOCH = datetime(2019, 1, 1, tzinfo=UTC)  # the same as the CinC 2019 source, so that hours compare

# What a random stream is for. A new use takes the next number; the others keep their draws.
_COURSE, _PERSON, _BODY, _DISTURBANCE, _PANEL, _MIX_UP = range(6)


@dataclass(frozen=True)
class SimulatorConfig:
    """Everything that decides what is drawn, beside the seed."""

    course: CourseConfig = field(default_factory=CourseConfig)
    charting: ChartingConfig = field(default_factory=ChartingConfig)
    disturbances: DisturbanceConfig = field(default_factory=DisturbanceConfig)
    age_years: tuple[float, float, float] = (63.0, 16.0, 89.0)  # mean, spread, oldest: set A
    youngest_years: float = 18.0
    female_share: float = 0.42
    emergency_share: float = 0.5  # come straight in; the others after days on another ward, as in set A


@dataclass(frozen=True)
class Seed:
    """Where a stay's randomness comes from; `key` tells stays of one `entropy` apart."""

    entropy: int
    key: tuple[int, ...]

    def stream(self, use: int, which: int = 0) -> np.random.Generator:
        """An independent stream for one use."""
        return np.random.default_rng(np.random.SeedSequence(self.entropy, spawn_key=(*self.key, use, which)))


@dataclass(frozen=True)
class Wish:
    """What a caller decides about a stay; what is None is drawn."""

    kind: CourseKind | None = None
    onset_hour: float | None = None
    length_hours: float | None = None
    silent_after_hour: float | None = None


def simulate(
    seed: int, number: int, *, admitted_at: datetime = EPOCH, config: SimulatorConfig | None = None
) -> Iterator[BedsideStay]:
    """The first `number` stays of `seed`, raw, one at a time, all admitted at `admitted_at`.

    Raises InvalidInput if `seed` or `number` is negative.
    """
    if seed < 0 or number < 0:
        raise InvalidInput(f"seed {seed} and number {number} must be 0 or more", value=seed, bound=">= 0")
    for index in range(number):
        yield simulate_stay(f"sim-{seed}-{index:06d}", Seed(seed, (0, index)), admitted_at, config=config)


def simulate_stay(
    stay_id: str,
    seed: Seed,
    admitted_at: datetime,
    wish: Wish | None = None,
    config: SimulatorConfig | None = None,
) -> BedsideStay:
    """One raw stay. Times are whole seconds after `admitted_at`, values are rounded as monitors round."""
    wish, config = wish or Wish(), config or SimulatorConfig()
    course = draw_course(seed.stream(_COURSE), config.course, wish.kind, wish.onset_hour, wish.length_hours)
    hour_of_day = (admitted_at - admitted_at.replace(hour=0, minute=0, second=0)) / timedelta(hours=1)
    body = draw_body(seed.stream(_BODY), course, hour_of_day)
    end_hour = course.length_hours if wish.silent_after_hour is None else wish.silent_after_hour
    age_years, sex, waited = _person(seed.stream(_PERSON), config)
    return BedsideStay(
        stay_id=stay_id,
        subject_id=stay_id,
        admitted_at=admitted_at,
        discharged_at=_after(admitted_at, course.length_hours),
        readings=_readings(seed, body, admitted_at, end_hour, config),
        age_years=age_years,
        sex=sex,
        hospital_admitted_at=_after(admitted_at, -waited),
        onset=None if course.onset_hour is None else _after(admitted_at, course.onset_hour),
        synthetic=True,
        source=SOURCE,
    )


def _person(random: np.random.Generator, config: SimulatorConfig) -> tuple[float, Sex, float]:
    """Age in years, sex, and hours in hospital before the unit."""
    mean, spread, oldest = config.age_years
    age = float(np.clip(mean + spread * random.standard_normal(), config.youngest_years, oldest))
    sex: Sex = "female" if random.random() < config.female_share else "male"
    elsewhere, days = random.random(), random.exponential(3.0)
    return round(age), sex, 0.05 if elsewhere < config.emergency_share else 24.0 * days


def _after(start: datetime, hours: float) -> datetime:
    return start + timedelta(seconds=round(hours * 3600))


def _readings(
    seed: Seed, body: Body, admitted_at: datetime, end_hour: float, config: SimulatorConfig
) -> tuple[Reading, ...]:
    """Everything known by `end_hour`, in the order it became known."""
    random, wrong = seed.stream(_DISTURBANCE), config.disturbances
    last = float(body.hour[-1])
    silence = stretches(random, wrong.silence_rate, wrong.silence_hours, last)
    probe_off = stretches(random, wrong.probe_off_rate, wrong.probe_off_hours, last)
    readings: list[Reading] = []
    for which, panel in enumerate(PANELS):
        random = seed.stream(_PANEL, which)
        hour = round_hours(random, panel, body, config.charting)
        known = hour + lag_hours(random, panel, len(hour), config.charting)
        sent = (known <= end_hour) & ~(within(hour, silence) & panel.by_monitor)
        clocks = [
            (_after(admitted_at, at), _after(admitted_at, by)) for at, by in zip(hour, known, strict=True)
        ]
        off = within(hour, probe_off)
        for name, share in panel.variables:
            included = random.random(len(hour)) < share
            true, unit = charted(body, name, hour, random), CATALOGUE[name].unit
            value, artefact = _values(random, name, true, off, wrong)
            readings += [
                Reading(*clocks[row], name, value[row], unit, artefact[row])
                for row in np.flatnonzero(included & sent).tolist()
            ]
    readings.sort(key=_order)
    told = mixed_up(seed.stream(_MIX_UP), readings, wrong, _after(admitted_at, end_hour))
    return tuple(sorted(told, key=_order))


def _order(reading: Reading) -> tuple[datetime, datetime, str]:
    return reading.known_at, reading.time, reading.variable


def _values(
    random: np.random.Generator,
    name: str,
    true: Array,
    off: npt.NDArray[np.bool_],
    config: DisturbanceConfig,
) -> tuple[list[float | str], list[str]]:
    """What is read (T,) instead of `true` (T,), and the artefact's name (T,), empty where there is none."""
    value: list[float | str] = list(true.tolist())
    artefact = [""] * len(true)
    if name in PROBE_OFF:
        reads = off_probe(random, name, len(true))
        for row in np.flatnonzero(off).tolist():
            value[row], artefact[row] = float(reads[row]), "probe off"
    for row, (wrong, what) in disturbed(random, name, true, config).items():
        value[row], artefact[row] = wrong, what
    return value, artefact
